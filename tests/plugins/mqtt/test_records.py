"""MQTT's properties and packets, and ours: every message survives, and foreign ones are read as they are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dragoman.errors import UnsupportedFormat
from dragoman.formats import mqtt
from dragoman.message import Channel, FormatSpec, Message
from dragoman_mqtt.packets import LARGEST, Malformed, Publish, length_bytes, publish, read_length, read_publish
from dragoman_mqtt.records import decode, encode, encode_plain

CHANNEL = Channel("orders/created")
NAMES = st.one_of(
    st.text(max_size=20),
    st.binary(max_size=20).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from(["", " ", "dragoman-pair", "dragoman-format", "content-type", "key", "message-id", "%", "=", "\n"]),
)
VALUES = st.one_of(NAMES, st.sampled_from(["a=b", "\x00", "\ufffe", "x" * 1000]))


def plain(name: str) -> bool:
    """No name with a meaning of its own."""
    return not name.startswith("mqtt.") and name not in {"ttl", "reply-to", "correlation-id"}


def there_and_back(message: Message) -> Message:
    """Through the bytes of a packet."""
    out = encode(message, 1)
    packet = publish(b"orders/created", 7, out.qos, retain=out.retain, properties=out.properties, body=out.body)
    size, start = read_length(packet, 1)
    assert start + size == len(packet)
    return decode(read_publish(packet[0], packet[start:], properties=True), CHANNEL)


@settings(suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault of the translation
@given(
    data=st.binary(max_size=300),
    metadata=st.lists(st.tuples(NAMES.filter(plain), VALUES), max_size=6),
    content_type=st.none() | VALUES,
    message_format=st.sampled_from(FormatSpec),
)
def test_every_message_survives_the_way_there_and_back(
    data: bytes, metadata: list[tuple[str, str]], content_type: str | None, message_format: FormatSpec
) -> None:
    """Data, order, repeated and empty names, values of any bytes, content type and format."""
    came = there_and_back(Message(data, tuple(metadata), content_type, message_format))
    expected = FormatSpec.MQTT if message_format is FormatSpec.RAW else message_format
    assert came == Message(data, ((mqtt.QOS, "1"), *metadata), content_type, expected, CHANNEL)


@given(correlation=st.binary(max_size=40), topic=st.text(max_size=20))
def test_correlation_data_are_any_bytes_and_a_response_topic_is_any_text(correlation: bytes, topic: str) -> None:
    """Where the text is no topic, it is a user property, and nothing is lost."""
    text = correlation.decode("utf-8", "surrogateescape")
    came = there_and_back(Message(b"", (("correlation-id", text), ("reply-to", topic), ("correlation-id", "second"))))
    assert list(came.get_all("correlation-id")) == [text, "second"]
    assert list(came.get_all("reply-to")) == [topic]


def test_ordinary_metadata_are_what_other_clients_expect() -> None:
    """Content type, expiry, response topic, correlation data and user properties, by the standard's numbers."""
    message = Message(
        b"", (("ttl", "30"), ("reply-to", "r"), ("correlation-id", "c"), ("tenant", "a"), ("tenant", "b")), "text/plain"
    )
    assert encode(message, 1).properties[1:] == (
        b"\x03\x00\x0atext/plain"
        b"\x02\x00\x00\x00\x1e"
        b"\x08\x00\x01r"
        b"\x09\x00\x01c"
        b"\x26\x00\x06tenant\x00\x01a"
        b"\x26\x00\x06tenant\x00\x01b"
    )


def test_quality_of_service_and_retain_are_bits_not_properties() -> None:
    """`mqtt.qos`, `mqtt.retain`; `mqtt.retained` is only told, so that passing a message on keeps nothing."""
    out = encode(Message(b"x", ((mqtt.QOS, "2"), (mqtt.RETAIN, "true"), (mqtt.RETAINED, "true"))), 1)
    assert (out.qos, out.retain, out.properties) == (2, True, b"\x00")
    packet = publish(b"t", 1, out.qos, retain=out.retain, properties=out.properties, body=b"x")
    came = decode(read_publish(packet[0], packet[2:], properties=True), CHANNEL)
    assert came.metadata == ((mqtt.QOS, "2"), (mqtt.RETAINED, "true"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mqtt.qos", "3"),
        ("mqtt.retain", "yes"),
        ("mqtt.payload_format", "2"),
        ("ttl", "soon"),
        ("ttl", "-1"),
        ("ttl", "nan"),
        ("ttl", "inf"),
        ("ttl", "4294967296"),
        ("mqtt.quos", "1"),
        ("long", "x" * 65_536),
        ("half", "\ud800"),
    ],
)
def test_what_cannot_be_carried_is_refused(name: str, value: str) -> None:
    """Nothing is dropped silently."""
    with pytest.raises(UnsupportedFormat):
        encode(Message(b"", ((name, value),)), 1)


def test_a_wrong_name_of_ours_is_answered_with_the_nearest() -> None:
    """`mqtt.quos`."""
    with pytest.raises(UnsupportedFormat, match=r"did you mean 'mqtt.qos'"):
        encode(Message(b"", (("mqtt.quos", "1"),)), 1)


def test_a_fraction_of_a_second_is_rounded_up() -> None:
    """MQTT counts whole seconds: a message does not expire too early."""
    assert encode(Message(b"", (("ttl", "0.2"),)), 1).properties == b"\x05\x02\x00\x00\x00\x01"


def test_a_foreign_user_property_cannot_pose_as_one_of_ours() -> None:
    """A property `mqtt.retain` arrives under another name, and goes back as it came."""
    block = b"\x26\x00\x0bmqtt.retain\x00\x04true"
    came = decode(Publish(b"t", 0, 0, False, block, b""), CHANNEL)
    assert came.metadata == ((mqtt.QOS, "0"), (mqtt.USER_PROPERTY + "mqtt.retain", "true"))
    out = encode(Message(b"", came.metadata[1:]), 0)
    assert (out.retain, out.properties[1:]) == (False, block)


@given(block=st.binary(max_size=60))
def test_any_property_block_is_read_without_an_error(block: bytes) -> None:
    """Whatever a broker lets through, the body arrives."""
    assert decode(Publish(b"t", 1, 1, False, block, b"body"), CHANNEL).data == b"body"


@given(first=st.integers(0x30, 0x3F), rest=st.binary(max_size=40), v5=st.booleans())
def test_any_packet_is_read_or_malformed(first: int, rest: bytes, v5: bool) -> None:
    """No other error leaves the parser."""
    try:
        read_publish(first, rest, properties=v5)
    except Malformed:
        return


@given(value=st.integers(0, LARGEST))
def test_lengths_survive(value: int) -> None:
    """And one that has not come whole is waited for."""
    coded = length_bytes(value)
    assert read_length(coded, 0) == (value, len(coded))
    assert read_length(coded[:-1], 0) == (-1, 0)


def test_a_length_of_five_bytes_is_malformed() -> None:
    """The standard allows four."""
    with pytest.raises(Malformed):
        read_length(b"\xff\xff\xff\xff\x01", 0)


def test_without_properties_metadata_are_refused_or_travel_in_front_of_the_body() -> None:
    """MQTT 3.1.1."""
    message = Message(b"body", (("tenant", "a"),), "text/plain")
    with pytest.raises(UnsupportedFormat, match="envelope"):
        encode_plain(message, 1, envelope=False)
    assert encode_plain(Message(b"body", ((mqtt.QOS, "2"),)), 1, envelope=False)[0] == 2
    out = encode_plain(message, 1, envelope=True)
    came = decode(Publish(b"t", 1, 1, False, out.properties, out.body), CHANNEL, envelope=True)
    assert (came.data, came.metadata[1:], came.content_type) == (b"body", message.metadata, "text/plain")


@given(body=st.binary(max_size=20))
def test_a_body_that_begins_like_an_envelope_survives(body: bytes) -> None:
    """It is put into one; a foreign one that is none stays as it is."""
    data = b"\x00dragoman\x01" + body
    out = encode_plain(Message(data), 1, envelope=True)
    assert decode(Publish(b"t", 1, 1, False, b"", out.body), CHANNEL, envelope=True).data == data
    assert decode(Publish(b"t", 1, 1, False, b"", data), CHANNEL).data == data
