"""Gets the servers' programs: from apt on Debian, Kafka through Maven into `.cache/`; else says what to install."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

KAFKA_VERSION: Final = "4.1.0"
CACHE: Final = Path(__file__).parents[2] / ".cache"
_POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>dragoman.tests</groupId><artifactId>kafka</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency>
      <groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>{KAFKA_VERSION}</version>
    </dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
"""


class NotInstalled(Exception):
    """A program that is missing and can't be installed from here; the message says what to do."""


def program(name: str, *, package: str, instead: str, also: Sequence[str] = ()) -> Path:
    """The path of a program, installed with apt if need be.

    Args:
        name: the program's file name.
        package: the Debian package that has it.
        instead: the environment variable with which a user names a server that runs already.
        also: packages to install with it.

    Raises:
        NotInstalled: it is missing and can't be installed.
    """
    found = _find(name)
    if found is None:
        with alone():
            if _find(name) is None:
                _apt_install(package, *also)
        found = _find(name)
    if found is None:
        raise NotInstalled(
            f"{name} is missing and apt can't install it here; install the Debian package {package!r} (or your"
            f" system's own), or set {instead} to the host:port of a server that runs already"
        )
    return found


def kafka_classpath() -> str:
    """Apache Kafka's Java archives, as `java -cp` takes them; fetched once.

    Raises:
        NotInstalled: Java or Maven is missing, or Maven can't reach its repository.
    """
    folder = CACHE / f"kafka-{KAFKA_VERSION}"
    if not folder.is_dir():
        with alone():
            if not folder.is_dir():
                _maven_fetch(folder)
    return f"{folder}/*"


def java() -> Path:
    """The path of Java.

    Raises:
        NotInstalled: it is missing and can't be installed.
    """
    return program("java", package="default-jre-headless", instead="DRAGOMAN_TEST_KAFKA")


def _find(name: str) -> Path | None:
    # /usr/sbin is on root's path only, and Debian keeps mosquitto and nats-server there.
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin"]))
    return Path(found) if found else None


@contextmanager
def alone() -> Iterator[None]:
    """One installation at a time, also across the processes that use this checkout."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _apt_install(*packages: str) -> None:
    """Try; the caller looks whether it worked. A service that the package starts is stopped again: ours are private."""
    sudo = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    if not shutil.which("apt-get") or (sudo and not shutil.which("sudo")):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        subprocess.run([*sudo, "apt-get", "-q", *step], env=environment, check=False, stdout=subprocess.DEVNULL)
    if Path("/run/systemd/system").is_dir():
        subprocess.run([*sudo, "systemctl", "stop", *packages], check=False, stderr=subprocess.DEVNULL)


def _maven_fetch(folder: Path) -> None:
    maven = program("mvn", package="maven", instead="DRAGOMAN_TEST_KAFKA")
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        (Path(scratch) / "pom.xml").write_text(_POM)
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=lib"]
        done = subprocess.run(
            [maven, "-q", "-B", *goal],
            cwd=scratch,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if done.returncode:
            raise NotInstalled(
                f"Maven could not fetch Apache Kafka {KAFKA_VERSION}; give it a way to a Maven repository, or set"
                f" DRAGOMAN_TEST_KAFKA to the host:port of a broker that runs already. It says:\n{done.stdout[-2000:]}"
            )
        # Only a whole folder gets the name: an interrupted fetch leaves nothing that looks done.
        (Path(scratch) / "lib").rename(folder)
