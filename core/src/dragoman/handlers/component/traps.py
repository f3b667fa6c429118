"""What went wrong inside a guest, as one line: the reason, and where in the guest it happened."""

from __future__ import annotations

from typing import Final

from dragoman.errors import Trapped
from dragoman.handlers.component import capi
from dragoman.handlers.component.memory import WORDS, Words, text_at
from dragoman.handlers.component.text import printable

#: How many of the innermost functions the engine tells, and how much of each name is kept: it is the guest's to choose.
_FRAMES: Final = 20
#: How many of them stand in the reason itself.
_NAMED: Final = 8
_NAME: Final = 80
_REASON: Final = 400


def trapped(error: int, fuel: int | None) -> Trapped:
    """The error of a call, which is deleted.

    Args:
        error: the error in the C API.
        fuel: how much the call was given.
    """
    status = Words(1)
    exited = capi.error_exit_status(error, status.address)
    frames = _frames(error)
    reason = _reason(capi.message_of(error))
    if exited:
        code = WORDS[status.index] & 0xFFFFFFFF
        return Trapped(f"the guest ended its program with status {code} instead of returning from its handler")
    where = f"in {' < '.join(frames[:_NAMED])}" if frames else None
    what = f"the guest trapped: {reason}"
    if "all fuel consumed" in reason:
        what = f"the guest used up its {fuel} units of fuel (`limits.fuel`)"
    found = Trapped(what, hint=where)
    found.backtrace = tuple(frames)
    return found


def _frames(error: int) -> list[str]:
    trace = Words(2)
    WORDS[trace.index] = WORDS[trace.index + 1] = 0
    capi.error_trace(error, trace.address)
    first, count = WORDS[trace.index + 1] >> 3, min(WORDS[trace.index], _FRAMES)
    try:
        return [_frame(WORDS[first + number]) for number in range(count)]
    finally:
        capi.frames_delete(trace.address)


def _frame(frame: int) -> str:
    names = [_name(capi.frame_module(frame)), _name(capi.frame_function(frame))]
    return "!".join(name for name in names if name) or "an unnamed function"


def _name(name: int) -> str:
    if not name:
        return ""
    size, start = WORDS[name >> 3], WORDS[(name >> 3) + 1]
    return printable(text_at(start, min(size, _NAME)))


def _reason(message: str) -> str:
    """The innermost cause. The message lists the causes from the outside in, one a line with a number before it."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    _, _, last = lines[-1].partition(": ") if lines[-1][:1].isdigit() else ("", "", lines[-1])
    return printable((last.removeprefix("wasm trap: ") or lines[-1])[:_REASON])
