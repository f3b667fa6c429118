"""The `core` generation: what upstream has since October 2024. `wit/core/` is its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dragoman.errors import DragomanError
from dragoman.handlers.component.generations import messages
from dragoman.handlers.component.generations.failures import CORE
from dragoman.handlers.component.generations.generation import Generation, Provided, one
from dragoman.handlers.component.generations.messages import Client, GuestMessage, MessageSession
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context
from dragoman.message import Message

_ERROR: Final = "variant { timeout, connection(string), permission-denied(string), other(string) }"
_DISCONNECTED: Final = Err(("connection", "the client was disconnected; connect again"))


class RequestOptions:
    """What a guest asks of a request.

    Attributes:
        timeout: seconds, or None.
        expected: how many replies, or None.
    """

    __slots__ = ("expected", "timeout")

    def __init__(self) -> None:
        self.timeout: float | None = None
        self.expected: int | None = None


class Session(MessageSession):
    """The functions that a guest may call while it handles a message."""

    __slots__ = ()

    def __init__(self, context: Context, messages: Sequence[Message]) -> None:
        super().__init__(context, messages, CORE)

    def disconnect(self, client: Client) -> Err | None:
        """`client.disconnect`: the connection is the host's, so only this handle ends."""
        if client.name is None:
            return Err(("connection", "the client is disconnected already"))
        client.name = None
        return None

    async def send(self, client: Client, topic: str, message: GuestMessage) -> Err | None:
        """`producer.send`: ok when the broker has the message."""
        if client.name is None:
            return _DISCONNECTED
        try:
            await self.context.publish(topic, message.message(), client=client.name)
        except DragomanError as error:
            return self.refused(error)
        return None

    def new_options(self) -> RequestOptions:
        """The constructor of `request-options`."""
        return RequestOptions()

    def set_timeout(self, options: RequestOptions, milliseconds: int) -> None:
        """`request-options.set-timeout-ms`."""
        options.timeout = milliseconds / 1000

    def set_expected(self, options: RequestOptions, replies: int) -> None:
        """`request-options.set-expected-replies`."""
        options.expected = replies

    async def request(
        self, client: Client, topic: str, message: GuestMessage, options: RequestOptions | None
    ) -> list[GuestMessage] | Err:
        """`request-reply.request`."""
        if client.name is None:
            return _DISCONNECTED
        wanted = options or RequestOptions()
        try:
            replies = await self.context.request(
                topic, message.message(), client=client.name, timeout=wanted.timeout, expected=wanted.expected
            )
        except DragomanError as error:
            return self.refused(error)
        return [GuestMessage(reply) for reply in replies]

    async def request_of_2024(
        self, client: Client, message: GuestMessage, options: RequestOptions | None
    ) -> list[GuestMessage] | Err:
        """`request-reply.request` of 2024-10: the message says where to."""
        if message.topic is None:
            return Err(("other", "the message has no topic, and this form of `request` takes no other"))
        return await self.request(client, message.topic, message, options)

    async def reply(self, to: GuestMessage, message: GuestMessage) -> Err | None:
        """`request-reply.reply`: to where the message asked as it came, whatever the guest has written into it since.

        A reply needs no grant, so a guest that could name its place could publish anywhere.
        """
        try:
            await self.context.reply(to.origin, message.message())
        except DragomanError as error:
            return self.refused(error)
        return None


def _new(_: Session, data: bytes) -> GuestMessage:
    return GuestMessage(Message(data))


def _topic(_: Session, message: GuestMessage) -> str | None:
    return message.topic


def _topic_or_empty(_: Session, message: GuestMessage) -> str:
    return message.topic or ""


_MESSAGE: Final = "borrow<message>"
_OPTIONS: Final = "option<own<request-options>>"
_DONE: Final = f"result<_, {_ERROR}>"
_REPLIES: Final = f"result<list<own<message>>, {_ERROR}>"


def made(name: str, package: str) -> Generation:
    """The generation under the names that it has in a package."""
    return Generation(
        name=name,
        package=package,
        handler=f"{package}/incoming-handler with handle: func(message: message) -> result<_, error>",
        handles=(f"(own<message>) -> {_DONE}",),
        wants=(f"() -> result<list<string>, {_ERROR}>",),
        provides={
            "types": {
                "[static]client.connect": one(f"(string) -> result<own<client>, {_ERROR}>", Session.connect),
                "[method]client.disconnect": one(f"(borrow<client>) -> {_DONE}", Session.disconnect),
                "[constructor]message": one("(list<u8>) -> own<message>", _new),
                "[method]message.topic": (
                    Provided(f"({_MESSAGE}) -> option<string>", _topic),
                    Provided(f"({_MESSAGE}) -> string", _topic_or_empty),
                ),
                **messages.METHODS,
                **messages.LATER_METHODS,
            },
            "producer": {
                "send": one(f"(borrow<client>, string, own<message>) -> {_DONE}", Session.send, suspends=True)
            },
            "request-reply": {
                "[constructor]request-options": one("() -> own<request-options>", Session.new_options),
                "[method]request-options.set-timeout-ms": one("(borrow<request-options>, u32)", Session.set_timeout),
                "[method]request-options.set-expected-replies": one(
                    "(borrow<request-options>, u32)", Session.set_expected
                ),
                "request": (
                    Provided(f"(borrow<client>, string, {_MESSAGE}, {_OPTIONS}) -> {_REPLIES}", Session.request, True),
                    Provided(f"(borrow<client>, {_MESSAGE}, {_OPTIONS}) -> {_REPLIES}", Session.request_of_2024, True),
                ),
                "reply": one(f"({_MESSAGE}, own<message>) -> {_DONE}", Session.reply, suspends=True),
            },
        },
        resources={"types": ("client", "message"), "request-reply": ("request-options",)},
        session=Session,
    )


GENERATION: Final = made("core", "wasi:messaging")
