"""Apache Kafka in KRaft mode: one node, or several for a leader's loss."""

from __future__ import annotations

import base64
import subprocess
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

from tests.servers.install import java, kafka_classpath
from tests.servers.ports import answers, free_port
from tests.servers.server import PASSWORD, USER, Cluster, Server, ServerError

_JAVA_OPTIONS: Final = ("-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_SCRAM: Final = ("SCRAM-SHA-256", "SCRAM-SHA-512")
#: What clients may send at most, Kafka's own default: a test can have a message that is too large.
MAX_MESSAGE_BYTES: Final = 1_048_588


class Kafka(Server):
    """One Kafka node, broker and controller.

    It has a listener of its own for the proxy, because a broker tells its clients where to come back to.
    """

    scheme = "kafka"

    def __init__(self, *, auth: bool = False, tls: bool = False, mutual: bool = False, partitions: int = 4) -> None:
        self._behind_proxy = free_port()
        super().__init__(auth=auth, tls=tls, mutual=mutual)
        self.controller_port = free_port()
        self.node = 1
        self.partitions = partitions
        self._controllers: tuple[str, ...] = (f"1@127.0.0.1:{self.controller_port}",)
        self._cluster_id = _new_cluster_id()

    @classmethod
    def cluster(cls, size: int = 3) -> Cluster[Self]:
        """Brokers that replicate every topic to three of them (or to all, where there are fewer)."""
        servers = [cls() for _ in range(size)]
        controllers = tuple(f"{n}@127.0.0.1:{server.controller_port}" for n, server in enumerate(servers, 1))
        for n, server in enumerate(servers, 1):
            server.node, server._controllers, server._cluster_id = n, controllers, servers[0]._cluster_id
        return Cluster(servers)

    @property
    def proxy_target(self) -> int:
        """The listener that tells clients the proxy's address."""
        return self._behind_proxy

    def configure(self) -> None:
        """Write server.properties, and format the data folder."""
        settings = {**self._listeners(), **self._replication(), **self._users(), **self._tls()}
        text = "".join(f"{name}={value}\n" for name, value in settings.items())
        (self.folder / "server.properties").write_text(text)
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", *self._secrets(), "-t", self._cluster_id, "-c"),
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"Kafka's data folder could not be formatted:\n{done.stdout}{done.stderr}")

    def _listeners(self) -> dict[str, object]:
        protocol = ("SASL_" if self.auth else "") + ("SSL" if self.certificates else "PLAINTEXT")
        # Without a password there is no word in front of PLAINTEXT or SSL: those are the protocols' own names.
        return {
            "process.roles": "broker,controller",
            "node.id": self.node,
            "controller.quorum.voters": ",".join(self._controllers),
            "listeners": f"DIRECT://127.0.0.1:{self.port},PROXIED://127.0.0.1:{self._behind_proxy},"
            f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"DIRECT://127.0.0.1:{self.port},PROXIED://127.0.0.1:{self.proxy_port}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "DIRECT",
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,DIRECT:{protocol},PROXIED:{protocol}",
            "log.dirs": f"{self.folder}/data",
        }

    def _replication(self) -> dict[str, object]:
        copies = min(3, len(self._controllers))
        return {
            "num.partitions": self.partitions,
            "default.replication.factor": copies,
            "min.insync.replicas": max(1, copies - 1),
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 1,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": max(1, copies - 1),
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": max(1, copies - 1),
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            # Members and transactions whose process was killed are missed soon.
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500,
            "group.min.session.timeout.ms": 1000,
            # A broker that was killed may come back at once: its own session must be over by then.
            "broker.session.timeout.ms": 3000,
            "broker.heartbeat.interval.ms": 500,
            "message.max.bytes": MAX_MESSAGE_BYTES,
            # Deleting a topic takes effect while a test looks on.
            "file.delete.delay.ms": 1000,
        }

    def _users(self) -> dict[str, object]:
        if not self.auth:
            return {}
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        users = f'username="admin" password="admin" user_admin="admin" user_{USER}="{PASSWORD}"'
        logins = {"plain": f"{login} {users};"}
        for mechanism in _SCRAM:
            logins[mechanism.lower()] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        return {
            "sasl.enabled.mechanisms": ",".join(("PLAIN", *_SCRAM)),
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            **{
                f"listener.name.{listener}.{mechanism}.sasl.jaas.config": text
                for listener in ("direct", "proxied")
                for mechanism, text in logins.items()
            },
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin;User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "true",
        }

    def _secrets(self) -> list[str]:
        """Users of SCRAM are in the cluster's log from its first line on."""
        if not self.auth:
            return []
        return [f"--add-scram={mechanism}=[name={USER},password={PASSWORD}]" for mechanism in _SCRAM]

    def _tls(self) -> dict[str, object]:
        if self.certificates is None:
            return {}
        return {
            "ssl.client.auth": "required" if self.mutual else "none",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.certificates.server_both,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.certificates.authority,
        }

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        return self._java("kafka.Kafka")

    def _java(self, main: str, *arguments: str) -> list[str | Path]:
        classpath = kafka_classpath()
        return [java(), *_JAVA_OPTIONS, "-cp", classpath, main, *arguments, self.folder / "server.properties"]

    def start(self) -> None:
        """See `Server.start`; with `auth` it then denies the topics that begin with `forbidden`."""
        super().start()
        if self.auth:
            self._forbid()

    def _forbid(self) -> None:
        """ACLs live in the cluster's log: they can only be set on a server that runs; again is harmless."""
        properties = self.folder / "admin.properties"
        security = "SASL_SSL" if self.certificates else "SASL_PLAINTEXT"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        lines = [
            f"security.protocol={security}",
            "sasl.mechanism=PLAIN",
            f'sasl.jaas.config={login} username="admin" password="admin";',
        ]
        if self.certificates:
            lines += ["ssl.truststore.type=PEM", f"ssl.truststore.location={self.certificates.authority}"]
        properties.write_text("\n".join(lines) + "\n")
        rule = ["--add", "--deny-principal", f"User:{USER}", "--operation", "All", "--topic", "forbidden"]
        done = subprocess.run(
            [
                java(), *_JAVA_OPTIONS, "-cp", kafka_classpath(), "org.apache.kafka.tools.AclCommand",
                "--bootstrap-server", f"127.0.0.1:{self.port}", "--command-config", properties,
                *rule, "--resource-pattern-type", "prefixed",
            ],
            capture_output=True, check=False, text=True,
        )  # fmt: skip
        if done.returncode:
            raise ServerError(f"Kafka's ACLs could not be set:\n{done.stdout}{done.stderr}")

    def ready(self) -> bool:
        """Whether the broker, which opens its listeners early, says that it has started."""
        return self._started_in_log() and answers(self._behind_proxy)

    def spawn(self) -> None:
        """Remember where this run's log begins."""
        self._log_begins = self.log.stat().st_size if self.log.exists() else 0
        super().spawn()

    def _started_in_log(self) -> bool:
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            return b"Kafka Server started" in log.read()


def _new_cluster_id() -> str:
    made = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    # A leading dash would be taken for an option by the tool that formats the data folder.
    return made.replace("-", "_")
