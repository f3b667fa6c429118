"""Spans from here tell whoever reads them what the SDK's own would."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy, deepcopy
from threading import Barrier
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
)
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags, TraceState

from dragoman.observe.known import known, spans_of
from dragoman.observe.propagation import Origin, Start, starting
from dragoman.observe.spans import Span, Spans

PARENT = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-"
Happening = Callable[[trace.Span], object]


class _Numbers(IdGenerator):
    """The same ids each time; half of the traces are for a sampler that takes half of them."""

    def __init__(self, random: bool) -> None:
        self._last = 0
        self._random = random

    def generate_span_id(self) -> int:
        self._last += 1
        return self._last

    def generate_trace_id(self) -> int:
        self._last += 1
        return self._last << 61

    def is_trace_id_random(self) -> bool:
        return self._random


class _Choosy(Sampler):
    """Takes what has an attribute, says so, and looks at all that a sampler may look at."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision

    def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, links=None, trace_state=None):  # type: ignore[no-untyped-def]  # noqa: PLR0917 - the SDK says so
        sender = trace.get_current_span(parent_context).get_span_context()
        told = {
            **(attributes or {}),
            "sampled.by": [name, str(kind), str(trace_id), str(sender.span_id)],
            "links": len(links),
        }
        decision = self._decision if "a" in told else Decision.DROP
        return SamplingResult(decision, told, TraceState([("by", "choosy")]))

    def get_description(self) -> str:
        return "Choosy"


class _Watching(SpanProcessor):
    """Writes down what it is told, and when; perhaps it adds to each span, as one does that copies baggage."""

    def __init__(self, adds: bool) -> None:
        self.told: list[object] = []
        self._adds = adds

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        self.told += ["start", span.name, trace.get_current_span(parent_context).get_span_context()]
        if self._adds:
            self.told.append(dict(span.attributes))
            span.set_attribute("added", "by a processor")

    def _on_ending(self, span: Any) -> None:
        self.told += ["ending", span.is_recording()]

    def on_end(self, span: ReadableSpan) -> None:
        self.told += ["end", *read(span)]


def read(span: ReadableSpan) -> list[object]:
    """All that an exporter may read, times that differ left out."""
    told = json.loads(span.to_json())
    assert isinstance(span.start_time, int)
    assert isinstance(span.end_time, int)
    told["start_time"] = told["end_time"] = ""
    for event in told["events"]:
        event.get("attributes", {}).pop("exception.stacktrace", None)
    return [
        told, span.name, span.kind, span.context, span.get_span_context(), span.parent, dict(span.attributes or {}),
        [(event.name, len(event.attributes or {})) for event in span.events],
        [(link.context, dict(link.attributes or {})) for link in span.links],
        span.status.status_code, span.status.description, span.resource, span.instrumentation_scope,
        span.dropped_attributes, span.dropped_events, span.dropped_links,
    ]  # fmt: skip


def remote(flags: int, state: Sequence[tuple[str, str]] = (), *, is_remote: bool = True) -> Context:
    """The context of a message whose sender was traced."""
    sender = SpanContext(1 << 61, 2, is_remote, TraceFlags(flags), TraceState(list(state)))
    return trace.set_span_in_context(NonRecordingSpan(sender), Context())


def _twice(span: trace.Span) -> None:
    span.end()
    span.end()
    span.set_attribute("late", 1)


HAPPENINGS: dict[str, Happening] = {
    "an attribute": lambda span: span.set_attribute("b", (1, 2)),
    "attributes": lambda span: span.set_attributes({"a": "anew", "c": "x" * 20}),
    "an event": lambda span: span.add_event("happened", {"d": True}, 4),
    "an exception": lambda span: span.record_exception(ValueError("no good"), timestamp=5),
    "an error": lambda span: span.set_status(StatusCode.ERROR, "why"),
    "well": lambda span: span.set_status(StatusCode.OK),
    "a name": lambda span: span.update_name("another"),
    "a link": lambda span: span.add_link(SpanContext(5, 6, is_remote=True), {"e": 1}),
    "ended twice": _twice,
    "read": lambda span: read_only(span),  # noqa: PLW0108 - it is defined below
}


def read_only(span: trace.Span) -> None:
    """Look at a span that is under way."""
    assert isinstance(span, ReadableSpan) or not span.is_recording()
    if isinstance(span, ReadableSpan):
        assert span.events is not None
        assert repr(span)


ORIGINS: st.SearchStrategy[Origin] = st.one_of(
    st.just(Context()),
    st.builds(remote, st.integers(0, 255), st.sampled_from([[], [("a", "1")]]), is_remote=st.booleans()),
    st.sampled_from([PARENT + "00", PARENT + "01", PARENT + "02", PARENT + "03", PARENT + "ff"]),
)
SAMPLERS = st.sampled_from(
    [
        *[DEFAULT_ON, DEFAULT_ON, ALWAYS_ON, ALWAYS_OFF, DEFAULT_OFF, ParentBasedTraceIdRatio(0.5)],
        *[_Choosy(Decision.RECORD_AND_SAMPLE), _Choosy(Decision.RECORD_ONLY)],
    ]
)
LIMITS = st.builds(
    SpanLimits,
    max_span_attributes=st.sampled_from([None, 0, 1, 2]),
    max_span_attribute_length=st.sampled_from([None, 3]),
    max_events=st.sampled_from([None, 1]),
    max_links=st.sampled_from([None, 1]),
    max_attribute_length=st.sampled_from([None, 2]),
)
ATTRIBUTES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.one_of(st.integers(), st.text(max_size=6)))
LINKS = st.lists(st.builds(SpanContext, st.integers(0, 2), st.integers(0, 2), st.just(value=True)), max_size=3)


@given(
    origin=ORIGINS,
    sampler=SAMPLERS,
    limits=LIMITS,
    attributes=ATTRIBUTES,
    linked=LINKS,
    happened=st.lists(st.sampled_from(sorted(HAPPENINGS)), max_size=3),
    watched=st.sampled_from(["no", "yes", "adds"]),
    random=st.booleans(),
)
@example(
    origin=remote(0), sampler=ALWAYS_ON, limits=SpanLimits(), attributes={"a": 1}, linked=[], happened=[], watched="no",
    random=False,
)  # fmt: skip
def test_a_span_tells_what_the_sdks_would(  # noqa: PLR0917 - as many as there are ways to differ
    origin: Origin,
    sampler: Sampler,
    limits: SpanLimits,
    attributes: dict[str, str | int],
    linked: list[SpanContext],
    happened: list[str],
    watched: str,
    random: bool,
) -> None:
    """To samplers, processors and exporters, whatever it began with and whatever happened in it."""
    told = []
    for way in (lambda tracer: Spans(tracer).start, starting):
        exporter, watching = InMemorySpanExporter(), _Watching(watched == "adds")
        provider = TracerProvider(
            sampler,
            Resource({"service.name": "shop"}),
            shutdown_on_exit=False,
            id_generator=_Numbers(random),
            span_limits=limits,
        )
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        if watched != "no":
            provider.add_span_processor(watching)
        start: Start = way(cast("Tracer", provider.get_tracer("dragoman", "1")))
        span = start("process in", origin, SpanKind.CONSUMER, dict(attributes), [Link(one, {"f": 1}) for one in linked])
        for each in happened:
            HAPPENINGS[each](span)
        mine = [span.is_recording(), span.get_span_context()]
        span.end()
        exported = [(read(span), read(copy(span)), read(deepcopy(span))) for span in exporter.get_finished_spans()]
        told.append([*mine, span.is_recording(), span.get_span_context(), exported, watching.told])
    assert told[0] == told[1]


def tracing(**settings: Any) -> tuple[TracerProvider, Tracer, InMemorySpanExporter]:
    """The SDK, and what it exports."""
    provider, exporter = TracerProvider(shutdown_on_exit=False, **settings), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, cast("Tracer", provider.get_tracer("test")), exporter


def test_the_installed_release_is_known() -> None:
    """Where this fails, a release of the SDK has changed what a span is: see docs/decisions/0018-spans.md."""
    assert known()
    assert spans_of(tracing()[1]) is not None


@pytest.mark.parametrize("origin", [Context(), remote(1), PARENT + "01"])
def test_what_is_exported_is_not_made_for_it(origin: Origin) -> None:
    """A span in which nothing happened is read without the SDK's having made any of it: that is what makes it cheap."""
    _, tracer, exporter = tracing()
    spans = spans_of(tracer)
    assert spans is not None
    span = spans.start("process in", origin, SpanKind.CONSUMER, {"a": 1})
    assert "_lock" not in vars(span)
    span.end()
    (exported,) = exporter.get_finished_spans()
    assert exported is span
    assert read(exported)[6] == {"a": 1}
    assert "_lock" not in vars(span)
    span.set_attribute("late", 1)
    assert read(exported)[6] == {"a": 1}


def test_what_several_threads_ask_for_is_made_once() -> None:
    """Each of them adds to the same span."""
    _, tracer, exporter = tracing()
    for _ in range(50):
        exporter.clear()
        span = Spans(tracer).start("process in", Context(), SpanKind.CONSUMER, {"a": 1})
        ready = Barrier(4)

        def add(number: int, span: trace.Span = span, ready: Barrier = ready) -> None:
            ready.wait()
            span.set_attribute(f"thread {number}", number)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(add, range(4)))
        span.end()
        (exported,) = exporter.get_finished_spans()
        assert exported.attributes == {"a": 1, **{f"thread {number}": number for number in range(4)}}


def test_a_processor_that_comes_later_is_told_of_what_begins_from_then_on() -> None:
    """With what was around it."""
    provider, tracer, _ = tracing()
    spans, watching = Spans(tracer), _Watching(adds=False)
    spans.start("before", PARENT + "01", SpanKind.CONSUMER, {}).end()
    provider.add_span_processor(watching)
    spans.start("after", PARENT + "01", SpanKind.CONSUMER, {}).end()
    assert watching.told[:2] == ["start", "after"]
    assert cast("SpanContext", watching.told[2]).span_id == int("cd" * 8, 16)
    assert watching.told.count("end") == 1


def test_the_sdk_makes_the_spans_that_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own metrics count only them."""
    monkeypatch.setenv("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", "true")
    assert spans_of(tracing()[1]) is None


def test_a_tracer_that_is_not_the_sdks_makes_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another implementation of OpenTelemetry, one built on the SDK's, or the SDK where it is turned off."""

    class Another(Tracer):
        pass

    provider, tracer, _ = tracing()
    another = object.__new__(Another)
    vars(another).update(vars(tracer))
    assert spans_of(another) is None
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    off = TracerProvider(shutdown_on_exit=False).get_tracer("test")
    assert spans_of(off) is None
    span = starting(off)("process in", PARENT + "01", SpanKind.CONSUMER, {})
    assert span.get_span_context().span_id == int("cd" * 8, 16)
    provider.shutdown()


def test_a_release_that_is_not_known_makes_its_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    """What tells is what it has changed, here the name of a field and the meaning of another."""
    provider, tracer, _ = tracing()
    for name in ("end_time", "to_json"):
        with monkeypatch.context() as changed:
            changed.setattr(ReadableSpan, name, property(lambda span: vars(span)["_ended"]))
            known.cache_clear()
            assert spans_of(tracer) is None
    known.cache_clear()
    assert isinstance(cast("Spans", spans_of(tracer)).start("a", Context(), SpanKind.CONSUMER, {}), Span)
    provider.shutdown()
