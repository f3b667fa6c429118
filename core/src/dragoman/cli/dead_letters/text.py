"""Dead letters as text: a row of a table, a JSON object, or all that there is to say about one."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import click

from dragoman.cli.messages import printable
from dragoman.cli.output import note
from dragoman.dead_letters.letter import Letter
from dragoman.dead_letters.shelf import Place, Shelf

COLUMNS: Final = ("id", "message", "handler", "from", "failed", "tries", "reason")
#: Characters of a reason in a table on a terminal.
_REASON: Final = 100


def row(letter: Letter) -> Sequence[str]:
    """The letter in a table with `COLUMNS`."""
    reason = printable(letter.reason or "")
    if sys.stdout.isatty() and len(reason) > _REASON:
        reason = reason[: _REASON - 1] + "…"
    return (
        letter.short,
        printable(letter.message.id or ""),
        printable(letter.handler or ""),
        printable(_origin(letter)),
        _local(letter.last),
        "" if letter.attempts is None else str(letter.attempts),
        reason,
    )


def as_json(letter: Letter, place: Place, *, whole: bool = False) -> str:
    """The letter in one line; with all of its message, if it is to be `whole`."""
    about: dict[str, Any] = {
        "id": letter.id,
        "message_id": letter.message.id,
        "in": {"client": place.client, "channel": str(place.channel)},
        "handler": letter.handler,
        "client": letter.client,
        "channel": str(letter.channel) if letter.channel else None,
        "key": letter.message.key,
        "reason": letter.reason,
        "backtrace": letter.backtrace,
        "attempts": letter.attempts,
        "first": letter.first and letter.first.isoformat(),
        "last": letter.last and letter.last.isoformat(),
        "replays": letter.replays,
        "size": len(letter.message.data),
    }
    if whole:
        about |= {
            "content_type": letter.message.content_type,
            "metadata": [list(pair) for pair in letter.message.metadata],
            **_body(letter.message.data),
        }
    return json.dumps(about)


def _body(data: bytes) -> dict[str, str]:
    try:
        return {"data": data.decode()}
    except UnicodeDecodeError:
        return {"data_base64": base64.b64encode(data).decode()}


def show(letter: Letter, place: Place) -> None:
    """All that there is to say, for people: its story, then its metadata, then its body."""
    pairs = [
        ("id", letter.id),
        ("in", str(place)),
        ("from", _origin(letter)),
        ("handler", letter.handler or ""),
        ("tries", "" if letter.attempts is None else str(letter.attempts)),
        ("first failed", _local(letter.first)),
        ("last failed", _local(letter.last)),
        ("replays", str(letter.replays) if letter.replays else ""),
        ("reason", letter.reason or ""),
        ("content type", letter.message.content_type or ""),
    ]
    for name, value in pairs:
        if value:
            click.echo(f"{name:12}  {printable(value)}")
    for number, frame in enumerate((letter.backtrace or "").split(" < ") if letter.backtrace else ()):
        click.echo(f"{'' if number else 'at':12}  {printable(frame)}")
    for name, value in letter.message.metadata:
        if not name.startswith("dragoman-"):
            click.echo(f"{'metadata':12}  {printable(name)}={printable(value)}")
    click.echo()
    click.echo("\n".join(map(printable, letter.message.data.decode("utf-8", "backslashreplace").split("\n"))))


def _origin(letter: Letter) -> str:
    return f"{letter.channel} of {letter.client}" if letter.channel else ""


def _local(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone():%Y-%m-%d %H:%M:%S}"


def say_what_is_left(shelf: Shelf) -> None:
    """That there are more than were looked at."""
    if shelf.left is None:
        note(f"{shelf.place}: there may be more than the broker, or --limit, lets us hold at once")
    elif shelf.left:
        note(f"{shelf.place}: {shelf.left:,} more wait, or are in others' hands; --limit says how many are looked at")
