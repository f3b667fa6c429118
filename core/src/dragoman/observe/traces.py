"""Traces in OpenTelemetry that follow a message: through its metadata (W3C `traceparent`) from whoever sent it on.

OpenTelemetry's own settings say where traces go; here is only what is traced, by its conventions for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). Without its SDK nothing here costs anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

from dragoman.adapter import AdapterType
from dragoman.errors import ConfigError, DragomanError, Problem
from dragoman.handlers import handler as handlers
from dragoman.handlers.handler import Handler
from dragoman.message import Channel, Message
from dragoman.version import __version__

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from dragoman.observe.propagation import Start

Mode = Literal["auto", "on", "off"]

#: Any of them says that somebody wants traces, and where.
_ASKED: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_KEY: Final = "observe.traces"
_NONE: Final[Sequence[Any]] = ()
#: What the conventions call these metadata.
_NAMED: Final = {
    "message-id": "messaging.message.id",
    "correlation-id": "messaging.message.conversation_id",
}


class Traces:
    """Makes the spans of one provider.

    Args:
        provider: where they go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - only where traces are wanted

        from dragoman.observe.propagation import Propagation, senders, within  # noqa: PLC0415 - as above

        self._trace = trace
        self._senders = senders
        self._within = within
        self._current = context.get_current
        self._attach = context.attach
        self._detach = context.detach
        self._propagation = Propagation()
        self._start = _starting(provider.get_tracer("dragoman", __version__))
        self._consumer, self._producer = trace.SpanKind.CONSUMER, trace.SpanKind.PRODUCER

    @contextmanager
    def sending(
        self, type_: AdapterType, channel: Channel, messages: Sequence[Message], operation: str = "send"
    ) -> Iterator[Sequence[Message]]:
        """A span for sending messages; gives them with what leads their receiver to it.

        What belongs to a trace already keeps it where nothing else is under way: a dead letter, and what was held until
        its handler succeeded.
        """
        under_way = self._trace.get_current_span().get_span_context().is_valid
        if not under_way and messages and all(message.get("traceparent") for message in messages):
            yield messages
            return
        about = _about(type_, channel.name, messages, operation, "create" if operation == "create" else "send")
        now = self._current()
        span = self._start(f"{operation} {channel.name}", now, self._producer, about)
        token = self._attach(self._within(span, now))
        failed: BaseException | None = None
        try:
            yield self._propagation.carrying(messages)
        except BaseException as error:
            failed = error
            raise
        finally:
            self.left(span, token, failed)

    def handling(
        self, type_: AdapterType, handler: str, messages: Sequence[Message], attempt: int
    ) -> tuple[Span, Token[Context]]:
        """A span for handling messages, to which belongs what is called from now on, until `left`.

        It is a child of what the message's sender did; of several at once it is linked with each.
        """
        now, first = self._current(), messages[0].channel
        name = first.name if first is not None else "?"
        about = _about(type_, name, messages, "process", "process")
        about["dragoman.handler"], about["dragoman.attempt"] = handler, attempt
        origin, links = None, _NONE
        if len(messages) == 1:
            origin = self._propagation.origin(messages[0])
        else:
            links = [self._trace.Link(one) for one in self._senders(map(self._propagation.origin, messages))]
        span = self._start(f"process {name}", now if origin is None else origin, self._consumer, about, links)
        return span, self._attach(self._within(span, now, origin))

    def left(self, span: Span, token: Token[Context], error: BaseException | None = None) -> None:
        """The end of a span; `error` is what it failed with."""
        self._detach(token)
        if error is not None:
            if isinstance(error, Exception):
                span.record_exception(error)
            self._failed(span, error)
        span.end()

    def _failed(self, span: Span, error: BaseException) -> None:
        text = str(error) if isinstance(error, DragomanError) else f"{type(error).__name__}: {error}"
        span.set_attribute("error.type", type(error).__name__)
        span.set_status(self._trace.StatusCode.ERROR, text)


class TracedHandler:
    """A handler whose calls are traced; itself a `dragoman.handlers.handler.Handler`."""

    def __init__(self, handler: Handler, traces: Traces, type_: AdapterType) -> None:
        self._handler = handler
        self._traces = traces
        self._type = type_

    async def handle(self, messages: Sequence[Message], context: handlers.Context) -> None:
        """See `Handler.handle`."""
        span, token = self._traces.handling(self._type, context.handler, messages, context.attempt)
        try:
            await self._handler.handle(messages, context)
        except BaseException as error:
            self._traces.left(span, token, error)
            raise
        self._traces.left(span, token)

    async def wanted(self, context: handlers.Context) -> handlers.Wanted | None:
        """See `Handler.wanted`."""
        return await self._handler.wanted(context)

    async def close(self) -> None:
        """See `Handler.close`."""
        await self._handler.close()


def _starting(tracer: Tracer) -> Start:
    """What begins its spans."""
    from dragoman.observe.propagation import starting  # noqa: PLC0415 - only where traces are wanted

    if "opentelemetry.sdk.trace" in sys.modules:  # else it is another implementation, perhaps without the SDK
        from dragoman.observe.known import spans_of  # noqa: PLC0415 - as above

        if (spans := spans_of(tracer)) is not None:
            return spans.start
    return starting(tracer)


def configure(mode: Mode) -> None:
    """Set up OpenTelemetry for this process as its environment variables (`OTEL_...`) say, where traces are wanted.

    What a program has set up before stays. Spans leave on a thread of the SDK's, which hardly computes.

    Raises:
        ConfigError: they are wanted, and OpenTelemetry's SDK or the exporter is not installed or can't be set up.
    """
    wanted = mode == "on" or (mode == "auto" and any(map(os.environ.get, _ASKED)))
    if not wanted or found(mode) is not None:
        return
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        what = "traces are asked for, and OpenTelemetry's SDK is not installed"
        hint = "pip install opentelemetry-sdk opentelemetry-exporter-otlp"
        raise ConfigError([Problem("", _KEY, what, hint=hint)])
    exporters = [_exporter(name) for name in _exporters()]
    if exporters:
        _set_up(exporters)


def _exporters() -> list[str]:
    names = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    return [name for part in names.split(",") if (name := part.strip()) not in ("", "none")]


def _exporter(name: str) -> SpanExporter:
    """The exporter that `OTEL_TRACES_EXPORTER` means by that name, such as `otlp` or `console`."""
    installed = {point.name: point for point in entry_points(group=_EXPORTERS)}
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL")
    meant = [f"otlp_proto_{protocol.partition('/')[0]}"] if protocol else ["otlp_proto_http", "otlp_proto_grpc"]
    point = next((installed[one] for one in (meant if name == "otlp" else [name]) if one in installed), None)
    if point is None:
        what = f"OpenTelemetry's exporter {name!r} (OTEL_TRACES_EXPORTER) is not installed"
        hint = "pip install opentelemetry-exporter-otlp, or name another one in OTEL_TRACES_EXPORTER"
        raise ConfigError([Problem("", _KEY, what, f"one of {', '.join(sorted(installed))}", hint=hint)])
    try:
        made: SpanExporter = point.load()()
    except Exception as error:  # whatever it finds wrong, it is about its settings
        what = f"OpenTelemetry's exporter {name!r} can't be set up: {error}"
        raise ConfigError([Problem("", _KEY, what, hint="look at the variables OTEL_...")]) from error
    return made


def _set_up(exporters: Sequence[SpanExporter]) -> None:
    from opentelemetry import trace  # noqa: PLC0415 - only where traces are wanted
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    provider = TracerProvider(resource=Resource.create({} if named else {"service.name": "dragoman"}))
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def found(mode: Mode = "auto") -> Traces | None:
    """The traces of this process; None where nobody has set up OpenTelemetry, or they are off. Quick."""
    # Who has not imported it has not set it up, and it takes a while to import.
    if mode == "off" or "opentelemetry.trace" not in sys.modules:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - see above

    provider = trace.get_tracer_provider()
    return None if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider) else Traces(provider)


def _about(type_: AdapterType, channel: str, messages: Sequence[Message], operation: str, kind: str) -> dict[str, Any]:
    about: dict[str, Any] = {
        "messaging.system": type_.system or type_.name,
        "messaging.destination.name": channel,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }
    if len(messages) != 1:
        about["messaging.batch.message_count"] = len(messages)
        return about
    message = messages[0]
    about["messaging.message.body.size"] = len(message.data)
    for name, value in message.metadata:
        if (known := _NAMED.get(name)) is not None:
            about.setdefault(known, value)
    return about
