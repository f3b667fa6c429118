"""The counters as Prometheus reads them, read back by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from dragoman.host.counters import Counters
from dragoman.observe.metrics import Metrics


def samples(counters: Mapping[str, Counters], accept: str = "") -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All values, by name and labels."""
    page = Metrics(lambda: counters).page(accept)
    parse = open_families if "openmetrics" in page.content_type else families
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(page.body.decode())
        for sample in family.samples
    }


def test_every_counter_of_every_handler_is_there() -> None:
    """By the handler's name, which may be any text."""
    name = 'a "name"\\'
    counters = {name: Counters(received=9, in_hand=2, waiting=1, handled=5, sent=4, failed=3, retried=2)}
    counters[name].lag["queue:in"] = 70
    counters[name].outages["publish"] = "away"
    found = samples(counters)
    label = (("handler", name),)
    assert found["dragoman_messages_received_total", label] == 9
    assert found["dragoman_messages_handled_total", label] == 5
    assert found["dragoman_messages_sent_total", label] == 4
    assert found["dragoman_messages_in_hand", label] == 2
    assert found["dragoman_messages_waiting", label] == 1
    assert found["dragoman_tries_failed_total", label] == 3
    assert found["dragoman_tries_retried_total", label] == 2
    assert found["dragoman_messages_dropped_total", label] == 0
    assert found["dragoman_outages", label] == 1
    assert found["dragoman_lag", (("channel", "queue:in"), ("handler", name))] == 70
    assert found["process_resident_memory_bytes", ()] > 1_000_000


def test_openmetrics_is_given_to_those_who_ask() -> None:
    """With the same values."""
    counters = {"copy": Counters(handled=5)}
    found = samples(counters, "application/openmetrics-text; version=1.0.0")
    assert found["dragoman_messages_handled_total", (("handler", "copy"),)] == 5


@given(st.lists(st.floats(0, 100), max_size=50))
def test_the_histogram_counts_each_try_once_and_where_it_belongs(seconds: list[float]) -> None:
    """Buckets are cumulative, exact at their bounds, and the sum is that of all."""
    one = Counters()
    for each in seconds:
        one.latencies.add(each)
    found = samples({"copy": one})
    label = ("handler", "copy")
    for (name, labels), value in found.items():
        if name == "dragoman_handling_seconds_bucket":
            bound = float(dict(labels)["le"])
            assert value == sum(int(each * 1e6) < round(bound * 1e6) if bound < 1e9 else True for each in seconds)
    assert found["dragoman_handling_seconds_count", (label,)] == len(seconds)
    assert abs(found["dragoman_handling_seconds_sum", (label,)] - sum(seconds)) < 1e-6
