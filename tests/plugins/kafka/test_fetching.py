"""The layer under aiokafka's `getmany`: what we hold on to is still there in this release of it."""

import aiokafka.consumer.fetcher as theirs
import pytest

from dragoman.adapter import SubscribeOptions
from dragoman.message import Channel, Message
from dragoman_kafka.adapter import KafkaAdapter
from tests.plugins.kafka.receiving import take


async def test_records_are_given_as_they_were_parsed(
    adapter: KafkaAdapter, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No `ConsumerRecord` is made, and everything that a message needs is in what aiokafka parsed."""

    def refuse(*_: object) -> None:
        raise AssertionError("aiokafka made a `ConsumerRecord`")

    sent = Message(b"body", (("key", "k"), ("time", "2020-01-02T03:04:05.678Z"), ("a", "1"), ("a", "2")), "text/plain")
    await adapter.publish(channel, [sent] * 3)
    monkeypatch.setattr(theirs, "ConsumerRecord", refuse)
    async with adapter.subscribe(channel, SubscribeOptions(group="g")) as subscription:
        got = await take(subscription, 3)
    assert [delivery.token[1] for delivery in got] == [0, 1, 2]
    for offset, delivery in enumerate(got):
        message = delivery.message
        assert (message.data, message.content_type, message.key) == (b"body", "text/plain", "k")
        assert sorted(message.metadata)[:2] == [("a", "1"), ("a", "2")]
        assert (message.get("time"), message.get("kafka.offset")) == ("2020-01-02T03:04:05.678Z", str(offset))
