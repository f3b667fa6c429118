"""Messages and channels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.message import Channel, Message, as_metadata

_TEXT = st.text(max_size=20)
_NAMES = st.sampled_from(["key", "a", "b", "content-type"]) | st.text(min_size=1, max_size=8)
_PAIRS = st.lists(st.tuples(_NAMES, _TEXT), max_size=8)
_CHANNELS = st.builds(
    Channel,
    st.text(min_size=1, max_size=20)
    | st.builds("{}:{}".format, st.sampled_from(["queue", "topic", "other"]), st.text(max_size=5)),
    st.sampled_from(["queue", "topic"]),
)


@given(_CHANNELS)
def test_a_channel_reads_back_what_it_writes(channel: Channel) -> None:
    """Any name, also one that itself begins like a kind."""
    assert Channel.parse(str(channel)) == channel


@given(_TEXT)
def test_any_text_is_a_channel_or_is_refused(text: str) -> None:
    """Only a name that is empty is refused; a colon after anything but a kind belongs to the name."""
    if text in ("", "queue:", "topic:"):
        with pytest.raises(ValueError, match="a channel needs a name"):
            Channel.parse(text)
    else:
        channel = Channel.parse(text)
        assert text in (channel.name, f"{channel.kind}:{channel.name}")


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("orders", Channel("orders")),
        ("queue:orders", Channel("orders")),
        ("topic:orders", Channel("orders", "topic")),
        ("a:b", Channel("a:b")),
        ("topic:a:b", Channel("a:b", "topic")),
        ("queue:topic:a", Channel("topic:a")),
        ("Topic:a", Channel("Topic:a")),
    ],
)
def test_channels_as_people_write_them(text: str, channel: Channel) -> None:
    """A queue unless it says otherwise."""
    assert Channel.parse(text) == channel


@given(_PAIRS)
def test_metadata_keeps_order_and_repetitions(pairs: list[tuple[str, str]]) -> None:
    """What goes in comes out."""
    metadata = as_metadata(pairs)
    assert list(metadata) == pairs
    message = Message(metadata=metadata)
    for name, _ in pairs:
        assert list(message.get_all(name)) == [value for other, value in pairs if other == name]
        assert message.get(name) == next(message.get_all(name))


@given(st.dictionaries(_NAMES, _TEXT, max_size=5))
def test_metadata_from_a_mapping(pairs: dict[str, str]) -> None:
    """In the mapping's order."""
    assert as_metadata(pairs) == tuple(pairs.items())


@given(_PAIRS, st.text(max_size=8) | st.none())
def test_setting_a_name_sets_it_once_and_leaves_the_others(pairs: list[tuple[str, str]], value: str | None) -> None:
    """A repeated name becomes a single one, or none."""
    changed = Message(metadata=as_metadata(pairs)).with_metadata(content_type=value)
    assert list(changed.get_all("content-type")) == ([] if value is None else [value])
    others = [pair for pair in pairs if pair[0] != "content-type"]
    assert [pair for pair in changed.metadata if pair[0] != "content-type"] == others


@given(st.text(max_size=20) | st.binary(max_size=20), st.text(max_size=5) | st.none(), _PAIRS)
def test_a_message_of_what_users_have(data: str | bytes, key: str | None, pairs: list[tuple[str, str]]) -> None:
    """Text is UTF-8, bytes are themselves, and the key is there once."""
    message = Message.of(data, key=key, metadata=pairs)
    assert message.data == (data.encode() if isinstance(data, str) else data)
    if key is not None:
        assert list(message.get_all("key")) == [key]
        assert message.key == key
    else:
        assert message.metadata == tuple(pairs)


def test_a_message_does_not_change() -> None:
    """It is shared by everything that handles it."""
    message = Message.of("x")
    with pytest.raises(AttributeError):
        message.data = b"y"  # type: ignore[misc]
    assert message.with_metadata(a="1") is not message
    assert message.metadata == ()


def test_the_id_is_portable() -> None:
    """`message-id`, whatever the broker calls it."""
    assert Message.of("x", metadata={"message-id": "7"}).id == "7"
    assert Message.of("x").id is None
