"""Text that a guest chose, made fit for a log or an error."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with whatever could move a terminal's cursor, or forge a line, replaced."""
    return "".join(
        character if character.isprintable() or character == "\t" else "\N{REPLACEMENT CHARACTER}" for character in text
    )
