"""The `formats` generation, in both of its forms: what a guest calls and what comes back, through real components."""

import json
from typing import Any

import pytest

from dragoman.errors import HandlerFailed, NotGranted
from dragoman.handlers.component.components import ComponentHandler, Components
from dragoman.handlers.handler import Wanted
from dragoman.message import Channel, FormatSpec, Message
from tests.component.harness import Recorder, opened, order
from tests.component.tree import TREE

FORMS = pytest.mark.parametrize("form", ["formats", "formats-2023-06"])


async def one(handler: ComponentHandler, context: Recorder, do: str, **arguments: Any) -> Any:
    """What a guest answers that was given one message."""
    await handler.handle([order(do, **arguments)], context)
    return context.answer


@FORMS
async def test_a_guest_says_what_it_wants_to_hear(components: Components, context: Recorder, form: str) -> None:
    """Channels, and extensions for the broker; or without."""
    assert await (await opened(components, form)).wanted(context) == Wanted(("in",))
    environment = {"CHANNELS": "a,topic:b", "EXTENSIONS": '{"partitions": "0,1"}'}
    handler = await opened(components, form, wasi={"environment": environment})
    assert await handler.wanted(context) == Wanted(("a", "topic:b"), {"partitions": "0,1"})


@FORMS
async def test_a_guest_sees_the_whole_message(components: Components, context: Recorder, form: str) -> None:
    """With channel, receipt and content type among the metadata; nobody else can say the first two."""
    handler = await opened(components, form)
    pairs = (("key", "k"), ("a", "1"), ("a", "2"), ("channel", "forged"), ("dragoman-receipt", "forged"))
    sent = order("echo")
    message = Message(sent.data, pairs, "text/x", FormatSpec.KAFKA, Channel("in", "topic"))
    await handler.handle([message], context)
    assert context.answer == {
        "body": sent.data.decode(), "format": "kafka", "calls": 1,
        "metadata": [
            ["channel", "in"], ["dragoman-receipt", "receipt 0"], ["content-type", "text/x"], ["key", "k"], ["a", "1"],
            ["a", "2"],
        ],
    }  # fmt: skip


@FORMS
async def test_a_batch_is_one_call(components: Components, context: Recorder, form: str) -> None:
    """With each message's own receipt; an instance handles as many as it is given."""
    handler = await opened(components, form)
    await handler.handle([order("echo") for _ in range(3)], context)
    answers = [message for _, _, message in context.sent]
    assert len(answers) == 3
    assert all(b'"calls": 3' in answer.data for answer in answers)
    assert len({answer.data for answer in answers}) == 3


@FORMS
async def test_what_a_guest_sends(components: Components, context: Recorder, form: str) -> None:
    """A batch in order, in any format; what is the host's own is not sent on."""
    handler = await opened(components, form)
    for spec in FormatSpec:
        pairs = [["content-type", "a/b"], ["x", "1"], ["channel", "c"], ["dragoman-receipt", "r"]]
        said = {"do": "send", "channel": "next", "bodies": ["é", ""], "spec": spec.value, "metadata": pairs}
        await handler.handle([Message(json.dumps(said).encode(), channel=Channel("in"))], context)
        made = [Message(body, (("x", "1"),), "a/b", spec) for body in ("é".encode(), b"")]
        assert context.sent[-3:-1] == [("default", "next", message) for message in made]
    await one(handler, context, "send", channel="next", bodies=["a"], client="other")
    assert context.sent[-2] == ("other", "next", Message(b"a"))


@FORMS
async def test_a_message_that_is_passed_on_stays_the_same(components: Components, context: Recorder, form: str) -> None:
    """Format, content type and metadata; without the receipt."""
    handler = await opened(components, form)
    sent = order("forward", channel="next")
    message = Message(sent.data, (("kafka.key", "k"), ("a", "1")), "text/x", FormatSpec.KAFKA)
    await handler.handle([message], context)
    assert context.sent[0] == ("default", "next", message)


@FORMS
async def test_receiving(components: Components, context: Recorder, form: str) -> None:
    """`subscribe-try-receive` waits as long as it says, and then gives none; `subscribe-receive` just waits."""
    handler = await opened(components, form)
    assert await one(handler, context, "try_receive", channel="d", timeout_ms=100) is None
    context.waiting = [Message(b"x", (("a", "1"),), channel=Channel("d"))]
    (found,) = await one(handler, context, "try_receive", channel="d", timeout_ms=100)
    assert (found["body"], found["metadata"][0], found["metadata"][2]) == ("x", ["channel", "d"], ["a", "1"])
    context.waiting = [Message(b"x"), Message(b"y")]
    assert [message["body"] for message in await one(handler, context, "receive", channel="topic:d")] == ["x", "y"]
    asked = [(call["channel"], call["client"], call["timeout"]) for call in context.received]
    assert asked == [("d", "default", 0.1), ("d", "default", 0.1), ("topic:d", "default", None)]


@FORMS
@pytest.mark.parametrize("how", ["complete", "abandon"])
async def test_settling_by_the_record_alone(components: Components, context: Recorder, form: str, how: str) -> None:
    """The message in hand, and those that were received; each once."""
    handler = await opened(components, form)
    message = order(how)
    await handler.handle([message], context)
    assert context.settled == [(how, message)]
    context.waiting = [Message(b"x"), Message(b"y")]
    assert await one(handler, context, "receive_and", channel="d", settle=how) == ["x", "y"]
    assert context.settled[1:] == [(how, Message(b"x")), (how, Message(b"y"))]


@FORMS
async def test_receipts_that_are_none(components: Components, context: Recorder, form: str) -> None:
    """One that was used, one that was made up, and none at all are errors."""
    handler = await opened(components, form)
    for arguments in ({"do": "complete", "times": 2}, {"do": "complete", "receipt": "forged"}, {"do": "bare"}):
        answer = await one(handler, context, catch=True, **arguments)
        assert answer == {"text": "other: there is no such receipt"}
    assert len(context.settled) == 1


@FORMS
async def test_changing_what_is_heard(components: Components, context: Recorder, form: str) -> None:
    """`update-guest-configuration` replaces channels and extensions."""
    handler = await opened(components, form)
    await one(handler, context, "update", channels=["b", "topic:c"])
    await one(handler, context, "update", channels=[], extensions={"qos": "1"})
    assert context.subscriptions == [Wanted(("b", "topic:c")), Wanted((), {"qos": "1"})]


CALLS: dict[str, dict[str, object]] = {
    "send": {"channel": "c", "bodies": ["a"]},
    "try_receive": {"channel": "c", "timeout_ms": 1},
    "receive": {"channel": "c"},
    "update": {"channels": []},
    "complete": {},
    "abandon": {},
}


@FORMS
async def test_every_error_reaches_the_guest_as_a_text(components: Components, context: Recorder, form: str) -> None:
    """From every function; it begins with what kind of error it is, and `trace` gives it."""
    handler = await opened(components, form, instances="reuse")
    for do, arguments in CALLS.items():
        for error, kind in TREE.items():
            context.failing = error
            answer = await one(handler, context, do, catch=True, **arguments)
            assert answer == {"text": f"{kind}: {error}"}


@FORMS
async def test_a_client_that_is_not_granted(components: Components, context: Recorder, form: str) -> None:
    """`connect` is an error that says which ones are."""
    handler = await opened(components, form)
    answer = await one(handler, context, "send", channel="c", bodies=[], client="denied", catch=True)
    assert answer["text"].startswith("permission-denied: the client 'denied' is not granted; expected")


@FORMS
async def test_an_error_that_is_not_caught_fails_the_try(components: Components, context: Recorder, form: str) -> None:
    """The guest returns what it was told, and the host reads it."""
    handler = await opened(components, form)
    context.failing = NotGranted("no grant")
    with pytest.raises(HandlerFailed, match="the guest returned an error: permission-denied: no grant"):
        await handler.handle([order("send", channel="c", bodies=["a"])], context)


async def test_trace_of_resources(components: Components, context: Recorder) -> None:
    """`error.trace` gives the text of the last error of this call, and none where there was none."""
    handler = await opened(components, "formats", instances="reuse")
    assert await one(handler, context, "trace_nothing") == ""
    (text,) = await one(handler, context, "trace_again")
    assert text.startswith("permission-denied: ")
    assert await one(handler, context, "trace_nothing") == ""


async def test_trace_of_numbers(components: Components, context: Recorder) -> None:
    """`trace` gives the text of an error until `drop-error`; a number that is none has no text."""
    handler = await opened(components, "formats-2023-06")
    text, dropped, unknown = await one(handler, context, "trace_again")
    assert (text.startswith("permission-denied: "), dropped, unknown) == (True, "", "")


async def test_numbers_that_are_none(components: Components, context: Recorder) -> None:
    """A client that was disconnected is an error; an error that the guest made up is one all the same."""
    handler = await opened(components, "formats-2023-06")
    answer = await one(handler, context, "use_disconnected", catch=True)
    assert answer["text"].startswith("connection: there is no such client, or it was disconnected")
    with pytest.raises(HandlerFailed, match=r"^the guest returned the error 77$"):
        await handler.handle([order("make_up", error=77)], context)
