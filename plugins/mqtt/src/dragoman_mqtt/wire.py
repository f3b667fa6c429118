"""One connection to the broker: opened and kept alive by aiomqtt, its packets handled in `frames.py`."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, Protocol

import aiomqtt
from paho.mqtt.subscribeoptions import SubscribeOptions

from dragoman.errors import BrokerError, ConnectionLost, Unsupported
from dragoman_mqtt.boundary import closed, ended, refusal, refused_connection
from dragoman_mqtt.frames import Frames
from dragoman_mqtt.opening import client_for, tls_refusal
from dragoman_mqtt.packets import (
    LARGEST,
    PUBACK,
    PUBREC,
    Publish,
    acknowledgement,
)
from dragoman_mqtt.settings import MqttSettings, Will

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
        self._settings = settings
        self._where, self._timeout = settings.where, settings.connect_timeout
        self._subscribing: dict[int, asyncio.Future[int]] = {}
        self._number, self._flushing = 0, False
        self._error: BrokerError | None = None
        self._opening: asyncio.Future[Any] | None = None
        self._loop = asyncio.get_running_loop()
        self._client = client_for(settings, client_id, keep=keep, prefetch=prefetch, will=will)
        self._socket = Frames.over(self._client._client, self, self._timeout)  # noqa: SLF001 # there is no other way
        self._socket.on_connect, self._socket.on_disconnect = self._connected, self._disconnected
        self._socket.on_subscribe, self._socket.on_unsubscribe = self._subscribed, None

    async def open(self) -> None:
        """Connect. Cancelling it leaves no socket behind.

        Raises:
            ConnectionLost: the broker can't be reached within `connect_timeout`.
            AuthenticationFailed: it does not accept us.
        """
        self._opening = asyncio.ensure_future(self._client.__aenter__())
        try:
            await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            # Its thread can't be stopped: whatever it brings is dropped. Waiting for it keeps the session ours so long,
            # so that it takes nobody's over; a second cancellation ends the waiting.
            self._opening.add_done_callback(self._abandoned)
            await asyncio.wait([self._opening])
            raise
        except (aiomqtt.MqttError, OSError, ValueError) as error:
            self.drop()
            found = refused_connection(error, self._where)
            if isinstance(found, ConnectionLost):
                found = await tls_refusal(self._settings) or found
            raise found from error

    def _abandoned(self, opening: asyncio.Future[Any]) -> None:
        if not opening.cancelled():
            opening.exception()  # looked at, so that asyncio does not complain
        self.drop()

    def when_gone(self, then: Callable[[], None]) -> None:
        """Call that once no connection of ours can come to the broker any more; drop it first."""
        if self._opening is None or self._opening.done():
            then()
        else:
            self._opening.add_done_callback(lambda _: then())

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

    def unsubscribe(self, topic: str) -> None:
        """Let the broker send nothing more for a filter; what it has sent stays to be settled."""
        if self._error is None:
            self._socket.unsubscribe(topic)

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
