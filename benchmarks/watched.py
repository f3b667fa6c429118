"""What it costs each message that the host is watched: its metrics read all the time, and a trace of every message.

Most of a trace's price is that of OpenTelemetry's SDK, which makes, samples and queues a span for each message and
exports it on a thread of its own. So the same span, by the SDK alone, is measured beside it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from tests.dictionary.adapter import Settings, dictionary

from benchmarks.host import MESSAGES, ROUNDS, bare, filled, settled
from benchmarks.report import Figure
from dragoman.config.model import Config
from dragoman.host.host import Host
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


class _Nowhere(SpanExporter):
    """Exports nothing, and says that it did."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - the SDK's signature
        return SpanExportResult.SUCCESS


def _tracing() -> TracerProvider:
    """The SDK as a program sets it up: every message is sampled, spans leave in batches."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(_Nowhere(), max_queue_size=2 * MESSAGES))
    trace.set_tracer_provider(provider)
    return provider


async def _loop() -> float:
    adapter = await dictionary(filled(0)).connect(Settings())
    took = await bare(adapter)
    await adapter.close()
    return took


async def _host(reference: str, observe: Mapping[str, str]) -> float:
    work = {"python": reference, "client": "main", "subscribe": ["in"], "concurrency": 16}
    clients = {"main": {"adapter": "dictionary"}}
    config = Config.model_validate({"clients": clients, "handlers": {"work": work}, "observe": observe})
    plugin = Plugin("dictionary", "dragoman-dictionary", "1", (dictionary(filled(0)),))
    host = Host(config, plugins=Plugins([plugin]), folder=Path())
    async with _read(host, config):
        begin = process_time()
        async with host:
            await settled(host, MESSAGES)
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
    return process_time() - begin


async def watched(reference: str) -> list[Figure]:
    """All figures, in rounds that take each way in turn. From then on the process has OpenTelemetry set up."""
    provider = _tracing()
    ways: dict[str, Mapping[str, Any]] = {
        "not watched": {"traces": "off"},
        "metrics read 20 times a second": {"traces": "off", "address": "127.0.0.1:0"},
        "traces": {"traces": "on"},
        "metrics and traces": {"traces": "on", "address": "127.0.0.1:0"},
    }
    added: dict[str, list[float]] = {way: [] for way in [*ways, "span"]}
    for _ in range(ROUNDS):
        alone = await _loop()
        for way, observe in ways.items():
            added[way].append(await _host(reference, observe) - alone)
        added["span"].append(_spans(provider))
    provider.shutdown()
    figures = {way: median(seconds) / MESSAGES * 1e6 for way, seconds in added.items()}
    span = figures.pop("span")
    rows = [
        Figure(f"added by the host, {way}", value, "µs/message", target="" if "traces" in way else "<= 15")
        for way, value in figures.items()
    ]
    rows.append(Figure("a span of OpenTelemetry's SDK alone", span, "µs/message"))
    rest = figures["metrics and traces"] - span
    rows.append(Figure("added by the host, all of it on, without that span", rest, "µs/message", target="<= 15"))
    return rows
