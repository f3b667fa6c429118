"""What builds the guests of `examples/guests`: where it is, and what fetches it from the package registries.

with_tools = toolchains.environment("rust")
subprocess.run([sys.executable, "build.py"], env=with_tools)

Python's and wasm-tools come with the workspace. C's is installed from apt, JavaScript's where there is none. Rust, and
Go where there is none or an old one, are taken as Debian 13 has them, unpacked into `.cache/` beside the system: Debian
12's are too old, and no other registry has a Rust that builds for WebAssembly.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.servers.install import CACHE, NotInstalled, alone, program

RELEASE: Final = "trixie"
#: Go's oldest version that exports functions to a host.
OLDEST_GO: Final = (1, 24)
_KEYRING: Final = "/usr/share/keyrings/debian-archive-keyring.gpg"
#: Of these packages all that they need is fetched, save compilers for this machine: it has its own.
_RUST: Final = ("cargo", "rustc", "libstd-rust-dev", "libstd-rust-dev-wasm32", "lld-19", "libc6")
_NEEDED: Final = re.compile(r"lib(?!.*-dev$).+|zlib1g")
_GO: Final = ("golang-1.24-go", "golang-1.24-src")


def environment(language: str) -> Mapping[str, str]:
    """The environment in which the build script and the tests of a guest in that language find its tools.

    Raises:
        NotInstalled: something is missing and can't be fetched.
    """
    first = [Path(sys.executable).parent]
    more: dict[str, str] = {}
    if language == "c":
        # What C's library consists of is looked for in its own folder, which no other package has.
        program("clang", package="clang", also=("lld", "wasi-libc"), instead="CLANG")
    elif language == "javascript":
        program("npm", package="npm", also=("nodejs",), instead="PATH")
    elif language == "rust":
        root = _unpacked("rust", _RUST)
        first.append(root / "wrapped")
        more = {
            "RUSTC": str(root / "wrapped" / "rustc"),
            "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(root / "wrapped" / "wasm-ld"),
            "CARGO_TARGET_DIR": str(CACHE / "toolchains" / "cargo-target"),
        }
    elif language == "go":
        first.append(_go())
        more = {"GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    path = os.pathsep.join([*map(str, first), os.environ.get("PATH", os.defpath)])
    return {**os.environ, **more, "PATH": path}


def _go() -> Path:
    """The folder of a `go` that is new enough."""
    found = shutil.which("go", path=os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/go/bin"]))
    if found:
        said = subprocess.run([found, "env", "GOVERSION"], capture_output=True, text=True, check=False, cwd="/").stdout
        version = re.match(r"go(\d+)\.(\d+)", said)
        if version and (int(version[1]), int(version[2])) >= OLDEST_GO:
            return Path(found).parent
    return _unpacked("go", _GO) / "usr" / "lib" / "go-1.24" / "bin"


def _unpacked(name: str, packages: Sequence[str]) -> Path:
    """The folder in which these packages of Debian 13 are with what they need; the system does not know of it."""
    folder = CACHE / "toolchains" / f"{name}-{RELEASE}"
    if not folder.is_dir():
        with alone():
            if not folder.is_dir():
                folder.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                    root = Path(scratch) / "root"
                    _fetch(packages, Path(scratch), root)
                    _wrap(root)
                    # Only a whole folder gets the name: an interrupted fetch leaves nothing that looks done.
                    root.rename(folder)
                for script in (folder / "wrapped").glob("*"):
                    script.write_text(script.read_text().replace("ROOT", str(folder)))
    return folder


def _fetch(packages: Sequence[str], scratch: Path, root: Path) -> None:
    """Download the packages with an apt of their own, which shares nothing with the system's but the mirror."""
    if not shutil.which("apt-get") or not Path(_KEYRING).exists():
        raise NotInstalled(f"{packages[0]} for WebAssembly is taken from Debian's packages, and this is no Debian")
    for folder in ("state", "lists/partial", "cache/archives/partial", "sources", "debs"):
        (scratch / folder).mkdir(parents=True)
    (scratch / "status").touch()
    (scratch / "sources" / "debian.sources").write_text(
        f"Types: deb\nURIs: {_mirror()}\nSuites: {RELEASE}\nComponents: main\nSigned-By: {_KEYRING}\n"
    )
    places = {
        "Dir::State": "state",
        "Dir::State::lists": "lists",
        "Dir::State::status": "status",
        "Dir::Cache": "cache",
    }
    settings = {**places, "Dir::Etc::sourceparts": "sources"}
    (scratch / "apt.conf").write_text(
        "".join(f'{key} "{scratch / value}";\n' for key, value in settings.items())
        + 'Dir::Etc::sourcelist "/dev/null";\nAcquire::Languages "none";\nAPT::Sandbox::User "root";\n'
        + 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";\n'
    )
    environment = {**os.environ, "APT_CONFIG": str(scratch / "apt.conf")}

    def apt(*command: str) -> str:
        done = subprocess.run(
            command, env=environment, cwd=scratch / "debs", capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NotInstalled(f"{' '.join(command[:2])} for {packages[0]} failed: {done.stderr.strip()[-1000:]}")
        return done.stdout

    apt("apt-get", "-q", "update")
    plan = apt("apt-get", "-s", "-q", "--no-install-recommends", "install", *packages)
    needed = [name for name in re.findall(r"^Inst (\S+)", plan, re.MULTILINE) if _NEEDED.fullmatch(name)]
    apt("apt-get", "-q", "download", *dict.fromkeys([*packages, *needed]))
    root.mkdir()
    with ThreadPoolExecutor(2) as both:
        list(
            both.map(
                lambda deb: _unpack(deb, root),
                sorted((scratch / "debs").iterdir(), key=lambda deb: -deb.stat().st_size),
            )
        )


def _unpack(deb: Path, root: Path) -> None:
    """Unpack a package; of Rust's library for WebAssembly, which comes for three kinds of it, one."""
    only = ["--wildcards", "*wasm32-unknown-unknown*"] if "wasm32" in deb.name else []
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", root, "--no-same-owner", *only], stdin=archive.stdout, check=True)
    deb.unlink()


def _wrap(root: Path) -> None:
    """Scripts that run the programs with the libraries that they came with: the system's are older."""
    (root / "wrapped").mkdir()
    start = "exec ROOT/usr/lib64/ld-linux-x86-64.so.2 --library-path ROOT/usr/lib/x86_64-linux-gnu"
    for name, program_of in {"cargo": "bin/cargo", "rustc": "bin/rustc", "wasm-ld": "lib/llvm-19/bin/wasm-ld"}.items():
        if (root / "usr" / program_of).exists():
            script = root / "wrapped" / name
            script.write_text(f'#!/bin/sh\n{start} --argv0 {name} ROOT/usr/{program_of} "$@"\n')
            script.chmod(0o755)


def _mirror() -> str:
    """The mirror of Debian that this machine uses."""
    for file in [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]:
        text = file.read_text() if file.is_file() else ""
        for found in re.finditer(r"^(?:URIs:|deb(?: \[[^]]*\])?) *(\S+/debian)/?(?:\s|$)", text, re.MULTILINE):
            return found[1]
    raise NotInstalled("no mirror of Debian is configured here, from which a Rust for WebAssembly could be fetched")
