"""What one handler hears: from the start, and as it chooses while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Final

from dragoman.config.model import HandlerConfig
from dragoman.errors import Closed, NotGranted, NotHeld
from dragoman.handlers.handler import Wanted
from dragoman.host.context import Outlet
from dragoman.host.source import Source
from dragoman.host.wishes import CHANNELS, Wishes, wishes
from dragoman.host.work import Address
from dragoman.message import Channel

#: How many tokens a handler may have.
_TOKENS: Final = 4_096
#: Random bytes in a token.
_BYTES: Final = 16


@dataclass(slots=True)
class _Heard:
    """A channel that is heard.

    Attributes:
        source: its subscription.
        lasting: whether it is of the set that was there at the start, or that `replace` made.
        tokens: who else wants it.
    """

    source: Source
    lasting: bool
    tokens: set[str] = field(default_factory=set)


class Subscriptions:
    """The subscriptions of one handler. Changes are made one after another, each wholly or not at all.

    Attributes:
        sources: all that are at work: those of channels that are heard, those that are being opened, and those that
            finish what they have in hand.
    """

    def __init__(self, config: HandlerConfig, outlet: Outlet, make: Callable[[Address], Source], first: Wishes) -> None:
        """What is heard from the start; `serve` says how."""
        self.sources: dict[Source, None] = {}
        self._config = config
        self._outlet = outlet
        self._make = make
        self._heard: dict[Channel, _Heard] = {}
        self._tokens: dict[str, Channel] = {}
        self._changing = asyncio.Lock()
        self._stopped = False
        self._serve: Callable[[Source], asyncio.Task[None]] | None = None
        for channel, extensions in first.items():
            self._heard[channel] = _Heard(self._source(channel, extensions), lasting=True)

    def serve(self, serve: Callable[[Source], asyncio.Task[None]]) -> list[asyncio.Future[None]]:
        """Let the sources run, and all later ones, as tasks that `serve` makes; their first confirmations."""
        self._serve = serve
        first = list(self.sources)
        for source in first:
            self._run(source)
        return [source.confirmed for source in first]

    def stop(self) -> None:
        """Receive no more, and change nothing any more. Never blocks."""
        self._stopped = True
        for source in self.sources:
            source.stop()

    # What handlers do

    async def subscribe(self, name: str, extensions: Mapping[str, str]) -> str:
        """Hear one more channel, from when this returns; gives the token that ends it again.

        With other extensions than it has, a channel that is heard already is opened anew.

        Raises:
            NotGranted: no grant for the channel, or for so many.
            BrokerError: as `dragoman.client.Client.subscribe`; nothing has changed.
            Closed: the host is stopping.
        """
        ((channel, settings),) = wishes(Wanted((name,), extensions), self._config, self._outlet).items()
        async with self._changing:
            heard = self._heard.get(channel)
            if len(self._tokens) >= _TOKENS or (heard is None and len(self._heard) >= CHANNELS):
                raise NotGranted(
                    f"no grant to subscribe to {str(channel)!r} besides all that it hears",
                    where=f"handlers.{self._outlet.handler}",
                    expected=f"at most {CHANNELS} channels and {_TOKENS} tokens",
                )
            if heard is None or (extensions and heard.source.address.extensions != settings):
                self._hear(await self._open({channel: settings}), lasting=False)
            token = token_urlsafe(_BYTES)
            self._heard[channel].tokens.add(token)
            self._tokens[token] = channel
            return token

    async def unsubscribe(self, token: str) -> None:
        """Give a token up; with its last one a channel is not heard any more, and what is in hand of it is finished.

        Raises:
            NotHeld: there is no such token, or not any more.
        """
        async with self._changing:
            channel = self._tokens.pop(token, None)
            if channel is None:
                what = "this is no token of a subscription of this handler, or not any more"
                raise NotHeld(what, where=f"handlers.{self._outlet.handler}", expected="what `subscribe` gave, once")
            heard = self._heard[channel]
            heard.tokens.discard(token)
            if not heard.tokens and not heard.lasting:
                self._leave(channel)

    async def replace(self, wanted: Wanted) -> None:
        """Hear these channels and no others, from when this returns. Tokens of those that are gone are void.

        A channel whose extensions have changed is opened anew. What is in hand of what is gone is finished.

        Raises:
            NotGranted, BrokerError, Closed: as `subscribe`; nothing has changed.
        """
        found = wishes(wanted, self._config, self._outlet)
        async with self._changing:
            new = {
                channel: extensions
                for channel, extensions in found.items()
                if channel not in self._heard or self._heard[channel].source.address.extensions != extensions
            }
            self._hear(await self._open(new), lasting=True)
            for channel in list(self._heard):
                if channel in found:
                    self._heard[channel].lasting = True
                else:
                    self._leave(channel)

    def _hear(self, opened: Mapping[Channel, Source], *, lasting: bool) -> None:
        """From now on these are heard by these sources."""
        for channel, source in opened.items():
            heard = self._heard.get(channel)
            if heard is None:
                self._heard[channel] = _Heard(source, lasting)
            else:
                heard.source.retire()
                heard.source = source

    def _leave(self, channel: Channel) -> None:
        heard = self._heard.pop(channel)
        heard.source.retire()
        for token in heard.tokens:
            del self._tokens[token]

    # Sources

    def _source(self, channel: Channel, extensions: Mapping[str, str]) -> Source:
        client = self._outlet.clients[self._config.client]
        # Of a topic every process gets all, unless a group is asked for.
        group = self._config.group or (self._outlet.handler if channel.kind == "queue" else None)
        source = self._make(Address(client, channel, group, extensions))
        self.sources[source] = None
        return source

    async def _open(self, new: Wishes) -> dict[Channel, Source]:
        """Sources that are confirmed: all of them, or none is left."""
        if self._stopped or self._serve is None:
            why = "the host is stopping" if self._stopped else "the host has not started yet"
            raise Closed(f"{why}: nothing is subscribed to", where=f"handlers.{self._outlet.handler}")
        opened = {channel: self._source(channel, extensions) for channel, extensions in new.items()}
        try:
            for source in opened.values():
                source.confirmed.add_done_callback(_seen)
                self._run(source)
            await _confirmed(opened.values())
        except BaseException:
            for source in opened.values():
                source.retire()
            raise
        return opened

    def _run(self, source: Source) -> None:
        assert self._serve is not None  # noqa: S101 - for mypy
        self._serve(source).add_done_callback(lambda _: self.sources.pop(source, None))


def _seen(confirmed: asyncio.Future[None]) -> None:
    """Of several that are refused only the first is told."""
    if not confirmed.cancelled():
        confirmed.exception()


async def _confirmed(sources: Iterable[Source]) -> None:
    waits = [source.confirmed for source in sources]
    if waits:
        await asyncio.wait(waits, return_when=asyncio.FIRST_EXCEPTION)
    for one in waits:
        if one.cancelled():
            raise Closed("the host is stopping: nothing is subscribed to")
        if one.done():
            one.result()
