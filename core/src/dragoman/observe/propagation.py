"""What a message carries of a trace, read and written by OpenTelemetry's global propagator, or as it would.

By default that is the W3C's `traceparent`, `tracestate` and `baggage`. Most messages carry the first alone, which is
read and written here, for the propagator takes longer for it than the host for the message. All else is the
propagator's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, get_current
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dragoman.message import Message, Metadata

if TYPE_CHECKING:
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import Link, Span, SpanKind, Tracer

_PARENT: Final = "traceparent"
#: A sender's trace, which a message sent on does not keep: it has that of who sent it on.
_CARRIED: Final = frozenset({_PARENT, "tracestate", "baggage"})
#: Version 0. Whatever looks otherwise is for the propagator, which may have a use for it.
_usual: Final = re.compile("00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}").fullmatch
FLAGS: Final = {f"{flags:02x}": TraceFlags(flags) for flags in range(256)}
#: By what name the API has a span in a context.
SPAN: Final = next(iter(trace.set_span_in_context(INVALID_SPAN, Context())))

#: A context, or a usual `traceparent`: few ask for the context that it stands for.
Origin = Context | str
Attributes = Mapping[str, str | int]


class Propagation:
    """Reads and writes as OpenTelemetry is set up when this is made."""

    def __init__(self) -> None:
        self._propagator = propagate.get_global_textmap()
        self._fields = frozenset(self._propagator.fields)
        self._left = self._fields | _CARRIED
        #: Whether it is the default, by which a `traceparent` alone is what is read and written here.
        self.quick = _default(self._propagator)

    def origin(self, message: Message) -> Origin | None:
        """What a message carries of its sender's trace; None where that is nothing."""
        parent: str | None = None
        for name, value in message.metadata:
            if name in self._fields:
                if name != _PARENT or not self.quick:
                    return self._propagator.extract(dict(message.metadata))
                parent = value
        if parent is None or _usual(parent):
            return parent
        return self._propagator.extract({_PARENT: parent})

    def carrying(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Those messages, as parts of what is under way."""
        carried = tuple(self._carried(get_current()).items())
        return [self._carrying(message, carried) for message in messages] if carried else messages

    def _carrying(self, message: Message, carried: Metadata) -> Message:
        kept = tuple([pair for pair in message.metadata if pair[0] not in self._left])
        # What `dataclasses.replace` does takes longer than all else that a span for many messages costs each of them.
        return Message(message.data, kept + carried, message.content_type, message.format, message.channel)

    def _carried(self, context: Context) -> dict[str, str]:
        if self.quick and len(context) == 1 and isinstance(span := context.get(SPAN), trace.Span):
            own = span.get_span_context()
            if not own.trace_state and own.is_valid:
                return {_PARENT: f"00-{own.trace_id:032x}-{own.span_id:016x}-{own.trace_flags:02x}"}
        carried: dict[str, str] = {}
        self._propagator.inject(carried, context)
        return carried


def sender(parent: str) -> SpanContext:
    """Whom a usual `traceparent` names."""
    return SpanContext(int(parent[3:35], 16), int(parent[36:52], 16), True, FLAGS[parent[53:]])


def context(origin: Origin) -> Context:
    """What a propagator makes of it."""
    return Context({SPAN: NonRecordingSpan(sender(origin))}) if isinstance(origin, str) else origin


def within(span: Span, now: Context, origin: Origin | None = None) -> Context:
    """The context in which a span is under way; with what else came with its message, such as baggage."""
    if isinstance(origin, Context) and len(origin) > 1:
        return Context({**now, **origin, SPAN: span})
    return Context({**now, SPAN: span}) if now else Context({SPAN: span})


def senders(origins: Iterable[Origin | None]) -> Sequence[SpanContext]:
    """Those whom they name."""
    found = [trace.get_current_span(context(origin)).get_span_context() for origin in origins if origin is not None]
    return [one for one in found if one.is_valid]


class Start(Protocol):
    """Begins a span."""

    def __call__(  # noqa: D102 - it is the class's
        self,
        name: str,
        origin: Origin,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] = (),
    ) -> Span: ...


def starting(tracer: Tracer) -> Start:
    """What begins a tracer's spans, of any implementation."""

    def start(name: str, origin: Origin, kind: SpanKind, attributes: Attributes, links: Sequence[Link] = ()) -> Span:
        return tracer.start_span(name, context(origin), kind, attributes, links)

    return start


def _default(propagator: TextMapPropagator) -> bool:
    if type(propagator) is not CompositePropagator:
        return False
    parts = [type(part) for part in getattr(propagator, "_propagators", ())]
    return parts == [TraceContextTextMapPropagator, W3CBaggagePropagator]
