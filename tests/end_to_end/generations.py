"""What the suite for every generation on every broker is made of: what each generation says, a host, and a client."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import dragoman as library
from dragoman.client import Client
from dragoman.config.model import Config
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.plugins import load_plugins
from tests.guests.build import COMPILED, guest
from tests.guests.javascript import older
from tests.host.running import module_of, until

#: What a guest is told to do; see `tests/guests/*/app.py`.
Order = Mapping[str, Any]


@dataclass(frozen=True)
class Changes:
    """How a guest changes what it hears while it runs.

    Attributes:
        hear: the order to hear a channel besides the one that it hears.
        leave: the order to hear that one no longer; of the channel that stays, and of what `hear` was answered.
    """

    hear: Callable[[str, str], Order]
    leave: Callable[[str, Any], Order]


@dataclass(frozen=True)
class Says:
    """What a generation can say, in the words of its guest.

    Attributes:
        guest: in `tests/guests`.
        build: makes it.
        send: the order to send a body to a channel.
        heard: of the answer to `echo`, the channel that the message came from.
        refusal: what the answer has when something is not granted.
        fail: the order to fail, with a text; None where the generation has no errors of the guest's own.
        wants: whether the guest says itself what it hears from the start.
        changes: how it changes that; None where it can't.
        asks: orders to send a request to a channel, each with the answer for the replies `yes` and `yes`; or to another
            one, where nobody does. Empty where it has none.
        asks_where_it_hears: whether requests go where messages come from, and nowhere else.
        receives: whether it receives and settles by itself.
    """

    guest: str
    send: Callable[[str, str], Order]
    heard: Callable[[Any], str]
    refusal: Mapping[str, str]
    fail: Callable[[str], Order] | None
    wants: bool = False
    changes: Changes | None = None
    asks: Callable[[str, str], Sequence[tuple[Order, Any]]] = lambda _, __: ()
    asks_where_it_hears: bool = False
    receives: bool = False
    build: Callable[[str], Path] = guest


#: What a generation does not have here, it can't say: `docs/reference/generations.md`.
GENERATIONS: Mapping[str, Says] = {
    "events": Says(
        guest="events",
        send=lambda channel, body: {"do": "publish", "to": f"queue:{channel}", "body": body},
        heard=lambda answer: dict(answer["extensions"])["channel"].removeprefix("queue:"),
        refusal={"case": "InsufficientPermissions"},
        fail=lambda text: {"do": "fail", "case": "UnexpectedError", "text": text},
        changes=Changes(
            hear=lambda _, more: {"do": "subscribe", "to": f"queue:{more}"},
            leave=lambda _, token: {"do": "unsubscribe", "token": token},
        ),
    ),
    "formats": Says(
        guest="formats",
        send=lambda channel, body: {"do": "send", "channel": channel, "bodies": [body]},
        heard=lambda answer: dict(answer["metadata"])["channel"],
        refusal={"text": "permission-denied: "},
        fail=None,
        wants=True,
        receives=True,
        changes=Changes(
            hear=lambda channel, more: {"do": "update", "channels": [channel, more]},
            leave=lambda channel, _: {"do": "update", "channels": [channel]},
        ),
    ),
    "topics": Says(
        guest="topics",
        send=lambda channel, body: {"do": "send", "topic": channel, "body": body},
        heard=lambda answer: answer["topic"],
        refusal={"case": "Unauthorized"},
        fail=lambda text: {"do": "fail", "case": "Other", "text": text},
        wants=True,
        changes=Changes(
            hear=lambda channel, more: {"do": "set_subscriptions", "topics": [channel, more]},
            leave=lambda channel, _: {"do": "set_subscriptions", "topics": [channel]},
        ),
    ),
    "core": Says(
        guest="scripted",
        send=lambda channel, body: {"do": "send", "topic": channel, "body": body},
        heard=lambda answer: answer["topic"],
        refusal={"case": "PermissionDenied"},
        fail=lambda text: {"do": "fail", "case": "other", "text": text},
        asks=lambda channel, silent: (
            ({"do": "ask", "topic": channel, "timeout_ms": 20_000, "expected": 1}, ["yes"]),
            ({"do": "ask", "topic": channel, "timeout_ms": 20_000, "expected": 2}, ["yes", "yes"]),
            ({"do": "ask", "topic": channel, "options": False}, ["yes"]),
            ({"do": "ask", "topic": channel, "timeout_ms": 3_000}, ["yes", "yes"]),
            ({"do": "ask", "topic": silent, "timeout_ms": 300, "catch": True}, {"case": "Timeout"}),
        ),
    ),
    "wasmcloud": Says(
        guest="wasmcloud",
        send=lambda channel, body: {"do": "publish", "to": channel, "body": body},
        heard=lambda answer: answer["subject"],
        refusal={"text": "permission-denied: "},
        fail=lambda text: {"do": "fail", "text": text},
        asks=lambda channel, silent: (
            ({"do": "ask", "to": channel, "timeout_ms": 20_000}, "yes"),
            ({"do": "ask", "to": silent, "timeout_ms": 300, "catch": True}, {"text": "timeout: "}),
        ),
    ),
}
#: Earlier forms, and another of wasmCloud's: what they say is the same, in the words of their own time.
OLDER: Mapping[str, Says] = {
    "formats of 2023-06": replace(GENERATIONS["formats"], guest="formats-2023-06"),
    "topics of 2024-05": replace(
        GENERATIONS["topics"],
        guest="topics",
        refusal={"case": "other", "text": "no grant"},
        fail=lambda text: {"do": "fail", "case": "other", "text": text},
        build=older,
    ),
    "core of 2024-10": replace(
        GENERATIONS["core"],
        guest="core",
        refusal={"case": "permission-denied"},
        wants=True,
        asks=lambda _, __: (({"do": "ask"}, ["yes"]),),
        asks_where_it_hears=True,
        build=older,
    ),
    "wasmcloud 0.3": replace(
        GENERATIONS["core"],
        guest="wasmcloud-0.3",
        refusal={"case": "permission-denied"},
        asks=lambda _, __: (({"do": "ask"}, ["yes"]),),
        asks_where_it_hears=True,
        build=older,
    ),
    "wasmcloud 0.1": replace(
        GENERATIONS["wasmcloud"],
        guest="wasmcloud",
        asks=lambda channel, _: (({"do": "ask", "to": channel}, ["yes", "yes"]),),
        build=older,
    ),
}


class Collected:
    """What came out of channels, while it lasts.

    Attributes:
        messages: by channel.
    """

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[Message]] = defaultdict(list)

    async def collect(self, client: Client, channel: str, ready: asyncio.Event) -> None:
        """Collect what comes, until it is cancelled."""
        async with client.subscribe(channel, group="collected") as subscription:
            ready.set()
            while True:
                deliveries = await subscription.receive(500)
                self.messages[channel] += [delivery.message for delivery in deliveries]
                await subscription.accept(*deliveries)

    def times(self, channel: str) -> Counter[str]:
        """How often each body came."""
        return Counter(message.data.decode() for message in self.messages[channel])

    async def all(self, channel: str, bodies: Iterable[str], seconds: float = 60) -> None:
        """Wait until all of these bodies have come."""
        wanted = set(bodies)
        await until(lambda: self.times(channel).keys() >= wanted, seconds)


@asynccontextmanager
async def collecting(client: Client, *channels: str) -> AsyncIterator[Collected]:
    """Collect from channels from now on."""
    found, ready = Collected(), [asyncio.Event() for _ in channels]
    tasks = [
        asyncio.create_task(found.collect(client, channel, event))
        for channel, event in zip(channels, ready, strict=True)
    ]
    waiting = asyncio.gather(*(event.wait() for event in ready))
    try:
        await asyncio.wait((waiting, *tasks), return_when=asyncio.FIRST_COMPLETED)
        yield found
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        ends = await asyncio.gather(waiting, *tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


class Guest:
    """A guest in a host that runs, and a client of the same broker.

    Attributes:
        says: what its generation can say.
        client: the client.
        host: the host.
        collected: what came to `out`, `dead`, `answers` and `forbidden`.
        into: the channel that the guest hears.
        more: another one that it may hear.
        late: a third one.
        out: one that it may send to.
        dead: where its dead letters go.
        forbidden: one that it may neither hear nor send to.
        questions: where it may send requests; each is answered with `yes`, twice.
        silent: another one, where somebody listens and never answers.
        answers: where it says what came of an order.
        received: how many messages it has received by itself, and so has said nothing about.
    """

    def __init__(self, says: Says, *, marked: bool = True) -> None:
        """Without a mark the channels are `in`, `answers` and so on, as for a guest that can't be told their names."""
        names = ("in", "more", "late", "out", "dead", "forbidden", "questions", "silent", "answers")
        mark = f"-{uuid4().hex[:8]}" if marked else ""
        self.says = says
        self.received = 0
        channels = [name + mark for name in names]
        self.into, self.more, self.late, self.out, self.dead, self.forbidden, *others = channels
        self.questions, self.silent, self.answers = others
        if says.asks_where_it_hears:
            self.questions = self.into
        self.client: Client
        self.host: Host
        self.collected: Collected

    @asynccontextmanager
    async def running(self, settings: Mapping[str, Any], **handler: Any) -> AsyncIterator[Guest]:
        """Run it on a broker, whose settings are all that differs between the brokers; with more for the handler."""
        async with AsyncExitStack() as stack:
            module = stack.enter_context(module_of(agree=_agree, ignore=_ignore))
            config = Config.model_validate(
                {
                    "clients": {"default": {**settings}},
                    "handlers": {"guest": {**await self._handler(), **handler}, **self._others(module)},
                    "host": {"cache": COMPILED},
                }
            )
            self.client = await stack.enter_async_context(library.connect({**settings}, client="default"))
            channels = self.out, self.dead, self.answers, self.forbidden
            self.collected = await stack.enter_async_context(collecting(self.client, *channels))
            host = Host(config, plugins=load_plugins(), folder=Path("/nonexistent"))
            self.host = await stack.enter_async_context(host)
            yield self

    async def _handler(self) -> dict[str, Any]:
        hears = {"listen": [self.into, self.more, self.late]} if self.says.wants else {"subscribe": [self.into]}
        if self.says.changes:
            hears["listen"] = [self.into, self.more, self.late]
        return {
            "component": await asyncio.to_thread(self.says.build, self.says.guest),
            "client": "default",
            **hears,
            "publish": [self.out, self.answers, self.questions, self.silent],
            "instances": "reuse",
            "concurrency": 1,
            "retry": {"attempts": 2, "backoff": "1ms"},
            "abandoned": "dead-letter",
            "dead_letter": self.dead,
            "wasi": {"environment": {"CHANNELS": self.into, "ANSWERS": self.answers}},
        }

    def _others(self, module: str) -> dict[str, Any]:
        if not self.says.asks(self.questions, self.silent):
            return {}
        return {
            "agree": {"python": f"{module}:agree", "client": "default", "subscribe": [self.questions]},
            "ignore": {"python": f"{module}:ignore", "client": "default", "subscribe": [self.silent]},
        }

    async def order(self, order: Order, channel: str | None = None, key: str | None = None) -> str:
        """Tell it to do something; the body by which the message can be told."""
        body = json.dumps(order)
        await self.client.publish(channel or self.into, body, key=key)
        return body

    async def answer(self, order: Order) -> Any:
        """Tell it to do something; what came of it. Nothing else is under way."""
        answers = self.collected.messages[self.answers]
        await self.idle()
        before = len(answers)
        await self.order(order)
        await until(lambda: len(answers) > before, 60)
        return json.loads(answers[before].data)

    def tokens(self) -> list[str]:
        """The tokens of subscriptions that it has answered so far."""
        answers = (json.loads(message.data) for message in self.collected.messages[self.answers])
        return [answer for answer in answers if isinstance(answer, str)]

    async def idle(self) -> None:
        """Wait until it has answered everything that it has handled, and has nothing in hand."""
        counters = self.host.counters["guest"]
        answers = self.collected.messages[self.answers]
        await until(lambda: not counters.in_hand and len(answers) + self.received >= counters.handled, 60)


async def _agree(message: Message, context: Context) -> None:
    if not message.data.startswith(b"{"):  # an order, where the guest asks on the channel that it hears
        await context.reply(message, b"yes", b"yes")


async def _ignore(_message: Message, _context: Context) -> None:
    pass
