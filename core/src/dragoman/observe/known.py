"""Whether this release of OpenTelemetry's SDK has the spans that `spans.py` makes: tried out, once in a process.

The same few spans are made by both, and read as an exporter reads them. A release that keeps something in another way,
or under another name, then makes its spans itself: nobody's trace is wrong, it only costs more.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import sampling
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

from dragoman.observe.propagation import Start, starting
from dragoman.observe.spans import IDLE, Spans

_log: Final = logging.getLogger("dragoman.observe")


def spans_of(tracer: trace.Tracer) -> Spans | None:
    """What begins a tracer's spans; None unless the tracer is the SDK's own, of a release that is known here.

    That it is not is logged once. Where the SDK counts its spans, it has to make them as well.
    """
    return Spans(tracer) if type(tracer) is sdk.Tracer and not _counts(tracer) and known() else None


def _counts(tracer: sdk.Tracer) -> bool:
    counting = getattr(tracer, "_tracer_metrics", None)
    return counting is not None and not type(counting).__name__.startswith("NoOp")


@cache
def known() -> bool:
    """Whether spans from here tell what the SDK's own do: another release may keep them in another way."""
    try:
        for idle in IDLE:  # to do anything they would need themselves, or a span
            idle.on_start(cast("Any", object.__new__(idle)), cast("sdk.Span", None))
        same = _told(lambda tracer: Spans(tracer).start) == _told(starting)
    except Exception:  # noqa: BLE001 - whatever that release has changed
        _log.debug("OpenTelemetry's SDK has changed", exc_info=True)
        same = False
    if not same:
        _log.info("a trace costs more with this release of OpenTelemetry's SDK, which keeps spans in a way of its own")
    return same


def _told(by: Callable[[sdk.Tracer], Start]) -> list[object]:
    """What a processor is told of a few spans."""
    heard = _Heard()
    provider = sdk.TracerProvider(
        sampling.DEFAULT_ON, Resource.get_empty(), shutdown_on_exit=False, id_generator=_Numbers()
    )
    provider.add_span_processor(SimpleSpanProcessor(heard))
    tracer = provider.get_tracer("dragoman")
    start = by(cast("sdk.Tracer", tracer))
    sender = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(3))
    sent = trace.set_span_in_context(NonRecordingSpan(sender), Context())
    start("a root", Context(), SpanKind.PRODUCER, {"a": "b"}).end(5)
    start("a child", sent, SpanKind.CONSUMER, {"a": "b", "c": 1}).end(5)
    start("a child of text", "00-00000000000000000000000000000001-0000000000000002-03", SpanKind.CONSUMER, {}).end(5)
    start("linked", Context(), SpanKind.CONSUMER, {"a": "b"}, [Link(sender)]).end(5)
    read = start("read while it is under way", sent, SpanKind.CONSUMER, {"a": "b"}, [Link(sender)])
    read.set_attribute("c", 1)
    read.add_event("an event", {"d": [True]}, 4)
    read.set_status(trace.StatusCode.ERROR, "why")
    read.end(5)
    return [*heard.told, read.is_recording(), read.get_span_context()]


class _Heard(SpanExporter):
    """Reads all that an exporter reads."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def export(self, spans: Sequence[sdk.ReadableSpan]) -> SpanExportResult:
        try:
            self.told += [one for span in spans for one in _read(span)]
        except Exception:  # noqa: BLE001 - the SDK would write it into the log
            self.told.append(object())  # which is like nothing else
        return SpanExportResult.SUCCESS


def _read(span: sdk.ReadableSpan) -> tuple[object, ...]:
    told = json.loads(span.to_json())
    told["start_time"] = type(span.start_time).__name__
    itself = (span.name, span.kind, span.context, span.get_span_context(), span.parent, span.end_time)
    rest = (dict(span.attributes or {}), span.resource, span.instrumentation_scope)
    dropped = (span.dropped_attributes, span.dropped_events, span.dropped_links)
    return (told, *itself, *rest, *dropped, span.status.status_code, span.status.description)


class _Numbers(IdGenerator):
    """Ids that are the same each time."""

    def __init__(self) -> None:
        self._last = 2

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    generate_trace_id = generate_span_id
