"""What a module here says about its generation: how to recognise it, what the host provides, how to call the guest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dragoman.handlers.component.instances import Instance
from dragoman.handlers.component.program import Program
from dragoman.handlers.component.types import Interface, Shape
from dragoman.handlers.handler import Context
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


class Entry(Protocol):
    """How to call one component of this generation."""

    async def handle(self, instance: Instance, message: Message, context: Context) -> None:
        """Let the guest handle a message.

        Raises:
            HandlerFailed: the guest returned an error.
            Trapped: it trapped.
        """
        ...

    async def channels(self, instance: Instance, context: Context) -> Sequence[str] | None:
        """The channels that the guest wants to hear; None where it leaves that to the configuration.

        Raises:
            HandlerFailed, Trapped: as `handle`.
        """
        ...


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation of the interface.

    Attributes:
        name: the folder in `wit/`.
        package: the package of its interfaces, without a version.
        expected: what a component of it exports, for an error message.
        recognises: whether a component is of this generation, judged by names and shapes.
        provides: the functions that guests may import, by interface and name, each in every form that is known.
        resources: the resources that an interface defines.
        bodies: the functions of `bodies.INTERFACE`, by name.
        enter: prepares the calls of one component.
    """

    name: str
    package: str
    expected: str
    recognises: Callable[[Shape], bool]
    provides: Mapping[str, Mapping[str, Sequence[Provided]]]
    resources: Mapping[str, Sequence[str]]
    bodies: Mapping[str, Callable[..., Any]]
    enter: Callable[[Program, Shape], Entry]

    def find(self, items: Mapping[str, Any], interface: str) -> tuple[str, Interface] | None:
        """The full name and the shape of one of its interfaces among imports or exports."""
        for name, item in items.items():
            parts = InterfaceName.parse(name)
            if parts and (parts.package, parts.interface) == (self.package, interface) and isinstance(item, Interface):
                return name, item
        return None
