"""Instances of a component: one store each, one call at a time in each."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from time import monotonic, thread_time
from typing import TYPE_CHECKING, Any, Final

from dragoman.errors import Trapped
from dragoman.handlers.component import capi
from dragoman.handlers.component.area import ARGUMENTS, COUNTS, RESULT, VALUE, Area
from dragoman.handlers.component.aside import LONG
from dragoman.handlers.component.memory import WORDS
from dragoman.handlers.component.traps import trapped
from dragoman.handlers.component.turns import rest
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
_NOTHING: Final = object()
#: What each text that a guest hands over counts for besides its bytes: about what it takes in the host's memory.
_TEXT: Final = 256
# The numbers above as the engine takes them.
_SLICES: Final = {interval: capi.prepared(interval) for interval in (1, _SHORT_SLICE, _SLICE)}


class Instance:
    """One store with one instance of a component in it.

    After a call that raised anything, cancellation included, the store is of no more use.

    Attributes:
        context: the store's context in the C API.
        prepared: the same, as an argument.
        objects: the host's objects that the guest holds handles of, by the number in the handle.
        session: what host functions are given; the caller sets it for each call.
        output: what the guest has printed; None where it can't print.
        escaped: what a host function raised during this call.
        until: the time at which the guest has had its turn.
        handed: bytes of bodies and texts that the guest has handed over since it last held nothing.
        broken: whether a call failed.
    """

    __slots__ = (
        "_area", "_bound", "_computed", "_hurried", "_next", "_operation", "_program", "_result", "_slice", "_store",
        "broken", "context", "escaped", "handed", "objects", "output", "prepared", "session", "until",
    )  # fmt: skip

    def __init__(self, program: Program) -> None:
        self._program = program
        self._area = program.engine.areas.pop() if program.engine.areas else Area()
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
        self._computed = thread_time()
        self.handed = 0
        self._slice = _SHORT_SLICE if program.wasi else _SLICE
        self._store: int = capi.store_new(*program.store)
        capi.store_limits(capi.prepared(self._store), *program.bounds)
        self.context: int = capi.store_context(self._store)
        self.prepared = prepared = capi.prepared(self.context)
        program.engine.live[self.context] = self
        capi.context_yield_interval(prepared, _SLICES[_SHORT_SLICE])
        capi.context_fuel(prepared, program.fuel)
        self.output = program.wasi.enter(self.context) if program.wasi else None

    async def start(self) -> None:
        """Instantiate the component; its start functions run.

        Raises:
            Trapped: they trapped, or the component needs more than its limits.
        """
        if future := self.begin():
            await self.drive(future)

    def begin(self) -> int:
        """Begin to start; the call that is left for `drive`, or 0 if it is done, as it mostly is. Raises as `start`."""
        linker, component = self._program.code
        future = capi.instantiate(linker, self.prepared, component, self._area.instance, self._area.error)
        if self._program.aside.maybe:
            self._ready()
            return int(future)
        return self._advance(future)

    async def call(self, export: Export, *values: Any) -> Any:
        """Call an exported function. One call at a time.

        Raises:
            Trapped: the guest trapped.
            BaseException: whatever a host function raised that is no error for a guest.
        """
        area, aside = self._area, self._program.aside
        if self._bound is not export:
            capi.instance_function(area.instance, self.prepared, export.index, area.function)
            self._bound = export
        result, place = area.index + RESULT, area.index + ARGUMENTS
        used = range(place, place + VALUE * len(values), VALUE)
        WORDS[result] = 0
        for value_at in used:
            WORDS[value_at] = 0
        value = _NOTHING
        try:
            if aside.maybe and await self._is_aside():
                await aside.run(self._write, export, values)
                self._ready()
                await self.drive(self._called(export, len(values)))
            else:
                for write, value_at, argument in zip(export.writers, used, values, strict=True):
                    write(self, value_at, argument)
                if future := self._advance(self._called(export, len(values))):
                    await self.drive(future)
            if export.read is None:
                value = None
            elif aside.maybe and await self._is_aside():
                value = await aside.run(export.read, self, result)
            else:
                value = export.read(self, result)
            return value
        finally:
            if value is not None or not export.light:
                capi.value_delete(result << 3)
            for value_at in used:
                capi.value_delete(value_at << 3)

    def _called(self, export: Export, values: int) -> int:
        """A call with so many arguments, which are written; nothing of it is done yet."""
        area = self._area
        future: int = capi.function_call(
            area.function, self.prepared, area.arguments, COUNTS[values],
            area.result, COUNTS[1 if export.read else 0], area.error,
        )  # fmt: skip
        return future

    def _write(self, export: Export, values: Sequence[Any]) -> None:
        place = self._area.index + ARGUMENTS
        for write, argument in zip(export.writers, values, strict=True):
            write(self, place, argument)
            place += VALUE

    def refuel(self) -> None:
        """Give the next call its whole budget."""
        if not self.objects:
            self.handed = 0
        self._computed = thread_time()
        capi.context_yield_interval(self.prepared, _SLICES[_SHORT_SLICE])
        capi.context_fuel(self.prepared, self._program.fuel)

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
        WORDS[self._area.done_index] = 0
        return self._area.done

    def yield_soon(self) -> None:
        """Let the event loop run as soon as the guest goes on: what host functions do takes no fuel."""
        self._hurried = True
        capi.context_yield_interval(self.prepared, _SLICES[1])

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
            if self._program.aside.maybe:  # to give much memory back takes long, too
                self._program.aside.later(_delete, store, self._area, self._program.engine.areas)
            else:
                capi.store_delete(store)
                self._program.engine.areas.append(self._area)
            self.objects.clear()
            if self.output is not None:
                self.output.close()

    def _advance(self, future: int) -> int:
        """Poll a call for the first time; what is left of it for `drive`, or 0."""
        self._ready()
        done = True
        try:
            done = capi.future_poll(future)
        finally:
            if done:
                capi.future_delete(future)
        if monotonic() > self.until + LONG:
            self._look_at_step()
        if not done:
            return future
        if error := WORDS[self._area.error_index]:
            raise self._failure(error)
        self.broken = False
        return 0

    def _ready(self) -> None:
        """Before a call is polled for the first time."""
        WORDS[self._area.error_index] = 0
        self.escaped = None
        self.broken = True
        self.until = monotonic() + _FIRST

    async def drive(self, future: int) -> None:
        """Poll a call until it is done; between polls do what the guest waits for, or let others run."""
        poll, aside = capi.future_poll, self._program.aside
        slice_ = _SHORT_SLICE
        try:
            while True:
                if self._operation is not None:
                    await self._operate()
                elif slice_ != _SHORT_SLICE or monotonic() > self.until:
                    await self._program.turns.next()
                    if self._hurried or slice_ != self._slice:
                        self._hurried, slice_ = False, self._slice
                        capi.context_yield_interval(self.prepared, _SLICES[slice_])
                    self._have_turn()
                if aside.maybe and await self._is_aside():
                    done = await aside.run(self._poll_freely, future)
                else:
                    done = poll(future)
                    if monotonic() > self.until + LONG:
                        self._look_at_step()
                if done:
                    break
        finally:
            # Before anything that it points to: a future that outlives its store ends the process.
            capi.future_delete(future)
            self._computed = thread_time()
            self._drop_operation()
        if error := WORDS[self._area.error_index]:
            raise self._failure(error)
        self.broken = False

    def _drop_operation(self) -> None:
        """There is one where the call was cancelled while the guest got so far aside."""
        if self._operation is not None:
            self._operation.close()
            self._operation = None

    async def _is_aside(self) -> bool:
        """Whether the next step is to be taken aside. Where it is not, this may have waited for those that were."""
        taken = await self._program.aside.on()
        if not taken:
            self._have_turn()
        return taken

    def _have_turn(self) -> None:
        self.until, self._computed = monotonic() + _TURN, thread_time()

    def _look_at_step(self) -> None:
        """By the clock a step was long: it was, unless other processes had their turn meanwhile."""
        before, self._computed = self._computed, thread_time()
        if self._computed - before > LONG:
            self._program.aside.suspect()

    def _poll_freely(self, future: int) -> bool:
        self.until = monotonic() + _TURN
        return bool(capi.future_poll_freely(future))

    async def _operate(self) -> None:
        operation, self._operation = self._operation, None
        assert operation is not None  # noqa: S101 - for the type checker
        try:
            waits_for = operation.send(None)
        except StopIteration as done:
            value, waited = done.value, False
        else:
            value, waited = await rest(operation, waits_for), True
        write, place = self._result
        if write is not None:
            aside = self._program.aside
            if aside.maybe and await self._is_aside():
                await aside.run(write, self, place, value)
            else:
                write(self, place, value)
        WORDS[self._area.done_index] = 1
        if waited:  # the loop has run meanwhile
            self._have_turn()
        elif monotonic() > self.until:
            await self._program.turns.next()
            self._have_turn()

    def _failure(self, error: int) -> BaseException:
        escaped, self.escaped = self.escaped, None
        if escaped is None:
            return trapped(error, self._program.limits.fuel)
        capi.error_delete(error)
        return escaped


def _delete(store: int, area: Area, areas: list[Area]) -> None:
    capi.store_delete_freely(store)
    areas.append(area)
