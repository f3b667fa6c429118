"""The engine: compiles components, and holds what all of them share."""

from __future__ import annotations

import ctypes
import faulthandler
import hashlib
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi, pool
from dragoman.handlers.component.area import Area
from dragoman.handlers.component.memory import CHARS, WORDS, Words
from dragoman.handlers.component.turns import Turns

if TYPE_CHECKING:
    from dragoman.handlers.component.instances import Instance

T = TypeVar("T")

#: Bytes of address space for the stack that a call runs on; only what is used takes memory.
_FIBER_STACK: Final = 8 * 2**20
#: Bytes of it that the guest may use; the rest is for the host functions that it calls.
_GUEST_STACK: Final = 2 * 2**20


class Engine:
    """One compiler and runtime, for many components.

    Args:
        beside: the engine whose code this one takes over, to put the instances into a pool; see `pool`.

    Attributes:
        pointer: the engine in the C API.
        live: the instances by the address of their store's context, which is all that a host function is told.
        turns: of the guests that compute.
        areas: those that no instance uses.
    """

    def __init__(self, beside: Engine | None = None) -> None:
        _enable_faulthandler()
        config = capi.config_new()
        capi.config_fuel(config, True)
        capi.config_fiber_stack(config, _FIBER_STACK)
        capi.config_guest_stack(config, _GUEST_STACK)
        capi.config_async_components(config, False)
        capi.config_concurrency(config, False)
        if beside is not None:
            pool.use(config)
        self.pointer: int = capi.engine_new(config)
        self._lock = threading.Lock()
        self._closed = False
        self._users = 1  # this object, and every thread that works with the engine
        self.live: dict[int, Instance] = beside.live if beside is not None else {}
        self.turns: Turns = beside.turns if beside is not None else Turns()
        self.areas: list[Area] = beside.areas if beside is not None else []

    def pooled(self) -> Engine | None:
        """Another engine, whose instances are put into a pool; None where the system has no room for one."""
        return Engine(self) if pool.available(_FIBER_STACK) else None

    def compile(self, data: bytes) -> int:
        """Compile a component. Blocks, up to seconds; other threads go on meanwhile.

        Raises:
            ComponentError: it is no component, or one that can't be compiled.
        """
        out = Words(1)
        if error := capi.component_new(self.pointer, data, len(data), out.address):
            raise ComponentError(capi.message_of(error))
        return int(WORDS[out.index])

    def load(self, path: str) -> int | None:
        """Load compiled code from a file that is known to be our own; None if this engine can't take it."""
        out = Words(1)
        if error := capi.component_load(self.pointer, path.encode(), out.address):
            capi.error_delete(error)
            return None
        return int(WORDS[out.index])

    def adopt(self, code: bytes) -> int:
        """Load compiled code that `serialized` of another engine of this process has given. Blocks for milliseconds.

        Raises:
            ComponentError: it does not fit into the pool.
        """
        out = Words(1)
        if error := capi.component_read(self.pointer, code, len(code), out.address):
            raise ComponentError(capi.message_of(error))
        return int(WORDS[out.index])

    def serialized(self, component: int) -> bytes:
        """The compiled code, for `load` and `adopt`."""
        out = Words(2)
        capi.check(capi.component_serialize(component, out.address))
        start = WORDS[out.index + 1]
        try:
            return bytes(CHARS[start : start + WORDS[out.index]])
        finally:
            capi.bytes_delete(out.address)

    def discard(self, component: int) -> None:
        """Delete the compiled code; instances of it keep what they need."""
        capi.component_delete(component)

    def lasting(self, work: Callable[[], T]) -> T:
        """What `work` gives, on whatever thread this is; until then the engine lasts, although somebody closes it.

        Raises:
            ComponentError: the engine was closed before.
        """
        with self._lock:
            if not self._users:
                raise ComponentError("the engine was closed")
            self._users += 1
        try:
            return work()
        finally:
            self._leave()

    def close(self) -> None:
        """Let go of the engine; what still runs on it keeps it alive. Idempotent."""
        if not self._closed:
            self._closed = True
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            unused = not self._users
        if unused:
            capi.engine_delete(self.pointer)
            self.pointer = 0

    @staticmethod
    def identity() -> str:
        """A text that differs wherever compiled code differs: the engine's version, its settings and the machine."""
        settings = (capi.VERSION, sys.platform, ctypes.sizeof(ctypes.c_void_p), _machine(), "fuel", _GUEST_STACK)
        return hashlib.sha256(repr(settings).encode()).hexdigest()


def _machine() -> str:
    # Compiled code uses what the processor offers; a cache folder may be shared by different machines.
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


def _enable_faulthandler() -> None:
    """Install Python's handler of fatal signals before the engine's own, which passes on what is none of its business.

    Installed after it (`faulthandler.enable()` in user code), Python's would take every trap of a guest for a crash of
    the process; once enabled it is not installed again.
    """
    if not faulthandler.is_enabled():
        try:
            faulthandler.enable()
        except (AttributeError, OSError, RuntimeError, ValueError):
            faulthandler.enable(open("/dev/null", "w", encoding="ascii"))  # noqa: SIM115 - open for good
