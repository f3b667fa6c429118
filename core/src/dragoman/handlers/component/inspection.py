"""Says what a component is, for `dragoman inspect` and `dragoman check`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dragoman.errors import ComponentError
from dragoman.handlers.component import file, recognition, wasi
from dragoman.handlers.component.bodies import plain
from dragoman.handlers.component.cache import Cache, default_folder
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.generations.generation import Generation, InterfaceName
from dragoman.handlers.component.interfaces import offers
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Item, Shape


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a component is.

    Attributes:
        path: the file.
        size: bytes of the file.
        generation: the generation of `wasi:messaging` that it was written for; None where none is recognised.
        version: of the package, as the component names it; None where it names none.
        imports: what it imports, by name, as WIT.
        exports: what it exports, by name, as WIT.
        needs: what it may need from its handler's configuration: keys of `wasi`, and `keyvalue`.
        problems: why it can't run here, one line each; empty where it can.
    """

    path: Path
    size: int
    generation: str | None
    version: str | None
    imports: Mapping[str, str]
    exports: Mapping[str, str]
    needs: tuple[str, ...]
    problems: tuple[str, ...]


def inspect(path: Path, *, cache: Path | None = None) -> Inspection:
    """Look at a component. Blocks; a large one that is not in the cache of compiled code takes seconds.

    Args:
        path: the file.
        cache: the folder of compiled code; None for the user's cache folder.

    Raises:
        ComponentError: the file is no component at all.
    """
    engine = Engine()
    try:
        data = file.read(path)
        component = file.compiled(engine, Cache(cache or default_folder()), data, lambda: None)
        shape = plain(read_shape(engine.pointer, component))
        engine.discard(component)
    except ComponentError as error:
        raise file.placed(error, path) from error.__cause__
    finally:
        engine.close()
    return _described(path, len(data), shape)


def _described(path: Path, size: int, shape: Shape) -> Inspection:
    generation, problems = _judged(shape)
    return Inspection(
        path=path,
        size=size,
        generation=generation.name if generation else None,
        version=_version(shape, generation) if generation else None,
        imports={name: _text(item) for name, item in shape.imports.items()},
        exports={name: _text(item) for name, item in shape.exports.items()},
        needs=(*wasi.needs(shape), *offers.needs(shape)),
        problems=tuple(problems),
    )


def _judged(shape: Shape) -> tuple[Generation | None, list[str]]:
    try:
        generation = recognition.recognise(shape)
    except ComponentError as error:
        return None, [str(error)]
    missing = recognition.problems(shape, generation)
    return generation, [f"it imports what nobody provides: {name}" for name in missing]


def _version(shape: Shape, generation: Generation) -> str | None:
    names = (InterfaceName.parse(name) for name in (*shape.exports, *shape.imports))
    return next((name.version for name in names if name and name.package == generation.package), None)


def _text(item: Item) -> str:
    return str(item)
