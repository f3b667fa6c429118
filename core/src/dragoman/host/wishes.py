"""What a handler wants to hear: the handler is asked before the host subscribes, and may want what it is granted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Final

from dragoman.config.model import HandlerConfig
from dragoman.errors import BrokerError, ConfigError, DeadlineExceeded, NotGranted, Problem
from dragoman.handlers.handler import Handler, Wanted
from dragoman.host.context import HandlingContext, Outlet
from dragoman.host.outage import one_line
from dragoman.message import Channel

#: How many channels a handler may choose to hear.
CHANNELS: Final = 256
#: What a handler is to hear, with the extensions for each subscription.
Wishes = Mapping[Channel, Mapping[str, str]]


async def ask(config: HandlerConfig, handler: Handler, outlet: Outlet) -> Wishes:
    """What the handler wants to hear from the start, or what its configuration says.

    Raises:
        ConfigError: it wants what is not granted, or nothing; or it could not say.
    """
    try:
        async with asyncio.timeout(config.deadline):
            wanted = await _asked(handler, outlet)
    except TimeoutError:
        late = DeadlineExceeded(f"it took longer than its deadline of {config.deadline:g} s")
        raise _mistake(config, outlet, f"could not say what it wants to hear: {late}") from None
    except Exception as error:
        raise _mistake(config, outlet, f"could not say what it wants to hear: {one_line(error)}") from error
    if wanted is None:
        found: Wishes = {channel: config.extensions.get(channel, {}) for channel in config.channels}
    else:
        _check(wanted, config, outlet)
        found = wishes(wanted, config, outlet)
    if not found:
        what = "it hears nothing: it has no `subscribe`, and does not say what it wants"
        raise _mistake(config, outlet, what if wanted is None else "it wants to hear nothing")
    return found


def wishes(wanted: Wanted, config: HandlerConfig, outlet: Outlet) -> Wishes:
    """What is wanted, with the extensions for each channel: those of the configuration take precedence.

    Raises:
        NotGranted: one of the channels is not granted, or gets the handler's own dead letters; there are too many; or
            an extension is for the configuration only.
        Unsupported: the client has no channels of that kind.
    """
    found: dict[Channel, Mapping[str, str]] = {}
    for name in wanted.channels:
        channel = _allowed(name, config, outlet)
        own = config.extensions.get(channel, {})
        refuse_widening(wanted.extensions.keys() - own.keys(), outlet)
        found[channel] = {**wanted.extensions, **own}
        if len(found) > CHANNELS:
            what = f"no grant to hear more than {CHANNELS} channels"
            raise NotGranted(what, where=f"handlers.{outlet.handler}")
    return found


def refuse_widening(extensions: Iterable[str], outlet: Outlet, client: str | None = None) -> None:
    """See that a handler sets no extension that would let it hear more than the channel that it is granted.

    Raises:
        NotGranted: it does.
    """
    widening = outlet.clients[client or outlet.client].type.widening
    if found := sorted(widening.intersection(extensions)):
        what = f"no grant to set the extension {found[0]!r}, which reaches beyond the channel"
        raise NotGranted(what, where=f"handlers.{outlet.handler}", hint="set it in `subscribe` of the configuration")


def _allowed(name: str, config: HandlerConfig, outlet: Outlet) -> Channel:
    channel = outlet.grants.listen(outlet.client, name)
    outlet.clients[outlet.client].require(channel.kind)
    if (outlet.client, channel) == config.dead_letters:
        what = f"no grant to hear {str(channel)!r}: the handler's own dead letters go there, and would come back"
        raise NotGranted(what, where=f"handlers.{outlet.handler}")
    return channel


async def _asked(handler: Handler, outlet: Outlet) -> Wanted | None:
    context = HandlingContext(outlet)
    try:
        wanted = await handler.wanted(context)
        if not context.confirmed:
            await context.confirm()
        return wanted
    finally:
        context.end()


def _check(wanted: Wanted, config: HandlerConfig, outlet: Outlet) -> None:
    """Refuse all that it may not hear at once, with the line that grants it."""
    refused: dict[str, NotGranted] = {}
    for name in wanted.channels:
        try:
            outlet.grants.listen(outlet.client, name)
        except NotGranted as error:
            refused[name] = error
    if refused:
        names = ", ".join(map(repr, refused))
        what = f"the handler wants to hear {names} of the client {outlet.client!r}, and has no grant"
        problem = Problem("", f"handlers.{outlet.handler}.listen", what, hint=f"add `{_line(config, refused)}`")
        raise ConfigError([problem])
    try:
        wishes(wanted, config, outlet)
    except (NotGranted, BrokerError) as error:
        raise _mistake(config, outlet, str(error)) from error


def _line(config: HandlerConfig, names: Mapping[str, object]) -> str:
    """The line of the configuration that grants these channels, too."""
    patterns = {client: list(own) for client, own in config.listens.items()}
    patterns.setdefault(config.client, []).extend(names)
    if not isinstance(config.listen, dict):
        return f"listen = {json.dumps(patterns[config.client], ensure_ascii=False)}"
    tables = [f"{json.dumps(client)} = {json.dumps(own, ensure_ascii=False)}" for client, own in patterns.items()]
    return f"listen = {{ {', '.join(tables)} }}"


def _mistake(config: HandlerConfig, outlet: Outlet, what: str) -> ConfigError:
    kind = "python" if config.python else "component"
    return ConfigError([Problem("", f"handlers.{outlet.handler}.{kind}", what)])
