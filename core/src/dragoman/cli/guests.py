"""The guests to start from: `examples/guests` and `wit`, put together to a project that stands by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from dragoman.errors import PluginError

#: The world that a guest of each generation is built for: the one that exports a handler, without what few need.
WORLDS: Final[Mapping[str, str]] = {
    "core": "messaging-core",
    "events": "service",
    "formats": "messaging",
    "topics": "messaging",
    "wasmcloud": "messaging",
}
#: Where a guest sends what it refuses, and what of it says why, as `test_guest.py` has it. A guest of `formats` has no
#: errors of its own, so it can't give the host a reason for the dead letter.
_REFUSED: Final = 'REFUSED, REASON = "dead.orders", "dragoman-reason"'
_REFUSED_BY: Final[Mapping[str, str]] = {"formats": 'REFUSED, REASON = "orders.rejected", "reason"'}
#: What the examples are written for; what differs for another generation is in a folder of its name, beside all
#: languages or in one of them.
_FIRST: Final = "core"
_OTHERS: Final = "generations"
_SHARED: Final = ("cases.json", "dragoman.toml", "test_guest.py")
_BUILT: Final = frozenset({"__pycache__", "node_modules", "target", "guest.wasm", "Cargo.lock"})


def offered() -> Mapping[str, Sequence[str]]:
    """The generations in which there is a guest, by language.

    Raises:
        PluginError: this installation has no guests to start from.
    """
    guests, _ = _sources()
    found = {}
    for script in sorted(guests.glob("*/build.py")):
        others = sorted(path.name for path in (script.parent / _OTHERS).glob("*"))
        found[script.parent.name] = (_FIRST, *others)
    return found


def compose(language: str, generation: str, target: Path) -> None:
    """Make the project of a guest: its sources, the WIT package, a configuration and a test.

    Args:
        language: one that `offered` has.
        generation: one that it has for that language.
        target: the folder to make.

    Raises:
        PluginError: this installation has no guests to start from.
    """
    guests, wit = _sources()
    own = guests / language
    files = {Path(name): guests / name for name in _SHARED}
    files |= {path: own / path for path in _files(own) if path.parts[0] != _OTHERS}
    if generation != _FIRST:
        for other in (guests / _OTHERS / generation, own / _OTHERS / generation):
            files |= {path: other / path for path in _files(other)}
    files |= {"wit" / path: wit / generation / path for path in _files(wit / generation) if len(path.parts) == 1}
    for inside, source in sorted(files.items()):
        copied = target / inside
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(_fitted(source.read_text(encoding="utf-8"), inside, generation), encoding="utf-8")


def _fitted(text: str, file: Path, generation: str) -> str:
    """A file as that generation has it: the build script says for which world, the test what becomes of a refusal."""
    if file.name == "test_guest.py":
        return text.replace(_REFUSED, _REFUSED_BY.get(generation, _REFUSED))
    if file.name != "build.py":
        return text
    return text.replace(f'WORLD = "{WORLDS[_FIRST]}"', f'WORLD = "{WORLDS[generation]}"')


def _files(folder: Path) -> Iterator[Path]:
    """The files in a folder, relative to it, without what is made there and without links to what is shared."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if path.is_file() and not path.is_symlink() and not _BUILT & set(inside.parts):
            yield inside


def _sources() -> tuple[Path, Path]:
    """The folders of the guests and of the WIT packages: beside this package in a wheel, at the root of a checkout."""
    package = Path(__file__).parents[1]
    for guests, wit in (
        (package / "guests", package / "wit"),
        (package.parents[2] / "examples" / "guests", package.parents[2] / "wit"),
    ):
        if (guests / "cases.json").is_file() and (wit / _FIRST).is_dir():
            return guests, wit
    raise PluginError("the guests to start from are missing from this installation", hint="install dragoman again")
