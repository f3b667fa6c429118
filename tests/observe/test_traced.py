"""What a handler that is traced sees of its trace, and what others see of the handler in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from opentelemetry import baggage, trace
from opentelemetry.context import Context as Around
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import NonRecordingSpan, SpanKind, StatusCode

from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Channel, Message
from dragoman.observe.spans import Span
from tests.dictionary.broker import Broker
from tests.host.running import running, until

TRACE, SENDER = 0xAB, 0xCD
PARENT = f"00-{TRACE:032x}-{SENDER:016x}-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where the spans go."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """The SDK as most programs set it up."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield provider
    provider.shutdown()


def broker_with(*metadata: tuple[tuple[str, str], ...]) -> Broker:
    """A message with each of them on the queue `in`."""
    broker = Broker()
    for pairs in metadata:
        broker.append(Channel("in"), Message(b"x", pairs))
    return broker


async def handled(work: AbstractAsyncContextManager[Host], messages: int = 1) -> None:
    """Wait until the host has handled them, and has nothing more to do."""
    async with work as host:
        await until(lambda: host.counters["work"].handled == messages)
        assert await host.drain(10)


def named(provider: TracerProvider, exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    """The only span of that name."""
    assert provider.force_flush()
    (found,) = (span for span in exporter.get_finished_spans() if span.name == name)
    return found


def ids(span: ReadableSpan) -> tuple[int, int]:
    """Of its trace, and its own."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


async def test_a_handlers_span_is_a_child_of_the_messages_sender(
    provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """By the `traceparent` of the message; it is one of the spans that cost little."""

    async def work(message: Message, context: Context) -> None:
        await context.publish("out", b"y")

    broker = broker_with((("message-id", "7"), ("traceparent", PARENT), ("correlation-id", "8")))
    await handled(running(broker, work))
    span = named(provider, exporter, "process in")
    assert isinstance(span, Span)
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id, span.parent.is_remote) == (TRACE, SENDER, True)
    assert dict(span.attributes) == {
        "messaging.system": "dictionary",
        "messaging.destination.name": "in",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.body.size": 1,
        "messaging.message.id": "7",
        "messaging.message.conversation_id": "8",
        "dragoman.handler": "work",
        "dragoman.attempt": 1,
    }
    sent = named(provider, exporter, "send out")
    assert isinstance(sent, Span)
    (out,) = broker.messages("out")
    assert out.get("traceparent") == "00-{:032x}-{:016x}-01".format(*ids(sent))


async def test_a_handler_adds_to_its_span(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """It is the current one: what is traced inside the handler is its child, and what it is told stays."""

    async def work(message: Message, context: Context) -> None:
        span = trace.get_current_span()
        assert span.is_recording()
        span.set_attribute("customer", 7)
        span.set_attributes({"dragoman.attempt": "the first", "kind": ["a", "b"]})
        span.update_name("bill a customer")
        with trace.get_tracer("a driver").start_as_current_span("query"):
            await asyncio.sleep(0)
        span.add_event("found", {"rows": 2})
        span.record_exception(KeyError("street"))
        span.set_status(StatusCode.OK)
        await context.publish("out", b"y")

    await handled(running(broker_with(()), work))
    span = named(provider, exporter, "bill a customer")
    for name in ("query", "send out"):
        child = named(provider, exporter, name)
        assert child.parent is not None
        assert (child.parent.trace_id, child.parent.span_id) == ids(span)
        assert span.start_time is not None
        assert child.end_time is not None
        assert span.end_time is not None
        assert span.start_time <= child.end_time <= span.end_time
    assert span.parent is None
    assert span.kind is SpanKind.CONSUMER
    assert span.attributes is not None
    assert span.attributes["customer"] == 7
    assert span.attributes["kind"] == ("a", "b")
    assert span.attributes["dragoman.attempt"] == "the first"
    assert span.attributes["messaging.destination.name"] == "in"
    found, raised = span.events
    assert (found.name, dict(found.attributes or {})) == ("found", {"rows": 2})
    assert (raised.attributes or {})["exception.type"] == "KeyError"
    assert span.status.status_code is StatusCode.OK


async def test_a_failure_is_on_the_span(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """With where it came from, however the handler ended its span itself."""

    async def work(message: Message, context: Context) -> None:
        if context.attempt == 1:
            raise ValueError("no good")
        trace.get_current_span().end()

    await handled(running(broker_with(()), work, retry={"backoff": "1ms"}))
    assert provider.force_flush()
    first, second = exporter.get_finished_spans()
    assert first.status.status_code is StatusCode.ERROR
    assert first.status.description == "ValueError: no good"
    (raised,) = first.events
    assert "no good" in str((raised.attributes or {})["exception.stacktrace"])
    assert second.status.status_code is StatusCode.UNSET
    assert (second.attributes or {})["dragoman.attempt"] == 2


async def test_a_batch_is_linked_with_each_sender(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """Its span is a trace's first; messages without a sender's trace have no link."""

    async def work(messages: Sequence[Message], context: Context) -> None:
        pass

    other = f"00-{TRACE + 1:032x}-{SENDER:016x}-01"
    carried = ((("traceparent", PARENT),), (), (("traceparent", other), ("tracestate", "a=1")), (("traceparent", "?"),))
    await handled(running(broker_with(*carried), work, batch={"size": 4, "wait": "10s"}), 4)
    span = named(provider, exporter, "process in")
    assert span.parent is None
    assert [link.context.trace_id for link in span.links] == [TRACE, TRACE + 1]
    assert (span.attributes or {})["messaging.batch.message_count"] == 4


async def test_baggage_and_state_go_on_with_a_trace(provider: TracerProvider, exporter: InMemorySpanExporter) -> None:
    """From the message into the handler, and into what it sends, once; not into the next message."""
    found: list[object] = []

    async def work(message: Message, context: Context) -> None:
        found.append(baggage.get_baggage("customer"))
        await context.publish("out", message)

    came = (("traceparent", PARENT), ("tracestate", "vendor=1"), ("baggage", "customer=7"))
    broker = broker_with(came, ())
    await handled(running(broker, work, concurrency=1), 2)
    assert found == ["7", None]
    first, second = broker.messages("out")
    assert (first.get("traceparent") or "").startswith(f"00-{TRACE:032x}-")
    assert first.get("tracestate") == "vendor=1"
    assert first.get("baggage") == "customer=7"
    assert sorted(name for name, _ in first.metadata) == ["baggage", "traceparent", "tracestate"]
    assert [name for name, _ in second.metadata] == ["traceparent"]
    assert provider.force_flush()
    traces = {ids(span)[0] for span in exporter.get_finished_spans()}
    assert TRACE in traces
    assert len(traces) == 2


@pytest.mark.parametrize("flags", ["00", "01"])
async def test_what_is_not_sampled_carries_its_trace_on(flags: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the sender decided so or the sampler: nothing is exported, and the next is told not to either."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(ALWAYS_OFF) if flags == "01" else TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    seen: list[trace.Span] = []

    async def work(message: Message, context: Context) -> None:
        seen.append(trace.get_current_span())
        await context.publish("out", b"y")

    broker = broker_with((("traceparent", PARENT[:-2] + flags),))
    await handled(running(broker, work))
    assert not exporter.get_finished_spans()
    (span,) = seen
    assert not span.is_recording()
    (out,) = broker.messages("out")
    sent = (out.get("traceparent") or "").split("-")
    assert sent[1] == f"{TRACE:032x}"
    assert sent[2] not in (f"{SENDER:016x}", f"{span.get_span_context().span_id:016x}")
    assert sent[3] == "00"
    provider.shutdown()


async def test_another_implementation_makes_the_spans_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked as the API says, with the sender's context."""
    tracer = _Tracer()
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", _Provider(tracer))
    seen: list[trace.Span] = []

    async def work(message: Message, context: Context) -> None:
        seen.append(trace.get_current_span())

    await handled(running(broker_with((("traceparent", PARENT),)), work))
    (name, sender) = tracer.asked
    assert name == "process in"
    assert (sender.trace_id, sender.span_id) == (TRACE, SENDER)
    assert seen == [tracer.span]


class _Tracer(trace.NoOpTracer):
    def __init__(self) -> None:
        self.span = NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))

    def start_span(self, name: str, context: Around | None = None, *_: object, **__: object) -> trace.Span:
        """Remember what was asked for."""
        self.asked = name, trace.get_current_span(context).get_span_context()
        return self.span


class _Provider(trace.TracerProvider):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def get_tracer(self, *_: object, **__: object) -> trace.Tracer:
        """The same each time."""
        return self._tracer
