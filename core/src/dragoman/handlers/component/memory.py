"""The memory of this process, read and written in place.

The C API passes its values as pointers to structures of 32 bytes. Making a ctypes object for each costs ten times as
much as looking at the words themselves, and there are dozens of words in every call of a guest. So the whole address
space is one array, and an address is an index. Only `values.py`, `shape.py` and `linker.py` use it, on addresses that
the C API has just handed out.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

#: User space ends at 2**47 on the 64-bit systems that the engine runs on.
_SPACE: Final = 1 << 47
#: `WORDS[address >> 3]` is the aligned 64-bit word at an address.
WORDS: Final[Any] = (ctypes.c_uint64 * (_SPACE >> 3)).from_address(0)
#: `CHARS[start:end]` copies bytes out; `CHARS[start:end:32]` every 32nd of them.
CHARS: Final[Any] = (ctypes.c_char * _SPACE).from_address(0)
#: `PLACES[start:end] = data` copies bytes in.
PLACES: Final = memoryview((ctypes.c_ubyte * _SPACE).from_address(0)).cast("B")


class Words:
    """A few 64-bit words of our own, at an address that stays.

    Attributes:
        address: where they are.
        index: their index in `WORDS`.
    """

    __slots__ = ("_words", "address", "index")

    def __init__(self, count: int) -> None:
        self._words = (ctypes.c_uint64 * count)()
        self.address = ctypes.addressof(self._words)
        self.index = self.address >> 3


def text_at(address: int, size: int) -> str:
    """The text of that many bytes; what is no UTF-8 is replaced."""
    return bytes(CHARS[address : address + size]).decode("utf-8", "replace")
