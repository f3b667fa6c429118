"""What a dead letter says, how it is known, and which ones are meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.dead_letters.letter import REPLAY_OF, REPLAYS, Letter, bare
from dragoman.dead_letters.selection import Selection
from dragoman.host.dead_letters import STORY
from dragoman.message import FormatSpec, Message
from tests.dead_letters.letters import failed

NAMES = st.text(min_size=1, max_size=20).filter(
    lambda name: name not in STORY | {REPLAYS, REPLAY_OF} and name != "delivery-count"
)
MESSAGES = st.builds(
    Message,
    st.binary(max_size=100),
    st.lists(st.tuples(NAMES, st.text(max_size=20)), max_size=5).map(tuple),
    st.none() | st.text(max_size=20),
    st.sampled_from(FormatSpec),
)


@given(MESSAGES)
def test_a_dead_letter_is_the_message_that_it_was(message: Message) -> None:
    """Also when it fails, is sent back and fails again: only the number of its replays is new."""
    first = Letter.of(failed(message))
    copy = first.original()
    assert bare(copy) == message
    assert (copy.get(REPLAYS), copy.get(REPLAY_OF)) == ("1", first.id)
    second = Letter.of(failed(copy))
    assert (second.replays, bare(second.original())) == (1, message)
    assert second.original().get(REPLAYS) == "2"
    assert len({first.id, second.id}) == 2


@given(MESSAGES)
def test_any_message_may_lie_there(message: Message) -> None:
    """One that no host wrote is known by what it says, and nothing more is known of it."""
    letter = Letter.of(message)
    assert (letter.unique, letter.handler, letter.channel, letter.last, letter.replays) == (False, None, None, None, 0)
    assert Letter.of(message.with_metadata(delivery_count="2", ttl="5")).id == letter.id
    assert Letter.of(message.with_metadata(one_more="1")).id != letter.id


def test_what_the_story_says_wrongly_is_left_out() -> None:
    """Anybody can write such names; none of them is an error."""
    letter = Letter.of(
        Message(
            b"",
            (
                ("dragoman-attempts", "many"),
                ("dragoman-last-time", "yesterday"),
                ("dragoman-first-time", "2026-01-01T00:00:00"),
                ("dragoman-replays", "-1"),
                ("dragoman-channel", ""),
            ),
        )
    )
    assert (letter.attempts, letter.last, letter.replays, letter.channel) == (None, None, 0, None)
    assert letter.first == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_letter_is_called_by_its_id_the_beginning_of_it_or_the_message_s() -> None:
    """Six characters at least: fewer may be those of another one."""
    letter = Letter.of(failed(Message.of("x", metadata={"message-id": "m1"})))
    assert letter.called(letter.id)
    assert letter.called(letter.short.upper())
    assert letter.called("m1")
    assert not letter.called(letter.id[:5])
    assert not letter.called("m")


@pytest.mark.parametrize(
    ("selection", "meant"),
    [
        (Selection(), True),
        (Selection(handlers=["billing"]), True),
        (Selection(handlers=["shipping", "billing"]), True),
        (Selection(handlers=["bill*"]), False),
        (Selection(channels=["orders.eu"]), True),
        (Selection(channels=["topic:orders.eu"]), False),
        (Selection(channels=["queue:orders.*"]), True),
        (Selection(channels=["orders.e?"]), False),
        (Selection(channels=["orders.[a-f]u"]), False),
        (Selection(reason="KEYERROR"), True),
        (Selection(reason="key*coffee"), True),
        (Selection(reason="key.*coffee"), False),
        (Selection(reason="tea"), False),
        (Selection(since=datetime(2026, 1, 2, tzinfo=UTC)), True),
        (Selection(until=datetime(2026, 1, 2, tzinfo=UTC)), False),
        (Selection(since=datetime(2026, 1, 2, tzinfo=UTC) + timedelta(microseconds=1)), False),
        (Selection(handlers=["billing"], reason="tea"), False),
    ],
)
def test_filters_say_which_are_meant(selection: Selection, meant: bool) -> None:
    """All of them have to agree; a dead letter that says nothing is meant by none of them."""
    last = datetime(2026, 1, 2, tzinfo=UTC)
    letter = Letter.of(failed(Message(b"x"), channel="orders.eu", reason="KeyError: 'coffee'", last=last))
    assert (letter in selection) is meant
    assert (Letter.of(Message(b"x")) in selection) is (not selection)
