"""The format `cloudevents`: events as messages and back, in our names and in those of other programs."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman.formats.cloudevents import NAME, STRUCTURED, event_of, to_message
from dragoman.message import FormatSpec, Message

TEXT = st.text(max_size=8)
REQUIRED = st.fixed_dictionaries(dict.fromkeys(("specversion", "id", "source", "type"), TEXT))
OTHERS = st.dictionaries(st.from_regex(NAME, fullmatch=True), TEXT, max_size=4)
REST = st.lists(st.tuples(st.from_regex(r"x-[a-z]+", fullmatch=True), TEXT), max_size=3)
EVENT = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "order.made"}


@given(REQUIRED, OTHERS, st.binary(max_size=16), REST)
def test_an_event_survives(
    required: dict[str, str], others: dict[str, str], data: bytes, rest: list[tuple[str, str]]
) -> None:
    """Its attributes, whatever they are, its body, and what else its message has."""
    attributes = {**others, **required}
    message = to_message(tuple(attributes.items()), data, tuple(rest))
    assert message.format is FormatSpec.CLOUDEVENTS
    assert event_of(message) == (attributes, data, tuple(rest))


def test_portable_names_stand_beside() -> None:
    """A broker knows the id, the time and the key by its own names."""
    message = to_message((*EVENT.items(), ("time", "2026-01-02T03:04:05Z"), ("partitionkey", "k")), b"")
    assert (message.id, message.key, message.get("time")) == ("7", "k", "2026-01-02T03:04:05Z")


@pytest.mark.parametrize("prefix", ["ce_", "ce-", "cloudEvents:", "cloudEvents_"])
def test_the_binary_mode_of_other_programs(prefix: str) -> None:
    """As Kafka, HTTP, NATS and AMQP have it."""
    metadata = tuple((prefix + name, value) for name, value in EVENT.items())
    found = event_of(Message(b"x", (*metadata, ("a", "1")), "text/plain"))
    assert found == ({**EVENT, "datacontenttype": "text/plain"}, b"x", (("a", "1"),))


@pytest.mark.parametrize(
    ("given", "data", "content_type"),
    [
        ({"data": {"a": [1, "é"]}}, '{"a":[1,"é"]}'.encode(), "application/json"),
        ({"data": "text"}, b'"text"', "application/json"),
        ({"data": "text", "datacontenttype": "text/plain"}, b"text", "text/plain"),
        ({"data": "text", "datacontenttype": "application/x+json; charset=utf-8"}, b'"text"', None),
        ({"data_base64": base64.b64encode(b"\xff").decode()}, b"\xff", None),
        ({}, b"", None),
        ({"data": None}, b"", None),
    ],
)
def test_the_structured_mode(given: dict[str, object], data: bytes, content_type: str | None) -> None:
    """An event that is JSON as a whole, whatever its body is."""
    body = json.dumps({**EVENT, **given, "number": 3, "flag": True, "nothing": None}).encode()
    found = event_of(Message(body, (), f"{STRUCTURED}; charset=utf-8"))
    assert found is not None
    attributes, body, rest = found
    assert (body, rest) == (data, ())
    assert attributes.items() >= {**EVENT, "number": "3", "flag": "true"}.items()
    if content_type is not None:
        assert attributes["datacontenttype"] == content_type


@pytest.mark.parametrize(
    "message",
    [
        Message(b"x"),
        Message(b"x", (("cloudevents.id", "7"), ("id", "8"))),
        Message(b"{", (), STRUCTURED),
        Message(b"[]", (), STRUCTURED),
        Message(json.dumps({**EVENT, "id": 7}).encode(), (), STRUCTURED),
        Message(json.dumps({**EVENT, "data_base64": "?"}).encode(), (), STRUCTURED),
        Message(json.dumps({**EVENT, "data_base64": 7}).encode(), (), STRUCTURED),
        Message(b"\xff\xfe", (), STRUCTURED),
        Message(b"[" * 100_000, (), STRUCTURED),
    ],
)
def test_what_is_no_event(message: Message) -> None:
    """Is none, and no error: it was sent by anybody."""
    assert event_of(message) is None
