"""The `topics` generation, of May to September 2024. `wit/topics/` is its text.

A message has its topic in it. There are two forms, which differ in their errors: the later one knows `unauthorized` and
`abandoned`. What the exported functions are called does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dragoman.errors import DragomanError, HandlerError, NotGranted, PermissionDenied, Rejected
from dragoman.handlers.component.generations import messages as resources
from dragoman.handlers.component.generations.failures import CORE, REJECTED, Cases
from dragoman.handlers.component.generations.generation import Generation, one
from dragoman.handlers.component.generations.messages import Client, GuestMessage, MessageSession
from dragoman.handlers.component.values import Err
from dragoman.handlers.handler import Context, Wanted
from dragoman.message import Message


class Session(MessageSession):
    """The functions that a guest may call while it handles a message."""

    __slots__ = ()

    def failure(self, error: tuple[str, str | None]) -> HandlerError:
        """See `generation.Session`. Who abandons a message wants no further try."""
        case, text = error
        return super().failure((case, f"{REJECTED} {text}" if case == "abandoned" else text))

    async def send(self, client: Client, message: GuestMessage) -> Err | None:
        """`producer.send`: to the message's topic; ok when the broker has it."""
        try:
            await self.context.publish(message.topic or "", message.message(), client=client.name)
        except DragomanError as error:
            return self.refused(error)
        return None

    async def set_subscriptions(self, topics: list[str]) -> Err | None:
        """`consumer.set-subscriptions`: ok when the broker has confirmed the new ones."""
        try:
            await self.context.set_subscriptions(Wanted(tuple(topics)))
        except DragomanError as error:
            return self.refused(error)
        return None


def _new(_: Session, topic: str, data: bytes) -> GuestMessage:
    return GuestMessage(Message(data), topic)


def _topic(_: Session, message: GuestMessage) -> str:
    return message.topic or ""


def _set_topic(_: Session, message: GuestMessage, topic: str) -> None:
    message.topic = topic


def _made(error: str, cases: Cases) -> Generation:
    """The form with that error type."""
    done = f"result<_, {error}>"

    def session(context: Context, messages: Sequence[Message]) -> Session:
        return Session(context, messages, cases)

    return Generation(
        name="topics",
        package="wasi:messaging",
        handler="wasi:messaging/messaging-guest with handler: func(m: message) -> result<_, error>",
        handles=(f"(own<message>) -> {done}",),
        wants=(f"() -> result<list<string>, {error}>",),
        provides={
            "types": {
                "[static]client.connect": one(f"(string) -> result<own<client>, {error}>", Session.connect),
                "[constructor]message": one("(string, list<u8>) -> own<message>", _new),
                "[method]message.topic": one("(borrow<message>) -> string", _topic),
                "[method]message.set-topic": one("(borrow<message>, string)", _set_topic),
                **resources.METHODS,
            },
            "producer": {"send": one(f"(own<client>, own<message>) -> {done}", Session.send, suspends=True)},
            "consumer": {
                "set-subscriptions": one(f"(list<string>) -> {done}", Session.set_subscriptions, suspends=True)
            },
        },
        resources={"types": ("client", "message")},
        session=session,
    )


#: With `unauthorized` and `abandoned`.
LATER: Final = _made(
    "variant { unauthorized, timeout, connection(string), abandoned(string), other(string) }",
    CORE.but(
        {NotGranted: "unauthorized", PermissionDenied: "unauthorized", Rejected: "abandoned"},
        textless=("unauthorized",),
    ),
)
EARLIER: Final = _made(
    "variant { timeout, connection(string), other(string) }",
    CORE.but({NotGranted: "other", PermissionDenied: "other"}),
)
