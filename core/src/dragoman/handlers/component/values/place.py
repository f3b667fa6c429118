"""What every converter works with: the place of a value, the table of the host's objects, and text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from dragoman.errors import ComponentError
from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import CHARS, WORDS
from dragoman.handlers.component.types import Type


@dataclass(frozen=True, slots=True)
class Err:
    """The error side of a result."""

    payload: Any = None


class Table(Protocol):
    """The host's objects that a guest holds handles of; one per store.

    Attributes:
        prepared: the store's context in the C API, as an argument.
        objects: the objects by the number that stands for each in a handle.
    """

    prepared: Any
    objects: dict[int, Any]

    def keep(self, value: Any) -> int:
        """Put an object in and return its number."""
        ...

    def charge(self, size: int) -> None:
        """Count a body or text of that many bytes, which the guest hands over; called before it is looked at.

        Raises:
            Trapped: it is larger than it may be, or too much in all.
        """
        ...

    def charge_list(self, items: int) -> None:
        """The same for a list of that many items."""
        ...


Reader = Callable[[Table, int], Any]
Writer = Callable[[Table, int, Any], None]


class Converters(Protocol):
    """Gives the converters of the types inside a type.

    Attributes:
        resources: the numbers of the resources that the host provides, by name.
    """

    resources: Mapping[str, int]

    def reader(self, type_: Type) -> Reader:
        """A function that reads values of a type."""
        ...

    def writer(self, type_: Type) -> Writer:
        """A function that writes values of a type."""
        ...


#: The C API's names of the kinds of values, in the order of their numbers.
_KINDS: Final = (
    "bool", "s8", "u8", "s16", "u16", "s32", "u32", "s64", "u64", "f32", "f64", "char", "string", "list", "record",
    "tuple", "variant", "enum", "option", "result", "flags", "resource",
)  # fmt: skip
#: The number that says what a value is, in its first word.
NUMBER: Final = {kind: number for number, kind in enumerate(_KINDS)}


def unknown(type_: Type) -> ComponentError:
    """The error for a type whose values the host can't hold."""
    return ComponentError(f"values of the type {type_} can't cross between a guest and this host")


def parts(type_: Type) -> list[Type]:
    """The types inside, without those that carry nothing."""
    return [part for part in type_.parts if part is not None]


def utf8(text: str) -> bytes:
    """The bytes of a text; what is no Unicode becomes U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        try:
            escaped = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # a surrogate that stands for no byte
            escaped = text.encode("utf-8", "surrogatepass")
        return escaped.decode("utf-8", "replace").encode()


def text_in(place: int) -> str:
    """The text whose size and address are there."""
    data = WORDS[place + 1]
    text: str = CHARS[data : data + WORDS[place]].decode()
    return text


def put_text(place: int, text: str) -> None:
    """Write size and address of a text there; the C API owns it."""
    data = utf8(text)
    capi.bytes_new(place << 3, len(data), data)
