"""Traces that follow a message from handler to handler, seen by OpenTelemetry's own SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

import dragoman
from dragoman.config.model import Config
from dragoman.errors import ConfigError
from dragoman.handlers.handler import Context
from dragoman.host.host import Host
from dragoman.message import Message
from dragoman.observe import traces
from dragoman.plugins import load_plugins
from tests.host.running import module_of


async def _first(message: Message, context: Context) -> None:
    await context.publish("second", message, b"another")


async def _second(message: Message, context: Context) -> None:
    if message.data == b"bad" and context.attempt == 1:
        raise ValueError("no good")
    await context.publish("done", message)


async def _answer(message: Message, context: Context) -> None:
    await context.reply(message, b"yes")


@pytest.fixture(autouse=True)
def module() -> Iterator[str]:
    """The handlers, where a configuration finds them."""
    with module_of(first=_first, second=_second, answer=_answer) as name:
        yield name


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What a provider has been given that a program has set up."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()


def configuration(folder: Path, module: str, sends: str = "direct", **observe: str) -> Config:
    """Two handlers in a row, and one that answers."""
    common = {"client": "shop", "retry": {"backoff": "1ms"}, "sends": sends}
    return Config.model_validate(
        {
            "clients": {"shop": {"adapter": "embedded", "path": str(folder / "shop.db")}},
            "handlers": {
                "first": common | {"python": f"{module}:first", "subscribe": ["in"], "publish": ["second"]},
                "second": common | {"python": f"{module}:second", "subscribe": ["second"], "publish": ["done"]},
                "answer": common | {"python": f"{module}:answer", "subscribe": ["ask"]},
            },
            "observe": observe,
        }
    )


async def handled(config: Config, folder: Path, *messages: bytes | Message) -> list[dragoman.Message]:
    """Publish them in a span of the program's own; what the handlers sent at last."""
    path = config.clients["shop"].settings["path"]
    found: list[dragoman.Message] = []
    async with (
        Host(config, plugins=load_plugins(), folder=folder) as host,
        dragoman.connect(f"embedded:{path}") as client,
    ):
        with trace.get_tracer("test").start_as_current_span("program"):
            await client.publish("in", *messages)
        async with client.subscribe("done", group="test") as done:
            async for delivery in done:
                found.append(delivery.message)
                await done.accept(delivery)
                if len(found) == 2 * len(messages):
                    break
        # A message may be here before the send that brought it has ended; closing the host would cancel that.
        assert await host.drain(30)
    return found


def named(spans: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """Those of that name, in the order in which they ended."""
    return [span for span in spans.get_finished_spans() if span.name == name]


async def test_a_trace_follows_a_message(spans: InMemorySpanExporter, tmp_path: Path, module: str) -> None:
    """From the program that sent it over two handlers: each span is the child of the one that sent."""
    out = await handled(configuration(tmp_path, module), tmp_path, b"good")
    (program,), (sent,) = named(spans, "program"), named(spans, "send in")
    (first,), (passed,) = named(spans, "process in"), named(spans, "send second")
    assert sent.parent is not None
    assert program.context is not None
    assert sent.parent.span_id == program.context.span_id
    for child, parent in ((first, sent), (passed, first)):
        assert child.parent is not None
        assert parent.context is not None
        assert child.parent.span_id == parent.context.span_id
    assert {span.context.trace_id for span in spans.get_finished_spans() if span.context} == {program.context.trace_id}
    assert sent.kind is SpanKind.PRODUCER
    assert first.kind is SpanKind.CONSUMER
    assert first.attributes is not None
    assert passed.attributes is not None
    assert first.attributes["messaging.operation.type"] == "process"
    assert first.attributes["messaging.destination.name"] == "in"
    assert first.attributes["messaging.system"] == "embedded"
    assert first.attributes["dragoman.handler"] == "first"
    assert first.attributes["messaging.message.body.size"] == 4
    assert passed.attributes["messaging.batch.message_count"] == 2
    assert all(len([name for name, _ in message.metadata if name == "traceparent"]) == 1 for message in out)
    assert all(f"{program.context.trace_id:032x}" in (message.get("traceparent") or "") for message in out)


async def test_a_failed_try_is_an_error_and_the_next_one_a_span_of_its_own(
    spans: InMemorySpanExporter, tmp_path: Path, module: str
) -> None:
    """With the attempt, the kind of error and its text."""
    await handled(configuration(tmp_path, module), tmp_path, b"bad")
    tries = [span for span in named(spans, "process second") if (span.attributes or {}).get("dragoman.attempt") == 2]
    (failed,) = [span for span in named(spans, "process second") if span.status.status_code is StatusCode.ERROR]
    assert len(tries) == 1
    assert failed.attributes is not None
    assert failed.attributes["dragoman.attempt"] == 1
    assert failed.attributes["error.type"] == "HandlerFailed"
    assert failed.status.description == "ValueError: no good"


async def test_a_request_and_its_reply_are_in_one_trace(
    spans: InMemorySpanExporter, tmp_path: Path, module: str
) -> None:
    """The reply carries on the trace, too."""
    config = configuration(tmp_path, module)
    path = config.clients["shop"].settings["path"]
    async with (
        Host(config, plugins=load_plugins(), folder=tmp_path) as host,
        dragoman.connect(f"embedded:{path}") as client,
    ):
        (reply,) = await client.request("ask", b"?", timeout=10)
        assert await host.drain(30)
    (asked,), (answered,) = named(spans, "send ask"), named(spans, "process ask")
    assert asked.context is not None
    assert answered.parent is not None
    assert answered.parent.span_id == asked.context.span_id
    assert f"{asked.context.trace_id:032x}" in (reply.get("traceparent") or "")


async def test_what_is_held_until_its_handler_succeeds_is_of_its_trace(
    spans: InMemorySpanExporter, tmp_path: Path, module: str
) -> None:
    """In outbox mode a send goes out when the try is over; it leads to the try all the same."""
    out = await handled(configuration(tmp_path, module, "outbox"), tmp_path, b"good")
    (program,) = named(spans, "program")
    (first,), (created,) = named(spans, "process in"), named(spans, "create second")
    assert program.context is not None
    assert first.context is not None
    assert created.parent is not None
    assert created.context is not None
    assert created.parent.span_id == first.context.span_id
    parents = {span.parent.span_id for span in named(spans, "process second") if span.parent}
    assert parents == {created.context.span_id}
    assert all(f"{program.context.trace_id:032x}" in (message.get("traceparent") or "") for message in out)
    assert {span.context.trace_id for span in spans.get_finished_spans() if span.context} == {program.context.trace_id}


async def test_traces_can_be_turned_off(spans: InMemorySpanExporter, tmp_path: Path, module: str) -> None:
    """Then a host makes none, whoever has set up OpenTelemetry."""
    await handled(configuration(tmp_path, module, traces="off"), tmp_path, b"good")
    assert {span.name for span in spans.get_finished_spans()} == {"program", "send in"}


async def test_nothing_is_added_where_nobody_has_set_it_up(tmp_path: Path, module: str) -> None:
    """Installed alone it changes nothing."""
    assert traces.found() is None
    out = await handled(configuration(tmp_path, module), tmp_path, b"good")
    assert all(message.get("traceparent") is None for message in out)


@pytest.mark.parametrize(
    ("missing", "variables", "told"),
    [
        (True, {}, "SDK is not installed .pip install opentelemetry-sdk"),
        (False, {"OTEL_TRACES_EXPORTER": "nowhere"}, "'nowhere' .* is not installed; expected one of console"),
    ],
)
def test_traces_that_are_wanted_and_cannot_be_had_are_a_mistake(
    missing: bool, variables: dict[str, str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line at the start that says what to install."""
    if missing:
        monkeypatch.setattr(traces, "find_spec", lambda _: None)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=told):
        traces.configure("on")


def test_the_environment_says_where_traces_go(tmp_path: Path) -> None:
    """A process that OpenTelemetry's variables reach exports what it did, under the name that they give."""
    code = """
        import asyncio, dragoman
        from dragoman.observe import traces

        async def main():
            traces.configure("auto")
            async with dragoman.connect("embedded:shop.db") as client:
                await client.publish("orders", b"x")

        asyncio.run(main())
    """
    variables = {"OTEL_TRACES_EXPORTER": "console", "OTEL_SERVICE_NAME": "till"}
    done = subprocess.run(
        [sys.executable, "-c", dedent(code)], cwd=tmp_path, env={**os.environ, **variables}, capture_output=True,
        check=True, text=True,
    )  # fmt: skip
    span = json.loads(done.stdout)
    assert span["name"] == "send orders"
    assert span["resource"]["attributes"]["service.name"] == "till"
