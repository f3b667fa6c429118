"""mosquitto, which speaks MQTT 3.1.1 and 5."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from tests.servers.install import program
from tests.servers.ports import answers
from tests.servers.server import PASSWORD, USER, Server


class Mosquitto(Server):
    """One mosquitto, which writes its sessions and messages to `database` on each change.

    It confirms a message a moment *before* it writes: a kill that follows at once loses what was confirmed last. Where
    a test is not about that, `stop` ends it with everything written. `crash_safe=False` keeps nothing, and is faster.
    """

    scheme = "mqtt"

    def __init__(self, *, auth: bool = False, tls: bool = False, mutual: bool = False, crash_safe: bool = True) -> None:
        super().__init__(auth=auth, tls=tls, mutual=mutual)
        self._crash_safe = crash_safe
        self.database = self.folder / "mosquitto.db"

    def configure(self) -> None:
        """Write mosquitto.conf, and the files of users and of forbidden topics."""
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {'false' if self.auth else 'true'}",
            "max_inflight_messages 200",
            # 0 is no bound: with the default of 1000 mosquitto drops the rest silently.
            "max_queued_messages 0",
            "set_tcp_nodelay true",
            *self._persistence(),
            *self._users(),
            *self._tls(),
        ]
        (self.folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    def _persistence(self) -> list[str]:
        if not self._crash_safe:
            return []
        return [
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_on_changes true",
            "autosave_interval 1",
        ]

    def _users(self) -> list[str]:
        if not self.auth:
            return []
        passwords, rules = self.folder / "passwords", self.folder / "rules"
        passwords.write_text(f"{USER}:{_hashed(PASSWORD)}\n")
        passwords.chmod(0o600)
        denied = [f"topic deny {topic}" for topic in ("forbidden", "forbidden/#")]
        rules.write_text("\n".join([f"user {USER}", "topic readwrite #", *denied]) + "\n")
        rules.chmod(0o600)
        return [f"password_file {passwords}", f"acl_file {rules}"]

    def _tls(self) -> list[str]:
        if self.certificates is None:
            return []
        files = self.certificates
        common = [f"cafile {files.authority}", f"certfile {files.server}", f"keyfile {files.server_key}"]
        return [*common, "require_certificate true"] if self.mutual else common

    def command(self) -> Sequence[str | Path]:
        """What to run."""
        mosquitto = program("mosquitto", package="mosquitto", instead="DRAGOMAN_TEST_MOSQUITTO")
        return [mosquitto, "-c", self.folder / "mosquitto.conf"]

    def ready(self) -> bool:
        """Whether it accepts connections."""
        return answers(self.port)


def _hashed(password: str) -> str:
    """As mosquitto_passwd writes it: `$7$`, PBKDF2 with SHA-512."""
    salt, rounds = os.urandom(12), 101
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$7${rounds}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
