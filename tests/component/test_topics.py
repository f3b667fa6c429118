"""The `topics` generation: what a guest calls and what comes back, through real components."""

import pytest

from dragoman.errors import HandlerFailed, NotGranted, PermissionDenied, Rejected, TimedOut
from dragoman.handlers.component.components import Components
from dragoman.handlers.handler import Wanted
from dragoman.message import Channel, FormatSpec, Message
from tests.component.harness import Recorder, opened, order
from tests.component.tree import TREE
from tests.guests.build import component, source

#: The form of May 2024: no `unauthorized`, no `abandoned`.
EARLIER = source("upper-topics").replace('(case "unauthorized") ', "").replace('(case "abandoned" string) ', "")


async def test_a_guest_sees_the_whole_message(components: Components, context: Recorder) -> None:
    """Topic, content type, body and metadata, repeated names included."""
    handler = await opened(components, "topics")
    pairs = (("key", "k"), ("a", "1"), ("a", "2"))
    message = order("echo", metadata=pairs, content_type="text/x")
    await handler.handle([message], context)
    assert context.answer == {
        "topic": "in", "content_type": "text/x", "size": len(message.data), "metadata": [list(pair) for pair in pairs]
    }  # fmt: skip
    await handler.handle([order("echo")], context)
    assert context.answer["metadata"] is None


async def test_changes(components: Components, context: Recorder) -> None:
    """Every setter changes what is read; `add-metadata` takes the place of the values that there are."""
    handler = await opened(components, "topics")
    steps = [
        ["set_topic", "t"], ["set_content_type", "a/b"], ["set_data", "four"],
        ["add_metadata", "a", "4"], ["add_metadata", "b", "5"],
    ]  # fmt: skip
    await handler.handle([order("change", steps=steps, metadata=(("a", "1"), ("a", "2")))], context)
    assert context.answer == {
        "topic": "t", "content_type": "a/b", "size": 4, "metadata": [["a", "4"], ["b", "5"]]
    }  # fmt: skip


async def test_a_message_goes_to_its_topic(components: Components, context: Recorder) -> None:
    """One of the guest's own where it was made for, one that came where it was set to; nothing is lost."""
    handler = await opened(components, "topics")
    await handler.handle([order("send", topic="next", body="é")], context)
    assert context.sent[0] == ("default", "next", Message("é".encode()))
    sent = order("forward", topic="other", metadata=(("kafka.key", "k"),))
    message = Message(sent.data, sent.metadata, "text/x", FormatSpec.KAFKA, Channel("in"))
    await handler.handle([message], context)
    assert context.sent[2] == ("default", "other", message)


async def test_subscriptions(components: Components, context: Recorder) -> None:
    """`set-subscriptions` replaces them; at the start the guest says what it wants."""
    handler = await opened(components, "topics", wasi={"environment": {"CHANNELS": "a,topic:b"}})
    assert await handler.wanted(context) == Wanted(("a", "topic:b"))
    await handler.handle([order("set_subscriptions", topics=["x", "topic:y"])], context)
    assert context.subscriptions == [Wanted(("x", "topic:y"))]


#: The case that this generation has for a case of `core`.
CASES = {"timeout": "Timeout", "connection": "Connection", "permission-denied": "Unauthorized", "other": "Other"}


@pytest.mark.parametrize("do", ["send", "set_subscriptions"])
async def test_every_error_reaches_the_guest_as_the_case_that_fits(
    components: Components, context: Recorder, do: str
) -> None:
    """With our text, where the case has one."""
    handler = await opened(components, "topics", instances="reuse")
    arguments = {"topic": "t", "body": ""} if do == "send" else {"topics": ["t"]}
    for error, kind in TREE.items():
        context.failing = error
        await handler.handle([order(do, catch=True, **arguments)], context)
        case = "Abandoned" if isinstance(error, Rejected) else CASES[kind]
        assert context.answer == {"case": case, "text": "" if case in ("Timeout", "Unauthorized") else str(error)}


async def test_a_client_that_is_not_granted(components: Components, context: Recorder) -> None:
    """`connect` gives `unauthorized`; passed on, the host's log has the reason that the guest could not read."""
    handler = await opened(components, "topics")
    with pytest.raises(HandlerFailed, match="the guest returned unauthorized: the client 'denied' is not granted; exp"):
        await handler.handle([order("send", topic="t", body="", client="denied")], context)


@pytest.mark.parametrize(
    ("case", "text", "expected", "what"),
    [
        ("Unauthorized", None, HandlerFailed, "the guest returned unauthorized"),
        ("Timeout", None, HandlerFailed, "the guest returned timeout"),
        ("Connection", "a", HandlerFailed, "the guest returned connection: a"),
        ("Other", "b", HandlerFailed, "the guest returned other: b"),
        ("Other", "rejected: b", Rejected, "b"),
        ("Abandoned", "c", Rejected, "c"),
        ("Abandoned", "", Rejected, "the guest gave no reason"),
    ],
)
async def test_errors_of_the_guest(
    components: Components, context: Recorder, *, case: str, text: str | None, expected: type[Exception], what: str
) -> None:
    """One fails the try; `abandoned` asks for no further one."""
    handler = await opened(components, "topics")
    with pytest.raises(expected) as raised:
        await handler.handle([order("fail", case=case, text=text)], context)
    assert (type(raised.value), str(raised.value)) == (expected, what)


@pytest.mark.parametrize("text", [source("upper-topics"), EARLIER], ids=["later", "earlier"])
@pytest.mark.parametrize(
    ("interface", "handle", "wanted"),
    [
        ("messaging-guest", "handler", "configure"),
        ("messaging-guest", "handle", "subscribe"),
        ("incoming-handler", "handle", "get-subscriptions"),
        ("incoming-handler", "handler", "get-topics"),
    ],
)
async def test_the_names_of_that_year(
    components: Components, context: Recorder, *, text: str, interface: str, handle: str, wanted: str
) -> None:
    """The exported functions are found by their shapes, in both forms."""
    text = text.replace("messaging-guest", interface).replace('"handler"', f'"{handle}"')
    handler = await opened(components, component("topics-names", text.replace('"configure"', f'"{wanted}"')))
    assert await handler.wanted(context) == Wanted(("first", "second"))
    await handler.handle([Message(b"hello")], context)
    assert context.sent == [("default", "out", Message(b"HELLO", (("k1", "v1"),), "text/plain"))]


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (NotGranted("no grant"), "other: no grant"),
        (PermissionDenied("not yours"), "other: not yours"),
        (TimedOut("late"), "timeout: late"),
    ],
)
async def test_errors_of_the_earlier_form(
    components: Components, context: Recorder, error: Exception, what: str
) -> None:
    """It has no case of its own for what is not granted."""
    context.failing = error
    handler = await opened(components, component("topics-earlier", EARLIER))
    with pytest.raises(HandlerFailed, match=f"the guest returned {what}"):
        await handler.handle([Message(b"a")], context)
