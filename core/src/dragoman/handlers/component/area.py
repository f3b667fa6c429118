"""Where the engine writes what it has to say about an instance, and where it reads a call's arguments.

Areas are used again, from the engine's `areas`: making one costs as much as a few calls into the engine.
"""

from __future__ import annotations

from typing import Any, Final

from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import Words

# In words from the start of an area: an instance, an error, a function, a suspended call's word, a result, arguments.
_ERROR: Final = 2
_FUNCTION: Final = 3
_DONE: Final = 7
RESULT: Final = 8
ARGUMENTS: Final = 12
#: Arguments, more than any generation's exports take; and the words of a value.
_MOST: Final = 4
VALUE: Final = 4


class Area:
    """The words of one instance.

    Attributes:
        index: where they begin, as an index of `memory.WORDS`.
        instance: the place of the instance, as the C API takes it quickest; likewise `error`, `function`, `result` and
            `arguments`.
        done: the address of the word that says whether a suspended host function is done.
        done_index: its index; likewise `error_index`.
    """

    __slots__ = (
        "_words", "arguments", "done", "done_index", "error", "error_index", "function", "index", "instance", "result",
    )  # fmt: skip

    def __init__(self) -> None:
        self._words = words = Words(ARGUMENTS + VALUE * _MOST)
        self.index = words.index
        self.instance, self.error, self.function, self.result, self.arguments = (
            capi.prepared(words.address + 8 * at) for at in (0, _ERROR, _FUNCTION, RESULT, ARGUMENTS)
        )
        self.done = words.address + 8 * _DONE
        self.done_index = words.index + _DONE
        self.error_index = words.index + _ERROR


COUNTS: Final[tuple[Any, ...]] = tuple(capi.prepared(number) for number in range(_MOST + 1))
