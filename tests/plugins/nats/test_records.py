"""NATS headers and ours: every message survives, and foreign headers are read as they are."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.message import Channel, FormatSpec, Message
from dragoman_nats.records import count_of, decode, encode_headers, status_of

CHANNEL = Channel("orders.created")
TEXTS = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from(["", " ", "Content-Type", "nats.msg-id", "Nats-Msg-Id", "dragoman-pair", "%", "=", "a:b", "\r\n"]),
)


def encodable(text: str) -> bool:
    """Lone surrogates other than PEP 383's can't be bytes of any broker."""
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape") == text
    except UnicodeEncodeError:
        return False


@given(
    data=st.binary(max_size=64),
    metadata=st.lists(st.tuples(TEXTS.filter(encodable), TEXTS.filter(encodable)), max_size=6),
    content_type=st.none() | TEXTS.filter(encodable),
    message_format=st.sampled_from(FormatSpec),
)
def test_every_message_survives_the_way_there_and_back(
    data: bytes, metadata: list[tuple[str, str]], content_type: str | None, message_format: FormatSpec
) -> None:
    """Data, order, repeated and empty names, values of any bytes, content type and format."""
    message = Message(data, tuple(metadata), content_type, message_format, CHANNEL)
    assert decode(data, encode_headers(message), CHANNEL) == message


def test_a_message_without_metadata_has_no_headers() -> None:
    """The shortest form on the wire."""
    assert encode_headers(Message(b"x")) is None


def test_ordinary_metadata_are_ordinary_headers() -> None:
    """What others see: plain names and values, in order."""
    message = Message(b"", (("tenant", "a"), ("tenant", "b"), ("nats.msg-id", "7")), "text/plain")
    assert encode_headers(message) == (
        b"NATS/1.0\r\nContent-Type: text/plain\r\ntenant: a\r\ntenant: b\r\nNats-Msg-Id: 7\r\n\r\n"
    )


def test_a_value_with_line_ends_cannot_forge_a_header() -> None:
    """Metadata come from guests: a line end in a value stays inside it."""
    block = encode_headers(Message(b"", (("note", "x\r\nNats-Rollup: all"),)))
    assert block is not None
    assert b"\r\nNats-Rollup" not in block
    assert decode(b"", block, CHANNEL).metadata == (("note", "x\r\nNats-Rollup: all"),)


def test_headers_that_the_server_acts_on_cannot_be_set_by_their_name() -> None:
    """`Nats-Rollup` as metadata travels as a pair, and comes back as it was."""
    block = encode_headers(Message(b"", (("Nats-Rollup", "all"),)))
    assert block is not None
    assert not any(line.lower().startswith(b"nats-rollup") for line in block.split(b"\r\n"))


def test_foreign_headers_are_read_as_they_are() -> None:
    """Other clients write no blank, a tab, or lower case."""
    block = b"NATS/1.0\r\ncontent-type:text/html\r\nTrace:\tx \r\nno colon\r\n\r\n"
    message = decode(b"", block, CHANNEL)
    assert message.content_type == "text/html"
    assert message.metadata == (("Trace", "x"),)


def test_a_status_is_told_from_a_message() -> None:
    """With a text, without one, and an ordinary block."""
    assert status_of(b"NATS/1.0 503\r\n\r\n") == (503, "")
    assert status_of(b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 7\r\n\r\n") == (408, "Request Timeout")
    assert status_of(b"NATS/1.0\r\na: b\r\n\r\n") is None


def test_the_delivery_count_is_read_with_and_without_a_domain() -> None:
    """ADR-15 added tokens in front."""
    assert count_of(b"$JS.ACK.orders.billing.3.17.9.1700000000000000000.0") == 3
    assert count_of(b"$JS.ACK.hub.ACCT.orders.billing.4.17.9.1700000000000000000.0.x") == 4
