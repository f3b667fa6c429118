"""Instances of a component: one store each, one call at a time in each."""

from __future__ import annotations

from asyncio import Semaphore, sleep
from collections.abc import Coroutine
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from dragoman.errors import Trapped
from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words
from dragoman.handlers.component.traps import trapped
from dragoman.handlers.component.values import Writer

if TYPE_CHECKING:
    from dragoman.handlers.component.program import Export, Program

#: Units of fuel (roughly instructions) after which a guest that computes lets the event loop run: about a quarter of a
#: millisecond. What the host does for a message takes a dozen passes of the loop, and waits for one slice in each.
_SLICE: Final = 2_000_000
#: The same for a guest that may call the system, whose calls take microseconds and no fuel; and for any at first, since
#: many of them may begin at once.
_SHORT_SLICE: Final = 100_000
#: Seconds for which a guest may go on before it must let the event loop run; and those of the first time.
_TURN: Final = 0.0005
_FIRST: Final = 0.0003
#: What each text that a guest hands over counts for besides its bytes: about what it takes in the host's memory.
_TEXT: Final = 256
_UNLIMITED_FUEL: Final = 2**63 - 1
#: More than any toolchain makes; each takes address space, and the system maps only so many regions (65,530).
_MEMORIES: Final = 16
_TABLES: Final = 256

# Where the engine writes, in words from the start of an instance's own.
_INSTANCE, _ERROR, _FUNCTION, _DONE, _RESULT, _ARGUMENTS = 0, 2, 3, 7, 8, 12
_WORDS: Final = _ARGUMENTS + 4 * 4  # four arguments, more than any generation's exports take


class Instance:
    """One store with one instance of a component in it.

    After a call that raised anything, cancellation included, the store is of no more use.

    Attributes:
        context: the store's context in the C API.
        objects: the host's objects that the guest holds handles of, by the number in the handle.
        session: what host functions are given; the caller sets it for each call.
        output: what the guest has printed; None where it can't print.
        escaped: what a host function raised during this call.
        until: the time at which the guest has had its turn.
        handed: bytes of bodies and texts that the guest has handed over since it last held nothing.
        broken: whether a call failed.
    """

    __slots__ = (
        "_area", "_bound", "_hurried", "_next", "_operation", "_program", "_result", "_slice", "_store", "broken",
        "context", "escaped", "handed", "objects", "output", "session", "until",
    )  # fmt: skip

    def __init__(self, program: Program) -> None:
        self._program = program
        self._area = Words(_WORDS)
        self._bound: Export | None = None
        self._hurried = False
        self._next = 0
        self._operation: Coroutine[Any, Any, Any] | None = None
        self._result: tuple[Writer | None, int] = (None, 0)
        self.broken = False
        self.escaped: BaseException | None = None
        self.objects: dict[int, Any] = {}
        self.session: Any = None
        self.until = 0.0
        self.handed = 0
        self._slice = _SHORT_SLICE if program.wasi else _SLICE
        self._store: int = capi.store_new(program.engine.pointer, 0, 0)
        self.context: int = capi.store_context(self._store)
        program.engine.live[self.context] = self
        limits = program.limits
        capi.store_limits(self._store, limits.memory, limits.table_elements, limits.instances, _TABLES, _MEMORIES)
        capi.context_yield_interval(self.context, _SHORT_SLICE)
        capi.context_fuel(self.context, limits.fuel or _UNLIMITED_FUEL)
        self.output = program.wasi.enter(self.context) if program.wasi else None

    async def start(self) -> None:
        """Instantiate the component; its start functions run.

        Raises:
            Trapped: they trapped, or the component needs more than its limits.
        """
        area = self._area.address
        await self._drive(
            capi.instantiate(
                self._program.linker.pointer, self.context, self._program.component, area, area + 8 * _ERROR
            )
        )

    async def call(self, export: Export, *values: Any) -> Any:
        """Call an exported function. One call at a time.

        Raises:
            Trapped: the guest trapped.
            BaseException: whatever a host function raised that is no error for a guest.
        """
        first = self._area.index
        address = self._area.address
        if self._bound is not export:
            capi.instance_function(address, self.context, export.index, address + 8 * _FUNCTION)
            self._bound = export
        for place in range(first + _RESULT, first + _ARGUMENTS + 4 * len(values), 4):
            WORDS[place] = 0
        try:
            place = first + _ARGUMENTS
            for write, value in zip(export.writers, values, strict=True):
                write(self, place, value)
                place += 4
            await self._drive(
                capi.function_call(
                    address + 8 * _FUNCTION, self.context, address + 8 * _ARGUMENTS, len(values),
                    address + 8 * _RESULT, 1 if export.read else 0, address + 8 * _ERROR,
                )
            )  # fmt: skip
            return export.read(self, first + _RESULT) if export.read else None
        finally:
            capi.value_delete(address + 8 * _RESULT)
            for number in range(len(values)):
                capi.value_delete(address + 8 * (_ARGUMENTS + 4 * number))

    def refuel(self) -> None:
        """Give the next call its whole budget."""
        if not self.objects:
            self.handed = 0
        capi.context_yield_interval(self.context, _SHORT_SLICE)
        capi.context_fuel(self.context, self._program.limits.fuel or _UNLIMITED_FUEL)

    def keep(self, value: Any) -> int:
        """Put an object of the host's into the table of this store and return its number.

        Raises:
            Trapped: the guest holds as many as it may.
        """
        objects = self.objects
        if len(objects) >= self._program.limits.objects:
            raise Trapped(
                f"the guest holds {len(objects)} messages and clients, as many as it may at once (`limits.objects`)"
            )
        self._next += 1
        objects[self._next] = value
        return self._next

    def charge(self, size: int) -> None:
        """Count a body or text that the guest hands over; see `Table`."""
        limits = self._program.limits
        if size > limits.payload:
            raise Trapped(f"the guest hands over {size} bytes at once, more than it may (`limits.payload`)")
        self.handed += size + _TEXT
        if self.handed > limits.memory:
            raise Trapped("the guest hands over more bytes for one message than it may have itself (`limits.memory`)")

    def charge_list(self, items: int) -> None:
        """Count a list that the guest hands over; see `Table`."""
        if items > self._program.limits.objects:
            raise Trapped(f"the guest hands over a list of {items} items, more than it may (`limits.objects`)")

    def suspend(self, operation: Coroutine[Any, Any, Any], write: Writer | None, place: int) -> int:
        """Put the guest aside until `operation` is done; returns the address of the word that then becomes 1."""
        self._operation, self._result = operation, (write, place)
        WORDS[self._area.index + _DONE] = 0
        return self._area.address + 8 * _DONE

    def yield_soon(self) -> None:
        """Let the event loop run as soon as the guest goes on: what host functions do takes no fuel."""
        self._hurried = True
        capi.context_yield_interval(self.context, 1)

    @property
    def worn(self) -> bool:
        """Whether to use a new instance for the next message: this one has piled up too much to go on for long."""
        limits = self._program.limits
        crowded = len(self.objects) > limits.objects // 2 or self.handed > limits.memory // 2
        return self.broken or crowded or (self.output is not None and self.output.worn)

    def close(self) -> None:
        """Drop the store, and with it the table of objects. Idempotent."""
        store, self._store = self._store, 0
        if store:
            del self._program.engine.live[self.context]
            capi.store_delete(store)
            self.objects.clear()
            if self.output is not None:
                self.output.close()

    async def _drive(self, future: int) -> None:
        """Poll a call until it is done; between polls do what the guest waits for, or let others run."""
        poll = capi.future_poll
        WORDS[self._area.index + _ERROR] = 0
        self.escaped = None
        self.broken = True
        try:
            self.until = monotonic() + _FIRST
            slice_ = _SHORT_SLICE
            while not poll(future):
                if self._operation is not None:
                    await self._operate()
                    # It may have been done without waiting for anything.
                    if monotonic() > self.until:
                        await sleep(0)
                        self.until = monotonic() + _TURN
                    continue
                if slice_ == _SHORT_SLICE and monotonic() <= self.until:
                    continue
                await self._program.turns.next()
                if self._hurried or slice_ != self._slice:
                    self._hurried, slice_ = False, self._slice
                    capi.context_yield_interval(self.context, slice_)
                self.until = monotonic() + _TURN
        finally:
            # Before anything that it points to: a future that outlives its store ends the process.
            capi.future_delete(future)
        if error := WORDS[self._area.index + _ERROR]:
            raise self._failure(error)
        self.broken = False

    async def _operate(self) -> None:
        operation, self._operation = self._operation, None
        assert operation is not None  # noqa: S101 - for the type checker
        value = await operation
        write, place = self._result
        if write is not None:
            write(self, place, value)
        WORDS[self._area.index + _DONE] = 1

    def _failure(self, error: int) -> BaseException:
        escaped, self.escaped = self.escaped, None
        if escaped is None:
            return trapped(error, self._program.limits.fuel)
        capi.error_delete(error)
        return escaped


class Instances:
    """Hands out instances: a new one for each message, or one that has been used before.

    Args:
        program: what to instantiate.
        room: shared by all components: the process can hold only so many stores.
        kept: how many idle instances to keep; 0 gives every message a new one.
    """

    def __init__(self, program: Program, room: Semaphore, kept: int) -> None:
        self._program = program
        self._room = room
        self._kept = kept
        self._idle: list[Instance] = []
        self._out = 0
        self._closed = False

    async def take(self) -> Instance:
        """An instance that nobody else uses; give it back with `put`.

        Raises:
            Trapped: it could not be instantiated.
        """
        await self._room.acquire()
        self._out += 1
        if self._idle:
            instance = self._idle.pop()
            instance.refuel()
            return instance
        instance = Instance(self._program)
        try:
            await instance.start()
        except BaseException:
            self.put(instance)
            raise
        return instance

    def put(self, instance: Instance) -> None:
        """Take an instance back; it is closed unless it can be used again."""
        self._room.release()
        self._out -= 1
        instance.session = None
        if len(self._idle) < self._kept and not self._closed and not instance.worn:
            self._idle.append(instance)
        else:
            instance.close()
            self._release()

    def discard(self, instance: Instance) -> None:
        """Take an instance back that must not be used again."""
        instance.broken = True
        self.put(instance)

    def close(self) -> None:
        """Close what is idle. What is in use is closed when it comes back, the program with the last. Idempotent."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
        self._release()

    def _release(self) -> None:
        if self._closed and not self._out:
            self._program.close()
