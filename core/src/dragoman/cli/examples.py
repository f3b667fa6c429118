"""Examples at the end of a command's help."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import click

_Made = TypeVar("_Made", bound=click.Command)


def examples(*lines: str) -> Callable[[_Made], _Made]:
    """Ends a command's help with examples, each a line as it is typed."""

    def add(command: _Made) -> _Made:
        heading = "Example" if len(lines) == 1 else "Examples"
        command.epilog = "\n".join(["\b", f"{heading}:", *(f"  {line}" for line in lines)])
        return command

    return add
