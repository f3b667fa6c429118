"""Just enough of the binary format of components to take one apart at its seams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

HEADER: Final = b"\0asm\x0d\0\x01\0"
CUSTOM, MODULE, COMPONENT, ALIAS, TYPE, CANON, IMPORT, EXPORT = 0, 1, 4, 6, 7, 8, 10, 11
#: The section of a core module that holds the code of its functions, and the code of one that only traps.
_CODE: Final = 10
_TRAP: Final = b"\x03\x00\x00\x0b"
FUNCTION_SORT, TYPE_SORT, COMPONENT_SORT, INSTANCE_SORT = 1, 3, 4, 5

#: Bits of the numbers of the format.
_LONGEST_NUMBER: Final = 35


class Unusual(Exception):
    """Something that these few functions do not know."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section at the top of a component.

    Attributes:
        id: what it holds.
        start: where it begins, with its id.
        payload: where its content begins.
        end: where it ends.
    """

    id: int
    start: int
    payload: int
    end: int


class Cursor:
    """Reads the parts of the format one after the other."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self.at = at

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self._data[self.at - 1]

    def number(self) -> int:
        """The next number, in LEB128."""
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > _LONGEST_NUMBER:
                raise Unusual("a number without an end")

    def name(self) -> str:
        """The next name."""
        size = self.number()
        self.at += size
        return self._data[self.at - size : self.at].decode()

    def external_name(self) -> str:
        """The next name of an import or export."""
        if self.byte() > 1:
            raise Unusual("a name with options")
        return self.name()

    def sort(self) -> int:
        """The next sort; only those that components usually share."""
        sort = self.byte()
        if sort not in (FUNCTION_SORT, TYPE_SORT, COMPONENT_SORT, INSTANCE_SORT):
            raise Unusual(f"sort {sort}")
        return sort

    def description(self) -> int:
        """The next type of an import or export; returns its sort."""
        sort = self.sort()
        if sort != TYPE_SORT or self.byte() == 0:
            self.number()
        return sort


def sections(data: bytes) -> Iterator[Section]:
    """The sections at the top."""
    cursor = Cursor(data, len(HEADER))
    while cursor.at < len(data):
        start, section = cursor.at, cursor.byte()
        size = cursor.number()
        yield Section(section, start, cursor.at, cursor.at + size)
        cursor.at += size


def imports(data: bytes, section: Section) -> Iterator[tuple[str, int]]:
    """Names and sorts."""
    cursor = Cursor(data, section.payload)
    for _ in range(cursor.number()):
        name = cursor.external_name()
        yield name, cursor.description()


def exports(data: bytes, section: Section) -> Iterator[tuple[str, int]]:
    """Names and sorts."""
    cursor = Cursor(data, section.payload)
    for _ in range(cursor.number()):
        name, sort = cursor.external_name(), cursor.sort()
        cursor.number()
        if cursor.byte():
            cursor.description()
        yield name, sort


def aliases(data: bytes, section: Section) -> Iterator[int]:
    """Sorts."""
    cursor = Cursor(data, section.payload)
    for _ in range(cursor.number()):
        yield cursor.sort()
        if cursor.byte() != 0:
            raise Unusual("an alias of something other than an export")
        cursor.number()
        cursor.name()


def count(data: bytes, section: Section) -> int:
    """How many items a section holds."""
    return Cursor(data, section.payload).number()


def section(id_: int, payload: bytes) -> bytes:
    """A section in binary."""
    return bytes([id_]) + _encoded(len(payload)) + payload


def gutted(data: bytes) -> bytes:
    """The same component without the code of its functions: it has the same types, and is compiled quickly."""
    is_module = data[: len(HEADER)] != HEADER
    pieces = [data[: len(HEADER)]]
    for part in sections(data):
        if is_module and part.id == _CODE:
            number = count(data, part)
            pieces.append(section(_CODE, _encoded(number) + _TRAP * number))
        elif not is_module and part.id in (MODULE, COMPONENT):
            pieces.append(section(part.id, gutted(data[part.payload : part.end])))
        elif part.id != CUSTOM:
            pieces.append(data[part.start : part.end])
    return b"".join(pieces)


def _encoded(number: int) -> bytes:
    """A number in LEB128."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(encoded) + bytes([number])
