"""A component that is compiled, linked and ready to be instantiated."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from dragoman.config.model import LimitsConfig
from dragoman.handlers.component import capi
from dragoman.handlers.component.aside import Aside
from dragoman.handlers.component.bodies import EXPORTS, label
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.linker import Linker
from dragoman.handlers.component.turns import Turns
from dragoman.handlers.component.types import FunctionType
from dragoman.handlers.component.values import Reader, Writer
from dragoman.handlers.component.wasi import Wasi

#: What a store may hold besides what its limits say: more than any toolchain makes. Each memory takes address space,
#: and the system maps only so many regions (65,530).
_MEMORIES: Final = 16
_TABLES: Final = 256
_UNLIMITED_FUEL: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, eq=False)
class Export:
    """A function that the host calls in the guest.

    Attributes:
        index: where the engine finds it, prepared.
        writers: of its arguments.
        read: its result; None where it has none.
        light: whether a result that is read as None holds nothing that would have to be let go.
    """

    index: Any
    writers: tuple[Writer, ...]
    read: Reader | None
    light: bool


class Program:
    """A component with its imports.

    Attributes:
        engine: the engine.
        component: the compiled code in the C API; the program deletes it.
        linker: its imports.
        limits: what each instance may use up.
        wasi: the system as its instances see it; None where it imports none of it.
        turns: gives each guest that computes its turn.
        aside: whether its steps are taken in a thread, because they take long.
        thin: the functions that an adapter exports in the place of its own, by their labels.
        store: the arguments of a new store, prepared; likewise those of its limits, of the fuel for a message, and of
            a new instance.
    """

    def __init__(self, engine: Engine, component: int, linker: Linker, limits: LimitsConfig, wasi: Wasi | None) -> None:
        self.engine = engine
        self.component = component
        self.linker = linker
        self.limits = limits
        self.wasi = wasi
        self.turns: Turns = engine.turns
        self.aside = Aside()
        self.thin: Collection[str] = ()
        self._indexes: list[int] = []
        self.store = _prepared(engine.pointer, 0, 0)
        self.bounds = _prepared(limits.memory, limits.table_elements, limits.instances, _TABLES, _MEMORIES)
        (self.fuel,) = _prepared(limits.fuel or _UNLIMITED_FUEL)
        self.code = _prepared(linker.pointer, component)

    def export(self, interface: str | None, name: str, type_: FunctionType) -> Export:
        """A function that the component exports, by itself or in an interface."""
        values = self.linker.values
        if interface and (own := label(interface, name)) in self.thin:
            interface, name, values = EXPORTS, own, self.linker.thin
        outer = self._index(0, interface) if interface else 0
        writers = tuple(values.writer(parameter) for _, parameter in type_.parameters)
        read = values.reader(type_.result) if type_.result else None
        light = type_.result is None or (type_.result.kind == "result" and not any(type_.result.parts[:1]))
        return Export(capi.prepared(self._index(outer, name)), writers, read, light)

    def _index(self, outer: int, name: str) -> int:
        encoded = name.encode()
        index: int = capi.component_export(self.component, outer, encoded, len(encoded))
        self._indexes.append(index)
        return index

    def close(self) -> None:
        """Let go of the code and its imports, once no instance is left. Idempotent."""
        component, self.component = self.component, 0
        while self._indexes:
            capi.export_delete(self._indexes.pop())
        if component:
            capi.component_delete(component)
        self.linker.close()
        self.aside.close()


def _prepared(*values: int) -> tuple[Any, ...]:
    return tuple(map(capi.prepared, values))
