"""Records and messages translate without loss."""

import pytest

from dragoman.message import Channel, FormatSpec, Message
from dragoman_template.records import to_message, to_record

CHANNEL = Channel("orders")


@pytest.mark.parametrize(
    "message",
    [
        Message(),
        Message(b"\x00\xff", (("key", "k"), ("a", "1"), ("a", "2"), ("empty", "")), "text/plain"),
        Message(b"x", (("bytes", b"\xff\xfe".decode("utf-8", "surrogateescape")),)),
    ],
)
def test_a_message_comes_back_as_it_was_sent(message: Message) -> None:
    """Replace: add a test for each property of your broker's records; a property-based test is better still."""
    back = to_message(to_record(message), CHANNEL)
    assert (back.data, back.metadata, back.content_type) == (message.data, message.metadata, message.content_type)
    assert (back.channel, back.format) == (CHANNEL, FormatSpec.RAW)


def test_header_values_are_bytes_on_the_broker() -> None:
    """What is not UTF-8 leaves as the bytes that it came as."""
    value = b"\xff\xfe"
    record = to_record(Message(b"", (("bytes", value.decode("utf-8", "surrogateescape")),)))
    assert record.headers == (("bytes", value),)
