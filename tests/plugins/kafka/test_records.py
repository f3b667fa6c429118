"""Records to messages and back."""

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.errors import UnsupportedFormat
from dragoman.formats import kafka
from dragoman.message import Channel, FormatSpec, Message
from dragoman_kafka.records import to_message, to_record

CHANNEL = Channel("orders")


@dataclass
class Record:
    """What aiokafka's consumer gives."""

    key: bytes | None = None
    value: bytes | None = b""
    headers: tuple[tuple[str, bytes], ...] = ()
    timestamp: int = 0
    partition: int = 3
    offset: int = 17


header_names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    ["content-type", "key", "time", "kafka.key", "kafka.partition", "kafka.offset", "kafka.headers.key", "message-id"]
)
headers = st.lists(st.tuples(header_names, st.binary(max_size=20)), max_size=6).map(tuple)
timestamps = st.integers(0, 2**62) | st.integers(0, 4_000_000_000_000)
records = st.builds(
    Record,
    key=st.none() | st.binary(max_size=20),
    value=st.none() | st.binary(max_size=100),
    headers=headers,
    timestamp=timestamps,
)


def by_name(pairs: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Headers, where only the order among those of one name means something."""
    return sorted(pairs, key=lambda pair: pair[0])


@given(records)
def test_a_record_of_any_bytes_survives_being_a_message(record: Record) -> None:
    """Key, value, headers (repeated, empty, not UTF-8, of our own names) and timestamp come back."""
    back = to_record(to_message(record, CHANNEL, 3))
    assert (back.key, back.value, back.timestamp) == (record.key, record.value, record.timestamp)
    assert by_name(back.headers) == by_name(list(record.headers))


@given(records)
def test_a_message_that_is_passed_on_may_go_to_any_partition(record: Record) -> None:
    """Where it was says nothing about where it is to go."""
    assert to_record(to_message(record, CHANNEL, 3)).partition is None


texts = st.text(max_size=20).filter(lambda text: not any("\ud800" <= char <= "\udfff" for char in text))
escaped = st.binary(max_size=20).map(lambda data: data.decode("utf-8", "surrogateescape"))
plain_names = texts.filter(lambda name: name not in ("key", "time", "content-type") and not name.startswith("kafka."))
portable = st.fixed_dictionaries({}, optional={"key": escaped, "time": escaped | texts})


@given(
    data=st.binary(max_size=100),
    plain=st.lists(st.tuples(plain_names, escaped), max_size=6),
    special=portable,
    content_type=st.none() | texts,
    timestamp=timestamps,
)
def test_a_message_survives_being_a_record(
    data: bytes, plain: list[tuple[str, str]], special: dict[str, str], content_type: str | None, timestamp: int
) -> None:
    """Whatever metadata a message has, a consumer sees it."""
    message = Message(data, (*plain, *special.items()), content_type)
    sent = to_record(message)
    stamp = timestamp if sent.timestamp is None else sent.timestamp
    got = to_message(Record(sent.key, sent.value, tuple(sent.headers), stamp), CHANNEL, 3)
    assert (got.data, got.content_type, got.format, got.channel) == (data, content_type, FormatSpec.KAFKA, CHANNEL)
    assert [pair for pair in got.metadata if pair[0] in dict(plain)] == plain
    assert {name: got.get(name) for name in special} == special


def test_a_delivery_says_where_it_was() -> None:
    """Key and time by their portable names, the place by Kafka's."""
    message = to_message(Record(key=b"k", timestamp=1_700_000_000_123), CHANNEL, 3)
    assert message.metadata == (
        ("key", "k"),
        ("time", "2023-11-14T22:13:20.123Z"),
        ("kafka.partition", "3"),
        ("kafka.offset", "17"),
    )


def test_a_tombstone_is_told_from_an_empty_body_and_back() -> None:
    """In a compacted topic the one deletes the key, the other does not."""
    tombstone = to_message(Record(key=b"k", value=None), CHANNEL, 3)
    empty = to_message(Record(key=b"k", value=b""), CHANNEL, 3)
    assert (tombstone.data, tombstone.get("kafka.tombstone")) == (b"", "true")
    assert (empty.data, empty.get("kafka.tombstone")) == (b"", None)
    assert to_record(tombstone).value is None
    assert to_record(empty).value == b""


def test_a_key_that_is_empty_is_a_key() -> None:
    """It chooses a partition; no key does not."""
    assert to_record(Message.of("", key="")).key == b""
    assert to_record(Message.of("")).key is None


def test_a_header_without_a_value_is_an_empty_one() -> None:
    """Metadata has no word for the difference."""
    record = replace(Record(), headers=(("a", None),))  # type: ignore[arg-type]
    assert to_message(record, CHANNEL, 3).get("a") == ""


def test_a_time_that_milliseconds_cannot_say_travels_as_it_is_written() -> None:
    """In a header, with the timestamp as near as it gets."""
    written = "2023-11-14T23:13:20.123456+01:00"
    record = to_record(Message(metadata=(("time", written),)))
    assert record.headers == [("time", written.encode())]
    assert record.timestamp == 1_700_000_000_123


def test_a_partition_alone_says_where_to_go() -> None:
    """Without an offset beside it, it is a wish."""
    assert to_record(Message(metadata=(("kafka.partition", "2"),))).partition == 2


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ([("key", "a"), ("key", "b")], "given twice"),
        ([("key", "a"), ("kafka.key", "b")], "given twice"),
        ([("kafka.partition", "first")], "a number from 0"),
        ([("kafka.partition", "-1")], "a number from 0"),
        ([("kafka.partition", "9" * 19)], "a number from 0"),
        ([("kafka.timestamp", "yesterday")], "a number from 0"),
        ([("kafka.tombstone", "yes")], "`true` or `false`"),
        ([("kafka.colour", "red")], "kafka.headers.NAME"),
        ([("a", "\ud800")], "no Unicode text"),
        ([("\ud800", "a")], "no Unicode text"),
    ],
)
def test_what_kafka_cannot_carry_is_refused(metadata: list[tuple[str, str]], said: str) -> None:
    """Never dropped in silence, and the message says what would be right."""
    with pytest.raises(UnsupportedFormat) as caught:
        to_record(Message(metadata=tuple(metadata)))
    assert said in str(caught.value)


def test_a_tombstone_has_no_data() -> None:
    """One of the two is a mistake."""
    with pytest.raises(UnsupportedFormat, match="with 3 bytes of data"):
        to_record(Message(b"abc", (("kafka.tombstone", "true"),)))


@given(st.integers(kafka.EARLIEST_TIME, kafka.LATEST_TIME))
def test_a_timestamp_survives_being_a_time(timestamp: int) -> None:
    """From the year 1 to the year 9999."""
    assert kafka.timestamp_of(kafka.time_of(timestamp)) == timestamp


names = st.sampled_from(["key", "time", "a", "message-id", "mqtt.qos", "kafka.partition", "kafka.tombstone"])
values = st.text(max_size=12) | st.integers(0, 2**40).map(kafka.time_of)


@given(st.lists(st.tuples(names, values), max_size=6).map(tuple))
def test_portable_metadata_survives_kafkas_names(metadata: tuple[tuple[str, str], ...]) -> None:
    """What Kafka has no name for, or can't say exactly, stays as it is, in its place."""
    assert kafka.to_portable(kafka.from_portable(metadata)) == metadata


def test_kafkas_names_have_portable_ones() -> None:
    """Key and time; the rest keeps its name."""
    metadata = (("kafka.key", "k"), ("kafka.timestamp", "1700000000123"), ("kafka.partition", "1"), ("a", "b"))
    named = (("key", "k"), ("time", "2023-11-14T22:13:20.123Z"), ("kafka.partition", "1"), ("a", "b"))
    assert kafka.to_portable(metadata) == named
    assert kafka.from_portable(named) == metadata


@pytest.mark.parametrize("value", ["soon", "9" * 30, "-" + "9" * 30])
def test_a_timestamp_that_is_no_time_stays_what_it_is(value: str) -> None:
    """Bad input is carried on, not dropped."""
    assert kafka.to_portable((("kafka.timestamp", value),)) == (("kafka.timestamp", value),)
