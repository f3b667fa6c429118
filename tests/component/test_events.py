"""The `events` generation: what a guest calls and what comes back, through real components."""

import pytest

from dragoman.errors import (
    AuthenticationFailed,
    ChannelNotFound,
    Closed,
    ConnectionLost,
    HandlerFailed,
    NotGranted,
    PayloadTooLarge,
    PermissionDenied,
    PublishFailed,
    Rejected,
    StorageFailed,
    TimedOut,
    UnsupportedFormat,
)
from dragoman.handlers.component.components import Components
from dragoman.message import Channel, FormatSpec, Message
from tests.component.harness import Recorder, opened, order
from tests.component.tree import TREE

EVENT = (
    ("cloudevents.specversion", "1.0"), ("cloudevents.id", "7"), ("cloudevents.source", "/shop"),
    ("cloudevents.type", "order.made"),
)  # fmt: skip
CASES = {
    PayloadTooLarge: "PayloadTooLarge",
    ChannelNotFound: "QueueOrTopicNotFound",
    NotGranted: "InsufficientPermissions",
    PermissionDenied: "InsufficientPermissions",
    AuthenticationFailed: "InsufficientPermissions",
    StorageFailed: "ServiceUnavailable",
    TimedOut: "ServiceUnavailable",
    PublishFailed: "DeliveryFailed",
    ConnectionLost: "ConnectionLost",
    Closed: "ConnectionLost",
    UnsupportedFormat: "UnsupportedMessageFormat",
}


async def test_an_event_reaches_the_guest(components: Components, context: Recorder) -> None:
    """All its attributes, and among its extensions the channel and what else the broker knows."""
    handler = await opened(components, "events")
    sent = order("echo")
    pairs = (
        *EVENT, ("cloudevents.subject", "s"), ("cloudevents.time", "2026-01-02T03:04:05Z"),
        ("cloudevents.dataschema", "urn:x"), ("cloudevents.partitionkey", "k"), ("message-id", "7"), ("key", "k"),
        ("a-b", "1"),
    )  # fmt: skip
    message = Message(sent.data, pairs, "text/json", FormatSpec.CLOUDEVENTS, Channel("in", "topic"))
    await handler.handle([message], context)
    assert context.answer == {
        "specversion": "1.0", "ty": "order.made", "source": "/shop", "id": "7", "subject": "s",
        "time": "2026-01-02T03:04:05Z", "datacontenttype": "text/json", "dataschema": "urn:x", "size": len(sent.data),
        "extensions": [["channel", "topic:in"], ["partitionkey", "k"], ["a-b", "1"]],
    }  # fmt: skip
    assert await handler.wanted(context) is None


async def test_a_message_that_is_no_event_becomes_one(components: Components, context: Recorder) -> None:
    """With the portable names in their places."""
    handler = await opened(components, "events")
    pairs = (("key", "k"), ("message-id", "7"), ("time", "2026-01-02T03:04:05Z"), ("a", "1"), ("a", "2"))
    await handler.handle([order("echo", metadata=pairs, content_type="text/x")], context)
    found = context.answer
    assert (found["specversion"], found["ty"], found["source"], found["id"]) == ("1.0", "dragoman.message", "in", "7")
    assert (found["time"], found["datacontenttype"], found["subject"]) == ("2026-01-02T03:04:05Z", "text/x", None)
    assert found["extensions"] == [["channel", "queue:in"], ["partitionkey", "k"], ["a", "1"], ["a", "2"]]
    await handler.handle([order("echo")], context)
    assert context.answer["id"] != "7"


async def test_what_a_guest_publishes(components: Components, context: Recorder) -> None:
    """Attributes, with the portable names beside them; what is no attribute is metadata; the channel is not sent on."""
    handler = await opened(components, "events")
    extensions = [["partitionkey", "k"], ["ttl", "60"], ["X-Header", "1"], ["channel", "queue:in"]]
    said = order("publish", to="topic:next", body="é", extensions=extensions, subject="s", datacontenttype="a/b")
    await handler.handle([said], context)
    client, channel, message = context.sent[0]
    assert (client, channel, message.data, message.content_type) == (None, "topic:next", "é".encode(), "a/b")
    assert (message.format, message.id, message.key) == (FormatSpec.CLOUDEVENTS, "1", "k")
    assert dict(message.metadata) == {
        "cloudevents.specversion": "1.0", "cloudevents.id": "1", "cloudevents.source": "/guest",
        "cloudevents.type": "test", "cloudevents.subject": "s", "cloudevents.partitionkey": "k", "message-id": "1",
        "key": "k", "ttl": "60", "X-Header": "1",
    }  # fmt: skip
    await handler.handle([order("publish", to="queue:next")], context)
    assert context.sent[2][1:2] == ("next",)
    assert context.sent[2][2].data == b""


async def test_an_event_that_is_passed_on_stays_the_same(components: Components, context: Recorder) -> None:
    """Body, attributes and other metadata."""
    handler = await opened(components, "events")
    sent = order("forward", to="queue:next")
    pairs = (*EVENT, ("message-id", "7"), ("x-header", "1"))
    message = Message(sent.data, pairs, "text/json", FormatSpec.CLOUDEVENTS, Channel("in"))
    await handler.handle([message], context)
    _, channel, found = context.sent[0]
    assert (channel, found.data, found.content_type, found.format) == (
        "next", message.data, message.content_type, message.format
    )  # fmt: skip
    assert sorted(found.metadata) == sorted(message.metadata)


async def test_subscriptions_by_token(components: Components, context: Recorder) -> None:
    """`subscribe` gives what `unsubscribe` takes, once."""
    handler = await opened(components, "events")
    token = {"token": "token 0"}
    for channel in ("queue:a", "topic:b"):
        await handler.handle([order("subscribe", to=channel)], context)
    assert context.subscribed == {"token 0": "a", "token 1": "topic:b"}
    await handler.handle([order("unsubscribe", **token)], context)
    assert context.subscribed == {"token 1": "topic:b"}
    await handler.handle([order("unsubscribe", catch=True, **token)], context)
    assert context.answer == {"case": "UnexpectedError", "text": "there is no such subscription"}


@pytest.mark.parametrize("do", ["publish", "subscribe", "unsubscribe"])
async def test_every_error_reaches_the_guest_as_the_case_that_fits(
    components: Components, context: Recorder, do: str
) -> None:
    """With our text."""
    handler = await opened(components, "events", instances="reuse")
    arguments = {"token": "t"} if do == "unsubscribe" else {"to": "queue:t"}
    for error in TREE:
        context.failing = error
        await handler.handle([order(do, catch=True, **arguments)], context)
        case = next((case for kind, case in CASES.items() if isinstance(error, kind)), "UnexpectedError")
        assert context.answer == {"case": case, "text": str(error)}


@pytest.mark.parametrize("case", sorted({*CASES.values(), "UnexpectedError"}))
async def test_errors_of_the_guest(components: Components, context: Recorder, case: str) -> None:
    """Each fails the try, and one that begins with `rejected:` asks for no further one."""
    handler = await opened(components, "events", instances="reuse")
    with pytest.raises(HandlerFailed, match=r"the guest returned [a-z-]+: no") as raised:
        await handler.handle([order("fail", case=case, text="no")], context)
    assert case.lower() in str(raised.value).replace("-", "")
    with pytest.raises(Rejected, match=r"^no$"):
        await handler.handle([order("fail", case=case, text="rejected: no")], context)
