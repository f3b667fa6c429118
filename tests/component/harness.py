"""What the tests of components share: a context that records, and ways to open and call a guest."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from time import thread_time
from types import MappingProxyType
from typing import Any

from dragoman.config.model import HandlerConfig
from dragoman.errors import HandlerError, NotGranted
from dragoman.handlers.component.components import ComponentHandler, Components
from dragoman.handlers.handler import Wanted
from dragoman.message import Channel, Message
from tests.guests.build import guest


class Recorder:
    """A `Context` that grants every client but `denied`, and remembers what is sent."""

    def __init__(self, handler: str = "handler") -> None:
        self.handler = handler
        self.client = "default"
        self.attempt = 1
        self.logger = logging.getLogger(f"tests.{handler}")
        self.sent: list[tuple[str | None, str, Message]] = []
        self.replies: list[tuple[Message, Message]] = []
        self.requests: list[dict[str, Any]] = []
        self.subscribed: dict[str, str] = {}
        self.subscriptions: list[Wanted] = []
        self.received: list[dict[str, Any]] = []
        self.given: dict[str, Message] = {}
        self.settled: list[tuple[str, Message]] = []
        #: What each call gives; an error is raised.
        self.failing: Exception | None = None
        self.waiting: list[Message] = []
        self.on_publish: Callable[[], Awaitable[None]] | None = None
        self.on_request: Callable[[], Awaitable[Sequence[Message]]] | None = None
        self.on_reply: Callable[[], Awaitable[None]] | None = None

    @property
    def log(self) -> logging.LoggerAdapter[logging.Logger]:
        """See `Context`."""
        return logging.LoggerAdapter(self.logger, {"handler": self.handler})

    def connect(self, client: str) -> None:
        """Grant everything but `denied`."""
        if client == "denied":
            raise NotGranted("the client 'denied' is not granted", expected="default")

    async def publish(self, channel: str, *messages: Message, client: str | None = None) -> None:
        """Remember the messages."""
        self._fail()
        if self.on_publish:
            await self.on_publish()
        self.sent += [(client, channel, message) for message in messages]

    async def request(
        self, channel: str, message: Message, *, client: str | None = None, timeout: float | None = None,
        expected: int | None = None,
    ) -> Sequence[Message]:  # fmt: skip
        """Remember the request, and answer it."""
        self.requests.append(
            {"channel": channel, "data": message.data, "client": client, "timeout": timeout, "expected": expected}
        )
        self._fail()
        return await self.on_request() if self.on_request else [Message(b"reply")]

    async def reply(self, to: Message, *replies: Message) -> None:
        """Remember the replies."""
        self._fail()
        if self.on_reply:
            await self.on_reply()
        self.replies += [(to, reply) for reply in replies]

    async def subscribe(self, channel: str, *, extensions: Mapping[str, str] = MappingProxyType({})) -> str:
        """Remember the channel under a token."""
        self._fail()
        token = f"token {len(self.subscribed)}"
        self.subscribed[token] = channel
        return token

    async def unsubscribe(self, token: str) -> None:
        """Forget it."""
        self._fail()
        if self.subscribed.pop(token, None) is None:
            raise HandlerError("there is no such subscription")

    async def set_subscriptions(self, wanted: Wanted) -> None:
        """Remember it."""
        self._fail()
        self.subscriptions.append(wanted)

    async def receive(
        self, channel: str, *, client: str | None = None, timeout: float | None, limit: int = 1
    ) -> Sequence[Message]:
        """What waits."""
        self.received.append({"channel": channel, "client": client, "timeout": timeout, "limit": limit})
        self._fail()
        waiting, self.waiting = self.waiting, []
        return waiting

    def receipt(self, message: Message) -> str:
        """A name for it."""
        name = f"receipt {len(self.given)}"
        self.given[name] = message
        return name

    async def complete(self, receipt: str) -> None:
        """Remember it."""
        self._settle("complete", receipt)

    async def abandon(self, receipt: str) -> None:
        """Remember it."""
        self._settle("abandon", receipt)

    def _settle(self, how: str, receipt: str) -> None:
        self._fail()
        message = self.given.pop(receipt, None)
        if message is None:
            raise HandlerError("there is no such receipt")
        self.settled.append((how, message))

    def _fail(self) -> None:
        if self.failing is not None:
            error, self.failing = self.failing, None
            raise error

    @property
    def answer(self) -> Any:
        """What a scripted guest answered last."""
        channel, message = self.sent[-1][1:]
        assert channel == "answers"
        return json.loads(message.data)


async def opened(components: Components, component: str | Path, **config: Any) -> ComponentHandler:
    """A handler for a guest of `tests/guests` or for a file."""
    path = guest(component) if isinstance(component, str) else component
    return await components.open("handler", HandlerConfig(component=path, client="default", **config))


def order(do: str, *, metadata: Any = (), content_type: str | None = None, **arguments: Any) -> Message:
    """A message that tells a scripted guest what to do."""
    body = json.dumps({"do": do, **arguments}).encode()
    return Message(body, tuple(metadata), content_type, channel=Channel("in"))


async def longest_stall(during: Awaitable[Any]) -> float:
    """The longest time that the event loop did not run while something else does, in seconds of this thread's own time.

    Its own time, because on a busy machine the whole process may stand still for longer; and without the collector,
    which in a process full of tests takes longer than anything that is looked at here.
    """
    gc.disable()
    try:
        task = asyncio.ensure_future(during)
        longest, last = 0.0, thread_time()
        while not task.done():
            await asyncio.sleep(0)
            longest, last = max(longest, thread_time() - last), thread_time()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        gc.enable()
    return longest
