"""The layer under aiomqtt's public API: packets in batches, writes gathered per tick, acknowledgements when we say so.

aiomqtt opens the connection and keeps it alive. paho, under it, reads byte by byte, walks its tables for each
confirmation, and acknowledges QoS 2 before the handler. So `_Socket` takes the place of paho's reading and writing, and
handles the packets that carry messages; all others go to paho as before. `tests/plugins/mqtt/test_wire.py` notices when
a new release changes what it holds on to.

QoS 2 is received by the standard's other way: a message is handed on as it comes, and PUBREC, with which we answer for
it, is sent when it is settled. Until then the broker sends it again to the resumed session.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import deque
from contextlib import suppress
from typing import Any, Final, Protocol

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from dragoman.errors import BrokerError, ConnectionLost, Unsupported
from dragoman_mqtt.boundary import closed, ended, refusal, refused_connection
from dragoman_mqtt.packets import (
    LARGEST,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Malformed,
    Publish,
    acknowledgement,
    read_acknowledgement,
    read_length,
    read_publish,
)
from dragoman_mqtt.settings import MqttSettings, Will

_READ: Final = 65_536
_DISCONNECT: Final = 0xE0
_FAILED: Final = 0x80
#: Seconds that closing waits for the broker to have everything.
_GOODBYE: Final = 1.0


class Sink(Protocol):
    """Who is told what comes. Called from the loop: must not block or raise."""

    def came(self, packets: list[Publish]) -> None:
        """Messages, unacknowledged."""

    def confirmed(self, number: int, reason: int) -> None:
        """The broker has a message of ours, or refused it."""

    def lost(self, error: BrokerError) -> None:
        """The connection is gone, or was closed by us. Told once."""


class _Socket(paho.Client):
    """paho's client with its reading and writing replaced. Never made: `Wire` turns aiomqtt's into one."""

    dragoman: Wire
    rest: bytearray
    wanted: int
    out: list[bytes]

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 # paho's signature
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        try:
            data = self._sock_recv(_READ)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._last_bytes_received = time.monotonic()
        try:
            return self._loop_rc_handle(self._take(data))
        except Malformed:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_PROTOCOL)

    def _take(self, data: bytes) -> MQTTErrorCode:
        if self.rest:
            self.rest += data
            if len(self.rest) < self.wanted:
                return MQTTErrorCode.MQTT_ERR_SUCCESS
            data, self.rest = bytes(self.rest), bytearray()
        position, came = 0, list[Publish]()
        code = MQTTErrorCode.MQTT_ERR_SUCCESS
        while code == MQTTErrorCode.MQTT_ERR_SUCCESS and self._sock is not None:
            size, start = read_length(data, position + 1)
            if size < 0 or start + size > len(data):
                self.rest += data[position:]
                self.wanted = start + size - position
                break
            code = self._packet(data[position], data[start : start + size], came)
            position = start + size
        if came:
            self.dragoman.sink.came(came)
        return code

    def _packet(self, first: int, rest: bytes, came: list[Publish]) -> MQTTErrorCode:
        match first & 0xF0:
            case 0x30:  # PUBLISH
                came.append(read_publish(first, rest, properties=self.dragoman.v5))
            case 0x40 | 0x70:  # PUBACK, PUBCOMP
                self.dragoman.sink.confirmed(*read_acknowledgement(rest))
            case 0x50:  # PUBREC
                number, reason = read_acknowledgement(rest)
                if reason < _FAILED:
                    self.dragoman.send(acknowledgement(PUBREL, number))
                else:
                    self.dragoman.sink.confirmed(number, reason)
            case 0x60:  # PUBREL
                self.dragoman.send(acknowledgement(PUBCOMP, read_acknowledgement(rest)[0]))
            case _:
                self._in_packet.update(command=first, packet=bytearray(rest), pos=0, remaining_length=len(rest))
                return self._packet_handle()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def loop_write(self) -> MQTTErrorCode:
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        data = self.out[0] if len(self.out) == 1 else b"".join(self.out)
        self.out.clear()
        try:
            sent = self._sock_send(data) if data else 0
        except BlockingIOError:
            sent = 0
        except OSError:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._last_msg_out = time.monotonic()
        if sent < len(data):
            self.out.append(data[sent:])
            self._call_socket_register_write()
        else:
            self._call_socket_unregister_write()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _packet_queue(
        self, command: int, packet: bytes | bytearray, mid: int, qos: int, info: Any = None
    ) -> MQTTErrorCode:
        self.out.append(bytes(packet))
        if command & 0xF0 == _DISCONNECT:
            self.loop_write()
            self._do_on_disconnect(packet_from_broker=False, v1_rc=MQTTErrorCode.MQTT_ERR_SUCCESS)
            self._sock_close()
            self._state = paho._ConnectionState.MQTT_CS_DISCONNECTED  # noqa: SLF001 # as paho does after this packet
        else:
            self._call_socket_register_write()  # paho's connect runs in a thread: aiomqtt passes this on to the loop
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _check_keepalive(self) -> None:
        if self.dragoman.paused:
            # The answer to a ping waits behind what we do not read: the broker still hears from us.
            self._last_bytes_received, self._ping_t = time.monotonic(), 0
        super()._check_keepalive()

    def _send_pingreq(self) -> MQTTErrorCode:
        self.dragoman.pings.append(None)
        return super()._send_pingreq()

    def _handle_pingresp(self) -> MQTTErrorCode:
        code = super()._handle_pingresp()
        self.dragoman.answered()
        return code

    def _mid_generate(self) -> int:
        return self.dragoman.new_number()


class Wire:
    """One connection to the broker. It never reconnects.

    Attributes:
        sink: who is told what comes.
        v5: whether it speaks MQTT 5.
        numbers: packet identifiers in use; whoever adds one takes it out again.
        receive_maximum: how many unconfirmed messages the broker takes from us.
        maximum_packet: the largest packet that the broker takes, in bytes.
        resumed: whether the broker still had our session.
        paused: whether reading is paused, so that the broker waits with what it has for us.
        pings: who waits for the answers to pings, in order; None for paho's own.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        sink: Sink,
        *,
        keep: bool = False,
        prefetch: int | None = None,
        will: Will | None = None,
    ) -> None:
        """A wire that is not connected yet.

        Args:
            settings: how to connect.
            client_id: the name of the session.
            sink: see the class.
            keep: whether the broker keeps the session when we go.
            prefetch: how many unacknowledged messages it may send; None lets it decide.
            will: what the broker publishes when we are gone without a goodbye.

        Raises:
            BrokerError: a file for TLS can't be used.
        """
        self.sink, self.v5 = sink, settings.protocol == "5"
        self.numbers: set[int] = set()
        self.receive_maximum, self.maximum_packet, self.resumed = 65_535, LARGEST, False
        self._maximum_qos, self._retains = 2, True
        self.paused = False
        self.pings: deque[asyncio.Future[None] | None] = deque()
        self._where, self._timeout = settings.where, settings.connect_timeout
        self._subscribing: dict[int, asyncio.Future[int]] = {}
        self._number, self._flushing = 0, False
        self._error: BrokerError | None = None
        self._loop = asyncio.get_running_loop()
        self._client = _client(settings, client_id, keep=keep, prefetch=prefetch, will=will)
        self._socket = self._taken_over(self._client._client)  # noqa: SLF001 # aiomqtt has no other way

    def _taken_over(self, client: paho.Client) -> _Socket:
        client.__class__ = _Socket
        assert isinstance(client, _Socket)  # noqa: S101 # tells mypy
        client.dragoman, client.rest, client.wanted, client.out = self, bytearray(), 0, []
        client._connect_timeout = self._timeout  # noqa: SLF001 # aiomqtt does not pass it on
        client.on_connect, client.on_disconnect = self._connected, self._disconnected
        client.on_subscribe = self._subscribed
        return client

    async def open(self) -> None:
        """Connect. Cancelling it leaves no socket behind.

        Raises:
            ConnectionLost: the broker can't be reached within `connect_timeout`.
            AuthenticationFailed: it does not accept us.
        """
        opening = asyncio.ensure_future(self._client.__aenter__())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Its thread can't be stopped: whatever it brings is dropped.
            opening.add_done_callback(lambda done: (done.cancelled() or done.exception(), self.drop()))
            raise
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self.drop()
            raise refused_connection(error, self._where) from error

    def _connected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self.resumed = bool(flags.session_present)
        self.receive_maximum = getattr(properties, "ReceiveMaximum", 65_535)
        self.maximum_packet = min(LARGEST, getattr(properties, "MaximumPacketSize", LARGEST))
        self._maximum_qos = getattr(properties, "MaximumQoS", 2)
        self._retains = bool(getattr(properties, "RetainAvailable", 1))
        self._client._on_connect(client, data, flags, reason, properties)  # noqa: SLF001 # the callback that this one replaces

    def _disconnected(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        ours = self._client
        ours._on_disconnect(client, data, flags, reason, properties)  # noqa: SLF001 # the callback that this one replaces
        if not ours._connected.done():  # noqa: SLF001 # aiomqtt would wait for its time-out
            ours._connected.set_exception(aiomqtt.MqttError("the broker closed the connection"))  # noqa: SLF001
        elif ours._disconnected.done() and not ours._disconnected.cancelled():  # noqa: SLF001
            ours._disconnected.exception()  # noqa: SLF001 # looked at, so that asyncio does not complain
        self._end(ended(getattr(reason, "value", 0), self._where))

    def check(self) -> None:
        """See that the connection is of use.

        Raises:
            Closed: it was closed by us.
            ConnectionLost: the broker is gone.
        """
        if self._error is not None:
            raise type(self._error)(self._error.what, where=self._error.where)

    def refuse(self, qos: int, *, retain: bool, where: str) -> None:
        """Raise `Unsupported` where the broker said that it can't do that."""
        if qos > self._maximum_qos:
            raise Unsupported(f"the broker has no QoS {qos}", where=where, expected=f"at most {self._maximum_qos}")
        if retain and not self._retains:
            raise Unsupported("the broker keeps no messages for later subscribers", where=where)

    def new_number(self) -> int:
        """A packet identifier that is not in use."""
        while True:
            self._number = self._number % 65_535 + 1
            if self._number not in self.numbers:
                return self._number

    def send(self, packet: bytes) -> None:
        """Queue a packet; all of a tick are written together. Never blocks."""
        self._socket.out.append(packet)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self._socket._registered_write:  # noqa: SLF001 # the socket is full: paho's writer goes on when it is not
            self._socket.loop_write()

    def settle(self, number: int, qos: int) -> None:
        """Tell the broker that a message is done."""
        self.send(acknowledgement(PUBACK if qos == 1 else PUBREC, number))

    async def subscribe(self, topic: str, qos: int, retain_handling: int) -> None:
        """Subscribe; returns when the broker has confirmed it.

        Raises:
            PermissionDenied, ChannelNotFound, Unsupported, BrokerError: it refused.
            ConnectionLost: it is gone.
        """
        self.check()
        if self.v5:
            options = SubscribeOptions(qos=qos, retainHandling=retain_handling)
            _, number = self._socket.subscribe(topic, options=options)
        else:
            _, number = self._socket.subscribe(topic, qos)
        assert number is not None  # noqa: S101 # paho has a socket: checked above
        answer = self._subscribing[number] = self._loop.create_future()
        self.numbers.add(number)
        try:
            async with asyncio.timeout(self._timeout):
                granted = await answer
        except TimeoutError as error:
            raise ConnectionLost("the broker does not confirm the subscription", where=topic) from error
        finally:
            self.numbers.discard(number)
            self._subscribing.pop(number, None)
        if problem := refusal(granted, topic, publishing=False):
            raise problem
        if granted < qos:
            raise Unsupported(f"the broker gives messages as QoS {granted}", where=topic, expected=f"QoS {qos}")

    def _subscribed(self, _client: Any, _data: Any, number: int, reasons: Any, _properties: Any) -> None:
        answer = self._subscribing.get(number)
        if answer is not None and not answer.done():
            answer.set_result(reasons[0].value)

    async def sync(self) -> None:
        """Return when the broker has read everything that was sent: it answers in order.

        Raises:
            Closed, ConnectionLost: it will not.
        """
        self.check()
        answer = self._loop.create_future()
        self.pings.append(answer)
        self.send(b"\xc0\x00")
        await answer

    def answered(self) -> None:
        """The broker answered a ping."""
        waiting = self.pings.popleft() if self.pings else None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def pause(self, *, on: bool) -> None:
        """Stop reading, or go on."""
        sock = self._socket.socket()
        if on == self.paused or sock is None:
            return
        self.paused = on
        if on:
            self._loop.remove_reader(sock.fileno())
        else:
            self._loop.add_reader(sock.fileno(), self._read_all)
            self._loop.call_soon(self._read_all)  # TLS may hold what the socket no longer announces

    def _read_all(self) -> None:
        self._socket.loop_read()
        sock = self._socket.socket()
        while not self.paused and isinstance(sock, ssl.SSLSocket) and sock.fileno() >= 0 and sock.pending():
            self._socket.loop_read()

    async def close(self) -> None:
        """Say goodbye once the broker has everything. Idempotent; the socket is closed also when this is cancelled."""
        try:
            with suppress(BrokerError, TimeoutError):
                self.pause(on=False)
                async with asyncio.timeout(_GOODBYE):
                    await self.sync()
        finally:
            self.drop()

    def drop(self) -> None:
        """Close at once, what was not written is lost. Idempotent."""
        if self._error is None:
            self._end(closed(self._where))
        if self._socket.socket() is not None:
            self._socket.disconnect()
        task = self._client._misc_task  # noqa: SLF001 # aiomqtt ends it only with the socket
        if task is not None:
            task.cancel()

    def _end(self, error: BrokerError) -> None:
        if self._error is not None:
            return
        self._error = error
        for waiting in (*self._subscribing.values(), *self.pings):
            if waiting is not None and not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # looked at: whoever waited may be gone
        self.pings.clear()
        self.sink.lost(error)


def _client(
    settings: MqttSettings, client_id: str, *, keep: bool, prefetch: int | None, will: Will | None
) -> aiomqtt.Client:
    v5 = settings.protocol == "5"
    password = settings.password
    return aiomqtt.Client(
        settings.address.host,
        settings.address.port,
        username=settings.user,
        password=password.get_secret_value() if password else None,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5 if v5 else aiomqtt.ProtocolVersion.V311,
        clean_session=None if v5 else not keep,
        clean_start=not keep if v5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        properties=_connect_properties(settings, keep=keep, prefetch=prefetch) if v5 else None,
        keepalive=settings.keepalive,
        timeout=settings.connect_timeout,
        will=_will(will, v5=v5) if will else None,
        tls_context=_tls(settings),
    )


def _tls(settings: MqttSettings) -> ssl.SSLContext | None:
    try:
        return settings.tls()
    except OSError as error:
        raise BrokerError(f"a file for TLS can't be used: {error}", where=settings.where) from error


def _connect_properties(settings: MqttSettings, *, keep: bool, prefetch: int | None) -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    if keep:
        properties.SessionExpiryInterval = min(0xFFFFFFFF, round(settings.session_expiry))
    if prefetch is not None:
        properties.ReceiveMaximum = max(1, min(prefetch, 65_535))
    return properties


def _will(will: Will, *, v5: bool) -> aiomqtt.Will:
    properties = None
    if v5 and will.delay:
        properties = Properties(PacketTypes.WILLMESSAGE)
        properties.WillDelayInterval = min(0xFFFFFFFF, round(will.delay))
    return aiomqtt.Will(will.topic, will.body.encode(), will.qos, will.retain, properties)
