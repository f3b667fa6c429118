"""What a module here says about its generation: how to recognise it, what the host provides, how to call the guest."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dragoman.errors import HandlerError
from dragoman.handlers.component.instances import Instance
from dragoman.handlers.component.program import Program
from dragoman.handlers.component.types import Interface, Shape
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message

_NAME: Final = re.compile(r"(?P<package>[\w-]+:[\w-]+)/(?P<interface>[\w-]+)(?:@(?P<version>.+))?")


@dataclass(frozen=True, slots=True)
class InterfaceName:
    """The parts of a name such as `wasi:messaging/producer@0.2.0-draft`; the version may be missing."""

    package: str
    interface: str
    version: str | None

    @classmethod
    def parse(cls, name: str) -> InterfaceName | None:
        """The parts, or None for a name that is none of an interface."""
        found = _NAME.fullmatch(name)
        return cls(found["package"], found["interface"], found["version"]) if found else None


@dataclass(frozen=True, slots=True)
class Provided:
    """One form of a function that guests may import.

    Attributes:
        signature: the types, as `FunctionType.signature` writes them; a function of other types is another form.
        call: as `HostFunction.call`: takes the session, and runs on the guest's stack.
        suspends: as `HostFunction.suspends`.
    """

    signature: str
    call: Callable[..., Any]
    suspends: bool = False


def one(signature: str, call: Callable[..., Any], *, suspends: bool = False) -> Sequence[Provided]:
    """A function that has a single form."""
    return (Provided(signature, call, suspends),)


class Session(Protocol):
    """What the functions that a guest calls are given, while it handles messages or says what it wants to hear.

    Attributes:
        context: what the handler may do. The session can be weakly referred to.
    """

    @property
    def context(self) -> Context:
        """See above."""
        ...

    def argument(self) -> Any:
        """The messages, as the guest's handler takes them."""
        ...

    def wanted(self, value: Any) -> Wanted:
        """What the guest wants to hear, of what it returned."""
        ...

    def failure(self, error: Any) -> HandlerError:
        """What the error means that the guest returned."""
        ...


@dataclass(frozen=True, slots=True)
class Exported:
    """The functions that the host calls in a guest.

    Attributes:
        interface: in which they are.
        handle: the name of the one that handles messages.
        wanted: the name of the one that says what the guest wants to hear; None where there is none.
    """

    interface: str
    handle: str
    wanted: str | None


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the interface, or the form that it has in another package.

    Attributes:
        name: the folder in `wit/`.
        package: the package of its interfaces, without a version.
        handler: what a component of it exports, for an error message: an interface, and a function as WIT has it.
        handles: the signatures of that function, each in every form that is known. What it is called does not matter.
        wants: those of the function that says what the guest wants to hear.
        provides: the functions that guests may import, by interface and name, each in every form that is known.
        resources: the resources that an interface defines.
        session: made for each call, with the messages that it is about.
        batches: whether the guest takes several messages in one call.
    """

    name: str
    package: str
    handler: str
    handles: Collection[str]
    wants: Collection[str]
    provides: Mapping[str, Mapping[str, Sequence[Provided]]]
    resources: Mapping[str, Sequence[str]]
    session: Callable[[Context, Sequence[Message]], Session]
    batches: bool = False

    def exported(self, shape: Shape) -> Exported | None:
        """What the host calls in a component of this generation; None for a component of another one."""
        for name, item in shape.exports.items():
            parts = InterfaceName.parse(name)
            if parts is not None and parts.package == self.package and isinstance(item, Interface):
                handle = _first(item, self.handles)
                if handle is not None:
                    return Exported(name, handle, _first(item, self.wants))
        return None


def _first(interface: Interface, signatures: Collection[str]) -> str | None:
    return next((name for name, type_ in interface.functions.items() if type_.signature in signatures), None)


class Entry:
    """How to call one component of a generation.

    Args:
        program: the component.
        shape: what it exports.
        generation: its generation.
    """

    def __init__(self, program: Program, shape: Shape, generation: Generation) -> None:
        found = generation.exported(shape)
        assert found is not None  # noqa: S101 - that is how the generation was recognised
        interface = shape.exports[found.interface]
        assert isinstance(interface, Interface)  # noqa: S101 - likewise
        functions = interface.functions
        self._session = generation.session
        self._batches = generation.batches
        self._handle = program.export(found.interface, found.handle, functions[found.handle])
        self._wanted = program.export(found.interface, found.wanted, functions[found.wanted]) if found.wanted else None

    async def handle(self, instance: Instance, messages: Sequence[Message], context: Context) -> None:
        """Let the guest handle messages, each in a call of its own where its interface takes one at a time.

        Raises:
            HandlerFailed: the guest returned an error.
            Rejected: one that says that no further try is wanted.
            Trapped: it trapped.
        """
        whole = self._batches or len(messages) == 1
        for part in (messages,) if whole else [(message,) for message in messages]:
            instance.session = session = self._session(context, part)
            result = await instance.call(self._handle, session.argument())
            if isinstance(result, Err):
                raise session.failure(result.payload)

    async def wanted(self, instance: Instance, context: Context) -> Wanted | None:
        """What the guest wants to hear; None where it leaves that to the configuration.

        Raises:
            HandlerFailed, Rejected, Trapped: as `handle`.
        """
        if self._wanted is None:
            return None
        instance.session = session = self._session(context, ())
        result = await instance.call(self._wanted)
        if isinstance(result, Err):
            raise session.failure(result.payload)
        return session.wanted(result)
