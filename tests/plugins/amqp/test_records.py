"""Messages survive the way to AMQP's bytes and back, ours and foreign ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, header

from dragoman.errors import UnsupportedFormat
from dragoman.formats import amqp
from dragoman.message import Channel, FormatSpec, Message
from dragoman_amqp import properties
from dragoman_amqp.properties import Field
from dragoman_amqp.records import to_message, to_properties

CHANNEL = Channel("orders")

#: Any bytes that a broker may hold, as metadata holds them.
escaped = st.binary(max_size=40).map(lambda data: data.decode("utf-8", "surrogateescape"))
values = st.one_of(st.text(st.characters(exclude_categories=["Cs"]), max_size=300), escaped)
names = st.one_of(
    st.sampled_from(
        ["a", "b", "key", "message-id", "correlation-id", "reply-to", "priority", "delivery-count", "cloudEvents:id"]
    ),
    st.sampled_from([amqp.TYPE, amqp.APP_ID, amqp.USER_ID, amqp.CONTENT_ENCODING, amqp.SUBJECT, "amqp.group-id"]),
    escaped.filter(lambda name: not name.startswith("amqp.") and name not in ("time", "ttl", "content-type")),
).filter(lambda name: name not in ("x-delivery-count", "x-acquired-count"))
metadata = st.lists(st.tuples(names, values), max_size=8).map(tuple)


def there_and_back(message: Message, user: str | None = None) -> Message:
    """Written and read again."""
    return to_message(to_properties(message, user), message.data, CHANNEL)[0]


def by_name(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each name, in their order."""
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name, []).append(value)
    return found


@given(st.binary(max_size=100), metadata, st.none() | values)
def test_what_is_sent_is_what_arrives(
    data: bytes, pairs: tuple[tuple[str, str], ...], content_type: str | None
) -> None:
    """Any body, any values in the order within their name, any bytes: all of it comes back, and nothing else."""
    back = there_and_back(Message(data, pairs, content_type))
    assert (back.data, by_name(back.metadata), back.content_type) == (data, by_name(pairs), content_type)
    assert (back.format, back.channel) == (FormatSpec.AMQP, CHANNEL)


@given(metadata, st.none() | values)
def test_a_message_that_is_passed_on_stays_the_same(
    pairs: tuple[tuple[str, str], ...], content_type: str | None
) -> None:
    """What was delivered is written again as the same bytes."""
    once = to_properties(Message(b"", pairs, content_type))
    again = to_properties(to_message(once, b"", CHANNEL)[0])
    assert properties.decode(again) == properties.decode(to_properties(to_message(again, b"", CHANNEL)[0]))
    assert to_message(again, b"", CHANNEL) == to_message(once, b"", CHANNEL)


_leaves = st.one_of(
    st.builds(lambda data: ("S", data), st.binary(max_size=20)),
    st.builds(lambda data: ("x", data), st.binary(max_size=20)),
    st.builds(lambda number: ("I", number), st.integers(-(2**31), 2**31 - 1)),
    st.builds(lambda number: ("l", number), st.integers(-(2**63), 2**63 - 1)),
    st.builds(lambda number: ("b", number), st.integers(-128, 127)),
    st.builds(lambda number: ("T", number), st.integers(0, 2**40)),
    st.builds(lambda number: ("d", number), st.floats(allow_nan=False)),
    st.builds(lambda flag: ("t", flag), st.booleans()),
    st.just(("V", None)),
)


def _field(name: str, typed: tuple[str, Any]) -> Field:
    return Field(name, *typed)


foreign = st.lists(
    st.builds(
        _field,
        st.text("abcxyz", min_size=1, max_size=5),
        st.recursive(
            _leaves,
            lambda inner: st.one_of(
                st.builds(lambda found: ("A", [_field("", each) for each in found]), st.lists(inner, max_size=3)),
                st.builds(
                    lambda found: ("F", [_field(name, each) for name, each in found.items()]),
                    st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
                ),
            ),
            max_leaves=5,
        ),
    ),
    max_size=4,
    unique_by=lambda field: field.name,
)


@given(foreign)
def test_foreign_headers_of_any_type_become_text(fields: list[Field]) -> None:
    """Numbers, flags, times, arrays and tables of others are read, and every header gives some metadata."""
    message, _ = to_message(properties.encode({"headers": fields}), b"", CHANNEL)
    assert {field.name for field in fields} <= set(by_name(message.metadata))


@given(foreign.map(lambda fields: [field for field in fields if field.kind not in "AF"]))
def test_foreign_headers_go_back_as_what_they_were(fields: list[Field]) -> None:
    """Passed on, a number is a number again, and bytes are bytes."""
    message, _ = to_message(properties.encode({"headers": fields}), b"", CHANNEL)
    back = {field.name: field for field in properties.decode(to_properties(message)).get("headers", [])}
    for field in fields:
        kinds = {field.kind} | ({"x"} if field.kind == "S" else set())  # what is no text is a byte array
        assert back[field.name].kind in kinds
        assert back[field.name].value == field.value


@given(foreign)
def test_properties_are_read_as_they_were_written(fields: list[Field]) -> None:
    """The table codec is its own reverse."""
    assert properties.decode(properties.encode({"headers": fields}))["headers"] == fields


@given(st.binary(min_size=2, max_size=60))
def test_broken_properties_never_crash(data: bytes) -> None:
    """Whatever a producer wrote, its body arrives."""
    assert to_message(data, b"body", CHANNEL)[0].data == b"body"


def test_pamqp_reads_what_we_write() -> None:
    """Foreign consumers see ordinary properties, and a list where a name repeats."""
    pairs = (
        ("message-id", "m"),
        ("correlation-id", "c"),
        ("reply-to", "r"),
        ("priority", "7"),
        ("ttl", "1.5"),
        ("time", "2024-01-02T03:04:05Z"),
        (amqp.TYPE, "t"),
        (amqp.APP_ID, "a"),
        ("plain", "v"),
        ("twice", "1"),
        ("twice", "2"),
        ("bytes", "\udcff"),
    )
    written = to_properties(Message(b"", pairs, "text/plain"))
    theirs = header.ContentHeader()
    theirs.unmarshal(b"\0\x3c" + bytes(10) + written)
    found = theirs.properties
    assert isinstance(found, commands.Basic.Properties)
    assert (found.message_id, found.correlation_id, found.reply_to) == ("m", "c", "r")
    assert (found.priority, found.expiration, found.message_type, found.app_id) == (7, "1500", "t", "a")
    assert (found.content_type, found.delivery_mode) == ("text/plain", 2)
    assert found.timestamp is not None
    assert found.timestamp.isoformat() == "2024-01-02T03:04:05+00:00"
    assert found.headers == {"plain": "v", "twice": ["1", "2"], "bytes": b"\xff"}


def test_what_a_property_cannot_say_exactly_is_a_header_too() -> None:
    """A finer time or ttl is rounded for the broker, and kept for the reader."""
    back = there_and_back(Message(b"", (("time", "2024-01-02T03:04:05.678+02:00"), ("ttl", "0.0015"))))
    assert list(back.get_all("time")) == ["2024-01-02T03:04:05.678+02:00"]
    assert list(back.get_all("ttl")) == ["0.0015"]
    assert (back.get(amqp.CREATION_TIME), back.get(amqp.TTL)) == ("1704157445", "1")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ttl", "soon"),
        ("ttl", "-1"),
        ("ttl", "nan"),
        (amqp.TTL, "1.5"),
        (amqp.DURABLE, "yes"),
        ("x" * 256, "long name"),
    ],
)
def test_what_cannot_be_carried_is_refused(name: str, value: str) -> None:
    """A message that the broker would treat otherwise than asked is not sent."""
    with pytest.raises(UnsupportedFormat):
        to_properties(Message(b"", ((name, value),)))


def test_amqps_own_names_are_the_portable_ones() -> None:
    """`amqp.message-id` and `message-id` are the same property."""
    assert there_and_back(Message(b"", ((amqp.MESSAGE_ID, "m"), (amqp.PRIORITY, "3")))).metadata == (
        ("message-id", "m"),
        ("priority", "3"),
    )


def test_the_user_id_of_somebody_else_is_carried_as_a_header() -> None:
    """The broker closes the channel on a message that pretends; a message that is passed on does not."""
    message = Message(b"", ((amqp.USER_ID, "ann"),))
    assert properties.decode(to_properties(message, "ann"))["user-id"] == "ann"
    assert "user-id" not in properties.decode(to_properties(message, "bob"))
    assert there_and_back(message, "bob").get(amqp.USER_ID) == "ann"


def test_headers_named_like_properties_are_told_apart() -> None:
    """A foreign header `message-id` beside the property is spelt out, and goes back as it came."""
    written = properties.encode({"message-id": "m", "headers": [Field("message-id", "S", b"other")]})
    message, _ = to_message(written, b"", CHANNEL)
    assert by_name(message.metadata) == {"message-id": ["m"], "amqp.headers.message-id": ["other"]}
    assert properties.decode(to_properties(message))["headers"] == [Field("message-id", "S", b"other")]


def test_the_brokers_counts_are_no_metadata() -> None:
    """`x-delivery-count` is how often it came before."""
    message, count = to_message(properties.encode({"headers": [Field("x-delivery-count", "l", 4)]}), b"", CHANNEL)
    assert (message.metadata, count) == ((), 4)


def test_not_persistent_is_said_and_kept() -> None:
    """Messages are persistent unless they say otherwise."""
    assert properties.decode(to_properties(Message()))["delivery-mode"] == 2
    transient = there_and_back(Message(b"", ((amqp.DURABLE, "false"),)))
    assert transient.metadata == ((amqp.DURABLE, "false"),)


def test_deaths_of_a_message_go_back_as_the_broker_wrote_them() -> None:
    """`x-death`, an array of tables, is JSON in metadata and an array of tables again when passed on."""
    death = Field("", "F", [Field("count", "l", 1), Field("queue", "S", b"orders")])
    written = properties.encode({"headers": [Field("x-death", "A", [death])]})
    message, _ = to_message(written, b"", CHANNEL)
    assert json.loads(message.get("x-death") or "") == [{"count": 1, "queue": "orders"}]
    assert properties.decode(to_properties(message))["headers"] == [Field("x-death", "A", [death])]


@given(metadata)
def test_portable_names_are_translated_both_ways(pairs: tuple[tuple[str, str], ...]) -> None:
    """To AMQP's names and back again nothing is lost."""
    plain = tuple(pair for pair in pairs if not pair[0].startswith("amqp."))
    assert amqp.to_portable(amqp.from_portable(plain)) == plain


@given(st.integers(0, amqp.LATEST_TIME), st.integers(0, 2**32 - 1))
def test_times_are_translated_both_ways(seconds: int, milliseconds: int) -> None:
    """Seconds and milliseconds survive the way to text."""
    pairs = ((amqp.CREATION_TIME, str(seconds)), (amqp.TTL, str(milliseconds)))
    assert {name for name, _ in amqp.to_portable(pairs)} == {"time", "ttl"}
    assert amqp.from_portable(amqp.to_portable(pairs)) == pairs
