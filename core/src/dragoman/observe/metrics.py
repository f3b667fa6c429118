"""The counters of a host as Prometheus reads them: its text format 0.0.4, or OpenMetrics 1.0 if asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from dragoman.host.counters import Counters, Latencies
from dragoman.host.workers.supervisor import WorkerState
from dragoman.observe.page import Page
from dragoman.version import __version__

#: Counts that only grow: the name, the attribute of `Counters`, what it is.
_COUNTS: Final = (
    ("dragoman_messages_received", "received", "Deliveries that came, those that came again included."),
    ("dragoman_messages_handled", "handled", "Messages that were handled well and accepted for it."),
    ("dragoman_messages_sent", "sent", "Messages that the handler sent and the broker confirmed."),
    ("dragoman_messages_dead_lettered", "dead_lettered", "Messages that were dead-lettered."),
    ("dragoman_messages_dropped", "dropped", "Messages that were dropped after their last try."),
    ("dragoman_messages_released", "released", "Messages that went back to the broker."),
    ("dragoman_tries_failed", "failed", "Tries that failed."),
    ("dragoman_tries_retried", "retried", "Failed tries after which there was another one."),
)
#: What goes up and down.
_GAUGES: Final = (
    ("dragoman_messages_in_hand", "in_hand", "Deliveries that are not settled yet."),
    ("dragoman_messages_waiting", "waiting", "Deliveries in hand that wait for their next try."),
)
#: Upper bounds of the histogram in microseconds, from 64 us to 67 s. Powers of two, for there `Latencies` is exact.
_BOUNDS: Final = tuple(1 << power for power in range(6, 27, 2))


class Metrics(Collector):
    """Makes the metrics of the counters when they are asked for: nothing is kept twice.

    Args:
        counters: gives the counters of each handler.
        workers: gives the processes that a supervisor has; none where there is no supervisor.
    """

    def __init__(
        self, counters: Callable[[], Mapping[str, Counters]], workers: Callable[[], Sequence[WorkerState]] = tuple
    ) -> None:
        self._counters = counters
        self._workers = workers
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self, accept: str = "") -> Page:
        """The page `/metrics`, in the format that the watcher accepts."""
        encode, content_type = choose_encoder(accept)
        return Page(encode(self._registry), content_type)

    def collect(self) -> Iterator[Metric]:
        """What the registry asks for."""
        counters = self._counters()
        yield InfoMetricFamily("dragoman", "The host.", {"version": __version__})
        for name, attribute, text in _COUNTS:
            count = CounterMetricFamily(name, text, labels=["handler"])
            for handler, one in counters.items():
                count.add_metric([handler], getattr(one, attribute))
            yield count
        for name, attribute, text in _GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=["handler"])
            for handler, one in counters.items():
                gauge.add_metric([handler], getattr(one, attribute))
            yield gauge
        yield _lag(counters)
        yield _outages(counters)
        yield _durations(counters)
        if workers := self._workers():
            yield from _processes(workers)


def _lag(counters: Mapping[str, Counters]) -> Metric:
    lag = GaugeMetricFamily(
        "dragoman_lag", "Messages that wait on the broker, where it knows.", labels=["handler", "channel"]
    )
    for handler, one in counters.items():
        for channel, waiting in one.lag.items():
            lag.add_metric([handler, channel], waiting)
    return lag


def _outages(counters: Mapping[str, Counters]) -> Metric:
    outages = GaugeMetricFamily("dragoman_outages", "What the handler can't do at the moment.", labels=["handler"])
    for handler, one in counters.items():
        outages.add_metric([handler], len(one.outages))
    return outages


def _processes(workers: Sequence[WorkerState]) -> Iterator[Metric]:
    ready = GaugeMetricFamily("dragoman_worker_ready", "Whether the process handles messages.", labels=["worker"])
    restarts = CounterMetricFamily("dragoman_worker_restarts", "How often it was started again.", labels=["worker"])
    for worker in workers:
        ready.add_metric([str(worker.number)], worker.ready)
        restarts.add_metric([str(worker.number)], worker.restarts)
    yield ready
    yield restarts


def _durations(counters: Mapping[str, Counters]) -> Metric:
    durations = HistogramMetricFamily(
        "dragoman_handling_seconds", "Each try that went well, to its last confirmed send.", labels=["handler"]
    )
    for handler, one in counters.items():
        durations.add_metric([handler], _buckets(one.latencies), one.latencies.total)
    return durations


def _buckets(latencies: Latencies) -> list[tuple[str, float]]:
    below = [(str(bound / 1e6), float(latencies.below(bound))) for bound in _BOUNDS]
    return [*below, ("+Inf", float(latencies.count))]
