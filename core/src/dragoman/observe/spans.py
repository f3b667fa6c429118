"""Spans of OpenTelemetry's SDK for a fraction of what the SDK takes: most of a span is made only for who reads it.

The SDK makes eight objects for a span, four of them locks, and copies it when it ends; then an exporter reads the copy.
Here a span is of the SDK's class and goes to the SDK's processors, but is only its ids and its times. What few ask for
is made by the SDK's own constructor when they do: a handler that adds to its span, or a processor. An exporter reads
what the span began with. What that relies on is written in docs/decisions/0018-spans.md. `known.py` tries it out, and
where it does not hold, the SDK makes the spans.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from functools import cache
from time import time_ns
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.trace import INVALID_SPAN_CONTEXT, Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from dragoman.observe.propagation import FLAGS, SPAN, Attributes, Origin, sender
from dragoman.observe.propagation import context as context_of

_SAMPLED: Final = TraceFlags.SAMPLED
#: The second flag of the W3C. A release of the SDK that has no name for it does not set it.
_RANDOM: Final[int] = getattr(TraceFlags, "RANDOM_TRACE_ID", 0)
#: All that a span's own flags can be.
_FLAGS: Final = tuple(TraceFlags(flags) for flags in range(4))
_DROP: Final = sampling.Decision.DROP
_SAMPLE: Final = sampling.Decision.RECORD_AND_SAMPLE
_KEPT: Final = _SAMPLED | _RANDOM
#: Those of the SDK, which do nothing when a span begins.
IDLE: Final = (BatchSpanProcessor, SimpleSpanProcessor)
_blank: Final = object.__new__
_UNSET: Final = trace.Status()


class Span(sdk.Span):
    """A span of which most is still to be made.

    Attributes:
        spans: what began it.
        given: the attributes that it began with.
        linked: what it was linked with then.
        sender: the `traceparent` that stands for its parent, where that is not made.
    """

    # The SDK's names, by which what its class defines finds them.
    _name: str
    _context: SpanContext
    _parent: SpanContext | None
    _kind: SpanKind
    _start_time: int | None
    _end_time: int | None
    spans: Spans
    given: Attributes | None
    linked: Sequence[Link]
    sender: str | None = None

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there yet."""
        if name not in _made():
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if name == "_parent" and self.sender is not None:
            return self.__dict__.setdefault("_parent", sender(self.sender))
        plain = self._end_time is not None and not self.linked
        fields = self.spans.read(self.given) if plain else {}
        if name not in fields:
            fields = vars(self.spans.make(self))
        # Another thread may be at it, too: what is there stays, and either's will do.
        for field, value in fields.items():
            self.__dict__.setdefault(field, value)
        return self.__dict__[name]

    def __deepcopy__(self, memo: dict[int, Any]) -> sdk.ReadableSpan:
        """What was to be exported, for an exporter that changes it; not what began it."""
        return deepcopy(self._readable_span(), memo)

    def get_span_context(self) -> SpanContext:
        """Its ids and its flags."""
        return self._context

    def end(self, end_time: int | None = None) -> None:
        """It is over, now or since `end_time`, in nanoseconds since 1970. To end it again only warns."""
        if self._end_time is not None:
            super().end(end_time)
            return
        self._end_time = time_ns() if end_time is None else end_time
        self.spans.ending(self)
        self.spans.ended(self)


class Spans:
    """Begins spans as a tracer of the SDK's would: by its sampler, its ids and its limits, for its processors.

    Args:
        tracer: the tracer.
    """

    def __init__(self, tracer: sdk.Tracer) -> None:
        self._tracer = tracer
        self._ids = tracer.id_generator
        self._limits = tracer._span_limits  # noqa: SLF001 - there is no other way to them
        self._scope = tracer._instrumentation_scope  # noqa: SLF001 - as above
        #: Whether it takes each root, and what its parent took. So by default, and to ask costs as much as the span.
        self._takes = tracer.sampler is sampling.DEFAULT_ON or tracer.sampler is sampling.ALWAYS_ON
        most = sys.maxsize if self._limits.max_span_attributes is None else self._limits.max_span_attributes
        #: How many attributes stay as they are given.
        self._kept = most if self._takes and self._limits.max_span_attribute_length is None else -1
        # What some releases don't have.
        self._random: Callable[[], bool] = getattr(self._ids, "is_trace_id_random", _no)
        self._enabled: Callable[[], bool] = getattr(tracer, "_is_enabled", _yes)
        self._processor = tracer.span_processor
        self._seen: object = None
        self._known = False
        self.started = self._processor.on_start
        self.ending: Callable[[sdk.Span], object] = getattr(self._processor, "_on_ending", _no)
        self.ended = self._processor.on_end

    def start(
        self,
        name: str,
        origin: Origin,
        kind: SpanKind,
        attributes: Attributes,
        links: Sequence[Link] = (),
    ) -> trace.Span:
        """Begin a span, as the tracer's `start_span` does; `attributes` must not be changed from then on."""
        if not self._enabled():
            return self._tracer.start_span(name, context_of(origin), kind, attributes, links)
        if isinstance(origin, str):
            flags = FLAGS[origin[53:]]
            if flags & _SAMPLED and self._takes and self._idle():
                own = SpanContext(int(origin[3:35], 16), self._ids.generate_span_id(), False, _FLAGS[flags & _KEPT])
                span = self._begun(name, own, kind, attributes, links)
                span.sender = origin
                return span
            origin = context_of(origin)
        return self._start(name, origin, kind, attributes, links)

    def _start(
        self, name: str, context: Context, kind: SpanKind, attributes: Attributes | None, links: Sequence[Link]
    ) -> trace.Span:
        around = context.get(SPAN)
        parent = around.get_span_context() if isinstance(around, trace.Span) else None
        if parent is not None and parent.is_valid:
            trace_id, state = parent.trace_id, parent.trace_state
            flags = parent.trace_flags & _KEPT
        else:
            parent = state = None
            trace_id, flags = self._ids.generate_trace_id(), _SAMPLED
            if self._random():
                flags |= _RANDOM
        recording = True
        if not (self._takes and flags & _SAMPLED):
            result = self._tracer.sampler.should_sample(context, trace_id, name, kind, attributes, links)
            attributes, state, recording = dict(result.attributes), result.trace_state, result.decision is not _DROP
            flags = (flags & _RANDOM) | (_SAMPLED if result.decision is _SAMPLE else 0)
        own = SpanContext(trace_id, self._ids.generate_span_id(), False, _FLAGS[flags], state)
        if not recording:
            return NonRecordingSpan(own)
        span = self._begun(name, own, kind, attributes, links)
        span._parent = parent  # noqa: SLF001
        self.started(span, parent_context=context)
        return span

    def _begun(
        self,
        name: str,
        own: SpanContext,
        kind: SpanKind,
        attributes: Attributes | None,
        links: Sequence[Link],
    ) -> Span:
        # Not by calling the class: the SDK's `__new__` takes longer than all that follows.
        span = _blank(Span)
        span.spans, span._name, span._context, span._kind = self, name, own, kind  # noqa: SLF001
        span.given, span.linked, span._end_time, span._start_time = attributes, links, None, time_ns()  # noqa: SLF001
        return span

    def _idle(self) -> bool:
        """Whether no processor asks for what was around a span when it began: the SDK's own do nothing then."""
        processors = getattr(self._processor, "_span_processors", None)
        if processors is not self._seen:
            self._seen = processors
            self._known = processors is not None and all(type(one) in IDLE for one in processors)
        return self._known

    def read(self, attributes: Attributes | None) -> Mapping[str, Any]:
        """What the SDK has of a span in which nothing happened, by its names; nothing where it cuts attributes."""
        if attributes is None or len(attributes) > self._kept:
            return {}
        return {
            "_attributes": attributes,
            "_events": (),
            "_links": (),
            "_status": _UNSET,
            "_resource": self._tracer.resource,
            "_instrumentation_info": self._tracer.instrumentation_info,
            "_instrumentation_scope": self._scope,
        }

    def make(self, span: Span) -> sdk.Span:
        """The same span with all that belongs to it, by the SDK."""
        tracer = self._tracer
        return _Made(
            span.name,
            span.get_span_context(),
            span.parent,
            tracer.sampler,
            resource=tracer.resource,
            attributes=span.given,
            links=span.linked,
            kind=span.kind,
            span_processor=tracer.span_processor,
            instrumentation_info=tracer.instrumentation_info,
            limits=self._limits,
            instrumentation_scope=self._scope,
        )


class _Made(sdk.Span):
    """The SDK's class, of which it makes none but through its tracer."""


@cache
def _made() -> frozenset[str]:
    """What the SDK's constructor leaves on a span."""
    return frozenset(vars(_Made("", INVALID_SPAN_CONTEXT, resource=Resource.get_empty())))


def _yes() -> bool:
    return True


def _no(*_: object) -> bool:
    return False
