"""nats-server with JetStream."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self
from urllib.error import URLError
from urllib.request import urlopen

from tests.servers.install import program
from tests.servers.ports import free_port
from tests.servers.server import PASSWORD, USER, Cluster, Server


class Nats(Server):
    """One nats-server with JetStream; ready when JetStream is, and in a cluster when it has a leader."""

    scheme = "nats"

    def __init__(self, *, auth: bool = False, tls: bool = False, mutual: bool = False) -> None:
        super().__init__(auth=auth, tls=tls, mutual=mutual)
        self.monitor_port = free_port()
        self.route_port = free_port()
        self._routes: tuple[int, ...] = ()
        self._name = f"nats-{self.port}"

    @classmethod
    def cluster(cls, size: int = 3) -> Cluster[Self]:
        """Servers that form a JetStream cluster: one of three may be lost."""
        servers = [cls() for _ in range(size)]
        for server in servers:
            server._routes = tuple(other.route_port for other in servers)
        return Cluster(servers)

    def configure(self) -> None:
        """Write nats.conf."""
        parts = [
            f'server_name: "{self._name}"',
            f"listen: 127.0.0.1:{self.port}",
            # Clients learn this address from the server, and must come back through the proxy.
            f'client_advertise: "127.0.0.1:{self.proxy_port}"',
            f"http: 127.0.0.1:{self.monitor_port}",
            f'jetstream {{ store_dir: "{self.folder}/js" }}',
            *self._cluster(),
            *self._users(),
            *self._tls(),
        ]
        (self.folder / "nats.conf").write_text("\n".join(parts) + "\n")

    def _cluster(self) -> list[str]:
        if not self._routes:
            return []
        routes = ", ".join(f'"nats://127.0.0.1:{port}"' for port in self._routes)
        return [f"cluster {{ name: test, listen: 127.0.0.1:{self.route_port}, routes: [{routes}] }}"]

    def _users(self) -> list[str]:
        if not self.auth:
            return []
        # JetStream names the filter of a consumer in the subject of the request that creates it.
        subjects = ["forbidden", "forbidden.>"]
        subjects += [f"$JS.API.CONSUMER.CREATE.*.*.{subject}" for subject in subjects]
        deny = f'{{ allow: ">", deny: {json.dumps(subjects)} }}'
        permissions = f"{{ publish: {deny}, subscribe: {deny} }}"
        user = f'{{ user: "{USER}", password: "{PASSWORD}", permissions: {permissions} }}'
        return [f"authorization {{ users: [ {user} ] }}"]

    def _tls(self) -> list[str]:
        if self.certificates is None:
            return []
        files = self.certificates
        verify = ", verify: true" if self.mutual else ""
        where = f'cert_file: "{files.server}", key_file: "{files.server_key}", ca_file: "{files.authority}"'
        return [f"tls {{ {where}{verify} }}"]

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        nats = program("nats-server", package="nats-server", instead="DRAGOMAN_TEST_NATS")
        return [nats, "-c", self.folder / "nats.conf"]

    def ready(self) -> bool:
        """Whether it is healthy; for a member of a cluster also whether JetStream has a leader."""
        try:
            if not self._routes:
                return bool(self._ask("healthz").get("status") == "ok")
            return bool(self._ask("jsz").get("meta_cluster", {}).get("leader"))
        except (URLError, OSError, ValueError):
            return False

    def leads(self) -> bool:
        """Whether it is the leader of its JetStream cluster."""
        return bool(self._ask("jsz").get("meta_cluster", {}).get("leader") == self._name)

    def _ask(self, what: str) -> dict[str, Any]:
        with urlopen(f"http://127.0.0.1:{self.monitor_port}/{what}", timeout=2) as answer:
            found: dict[str, Any] = json.load(answer)
        return found
