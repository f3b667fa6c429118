"""What it costs each message that the host is watched: its metrics read all the time, and a trace of every message.

The spans go through OpenTelemetry's SDK to an exporter that does nothing, which is all of them that is ours. What an
exporter does comes on top, on a thread of its own; one row has it read each span. Beside it stands the same span, made
by the SDK.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from tests.dictionary.adapter import Settings, dictionary
from tests.dictionary.broker import Broker

from benchmarks.host import CHANNEL, MESSAGES, ROUNDS, bare, filled, settled
from benchmarks.report import Figure
from dragoman.config.model import Config
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.observe.observing import observed
from dragoman.plugins import Plugin, Plugins

#: A watcher usually comes every 15 s; this one does 300 times as often. It is a process of its own.
_READER: Final = """
import sys, time, urllib.request
while True:
    urllib.request.urlopen(sys.argv[1]).read()
    time.sleep(0.05)
"""
#: As OpenTelemetry's conventions for messaging ask for.
_ABOUT: Final[Mapping[str, Any]] = {
    "messaging.system": "dictionary",
    "messaging.destination.name": "in",
    "messaging.operation.name": "process",
    "messaging.operation.type": "process",
    "messaging.message.body.size": 256,
    "dragoman.handler": "work",
    "dragoman.attempt": 1,
}


@dataclass(frozen=True)
class _Way:
    """How the host is watched.

    Attributes:
        name: what the figure is called.
        metrics: whether they are read.
        traces: whether there are any.
        carrying: whether messages come with the trace of their sender, as they do from a handler that is traced.
        exported: whether the exporter reads the spans.
    """

    name: str
    metrics: bool = False
    traces: bool = False
    carrying: bool = False
    exported: bool = False


_WAYS: Final = (
    _Way("not watched"),
    _Way("metrics read 20 times a second", metrics=True),
    _Way("traces", traces=True),
    _Way("metrics and traces", metrics=True, traces=True),
    _Way("metrics and traces that go on", metrics=True, traces=True, carrying=True),
    _Way("metrics and traces that go on, and an exporter that reads them", True, True, True, True),
)


class _Nowhere(SpanExporter):
    """Exports nothing, and says that it did; at most it reads what there is to export."""

    reads = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.reads:
            for span in spans:
                _read_all(span)
        return SpanExportResult.SUCCESS


def _read_all(span: ReadableSpan) -> tuple[object, ...]:
    """What the exporter for OTLP reads."""
    itself = (span.name, span.kind, span.get_span_context(), span.parent, span.start_time, span.end_time, span.status)
    rest = (dict(span.attributes or {}), span.events, span.links, span.resource, span.instrumentation_scope)
    return (*itself, *rest, span.dropped_attributes, span.dropped_events, span.dropped_links)


def _tracing(exporter: SpanExporter) -> TracerProvider:
    """The SDK as a program sets it up: every message is sampled, spans leave in batches."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(exporter, max_queue_size=2 * MESSAGES))
    trace.set_tracer_provider(provider)
    return provider


def _filled(*, carrying: bool) -> Broker:
    """A broker with the messages; each of them of a trace that its sender began, or of none."""
    if not carrying:
        return filled(0)
    gc.collect()
    broker = Broker()
    for number in range(MESSAGES):
        carried = {"message-id": str(number), "traceparent": f"00-{number + 1:032x}-{number + 1:016x}-03"}
        broker.append(CHANNEL, Message.of(b"x" * 256, metadata=carried))
    return broker


async def _loop(*, carrying: bool) -> float:
    adapter = await dictionary(_filled(carrying=carrying)).connect(Settings())
    took = await bare(adapter)
    await adapter.close()
    return took


async def _host(reference: str, way: _Way, provider: TracerProvider) -> float:
    work = {"python": reference, "client": "main", "subscribe": ["in"], "concurrency": 16}
    clients = {"main": {"adapter": "dictionary"}}
    observe = {"traces": "on" if way.traces else "off"} | ({"address": "127.0.0.1:0"} if way.metrics else {})
    config = Config.model_validate({"clients": clients, "handlers": {"work": work}, "observe": observe})
    adapter = dictionary(_filled(carrying=way.carrying))
    host = Host(config, plugins=Plugins([Plugin("dictionary", "dragoman-dictionary", "1", (adapter,))]), folder=Path())
    async with _read(host, config):
        begin = process_time()
        async with host:
            await settled(host, MESSAGES)
            provider.force_flush()
            return process_time() - begin


@asynccontextmanager
async def _read(host: Host, config: Config) -> AsyncIterator[None]:
    """Inside the block somebody reads its metrics, where it has an address."""
    url = asyncio.get_running_loop().create_future()
    async with observed(config.observe, lambda: host.counters, listening=url.set_result):
        if config.observe.address is None:
            yield
            return
        reader = await asyncio.create_subprocess_exec(sys.executable, "-c", _READER, f"{await url}/metrics")
        try:
            yield
        finally:
            reader.kill()
            await reader.wait()


def _spans(provider: TracerProvider) -> float:
    """Seconds of computing for as many spans by the SDK alone."""
    tracer = provider.get_tracer("benchmark")
    begin = process_time()
    for _ in range(MESSAGES):
        with tracer.start_as_current_span("process in", kind=trace.SpanKind.CONSUMER, attributes=_ABOUT):
            pass
    provider.force_flush()
    return process_time() - begin


async def watched(reference: str) -> list[Figure]:
    """All figures, in rounds that take each way in turn. From then on the process has OpenTelemetry set up."""
    exporter = _Nowhere()
    provider = _tracing(exporter)
    added: dict[str, list[float]] = {way.name: [] for way in _WAYS}
    span: list[float] = []
    for _ in range(ROUNDS):
        alone = {carrying: await _loop(carrying=carrying) for carrying in (False, True)}
        for way in _WAYS:
            exporter.reads = way.exported
            added[way.name].append(await _host(reference, way, provider) - alone[way.carrying])
        exporter.reads = False
        span.append(_spans(provider))
    provider.shutdown()
    rows = [
        Figure(
            f"added by the host, {way.name}",
            median(added[way.name]) / MESSAGES * 1e6,
            "µs/message",
            target="" if way.exported else "<= 15",
        )
        for way in _WAYS
    ]
    return [*rows, Figure("a span by OpenTelemetry's SDK", median(span) / MESSAGES * 1e6, "µs/message")]
