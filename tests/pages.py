"""The blocks of a page of the documentation, so that a test can do what a reader would.

A comment before a block says what is to be done with it:

    <!-- file: app.py -->            the block is that file
    <!-- keep running -->            the command runs until the end of the page
    <!-- not run: why -->            only for what a test can't do, or another one does
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BLOCK: Final = re.compile(
    r"^(?P<indent> *)(?:<!-- (?P<note>file|keep running|not run)(?:: (?P<about>[^>]*?))? -->\n+ *)?"
    r"```(?P<language>\w+)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A block of code.

    Attributes:
        language: as after the backticks.
        text: what is inside.
        note: what its comment says is to be done, or None.
        about: more of the comment.
    """

    language: str
    text: str
    note: str | None
    about: str


@dataclass(frozen=True)
class Step:
    """A command, and the lines of output that the page shows below it; `…` stands for anything."""

    command: str
    output: tuple[str, ...]

    def missing(self, printed: str) -> str | None:
        """The first line that the page shows and the command did not print, in this order."""
        left = printed.splitlines()
        for line in self.output:
            pattern = re.compile(".*".join(map(re.escape, line.rstrip().split("…"))) + r"\s*")
            while left and not pattern.fullmatch(left[0]):
                left.pop(0)
            if not left:
                return line
            left.pop(0)
        return None


def blocks(page: Path) -> list[Block]:
    """Every block of a page, in order."""
    found = _BLOCK.finditer(page.read_text())
    return [Block(one["language"], one["text"], one["note"], one["about"] or "") for one in found]


def steps(block: Block) -> list[Step]:
    """The commands of a `console` block: lines that begin with `$ `, each with its output."""
    found: list[Step] = []
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        command = lines.pop(0)
        while command.endswith("\\"):
            command = f"{command[:-1]}{lines.pop(0).lstrip()}"
        found.append(Step(command, tuple(line for line in lines if line.strip())))
    return found
