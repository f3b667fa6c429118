"""RabbitMQ, one node, with an epmd of its own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.servers.install import NotInstalled, program
from tests.servers.ports import answers, free_port
from tests.servers.reaper import reaper
from tests.servers.server import PASSWORD, USER, Server, ServerError, unprivileged

#: Not the wrapper in /usr/sbin, which forces a user of its own.
_SCRIPT: Final = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")


class RabbitMQ(Server):
    """One RabbitMQ node. Without `auth` its user is RabbitMQ's own `guest`."""

    scheme = "amqp"

    def __init__(self, *, auth: bool = False, tls: bool = False, mutual: bool = False) -> None:
        super().__init__(auth=auth, tls=tls, mutual=mutual)
        self._epmd_port = free_port()
        self._node_port = free_port()
        self._epmd: subprocess.Popen[bytes] | None = None

    def configure(self) -> None:
        """Write rabbitmq.conf, and the users."""
        (self.folder / "enabled_plugins").write_text("[].\n")
        (self.folder / "definitions.json").write_text(json.dumps(_definitions()))
        (self.folder / "rabbitmq.conf").write_text("\n".join(self._settings()) + "\n")

    def _settings(self) -> list[str]:
        common = [
            "loopback_users = none",
            "log.console = false",
            "disk_free_limit.absolute = 1MB",
            # Small enough that tests can have a message that is too large.
            "max_message_size = 16777216",
        ]
        users = [f"load_definitions = {self.folder}/definitions.json"] if self.auth else []
        if self.certificates is None:
            return [f"listeners.tcp.1 = 127.0.0.1:{self.port}", *common, *users]
        files = self.certificates
        return [
            "listeners.tcp = none",
            f"listeners.ssl.1 = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {files.authority}",
            f"ssl_options.certfile = {files.server}",
            f"ssl_options.keyfile = {files.server_key}",
            *(["ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = true"] if self.mutual else []),
            *common,
            *users,
        ]

    def environment(self) -> Mapping[str, str]:
        """See https://www.rabbitmq.com/docs/configure#supported-environment-variables."""
        return {
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq.conf",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/enabled_plugins",
            "RABBITMQ_LOG_BASE": f"{self.folder}/log",
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia",
            "RABBITMQ_NODENAME": f"rmq{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port) if self.certificates is None else "",
            "RABBITMQ_PID_FILE": f"{self.folder}/pid",
            # Makes the script become the node instead of waiting for it, so that we know the node's pid.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        if not _SCRIPT.exists():
            program("rabbitmq-server", package="rabbitmq-server", instead="DRAGOMAN_TEST_RABBITMQ")
        if not _SCRIPT.exists():
            raise NotInstalled(
                f"RabbitMQ is not where Debian's package has it, in {_SCRIPT}; set DRAGOMAN_TEST_RABBITMQ"
            )
        return [_SCRIPT]

    def spawn(self) -> None:
        """Start epmd in front: a node would start one that outlives it."""
        if self._epmd is None:
            epmd = program("epmd", package="erlang-base", instead="DRAGOMAN_TEST_RABBITMQ")
            self._epmd = subprocess.Popen(
                [*unprivileged(), epmd, "-port", str(self._epmd_port), "-address", "127.0.0.1"],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            reaper.watch(self._epmd.pid)
        super().spawn()

    def ready(self) -> bool:
        """Whether its listener, which comes last, accepts connections."""
        return answers(self.port)

    def has_written(self, queue: str) -> bool:
        """Whether the declaration of a queue, or of an exchange, is in the files: it is confirmed a moment before.

        A kill may lose it until then; and of a quorum queue, whose name is in one more table, what is in it.
        """
        declared = self._is_in("mnesia/*/*.[LD][OC]*", queue)  # LATEST.LOG, and what becomes of it: *.DCL, *.DCD
        quorum = self._is_in("mnesia/*/quorum/*/*/config", queue)
        return declared and (not quorum or self._is_in("mnesia/*/quorum/*/names.dets", queue))

    def _is_in(self, files: str, name: str) -> bool:
        found = False
        for file in self.folder.glob(files):
            with suppress(FileNotFoundError):  # it has become the next one
                found = found or name.encode() in file.read_bytes()
        return found

    def alarm(self, *, on: bool) -> None:
        """Let it believe that it has too little memory, so that it takes no messages; or that it has enough."""
        self._control("set_vm_memory_high_watermark", *(("absolute", "1MB") if on else ("0.4",)))

    def _control(self, *arguments: str) -> None:
        done = subprocess.run(
            [*unprivileged(), _SCRIPT.with_name("rabbitmqctl"), "-q", *arguments],
            cwd=self.folder,
            env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), **self.environment()},
            capture_output=True,
            check=False,
            text=True,
        )
        if done.returncode:
            raise ServerError(f"rabbitmqctl {arguments[0]} failed:\n{done.stdout}{done.stderr}")

    def close(self) -> None:
        """End the node, its epmd and its proxy, and remove its folder. Idempotent."""
        super().close()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()
            reaper.forget(self._epmd.pid)
            self._epmd = None


def _definitions() -> dict[str, object]:
    # A negative lookahead: everything but the forbidden names, and the exchanges of RabbitMQ itself.
    allowed = "^(?!forbidden).*"
    user = {"name": USER, "password_hash": _hashed(PASSWORD), "hashing_algorithm": "rabbit_password_hashing_sha256"}
    grant = {"user": USER, "vhost": "/", "configure": allowed, "write": allowed, "read": allowed}
    topic = {"user": USER, "vhost": "/", "exchange": "amq.topic", "write": allowed, "read": allowed}
    return {
        "users": [{**user, "tags": ""}],
        "vhosts": [{"name": "/"}],
        "permissions": [grant],
        "topic_permissions": [topic],
    }


def _hashed(password: str) -> str:
    """As RabbitMQ keeps it: the salt, then SHA-256 over salt and password."""
    salt = os.urandom(4)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
