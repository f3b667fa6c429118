"""Compiled code on disk: used when it is ours and whole, built again otherwise, never loaded when it is not."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dragoman.handlers.component.cache import Cache, default_folder
from dragoman.handlers.component.engine import Engine
from tests.guests.build import guest


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine."""
    engine = Engine()
    yield engine
    engine.close()


class Compiles:
    """Opens a component through a cache, and tells whether it was compiled."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.cache, self.folder = engine, Cache(folder), folder

    def __call__(self, data: bytes) -> int:
        """How often it was compiled in this call."""
        built: list[int] = []

        def build() -> int:
            built.append(self.engine.compile(data))
            return built[0]

        self.engine.discard(self.cache.component(self.engine, data, build))
        return len(built)

    @property
    def file(self) -> Path:
        """The one file of compiled code."""
        (path,) = self.folder.glob("*.compiled")
        return path


@pytest.fixture
def compiles(engine: Engine, tmp_path: Path) -> Compiles:
    """A cache that is empty."""
    return Compiles(engine, tmp_path / "cache")


@pytest.fixture
def data() -> bytes:
    """A component."""
    return guest("upper").read_bytes()


def test_code_is_compiled_once(compiles: Compiles, data: bytes) -> None:
    """The second start, also of another host, loads it."""
    assert compiles(data) == 1
    assert compiles(data) == 0
    assert Compiles(compiles.engine, compiles.folder)(data) == 0


def test_another_component_has_code_of_its_own(compiles: Compiles, data: bytes) -> None:
    """The content decides, not the name."""
    assert compiles(data) == 1
    assert compiles(guest("misbehaves").read_bytes()) == 1
    assert len([*compiles.folder.glob("*.compiled")]) == 2


def test_another_engine_has_code_of_its_own(compiles: Compiles, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its version, settings and machine are part of the name."""
    assert compiles(data) == 1
    monkeypatch.setattr(Engine, "identity", staticmethod(lambda: "another"))
    assert compiles(data) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "longer", "exchanged"])
def test_damaged_code_is_never_loaded(
    compiles: Compiles, data: bytes, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happened to the file, the engine does not see it; it is removed and built again."""
    compiles(data)
    path, whole = compiles.file, compiles.file.read_bytes()
    half = len(whole) // 2
    path.write_bytes(
        {
            "cut": whole[:half],
            "empty": b"",
            "flipped": whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :],
            "longer": whole + b"\0",
            "exchanged": guest("misbehaves").read_bytes(),
        }[damage]
    )
    loaded: list[str] = []
    load = Engine.load
    monkeypatch.setattr(Engine, "load", lambda self, path: loaded.append(path) or load(self, path))
    assert compiles(data) == 1
    assert loaded == []
    assert compiles.file.read_bytes() == whole
    assert compiles(data) == 0
    assert len(loaded) == 1


def test_code_sealed_with_another_key_is_not_loaded(compiles: Compiles, data: bytes, tmp_path: Path) -> None:
    """A file from another user's cache, made with another key, is no good here."""
    other = Compiles(compiles.engine, tmp_path / "other")
    other(data)
    compiles(guest("misbehaves").read_bytes())
    shutil.copy(other.file, compiles.folder)
    assert compiles(data) == 1


def test_the_folder_and_the_key_are_for_the_user_alone(compiles: Compiles, data: bytes) -> None:
    """Whoever can write there could have code run in the host."""
    compiles(data)
    assert compiles.folder.stat().st_mode & 0o777 == 0o700
    assert (compiles.folder / "key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("opened", ["folder", "key", "linked"])
def test_a_cache_that_others_may_write_to_is_not_used(
    compiles: Compiles, data: bytes, opened: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It costs the time to compile, nothing else; and it is told, once, with what to do."""
    compiles(data)
    key = compiles.folder / "key"
    if opened == "folder":
        compiles.folder.chmod(0o777)
    elif opened == "key":
        key.chmod(0o644)
    else:
        key.rename(compiles.folder / "moved")
        key.symlink_to(compiles.folder / "moved")
    assert compiles(data) == 1
    assert compiles(data) == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "each start compiles them anew" in line
    assert f"make {compiles.folder} a folder of this user alone, with the mode 700" in line


def test_a_broken_key_is_replaced(compiles: Compiles, data: bytes) -> None:
    """A key that was cut off is no key: what was sealed with the old one is built again, once."""
    compiles(data)
    (compiles.folder / "key").write_bytes(b"short")
    assert [compiles(data) for _ in range(3)] == [1, 0, 0]


def test_a_folder_that_can_not_be_made(engine: Engine, data: bytes, tmp_path: Path) -> None:
    """The component runs, uncached."""
    (tmp_path / "file").write_text("")
    compiles = Compiles(engine, tmp_path / "file" / "cache")
    assert [compiles(data), compiles(data)] == [1, 1]


def test_old_code_is_removed(compiles: Compiles, data: bytes) -> None:
    """Only so many compiled components are kept, those that were used last."""
    compiles(data)
    old = compiles.file
    for number in range(100):
        path = compiles.folder / f"{number}.x.compiled"
        path.write_bytes(b"")
        os.utime(path, (number, number))
    compiles(guest("misbehaves").read_bytes())
    names = {path.name for path in compiles.folder.glob("*.compiled")}
    assert len(names) == 64
    assert old.name in names
    assert "0.x.compiled" not in names
    assert "99.x.compiled" in names


def test_the_default_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The user's cache folder, as the XDG specification says."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "dragoman" / "components"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "dragoman" / "components"
