"""Awaits a coroutine in a context of its own, in the task that is running.

A task for each call would give each a context too, but it costs more than a quick handler does, and a turn of the loop.
The first step of a coroutine takes no more than `context.run(call.send, None)`, and most handlers need no other.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any


@coroutine
def within(context: Context, call: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Go on with it: what it sets in context variables is set in that context only. Cancelling reaches it as ever.

    Args:
        context: its own.
        call: what is awaited.
        waits_for: what its first step has given.
    """
    while True:
        step: Callable[[Any], Any] = call.send
        try:
            given = yield waits_for
        except BaseException as error:  # noqa: BLE001 - whatever is thrown at us is thrown at it
            step, given = call.throw, error
        try:
            waits_for = context.run(step, given)
        except StopIteration:
            return
