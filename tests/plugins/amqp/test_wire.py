"""The layer below aiormq and pamqp: frames of our own are theirs, and what we lean on in aiormq is still so."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any, cast

import aiormq.connection
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import body as bodies
from pamqp import commands, frame, header

from dragoman.errors import BrokerError, ChannelNotFound, ConnectionLost
from dragoman.message import Channel as OurChannel
from dragoman_amqp import channels, properties
from dragoman_amqp.adapter import AmqpAdapter, connect
from dragoman_amqp.channels import Channel, Listener
from dragoman_amqp.settings import AmqpSettings
from dragoman_amqp.wire import Wire
from tests.plugins.amqp.conftest import GROUP
from tests.servers import RabbitMQ

CHUNKS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


class _Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.aborted

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True


class _Heard(Listener):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.deliveries: list[tuple[int, bool, bytes, bytes, bytes]] = []
        self.confirmations: list[tuple[int, bool, bool]] = []
        self.returns: list[tuple[BrokerError, bytes]] = []
        self.errors: list[BrokerError] = []

    def delivered(self, tag: int, key: bytes, properties: bytes, body: bytes, *, redelivered: bool) -> None:
        self.deliveries.append((tag, redelivered, key, properties, body))

    def confirmed(self, tag: int, *, multiple: bool, taken: bool) -> None:
        self.confirmations.append((tag, multiple, taken))

    def returned(self, refusal: BrokerError, properties: bytes, body: bytes) -> None:
        self.returns.append((refusal, body))

    def ended(self, error: BrokerError) -> None:
        self.errors.append(error)


class _Tuned:
    """An aiormq connection, as far as the wire looks at it."""

    connection_tune = commands.Connection.Tune(channel_max=2047, frame_max=4096, heartbeat=10)


def _open_wire() -> tuple[Wire, _Transport]:
    wire, transport = Wire("amqp://test"), _Transport()
    wire.connection_made(transport)
    wire.opened(cast("aiormq.connection.Connection", _Tuned()))
    return wire, transport


def _content(method: Any, props: bytes, body: bytes, number: int, piece: int) -> bytes:
    head = header.ContentHeader(0, len(body), commands.Basic.Properties())
    raw = frame.marshal(head, number)[7:-1][:12] + props
    data = (
        frame.marshal(method, number) + b"\2" + number.to_bytes(2, "big") + len(raw).to_bytes(4, "big") + raw + b"\xce"
    )
    for at in range(0, len(body), piece):
        data += frame.marshal(bodies.ContentBody(body[at : at + piece]), number)
    return data


@given(CHUNKS, st.binary(max_size=200), st.integers(1, 90))
def test_frames_arrive_whole_however_the_stream_is_cut(chunks: list[int], body: bytes, piece: int) -> None:
    """Deliveries, confirmations and returns come out the same, whatever pieces the socket gives."""

    async def check() -> None:
        wire, _ = _open_wire()
        heard = _Heard()
        channel = Channel(wire, heard, "here", 1.0)
        props = properties.encode({"message-id": "m"})
        deliver = commands.Basic.Deliver("tag", 7, True, "exchange", "the.key")
        stream = (
            _content(deliver, props, body, channel.number, piece)
            + frame.marshal(commands.Basic.Ack(9, multiple=True), channel.number)
            + frame.marshal(commands.Basic.Nack(10), channel.number)
            + _content(commands.Basic.Return(312, "NO_ROUTE", "", "k"), props, body, channel.number, piece)
        )
        at, turn = 0, 0
        while at < len(stream):
            size = chunks[turn % len(chunks)]
            wire.data_received(stream[at : at + size])
            at, turn = at + size, turn + 1
        assert heard.deliveries == [(7, True, b"the.key", props, body)]
        assert heard.confirmations == [(9, True, True), (10, False, False)]
        [(refusal, returned)] = heard.returns
        assert isinstance(refusal, ChannelNotFound)
        assert returned == body
        assert heard.errors == []

    asyncio.run(check())


async def test_what_we_write_is_what_pamqp_would_write() -> None:
    """The frames of publishing and acknowledging, byte by byte."""
    wire, transport = _open_wire()
    channel = Channel(wire, Listener(), "here", 1.0)
    route = channel.route("exchange", "key", mandatory=True)
    assert route == frame.marshal(commands.Basic.Publish(0, "exchange", "key", mandatory=True), channel.number)
    props = commands.Basic.Properties(content_type="text/plain", delivery_mode=2, message_id="m")
    body = b"x" * 10_000  # three frames of the 4096 bytes that were agreed upon
    ours = properties.encode({"content-type": "text/plain", "delivery-mode": 2, "message-id": "m"})
    channel.publish(route, ours, body)
    channel.acknowledge(3, multiple=True)
    channel.negative(4, requeue=True)
    wire.flush()
    pieces = [bodies.ContentBody(body[at : at + 4088]) for at in range(0, len(body), 4088)]
    expected = [
        commands.Basic.Publish(0, "exchange", "key", mandatory=True),
        header.ContentHeader(0, len(body), props),
        *pieces,
        commands.Basic.Ack(3, multiple=True),
        commands.Basic.Nack(4, requeue=True),
    ]
    assert bytes(transport.written) == b"".join(frame.marshal(each, channel.number) for each in expected)


async def test_all_of_a_turn_goes_out_in_one_write() -> None:
    """A thousand messages of one turn of the loop are one `write`."""
    wire, transport = _open_wire()
    channel = Channel(wire, Listener(), "here", 1.0)
    writes: list[int] = []
    transport.write = lambda data: writes.append(len(data))  # type: ignore[method-assign]
    for _ in range(1000):
        channel.publish(channel.route("", "q", mandatory=True), b"\0\0", b"body")
    await asyncio.sleep(0)
    assert len(writes) == 1


@pytest.mark.parametrize(
    "data", [b"\1\0\1\xff\xff\xff\xff" + bytes(20), b"\1\0\1\0\0\0\4\0\0\0\0!", b"\1\0\1\0\0\0\4\0\7\0\7\xce"]
)
async def test_what_is_no_amqp_ends_the_connection(data: bytes) -> None:
    """A frame too long, one without its end, and one with a method that does not exist."""
    wire, transport = _open_wire()
    heard = _Heard()
    Channel(wire, heard, "here", 1.0)
    wire.data_received(data)
    assert transport.aborted
    assert isinstance(heard.errors[0], ConnectionLost)


async def test_the_brokers_alarm_is_remembered_until_it_is_over() -> None:
    """`Connection.Blocked` says why publishing waits."""
    wire, _ = _open_wire()
    wire.data_received(frame.marshal(commands.Connection.Blocked("low on memory"), 0))
    assert wire.blocked == "low on memory"
    wire.data_received(frame.marshal(commands.Connection.Unblocked(), 0))
    assert wire.blocked is None


async def test_a_broker_that_goes_is_a_lost_connection_with_its_reason() -> None:
    """`Connection.Close` after the handshake is ours to report, and is answered."""
    wire, transport = _open_wire()
    heard = _Heard()
    Channel(wire, heard, "here", 1.0)
    wire.data_received(frame.marshal(commands.Connection.Close(320, "CONNECTION_FORCED - bye", 0, 0), 0))
    assert isinstance(heard.errors[0], ConnectionLost)
    assert "bye" in str(heard.errors[0])
    assert bytes(transport.written) == frame.marshal(commands.Connection.CloseOk(), 0)


async def test_a_cancelled_call_leaves_its_answer_to_nobody() -> None:
    """Answers come in the order of the calls, also when one of them was given up."""
    wire, _ = _open_wire()
    channel = Channel(wire, Listener(), "here", 1.0)
    first = asyncio.ensure_future(channel.call(commands.Basic.Qos(prefetch_count=1)))
    second = asyncio.ensure_future(channel.call(commands.Confirm.Select()))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    wire.data_received(frame.marshal(commands.Basic.QosOk(), channel.number))
    wire.data_received(frame.marshal(commands.Confirm.SelectOk(), channel.number))
    assert isinstance(await second, commands.Confirm.SelectOk)


async def test_a_number_is_free_again_only_when_the_broker_has_closed_the_channel() -> None:
    """Or its last frames would reach the next channel."""
    wire, _ = _open_wire()
    first = Channel(wire, Listener(), "here", 1.0)
    first.abandon()
    assert Channel(wire, Listener(), "here", 1.0).number != first.number
    assert first.number in wire._channels
    wire.data_received(frame.marshal(commands.Channel.CloseOk(), first.number))
    assert first.number not in wire._channels


# What we lean on in aiormq; a release for which one of these fails needs another wire.py.


def test_aiormq_takes_a_transport_of_ours() -> None:
    """`Connection(transport_factory=…)` and `TransportFactory.create(url, **kwargs)`."""
    assert "transport_factory" in inspect.signature(aiormq.connection.Connection.__init__).parameters
    assert list(inspect.signature(aiormq.connection.TransportFactory.create).parameters) == ["self", "url", "kwargs"]


async def test_aiormq_sees_that_the_connection_lives(adapter: AmqpAdapter, channel: OurChannel) -> None:
    """It sees none of our frames, and would end a busy connection as stuck if we did not tell it of life."""
    theirs: Any = adapter._connection._theirs
    theirs._Connection__last_frame_time = 0.0
    adapter._wire._fed = 0.0
    async with adapter.subscribe(channel, GROUP):
        pass
    await asyncio.sleep(0)  # aiormq's reader takes its turn
    async with asyncio.timeout(5):
        while not theirs._Connection__last_frame_time:  # noqa: ASYNC110 - aiormq has no event
            await asyncio.sleep(0.01)
    assert not theirs.is_connection_was_stuck


async def test_aiormq_leaves_nothing_behind(rabbitmq: RabbitMQ) -> None:
    """After close none of its tasks runs, nor after a connection was lost."""
    before = asyncio.all_tasks()
    adapter = await connect(AmqpSettings(url=rabbitmq.url))
    await adapter.close()
    assert asyncio.all_tasks() == before
    adapter = await connect(AmqpSettings(url=rabbitmq.url))
    await asyncio.to_thread(rabbitmq.cut)
    async with asyncio.timeout(5):
        while asyncio.all_tasks() != before:  # noqa: ASYNC110 - tasks have no event
            await asyncio.sleep(0.01)
    await adapter.close()
    assert asyncio.all_tasks() == before


async def test_a_silent_broker_is_noticed(rabbitmq: RabbitMQ) -> None:
    """No sign of life for three heartbeats ends the connection: aiormq tells us by closing the socket."""
    adapter = await connect(AmqpSettings(url=rabbitmq.url, heartbeat=1))
    await asyncio.to_thread(rabbitmq.stall)
    async with asyncio.timeout(20):
        await adapter._wire.gone
    with pytest.raises(ConnectionLost):
        await channels.Channel.open(adapter._wire, Listener(), where="here", timeout=1.0)
    await adapter.close()
