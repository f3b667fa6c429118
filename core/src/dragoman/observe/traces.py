"""Traces in OpenTelemetry that follow a message: through its metadata (W3C `traceparent`) from whoever sent it on.

OpenTelemetry's own settings say where traces go; here is only what is traced, by its conventions for messaging
(https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/). Without its SDK nothing here costs anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

from dragoman.adapter import AdapterType
from dragoman.errors import ConfigError, DragomanError, Problem
from dragoman.handlers import handler as handlers
from dragoman.handlers.handler import Handler
from dragoman.message import Channel, Message, Metadata
from dragoman.version import __version__

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span, TracerProvider

Mode = Literal["auto", "on", "off"]

#: Any of them says that somebody wants traces, and where.
_ASKED: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_EXPORTERS: Final = "opentelemetry_traces_exporter"
_KEY: Final = "observe.traces"
#: What a message carries of a trace.
_CARRIED: Final = frozenset({"traceparent", "tracestate", "baggage"})


class Traces:
    """Makes the spans of one provider.

    Args:
        provider: where they go.
    """

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import context, propagate, trace  # noqa: PLC0415 - only where traces are wanted

        self._trace = trace
        self._context = context
        self._propagate = propagate
        self._carried = propagate.get_global_textmap().fields
        self._tracer = provider.get_tracer("dragoman", __version__)

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
        about = _about(type_, channel, messages, operation, "create" if operation == "create" else "send")
        kind = self._trace.SpanKind.PRODUCER
        span = self._tracer.start_span(f"{operation} {channel.name}", kind=kind, attributes=about)
        token = self.entered(span)
        failed: BaseException | None = None
        try:
            carried: dict[str, str] = {}
            self._propagate.inject(carried)
            yield [_carrying(message, carried) for message in messages]
        except BaseException as error:
            failed = error
            raise
        finally:
            self.left(span, token, failed)

    def handling(self, type_: AdapterType, handler: str, messages: Sequence[Message], attempt: int) -> Span:
        """A span for handling messages, as a child of what their sender did; linked with it for several at once."""
        first = messages[0].channel or Channel("?")
        about = _about(type_, first, messages, "process", "process")
        about["dragoman.handler"], about["dragoman.attempt"] = handler, attempt
        origins = [self._origin(message) for message in messages]
        links = []
        if len(messages) > 1:
            links = [self._trace.Link(self._trace.get_current_span(one).get_span_context()) for one in origins if one]
        return self._tracer.start_span(
            f"process {first.name}",
            context=origins[0] if len(messages) == 1 else None,
            kind=self._trace.SpanKind.CONSUMER,
            attributes=about,
            links=[link for link in links if link.context.is_valid],
        )

    def _origin(self, message: Message) -> Context | None:
        """What a message carries of its sender's trace; None where that is nothing."""
        for name, _ in message.metadata:
            if name in self._carried:
                return self._propagate.extract(dict(message.metadata))
        return None

    def entered(self, span: Span) -> Token[Context]:
        """Let what is called from now on belong to a span, until `left`."""
        return self._context.attach(self._trace.set_span_in_context(span))

    def left(self, span: Span, token: Token[Context], error: BaseException | None = None) -> None:
        """The end of a span; `error` is what it failed with."""
        self._context.detach(token)
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
        traces, failed = self._traces, None
        span = traces.handling(self._type, context.handler, messages, context.attempt)
        token = traces.entered(span)
        try:
            await self._handler.handle(messages, context)
        except BaseException as error:
            failed = error
            raise
        finally:
            traces.left(span, token, failed)

    async def wanted(self, context: handlers.Context) -> handlers.Wanted | None:
        """See `Handler.wanted`."""
        return await self._handler.wanted(context)

    async def close(self) -> None:
        """See `Handler.close`."""
        await self._handler.close()


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


def _carrying(message: Message, carried: dict[str, str]) -> Message:
    if not carried:
        return message
    kept: Metadata = tuple(pair for pair in message.metadata if pair[0] not in _CARRIED)
    return replace(message, metadata=(*kept, *carried.items()))


def _about(
    type_: AdapterType, channel: Channel, messages: Sequence[Message], operation: str, kind: str
) -> dict[str, Any]:
    about: dict[str, Any] = {
        "messaging.system": type_.system or type_.name,
        "messaging.destination.name": channel.name,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }
    if len(messages) != 1:
        about["messaging.batch.message_count"] = len(messages)
        return about
    message = messages[0]
    about["messaging.message.body.size"] = len(message.data)
    if (id_ := message.id) is not None:
        about["messaging.message.id"] = id_
    if (conversation := message.get("correlation-id")) is not None:
        about["messaging.message.conversation_id"] = conversation
    return about
