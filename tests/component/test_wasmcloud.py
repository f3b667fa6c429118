"""wasmCloud's interface: what a guest calls and what comes back, through real components."""

import pytest

from dragoman.errors import HandlerFailed, NotGranted, Rejected
from dragoman.handlers.component.components import Components
from dragoman.message import Channel, FormatSpec, Message
from tests.component.harness import Recorder, opened, order
from tests.component.tree import TREE
from tests.guests.build import component, source


async def test_a_guest_sees_subject_body_and_the_place_for_replies(components: Components, context: Recorder) -> None:
    """And nothing else, for its interface has no more."""
    handler = await opened(components, "wasmcloud")
    asked = order("echo", metadata=(("reply-to", "inbox"), ("a", "1")))
    await handler.handle([asked], context)
    assert context.answer == {"subject": "in", "size": len(asked.data), "reply_to": "inbox"}
    await handler.handle([order("echo")], context)
    assert context.answer["reply_to"] is None
    assert await handler.wanted(context) is None


async def test_a_message_that_is_passed_on_keeps_what_the_guest_can_not_see(
    components: Components, context: Recorder
) -> None:
    """Content type, format and metadata go on with an unchanged body; the place for replies is what the guest says."""
    handler = await opened(components, "wasmcloud")
    sent = order("forward", to="next", metadata=(("kafka.key", "k"), ("reply-to", "inbox"), ("a", "1")))
    message = Message(sent.data, sent.metadata, "text/x", FormatSpec.KAFKA, Channel("in"))
    await handler.handle([message], context)
    pairs = (("kafka.key", "k"), ("a", "1"), ("reply-to", "inbox"))
    assert context.sent[0] == (None, "next", Message(sent.data, pairs, "text/x", FormatSpec.KAFKA))


async def test_a_message_of_its_own_keeps_the_key(components: Components, context: Recorder) -> None:
    """So that order survives; nothing else of the message in hand is said of another body."""
    handler = await opened(components, "wasmcloud")
    pairs = (("key", "k"), ("a", "1"))
    said = order("publish", to="next", body="é", reply_to="here", metadata=pairs, content_type="a/b")
    await handler.handle([said], context)
    assert context.sent[0] == (None, "next", Message("é".encode(), (("key", "k"), ("reply-to", "here"))))
    await handler.handle([order("publish", to="next")], context)
    assert context.sent[2] == (None, "next", Message())


async def test_replies(components: Components, context: Recorder) -> None:
    """What is published to the place for replies is a reply, several times too; without such a place it is none."""
    handler = await opened(components, "wasmcloud")
    asked = order("answer", texts=["a", "b"], metadata=(("reply-to", "inbox"),))
    await handler.handle([asked], context)
    assert context.replies == [(asked, Message(b"a")), (asked, Message(b"b"))]
    assert [channel for _, channel, _ in context.sent] == ["answers"]
    await handler.handle([order("answer", texts=["a"])], context)
    assert len(context.replies) == 2


async def test_requests(components: Components, context: Recorder) -> None:
    """A request waits for one reply, and at most as long as it says."""
    handler = await opened(components, "wasmcloud")
    await handler.handle([order("ask", to="questions", timeout_ms=250)], context)
    assert context.answer == "reply"
    (request,) = context.requests
    assert request == {"channel": "questions", "data": b"question", "client": None, "timeout": 0.25, "expected": 1}


@pytest.mark.parametrize("do", ["publish", "ask"])
async def test_every_error_reaches_the_guest_as_a_text(components: Components, context: Recorder, do: str) -> None:
    """It begins with what kind of error it is, and says the rest as we do."""
    handler = await opened(components, "wasmcloud", instances="reuse")
    arguments = {"timeout_ms": 1} if do == "ask" else {}
    for error, kind in TREE.items():
        context.failing = error
        await handler.handle([order(do, to="t", catch=True, **arguments)], context)
        assert context.answer == {"text": f"{kind}: {error}"}


@pytest.mark.parametrize(
    ("text", "expected", "what"),
    [
        ("no\x1b[31m", HandlerFailed, "the guest returned an error: no\N{REPLACEMENT CHARACTER}[31m"),
        ("", HandlerFailed, "the guest returned an error"),
        ("rejected: no such customer", Rejected, "no such customer"),
        ("rejected:", Rejected, "the guest gave no reason"),
    ],
)
async def test_errors_of_the_guest(
    components: Components, context: Recorder, text: str, expected: type[Exception], what: str
) -> None:
    """One fails the try; one that begins with `rejected:` asks for no further one."""
    handler = await opened(components, "wasmcloud")
    with pytest.raises(expected) as raised:
        await handler.handle([order("fail", text=text)], context)
    assert (type(raised.value), str(raised.value)) == (expected, what)


async def test_an_error_that_is_not_caught_fails_the_try(components: Components, context: Recorder) -> None:
    """The guest returns what it was told."""
    handler = await opened(components, "wasmcloud")
    context.failing = NotGranted("no grant")
    with pytest.raises(HandlerFailed, match="the guest returned an error: permission-denied: no grant"):
        await handler.handle([order("publish", to="t")], context)


async def test_version_0_1(components: Components, context: Recorder) -> None:
    """Its bodies may be missing, and `request-multi` asks for several replies; 0 is no limit."""
    handler = await opened(components, "wasmcloud-0.1")
    for body, expected in ((b"2", {"timeout": 0.25, "expected": 2}), (b"", {"timeout": None, "expected": None})):
        await handler.handle([Message(body, channel=Channel("in"))], context)
        asked = {"channel": "in", "data": body, "client": None}
        assert context.requests[-1] == asked | expected
        assert context.sent[-1] == (None, "out", Message(b"reply"))


@pytest.mark.parametrize("version", ["0.3.0", "0.3.1"])
async def test_version_0_3_has_the_shape_of_core(components: Components, context: Recorder, version: str) -> None:
    """It is `core`, as it was in October 2024, under another name."""
    text = source("older").replace("wasi:messaging", "wasmcloud:messaging").replace("0.2.0-draft", version)
    handler = await opened(components, component("wasmcloud-older", text))
    await handler.handle([Message(b"?", channel=Channel("asked"))], context)
    assert [request["channel"] for request in context.requests] == ["asked"]
    text = source("upper").replace("wasi:messaging", "wasmcloud:messaging").replace("0.2.0-draft", version)
    handler = await opened(components, component("wasmcloud-upper", text))
    await handler.handle([Message(b"hello")], context)
    assert context.sent[-1][2].data == b"HELLO"
