"""Which dead letters a command is about: the options that all of them share, and the places that they mean."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import click

from dragoman.cli.clients import client_of
from dragoman.cli.options import MomentType, config_option
from dragoman.cli.output import note
from dragoman.client import Client
from dragoman.config.load import examine, read
from dragoman.dead_letters import journal as journals
from dragoman.dead_letters.journal import Journal
from dragoman.dead_letters.selection import Selection
from dragoman.dead_letters.shelf import GROUP, Place, Shelf, opened, places
from dragoman.errors import ChannelNotFound, ConfigError, DragomanError, Problem
from dragoman.message import Channel
from dragoman.plugins import load_plugins

_Command = TypeVar("_Command", bound=Callable[..., Any])
_MOST: Final = 10_000
#: Seconds to wait for another command of this folder: one that only looks can do without.
_PATIENCE: Final = 60.0
_PATIENCE_LOOKING: Final = 15.0
#: Seconds until it is told that a broker takes its time.
_SILENT: Final = 3.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say.

    Attributes:
        selection: which dead letters.
        config_file: the configuration.
        at: the place that was named; None for those of the configuration.
        group: whose progress is meant.
        limit: how many are looked at in each place at once.
        journal: the file that knows what was sent back.
    """

    selection: Selection
    config_file: Path
    at: Place | None
    group: str
    limit: int
    journal: Path

    def places(self) -> list[Place]:
        """Where to look.

        Raises:
            ConfigError: no place was named, and the configuration knows none.
        """
        if self.at is not None:
            return [self.at]
        config, problems = examine(read(self.config_file), load_plugins())
        if found := places(config):
            return found
        if problems:
            raise ConfigError(problems)
        hint = "set `dead_letter` of a handler, or say where with --in CLIENT CHANNEL"
        raise ConfigError([Problem(str(self.config_file), "handlers", "no handler has dead letters", hint=hint)])

    def opened(self) -> AbstractContextManager[Journal]:
        """The journal, open; no other command of this folder has dead letters in hand meanwhile. Blocks.

        Raises:
            DragomanError: as `journal.opened`, after a minute.
        """
        return journals.opened(self.journal, _PATIENCE, _say_who_is_waited_for)

    def looking(self) -> AbstractContextManager[None]:
        """Inside of it no other command of this folder has dead letters in hand, if it ends soon. Blocks."""
        return journals.looking(self.journal, _PATIENCE_LOOKING, _say_who_is_waited_for)

    async def shelves(self) -> AsyncGenerator[Shelf]:
        """The dead letters of each place, one after the other; what was not accepted has gone back when it goes on."""
        for place in self.places():
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(client_of(place.client, self.config_file))
                waiting = functools.partial(_say_what_is_waited_for, place)
                late = asyncio.get_running_loop().call_later(_SILENT, _say_that_it_takes_long, place)
                try:
                    shelf = await stack.enter_async_context(
                        opened(place, client, group=self.group, most=self.limit, waiting=waiting)
                    )
                except ChannelNotFound:  # nobody has ever dead-lettered anything
                    continue
                finally:
                    late.cancel()
                yield shelf


_KILLED: Final = "another command, or one that was killed: its broker takes a while to notice"


def _say_who_is_waited_for() -> None:
    note("waiting for another command in this folder that has dead letters in hand")


def _say_what_is_waited_for(place: Place, left: int) -> None:
    note(f"{place}: waiting for {left:,} that others have in hand ({_KILLED})")


def _say_that_it_takes_long(place: Place) -> None:
    note(f"{place}: waiting for the broker to let us in; others may have it in hand ({_KILLED})")


class Clients:
    """Clients by name, each connected when it is first asked for, until the block is left."""

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._stack = AsyncExitStack()
        self._open: dict[str, Client] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def get(self, name: str) -> Client:
        """The client of that name."""
        if name not in self._open:
            self._open[name] = await self._stack.enter_async_context(client_of(name, self._config_file))
        return self._open[name]


def wanted_options(command: _Command) -> _Command:
    """The filters, `--in`, `--group`, `--limit`, `--journal` and `-c`; the command gets them as `wanted`."""

    @functools.wraps(command)
    def with_wanted(
        *,
        ids: tuple[str, ...] = (),
        handlers: tuple[str, ...],
        channels: tuple[str, ...],
        reason: str | None,
        since: datetime | None,
        until: datetime | None,
        at: Place | None,
        group: str,
        limit: int,
        journal: Path | None,
        config_file: Path,
        **rest: Any,
    ) -> Any:
        selection = Selection(ids, handlers, channels, reason, since, until)
        known = journal or config_file.absolute().parent / ".dragoman" / "replays.jsonl"
        return command(wanted=Wanted(selection, config_file, at, group, limit, known), **rest)

    made: Any = with_wanted
    for option in reversed(
        (
            click.option(
                "--handler", "handlers", metavar="NAME", multiple=True, help="Of this handler; may be repeated."
            ),
            click.option(
                "--channel",
                "channels",
                metavar="CHANNEL",
                multiple=True,
                help="That came from this channel; * stands for any text; may be repeated.",
            ),
            click.option("--reason", metavar="TEXT", help="With this in the reason; * stands for any text."),
            click.option(
                "--since",
                metavar="TIME",
                type=MomentType(),
                help="That failed then or later: a time, or 2h for 2 hours ago.",
            ),
            click.option("--until", metavar="TIME", type=MomentType(), help="That failed before then."),
            click.option(
                "--in",
                "at",
                nargs=2,
                metavar="CLIENT CHANNEL",
                callback=_place,
                help="Look there, not where the configuration says.",
            ),
            click.option("--group", default=GROUP, show_default=True, help="Whose progress through the channel it is."),
            click.option(
                "--limit",
                type=click.IntRange(1, 50_000),
                default=_MOST,
                show_default=True,
                metavar="N",
                help="So many are held at once, in each place.",
            ),
            click.option(
                "--journal",
                type=click.Path(path_type=Path, dir_okay=False),
                metavar="FILE",
                help="What knows what was sent back; .dragoman/replays.jsonl beside the configuration without it.",
            ),
        )
    ):
        made = option(made)
    return config_option(made)  # type: ignore[no-any-return]


def _place(ctx: click.Context, param: click.Parameter, value: tuple[str, str] | None) -> Place | None:
    if not value:
        return None
    try:
        return Place(value[0], Channel.parse(value[1]))
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None


place_of = _place


def ids_argument(*, required: bool) -> Callable[[_Command], _Command]:
    """IDs, as `list` shows them, or ids of messages."""
    return click.argument("ids", metavar="[ID]..." if not required else "ID...", nargs=-1, required=required)


def refuse_everything(wanted: Wanted, *, everything: bool) -> None:
    """That all are meant has to be said.

    Raises:
        click.UsageError: nothing says which are meant, or too much does.
    """
    if everything and wanted.selection:
        raise click.UsageError("--all together with IDs or filters: give one or the other")
    if not everything and not wanted.selection:
        raise click.UsageError("which dead letters? Give IDs or filters, or --all")


def missing(wanted: Wanted, found: int) -> None:
    """Complain where IDs were given and none of them is there.

    Raises:
        DragomanError: so it is.
    """
    if wanted.selection.ids and not found:
        names = ", ".join(map(repr, wanted.selection.ids))
        raise DragomanError(f"there is no dead letter {names}", hint="dragoman dead-letters list shows them")
