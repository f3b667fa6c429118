"""The layer under aiomqtt's public API: packets in batches, writes gathered per tick, acknowledgements when we say so.

aiomqtt opens the connection and keeps it alive. paho, under it, reads byte by byte, walks its tables for each
confirmation, and acknowledges QoS 2 before the handler. So `_Socket` takes the place of paho's reading and writing, and
handles the packets that carry messages; all others go to paho as before. `tests/plugins/mqtt/test_wire.py` notices when
a new release changes what it holds on to.

QoS 2 is received by the standard's other way: a message is handed on as it comes, and PUBREC, with which we answer for
it, is sent when it is settled. Until then the broker sends it again to the resumed session.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTErrorCode

from dragoman_mqtt.packets import (
    PUBCOMP,
    PUBREL,
    Malformed,
    Publish,
    acknowledgement,
    read_acknowledgement,
    read_length,
    read_publish,
)

if TYPE_CHECKING:
    from dragoman_mqtt.wire import Wire

_READ: Final = 65_536
_DISCONNECT: Final = 0xE0
_FAILED: Final = 0x80


class Frames(paho.Client):
    """paho's client with its reading and writing replaced. Never made: `over` turns aiomqtt's into one.

    Attributes:
        dragoman: the connection that it is a part of.
        rest: the beginning of a packet that has not come whole.
        wanted: how many bytes that packet has, as far as is known.
        out: what is to be written.
    """

    dragoman: Wire
    rest: bytearray
    wanted: int
    out: list[bytes]

    @classmethod
    def over(cls, client: paho.Client, wire: Wire, connect_timeout: float) -> Self:
        """That client, turned into one of these."""
        client.__class__ = cls
        assert isinstance(client, cls)  # noqa: S101 # tells mypy
        client.dragoman, client.rest, client.wanted, client.out = wire, bytearray(), 0, []
        client._connect_timeout = connect_timeout  # noqa: SLF001 # aiomqtt does not pass it on
        return client

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:  # noqa: ARG002 # paho's signature
        """Read what there is, and act on it. Called from the loop only."""
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
                self._in_packet["command"], self._in_packet["packet"] = first, bytearray(rest)
                self._in_packet["pos"], self._in_packet["remaining_length"] = 0, len(rest)
                return self._packet_handle()
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def loop_write(self) -> MQTTErrorCode:
        """Write what there is; the rest when the socket takes it. Called from the loop only."""
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

    def _packet_queue(self, command: int, packet: bytes | bytearray, *_: Any) -> MQTTErrorCode:
        self.out.append(bytes(packet))
        if command & 0xF0 == _DISCONNECT:
            self.loop_write()
            self._do_on_disconnect(packet_from_broker=False, v1_rc=MQTTErrorCode.MQTT_ERR_SUCCESS)
            self._sock_close()
            self._state = type(self._state).MQTT_CS_DISCONNECTED  # as paho does after this packet
        else:
            self._call_socket_register_write()  # paho's connect runs in a thread: aiomqtt passes this on to the loop
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        assert self._ssl_context is not None  # noqa: S101 # tells mypy: paho asks for TLS only with one
        wrapped = self._ssl_context.wrap_socket(tcp_sock, server_hostname=self._host, do_handshake_on_connect=False)
        try:
            wrapped.settimeout(self._connect_timeout)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()  # paho forgets it
            raise
        return wrapped

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
