"""Awaits a coroutine in a context of its own, in the task that is running.

A task for each call would give each a context too, but it costs more than a quick handler does, and a turn of the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from contextvars import Context
from types import coroutine
from typing import Any


@coroutine
def within(context: Context, call: Coroutine[Any, Any, None], waits: Callable[[], None]) -> Generator[Any, Any, None]:
    """Await it: what it sets in context variables is set in that context only. Cancelling reaches it as ever.

    Args:
        context: its own.
        call: what is awaited.
        waits: called once, when it first has to wait for something.
    """
    step: Callable[[Any], Any] = call.send
    given: Any = None
    first = True
    while True:
        try:
            waits_for = context.run(step, given)
        except StopIteration:
            return
        if first:
            first = False
            waits()
        try:
            step, given = call.send, (yield waits_for)
        except BaseException as error:  # noqa: BLE001 - whatever is thrown at us is thrown at it
            step, given = call.throw, error
