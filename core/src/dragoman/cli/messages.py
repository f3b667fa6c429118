"""Messages as text: one line each, whatever is in them."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from typing import Any

import click

from dragoman.cli.output import colour
from dragoman.message import Message


def show(messages: Sequence[Message], *, as_json: bool) -> None:
    """Print messages to standard output, at once."""
    for message in messages:
        click.echo(json.dumps(_as_json(message)) if as_json else _as_text(message), color=True)
    sys.stdout.flush()


def _as_json(message: Message) -> dict[str, Any]:
    try:
        body = {"data": message.data.decode()}
    except UnicodeDecodeError:
        body = {"data_base64": base64.b64encode(message.data).decode()}
    return {
        "channel": str(message.channel) if message.channel else None,
        "content_type": message.content_type,
        "format": message.format.value,
        "metadata": [list(pair) for pair in message.metadata],
        **body,
    }


def _as_text(message: Message) -> str:
    body = printable(message.data.decode("utf-8", "backslashreplace"))
    pairs = list(message.metadata)
    if message.content_type is not None:
        pairs.insert(0, ("content-type", message.content_type))
    if not pairs:
        return body
    about = "    " + "  ".join(f"{printable(name)}={printable(value)}" for name, value in pairs)
    return f"{body}\n{click.style(about, dim=True) if colour(sys.stdout) else about}"


def printable(text: str) -> str:
    """The text with everything escaped that is no ordinary character."""
    # A message must not move the cursor, clear the screen or look like another one.
    return "".join(one if one.isprintable() or one == "\t" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte that was no UTF-8, kept as PEP 383 says
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
