"""A message comes out of the log as it went in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dragoman.embedded import records
from dragoman.message import Channel, FormatSpec, Message

# Every text that Python can hold: what is no UTF-8 on a broker arrives as lone surrogates (PEP 383).
TEXT = st.text(st.characters(codec=None, exclude_categories=())) | st.binary().map(
    lambda data: data.decode("utf-8", "surrogateescape")
)
NAMES = st.sampled_from(["key", "a", ""]) | TEXT
MESSAGES = st.builds(
    Message,
    data=st.binary(),
    metadata=st.lists(st.tuples(NAMES, TEXT)).map(tuple),
    content_type=st.none() | TEXT,
    format=st.sampled_from(FormatSpec),
    channel=st.just(Channel("c")),
)


@given(MESSAGES)
def test_a_message_survives_the_round_trip(message: Message) -> None:
    """Any bytes, any text, repeated names, every format."""
    key, *columns = records.pack(message)
    assert records.unpack(*columns, Channel("c")) == message
    assert (None if key is None else records.decode(key)) == message.key


@given(st.lists(st.tuples(TEXT, st.text("\0\1ab")), min_size=1).map(tuple))
def test_metadata_may_hold_the_separator_and_the_escape(metadata: tuple[tuple[str, str], ...]) -> None:
    """The characters that the encoding itself uses."""
    assert records.unpack_metadata(records.pack_metadata(metadata)) == metadata


def test_every_format_has_a_number_that_never_changes() -> None:
    """The numbers are in users' files."""
    assert [str(spec) for spec in records.FORMATS] == ["raw", "cloudevents", "http", "amqp", "mqtt", "kafka"]
    assert set(records.FORMATS) == set(FormatSpec)
