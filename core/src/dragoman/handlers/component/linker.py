"""Gives a component its imports: host functions and resources, each called back with Python values."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.memory import WORDS, Words
from dragoman.handlers.component.types import FunctionType
from dragoman.handlers.component.values import Reader, Values, Writer

#: The C library's `strlen` is what asks whether a suspended host function is done: the engine calls a continuation with
#: a pointer and takes its result for a bool. The pointer leads to a word that is 0 (an empty text, so 0) or 1 (a text
#: of one byte, so 1). A callback into Python would do the same for a microsecond each time.
_IS_DONE: Final[Any] = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
_DONE: Final = Words(1)
WORDS[_DONE.index] = 1


@dataclass(frozen=True, slots=True)
class HostFunction:
    """A function that the host provides.

    Attributes:
        name: as the guest imports it, such as `[method]message.data`.
        type: the type with which it imports it.
        call: takes the session of the instance that calls, and the arguments. It must be quick and shallow: it runs on
            the stack of the guest's call, where deep recursion ends the process.
        suspends: `call` gives a coroutine, which runs on the event loop while the guest waits.
        thin: an adapter calls it, with values in cheaper types.
    """

    name: str
    type: FunctionType
    call: Callable[..., Any]
    suspends: bool = False
    thin: bool = False


class Linker:
    """What one component is linked with. Keeps everything alive that the engine may call.

    Args:
        engine: the engine.
        spell: gives the name of a function inside the component.

    Attributes:
        pointer: the linker in the C API.
        resources: the numbers of the resources that the host provides, by name.
        values: builds converters that know these resources.
        thin: the same for functions of adapters.
    """

    def __init__(self, engine: Engine, spell: Callable[[str], str] = str) -> None:
        self._engine = engine
        self._spell = spell
        self._callbacks: list[Any] = []
        self.pointer: int = capi.linker_new(engine.pointer)
        self.resources: dict[str, int] = {}
        self.values = Values(self.resources)
        self.thin = Values(self.resources, thin=True)
        # What is denied is defined over what the system interfaces would do.
        capi.linker_shadowing(self.pointer, True)

    def add_wasi(self) -> None:
        """Link the system interfaces of WASI 0.2: the synchronous ones; the others end the process at a sleep."""
        capi.check(capi.linker_wasi(self.pointer))

    def add_interface(self, name: str, functions: Sequence[HostFunction], resources: Sequence[str] = ()) -> None:
        """Provide an interface under the name that the component imports.

        Raises:
            ComponentError: a function has a type whose values can't cross.
        """
        root = capi.linker_root(self.pointer)
        out = Words(1)
        try:
            capi.check(capi.interface_new(root, name.encode(), len(name.encode()), out.address))
        finally:
            capi.interface_delete(root)
        interface = WORDS[out.index]
        try:
            for resource in resources:
                self._add_resource(interface, resource)
            for function in functions:
                self._add_function(interface, function)
        finally:
            capi.interface_delete(interface)

    def close(self) -> None:
        """Let go of it; no instance may be under construction. Idempotent."""
        pointer, self.pointer = self.pointer, 0
        if pointer:
            capi.linker_delete(pointer)

    def _add_resource(self, interface: int, name: str) -> None:
        number = self.resources.setdefault(name, len(self.resources) + 1)
        destructor = capi.Destructor(_destructor(self._engine))
        self._callbacks.append(destructor)
        type_ = capi.resource_type_new(number)
        error = capi.interface_resource(interface, name.encode(), len(name.encode()), type_, destructor, 0, 0)
        capi.resource_type_delete(type_)
        capi.check(error)

    def _add_function(self, interface: int, function: HostFunction) -> None:
        values = self.thin if function.thin else self.values
        try:
            readers = [values.reader(type_) for _, type_ in function.type.parameters]
            write = values.writer(function.type.result) if function.type.result else None
        except ComponentError as error:
            raise ComponentError(error.what, where=function.name) from None
        callback: Any
        if function.suspends:
            add = capi.interface_suspending
            callback = capi.SuspendingFunction(_suspending(self._engine, function.call, readers, write))
        else:
            add = capi.interface_function
            callback = capi.HostFunction(_direct(self._engine, function.call, readers, write))
        self._callbacks.append(callback)
        name = self._spell(function.name).encode()
        capi.check(add(interface, name, len(name), callback, 0, 0))


# Nothing may escape from the functions below: the engine's frames under them can't be unwound. What is raised is kept
# in the instance, whose caller raises it when the guest's call has ended.


def _destructor(engine: Engine) -> Callable[..., int]:
    live = engine.live

    def destroy(_data: int, context: int, representation: int) -> int:
        try:
            live[context].objects.pop(representation, None)
        except BaseException as error:  # noqa: BLE001 - see above
            return _failed(engine, context, error)
        return 0

    return destroy


def _direct(
    engine: Engine, call: Callable[..., Any], readers: Sequence[Reader], write: Writer | None
) -> Callable[..., int]:
    """A host function that returns before the guest goes on."""
    live = engine.live
    called = _called(call, readers)

    def callback(_data: int, context: int, _type: int, arguments: int, _n: int, results: int, _m: int) -> int:
        try:
            instance = live[context]
            value = called(instance, arguments >> 3)
            if write is not None:
                write(instance, results >> 3, value)
            if monotonic() > instance.until:
                instance.yield_soon()
        except BaseException as error:  # noqa: BLE001 - see above
            return _failed(engine, context, error)
        return 0

    return callback


def _suspending(
    engine: Engine, call: Callable[..., Any], readers: Sequence[Reader], write: Writer | None
) -> Callable[..., None]:
    """A host function whose coroutine the instance's driver awaits, while the guest's stack is put aside."""
    live = engine.live
    called = _called(call, readers)

    def callback(
        _data: int, context: int, _type: int, arguments: int, _n: int, results: int, _m: int, error_out: int, then: int
    ) -> None:
        done = _DONE.address
        try:
            instance = live[context]
            # The arguments are gone when this returns; the place for the results stays until the guest goes on.
            operation = called(instance, arguments >> 3)
            done = instance.suspend(operation, write, results >> 3)
        except BaseException as error:  # noqa: BLE001 - see above
            WORDS[error_out >> 3] = _failed(engine, context, error)
        WORDS[then >> 3], WORDS[(then >> 3) + 1], WORDS[(then >> 3) + 2] = _IS_DONE, done, 0

    return callback


def _called(call: Callable[..., Any], readers: Sequence[Reader]) -> Callable[[Any, int], Any]:
    """A function that reads all arguments and calls; those of the usual numbers without a loop."""
    if len(readers) == 1:
        (only,) = readers
        return lambda instance, place: call(instance.session, only(instance, place))
    if len(readers) == 2:
        first, second = readers
        return lambda instance, place: call(instance.session, first(instance, place), second(instance, place + 4))
    if len(readers) == 3:
        first, second, third = readers
        return lambda instance, place: call(
            instance.session, first(instance, place), second(instance, place + 4), third(instance, place + 8)
        )
    placed = [(4 * number, read) for number, read in enumerate(readers)]
    return lambda instance, place: call(instance.session, *[read(instance, place + at) for at, read in placed])


def _failed(engine: Engine, context: int, error: BaseException) -> int:
    """End the guest's call with a trap, and remember why."""
    if (instance := engine.live.get(context)) is not None:
        instance.escaped = error
    pointer: int = capi.error_new(b"the host function failed")
    return pointer
