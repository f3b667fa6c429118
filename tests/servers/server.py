"""What every server can do: start, stop, be killed, start again on the same data, and lose its network."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from tests.servers.ports import free_port
from tests.servers.proxy import Proxy
from tests.servers.reaper import reaper
from tests.servers.tls import Certificates

#: Who may use a server with `auth=True`; channels whose names begin with `forbidden` are denied even to them.
USER: Final = "dragoman"
PASSWORD: Final = "open-sesame"  # noqa: S105 - it opens a server that lives for seconds, on loopback

_NOBODY: Final = 65534


class ServerError(Exception):
    """A server that did not start, or can't do what was asked; the message has the end of its log."""


class Server(ABC):
    """One server process with a proxy in front of it.

    Attributes:
        port: where it listens itself.
        proxy_port: where the proxy listens, which `cut`, `stall` and `restore` act on.
        folder: its configuration, data and log; removed by `close`.
        auth: it wants USER and PASSWORD, and denies channels whose names begin with `forbidden`.
        certificates: it speaks TLS with these; None speaks plainly.
        mutual: it wants a certificate of its clients, too.
    """

    scheme: str
    #: Seconds. A machine under load starts a JVM slowly, and a RabbitMQ too.
    patience = 120.0

    def __init__(self, *, auth: bool = False, tls: bool = False, mutual: bool = False) -> None:
        self.auth = auth
        self.mutual = mutual
        self.port = free_port()
        self.proxy_port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix=f"dragoman-{type(self).__name__.lower()}-"))
        reaper.watch(self.folder)
        self.certificates = Certificates(self.folder / "tls") if tls or mutual else None
        self.log = self.folder / "log.txt"
        self._proxy = Proxy(self.proxy_port, f"127.0.0.1:{self.proxy_target}")
        self._process: subprocess.Popen[bytes] | None = None
        self._configured = False

    @property
    def proxy_target(self) -> int:
        """The port behind the proxy."""
        return self.port

    @property
    def url(self) -> str:
        """Its address through the proxy, without user or password."""
        return f"{self.scheme}://127.0.0.1:{self.proxy_port}"

    @property
    def direct(self) -> str:
        """Its address without the proxy: for benchmarks."""
        return f"{self.scheme}://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    @abstractmethod
    def configure(self) -> None:
        """Write the files that it needs into `folder`; once, before the first start."""

    @abstractmethod
    def command(self) -> Sequence[str | Path]:
        """What to run."""

    def environment(self) -> Mapping[str, str]:
        """What its process sees besides PATH and HOME."""
        return {}

    @abstractmethod
    def ready(self) -> bool:
        """Whether clients can be served. Called often while it starts; doesn't block for long."""

    def start(self) -> None:
        """Start it, and return when clients can be served.

        Raises:
            ServerError: it ended, or was not ready in time.
            NotInstalled: its program is missing and can't be installed.
        """
        self.spawn()
        self.wait_until_ready()

    def spawn(self) -> None:
        """Start its process, and return at once: the members of a cluster need each other to become ready."""
        if self.running:
            raise ServerError(f"{self} runs already")
        if not self._configured:
            self.configure()
            self._give_away()
            self._configured = True
        self._proxy.start()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*unprivileged(), *self.command()],
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.folder), **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        reaper.watch(self._process.pid)

    def wait_until_ready(self) -> None:
        """See `start`."""
        deadline = time.monotonic() + self.patience
        while not self.ready():
            if not self.running:
                raise ServerError(f"{self} ended while it started. Its log ends:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self} was not ready after {self.patience:g} s. Its log ends:\n{self.log_tail()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End it as an administrator would, and wait for its end. Idempotent."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a crash would (kill -9). Idempotent."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start it again, after killing it if it runs: the same data, the same ports."""
        self.kill()
        self.start()

    def cut(self) -> None:
        """Cut its network: every connection through the proxy is reset, new ones are refused."""
        self._proxy.tell("cut")

    def stall(self) -> None:
        """Let nothing through any more, but keep the connections: what a lost cable looks like."""
        self._proxy.tell("stall")

    def restore(self) -> None:
        """Undo `cut` and `stall`."""
        self._proxy.tell("restore")

    def close(self) -> None:
        """End it and its proxy, and remove its folder. Idempotent."""
        try:
            self.kill()
        finally:
            self._proxy.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            reaper.forget(self.folder)

    def log_tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3000:] if self.log.exists() else "(no log)"

    def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        reaper.forget(process.pid)
        self._process = None

    def _give_away(self) -> None:
        """Let the user that the server runs as write to its folder."""
        if os.geteuid() == 0:
            for path in (self.folder, *self.folder.rglob("*")):
                os.chown(path, _NOBODY, _NOBODY)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__} on port {self.port}"


S = TypeVar("S", bound=Server)


class Cluster(Generic[S]):
    """Several servers that know each other, started at once."""

    def __init__(self, servers: Sequence[S]) -> None:
        self.servers = tuple(servers)

    @property
    def url(self) -> str:
        """The addresses of all of them, through their proxies: `scheme://host:port,host:port,…`."""
        first, *others = (server.url for server in self.servers)
        return ",".join([first, *(other.partition("://")[2] for other in others)])

    def __enter__(self) -> Self:
        try:
            for server in self.servers:
                server.spawn()
            for server in self.servers:
                server.wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all of them. Idempotent."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda server: server.close(), self.servers))


def unprivileged() -> list[str]:
    """As root, what to put in front of a command so that it runs as nobody."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
