"""What messages carry of a trace is read and written as OpenTelemetry's own propagators do it."""

from __future__ import annotations

import string
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import baggage, propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from dragoman.message import Channel, FormatSpec, Message
from dragoman.observe.propagation import Propagation, context

HEXADECIMAL = "0123456789abcdef"
DEFAULT = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
USUAL = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


def digits(length: int) -> st.SearchStrategy[str]:
    """Mostly as many hexadecimal digits; also zeros, and what is no digit to everybody."""
    right = st.text(HEXADECIMAL, min_size=length, max_size=length)
    wrong = st.text(HEXADECIMAL + "ABF_ x\n-\u0663", min_size=length - 1, max_size=length + 1)
    return st.one_of(right, right, st.just("0" * length), wrong)


PARENTS = st.one_of(
    st.builds("{}-{}-{}-{}{}".format, digits(2), digits(32), digits(16), digits(2), st.sampled_from(["", "-x", " "])),
    st.builds("00-{}-{}-{}".format, digits(32), digits(16), digits(2)),
    st.text(max_size=60),
)
STATES = st.one_of(
    st.sampled_from(["a=1", "a=1,b=2", "a=1,a=2", "", "=", "A=1"]), st.text(string.printable, max_size=20)
)
PAIRS = st.one_of(
    st.tuples(st.just("traceparent"), PARENTS),
    st.tuples(st.just("traceparent"), PARENTS),
    st.tuples(st.just("tracestate"), STATES),
    st.tuples(st.just("baggage"), st.sampled_from(["customer=7", "a=1,b=2", "", "=", "a"])),
    st.tuples(st.sampled_from(["key", "Traceparent", "b3"]), st.just("x")),
)


def told(found: Context | None) -> tuple[SpanContext, bool, dict[str, object]]:
    """What is in a context."""
    sender = trace.get_current_span(found or Context()).get_span_context()
    return sender, sender.is_remote, dict(baggage.get_all(found or Context()))


@given(st.lists(PAIRS, max_size=4))
@example([("traceparent", USUAL)])
@example([("traceparent", USUAL), ("traceparent", "00-" + "0" * 32 + "-" + "cd" * 8 + "-01")])
@example([("traceparent", USUAL + "\n")])
@example([("traceparent", USUAL), ("tracestate", "a=1"), ("baggage", "customer=7")])
def test_a_message_says_what_the_propagator_reads_in_it(metadata: list[tuple[str, str]]) -> None:
    """Whatever is in its metadata."""
    found = Propagation().origin(Message(b"", tuple(metadata)))
    expected = told(DEFAULT.extract(dict(metadata), Context()))
    assert told(None if found is None else context(found)) == expected
    assert found is not None or expected == told(None)


def test_a_usual_traceparent_alone_is_not_for_the_propagator() -> None:
    """It takes longer than the host does for the message; another order of the SDK's parts would show here."""
    propagation = Propagation()
    assert propagation.quick
    assert propagation.origin(Message(b"", (("traceparent", USUAL),))) == USUAL


@given(
    st.integers(0, 2**128 - 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 255),
    st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["1", "2"])),
    st.dictionaries(st.sampled_from(["customer", "ä"]), st.text(max_size=3)),
)
@example(1, 2, 1, {}, {})
@example(0, 0, 0, {}, {})
def test_what_is_sent_carries_what_the_propagator_writes(
    trace_id: int, span_id: int, flags: int, state: dict[str, str], carried: dict[str, str]
) -> None:
    """And no longer what it came with."""
    span = SpanContext(
        trace_id, span_id, is_remote=False, trace_flags=TraceFlags(flags), trace_state=TraceState([*state.items()])
    )
    now = trace.set_span_in_context(NonRecordingSpan(span), Context())
    for name, value in carried.items():
        now = baggage.set_baggage(name, value, now)
    expected: dict[str, str] = {}
    DEFAULT.inject(expected, now)
    came = (("traceparent", USUAL), ("key", "7"), ("baggage", "old=1"))
    message = Message(b"x", came, "text/plain", FormatSpec.KAFKA, Channel("in", "topic"))
    token = attach(now)
    try:
        (sent,) = Propagation().carrying([message])
    finally:
        detach(token)
    assert sent == replace(message, metadata=(("key", "7"), *expected.items()) if expected else came)


def test_another_propagator_is_used_in_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the names that it reads and writes."""
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", _Numbered())
    propagation = Propagation()
    came = Message(b"", (("number", "7"), ("traceparent", USUAL)))
    found = propagation.origin(came)
    assert isinstance(found, Context)
    assert trace.get_current_span(found).get_span_context().trace_id == 7
    assert propagation.origin(Message(b"", (("traceparent", USUAL),))) is None
    (sent,) = propagation.carrying([came])
    assert sent.metadata == (("number", "8"),)


class _Numbered(TraceContextTextMapPropagator):
    """Carries a number."""

    def extract(self, carrier, context=None, getter=None):  # type: ignore[no-untyped-def]
        """A trace of that number."""
        span = SpanContext(int(carrier["number"]), 1, is_remote=True)
        return trace.set_span_in_context(NonRecordingSpan(span), context or Context())

    def inject(self, carrier, context=None, setter=None):  # type: ignore[no-untyped-def]
        """Always the same."""
        carrier["number"] = "8"

    @property
    def fields(self) -> set[str]:
        """Its only name."""
        return {"number"}
