"""The `core` generation: what a guest calls and what comes back, through real components."""

import asyncio

import pytest

from dragoman.errors import HandlerFailed, Rejected, TimedOut
from dragoman.handlers.component.components import Components
from dragoman.handlers.handler import Wanted
from dragoman.message import Channel, FormatSpec, Message
from tests.component.harness import Recorder, opened, order
from tests.component.tree import TREE
from tests.guests.build import component, source


@pytest.mark.parametrize("instances", ["fresh", "reuse"])
async def test_the_six_calls_of_a_guest(components: Components, context: Recorder, instances: str) -> None:
    """A guest connects, reads, makes a message, sets its content type and metadata, and sends it."""
    handler = await opened(components, "upper", instances=instances)
    for number in range(3):
        await handler.handle([Message(f"hello {number}".encode())], context)
    assert context.sent == [
        ("default", "out", Message(f"HELLO {number}".encode(), (("k1", "v1"),), "text/plain")) for number in range(3)
    ]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 4096, 65_535, 65_536, 300_000])
async def test_bodies_of_any_size(components: Components, context: Recorder, size: int) -> None:
    """A body goes in and out unchanged, whatever its size."""
    handler = await opened(components, "upper")
    data = bytes(number % 97 for number in range(size))  # no lower-case letters
    await handler.handle([Message(data)], context)
    assert context.sent[0][2].data == data


@pytest.mark.parametrize("suffix", ["", "@0.2.0-draft", "@0.2.0", "@0.3.0-draft-2", "@9.9.9"])
async def test_any_version_suffix(components: Components, context: Recorder, suffix: str) -> None:
    """The generation is recognised by its names, whatever version they carry."""
    text = source("upper").replace("@0.2.0-draft", suffix)
    handler = await opened(components, component("upper-versioned", text))
    await handler.handle([Message(b"a")], context)
    assert context.sent[0][2].data == b"A"


async def test_a_python_guest_sees_the_whole_message(components: Components, context: Recorder) -> None:
    """Topic, content type, body and metadata, repeated names included, reach the guest in order."""
    handler = await opened(components, "scripted")
    pairs = (("key", "k"), ("a", "1"), ("a", "2"))
    await handler.handle([order("echo", metadata=pairs, content_type="text/x")], context)
    assert context.answer == {
        "topic": "in",
        "content_type": "text/x",
        "size": len(order("echo").data),
        "metadata": [["key", "k"], ["a", "1"], ["a", "2"]],
    }


async def test_metadata_methods(components: Components, context: Recorder) -> None:
    """`add` overwrites, `set` replaces everything, `remove` takes every value away, and nothing is `none`."""
    handler = await opened(components, "scripted")

    async def metadata(*steps: object) -> object:
        start = (("a", "1"), ("b", "2"), ("a", "3"))
        await handler.handle([order("change", metadata=start, steps=steps)], context)
        return context.answer["metadata"]

    assert await metadata(["add_metadata", "c", "4"]) == [["a", "1"], ["b", "2"], ["a", "3"], ["c", "4"]]
    assert await metadata(["add_metadata", "a", "4"]) == [["b", "2"], ["a", "4"]]
    assert await metadata(["set_metadata", [["x", "1"], ["x", "2"]]]) == [["x", "1"], ["x", "2"]]
    assert await metadata(["set_metadata", []]) is None
    assert await metadata(["remove_metadata", "a"]) == [["b", "2"]]
    assert await metadata(["remove_metadata", "none of them"]) == [["a", "1"], ["b", "2"], ["a", "3"]]


async def test_setters_change_what_is_read_and_sent(components: Components, context: Recorder) -> None:
    """A changed body and content type are what the guest reads back."""
    handler = await opened(components, "scripted")
    steps = [["set_content_type", "text/y"], ["set_data", "four"]]
    await handler.handle([order("change", steps=steps)], context)
    assert (context.answer["content_type"], context.answer["size"]) == ("text/y", 4)


async def test_an_untouched_message_is_passed_on_as_it_came(components: Components, context: Recorder) -> None:
    """Format and bytes that are no UTF-8 survive, although the guest can't see them."""
    handler = await opened(components, "scripted")
    odd = b"caf\xe9 \xff".decode("utf-8", "surrogateescape")
    sent = order("forward", topic="next", metadata=(("kafka.key", odd), ("lone", "\ud800")))
    message = Message(sent.data, sent.metadata, "text/plain", FormatSpec.KAFKA, Channel("in"))
    await handler.handle([message], context)
    assert context.sent[0] == ("default", "next", message)


async def test_text_that_is_no_unicode_reaches_a_guest_with_replacements(
    components: Components, context: Recorder
) -> None:
    """A guest reads U+FFFD for each byte that is no UTF-8."""
    handler = await opened(components, "scripted")
    odd = b"caf\xe9".decode("utf-8", "surrogateescape")
    await handler.handle([order("echo", metadata=(("name", odd), ("lone", "\ud800")))], context)
    (_, name), (_, lone) = context.answer["metadata"]
    assert name == "caf\N{REPLACEMENT CHARACTER}"
    assert set(lone) == {"\N{REPLACEMENT CHARACTER}"}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"options": False}, {"timeout": None, "expected": None}),
        ({}, {"timeout": None, "expected": None}),
        ({"timeout_ms": 250}, {"timeout": 0.25, "expected": None}),
        ({"expected": 3}, {"timeout": None, "expected": 3}),
        ({"timeout_ms": 250, "expected": 3}, {"timeout": 0.25, "expected": 3}),
    ],
)
async def test_requests(
    components: Components, context: Recorder, options: dict[str, object], expected: dict[str, object]
) -> None:
    """The options of a request reach the context, and the replies the guest."""

    async def replies() -> list[Message]:
        await asyncio.sleep(0)
        return [Message(b"one"), Message(b"two")]

    context.on_request = replies
    handler = await opened(components, "scripted")
    await handler.handle([order("ask", topic="questions", **options)], context)
    assert context.requests == [{"channel": "questions", "data": b"question", "client": "default", **expected}]
    assert context.answer == ["one", "two"]


async def test_a_request_in_the_form_of_2024_10(components: Components, context: Recorder) -> None:
    """`request` without a topic goes where the message came from."""
    handler = await opened(components, "older")
    await handler.handle([Message(b"?", channel=Channel("asked"))], context)
    assert [request["channel"] for request in context.requests] == ["asked"]
    assert await handler.wanted(context) == Wanted(("first", "second"))


async def test_a_guest_that_leaves_its_channels_to_the_configuration(components: Components, context: Recorder) -> None:
    """Without `get-topics` there is nothing to say."""
    assert await (await opened(components, "upper")).wanted(context) is None


async def test_replies(components: Components, context: Recorder) -> None:
    """A guest may reply several times, to the message as it came."""
    handler = await opened(components, "scripted")
    asked = order("answer", texts=["a", "b"], metadata=(("reply-to", "inbox"),))
    await handler.handle([asked], context)
    assert context.replies == [(asked, Message(b"a")), (asked, Message(b"b"))]


@pytest.mark.parametrize("do", ["forward", "ask", "answer"])
async def test_every_error_reaches_the_guest_as_the_case_that_fits(
    components: Components, context: Recorder, do: str
) -> None:
    """An error of ours is a result in the guest, with our text in it, and the guest goes on."""
    handler = await opened(components, "scripted", instances="reuse")
    arguments = {"texts": ["a"]} if do == "answer" else {"topic": "t"}
    for error, kind in TREE.items():
        context.failing = error
        await handler.handle([order(do, catch=True, **arguments)], context)
        case = kind.title().replace("-", "")
        assert context.answer == {"case": case, "text": "" if case == "Timeout" else str(error)}


async def test_connecting_to_a_client_that_is_not_granted(components: Components, context: Recorder) -> None:
    """`connect` gives permission-denied with the names that are granted."""
    handler = await opened(components, "scripted")
    await handler.handle([order("connect", name="denied", catch=True)], context)
    assert context.answer["case"] == "PermissionDenied"
    assert "expected default" in context.answer["text"]


async def test_a_disconnected_client(components: Components, context: Recorder) -> None:
    """Sending over it is an error of the case connection."""
    handler = await opened(components, "scripted")
    await handler.handle([order("send_disconnected", catch=True)], context)
    assert context.answer["case"] == "Connection"


@pytest.mark.parametrize(
    ("case", "text"), [("timeout", ""), ("connection", "a"), ("permission-denied", "b"), ("other", "c\x1b[31m")]
)
async def test_an_error_of_the_guest_fails_the_handling(
    components: Components, context: Recorder, case: str, text: str
) -> None:
    """HandlerFailed carries the case and the text, without what could move a cursor."""
    handler = await opened(components, "scripted")
    with pytest.raises(HandlerFailed, match=f"the guest returned {case}") as raised:
        await handler.handle([order("fail", case=case, text=text)], context)
    assert text[:1] in str(raised.value)
    assert "\x1b" not in str(raised.value)


@pytest.mark.parametrize("case", ["connection", "permission-denied", "other"])
async def test_a_guest_that_wants_no_further_try_says_rejected(
    components: Components, context: Recorder, case: str
) -> None:
    """At the beginning of its text, in any case that has one; the rest is the reason."""
    handler = await opened(components, "scripted")
    with pytest.raises(Rejected) as raised:
        await handler.handle([order("fail", case=case, text="rejected: no such customer")], context)
    assert str(raised.value) == "no such customer"
    with pytest.raises(HandlerFailed, match="was rejected: no"):
        await handler.handle([order("fail", case=case, text="it was rejected: no")], context)


async def test_a_guest_that_passes_a_timeout_on_says_of_what(components: Components, context: Recorder) -> None:
    """The case has no text, so the guest could not read it; the host has kept it."""
    handler = await opened(components, "scripted")
    context.failing = TimedOut("no reply within 1 s")
    with pytest.raises(HandlerFailed, match="the guest returned timeout: no reply within 1 s"):
        await handler.handle([order("ask", topic="t")], context)


async def test_a_guest_goes_on_after_an_error_that_it_returned(components: Components, context: Recorder) -> None:
    """A returned error is no trap: a reused instance is used again."""
    handler = await opened(components, "scripted", instances="reuse")
    for _ in range(2):
        with pytest.raises(HandlerFailed):
            await handler.handle([order("fail", case="other")], context)
    await handler.handle([order("count")], context)
    assert context.answer == 3
