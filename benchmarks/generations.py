"""What a message costs in a component of each generation, beside the same guest on wasmtime-py's public API.

Each guest (`upper-…`) reads the body that it is given and sends it on in capitals; both sides make a new store and
instance for each call, and both have the component compiled. `core` has a benchmark of its own (`component`). Of
`formats`, whose handler takes lists, also a batch of 100 is measured beside a call for each.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from types import SimpleNamespace
from typing import Any

from tests.component.harness import Recorder
from tests.guests.build import guest

from benchmarks.report import Figure, report
from dragoman.config.model import HandlerConfig
from dragoman.handlers.component.components import Components
from dragoman.message import Channel, Message

ROUNDS = 7
#: Bytes of a body, calls in a round, and the ratio that is wanted.
SIZES = ((256, 300, 4), (4096, 60, 15), (65_536, 6, None))
BATCH = 100
CHANNEL = Channel("in")

Run = Callable[[bytes, int], Awaitable[float]]


def _record(**fields: Any) -> SimpleNamespace:
    return SimpleNamespace(**{name.replace("_", "-"): value for name, value in fields.items()})


def _event(data: bytes) -> SimpleNamespace:
    given = dict.fromkeys(("datacontenttype", "dataschema", "subject", "time"))
    known = [("channel", "queue:in")]
    return _record(specversion="1.0", ty="t", source="in", id="1", data=data, extensions=known, **given)


def _message(data: bytes) -> SimpleNamespace:
    return _record(data=data, format="raw", metadata=[("channel", "in"), ("dragoman-receipt", "0" * 22)])


@dataclass(frozen=True)
class Generation:
    """What the public API needs to call a guest.

    Attributes:
        handler: the interface and the function that the guest exports.
        resources: by interface.
        functions: by interface and name; the host is the first argument, the store the second.
        argument: what the handler takes, for a body.
        body: the body of what the guest sent.
    """

    handler: tuple[str, str]
    resources: Mapping[str, tuple[str, ...]]
    functions: Mapping[str, Mapping[str, Callable[..., Any]]]
    argument: Callable[[Any, bytes], Any]
    body: Callable[[Any], Any]


WASI, WASMCLOUD, DRAFT = "wasi:messaging/", "wasmcloud:messaging/", "@0.2.0-draft"
GENERATIONS = {
    "topics": Generation(
        (f"{WASI}messaging-guest{DRAFT}", "handler"),
        {f"{WASI}types{DRAFT}": ("client", "message")},
        {
            f"{WASI}types{DRAFT}": {
                "[static]client.connect": lambda host, _s, name: host.own(1, name),
                "[constructor]message": lambda host, _s, topic, data: host.own(2, {"topic": topic, "data": data}),
                "[method]message.data": lambda host, store, message: host.get(store, message)["data"],
                "[method]message.set-content-type": lambda host, s, m, text: host.get(s, m).update(content_type=text),
                "[method]message.add-metadata": lambda host, s, m, key, value: host.get(s, m).update({key: value}),
            },
            f"{WASI}producer{DRAFT}": {
                "send": lambda host, store, _client, message: host.sent.append(host.get(store, message))
            },
        },
        lambda host, data: host.own(2, {"topic": "in", "data": data}),
        lambda sent: sent["data"],
    ),
    "wasmcloud": Generation(
        (f"{WASMCLOUD}handler@0.2.0", "handle-message"),
        {},
        {
            f"{WASMCLOUD}types@0.2.0": {},
            f"{WASMCLOUD}consumer@0.2.0": {"publish": lambda host, _s, message: host.sent.append(message)},
        },
        lambda _host, data: _record(subject="in", body=data, reply_to=None),
        lambda sent: sent.body,
    ),
    "events": Generation(
        (f"{WASI}handler", "on-receive"),
        {},
        {f"{WASI}types": {}, f"{WASI}pub": {"publish": lambda host, _s, _channel, event: host.sent.append(event)}},
        lambda _host, data: _event(data),
        lambda sent: sent.data,
    ),
    "formats": Generation(
        (f"{WASI}messaging-guest{DRAFT}", "handler"),
        {f"{WASI}messaging-types{DRAFT}": ("client", "error")},
        {
            f"{WASI}messaging-types{DRAFT}": {
                "[static]client.connect": lambda host, _s, name: host.ok(host.own(1, name))
            },
            f"{WASI}producer{DRAFT}": {"send": lambda host, _s, _c, _channel, messages: host.sent.extend(messages)},
        },
        lambda _host, data: [_message(data)],
        lambda sent: sent.data,
    ),
}


class PublicApi:
    """A host on wasmtime-py's public API."""

    def __init__(self, path: Path, generation: Generation) -> None:
        import wasmtime
        from wasmtime import component

        self._api, self._wasmtime, self._generation = component, wasmtime, generation
        self._engine = wasmtime.Engine()
        self._component = component.Component.from_file(self._engine, str(path))
        self._linker = component.Linker(self._engine)
        self._objects: dict[int, Any] = {}
        self._next = 0
        self.sent: list[Any] = []
        with ExitStack() as stack:
            root = stack.enter_context(self._linker.root())
            for name, functions in generation.functions.items():
                with root.add_instance(name) as interface:
                    for number, resource in enumerate(generation.resources.get(name, ()), 1):
                        interface.add_resource(resource, component.ResourceType.host(number), self._drop)
                    for function, call in functions.items():
                        interface.add_func(function, lambda *arguments, call=call: call(self, *arguments))
        interface, function = generation.handler
        export = self._component.get_export_index(function, self._component.get_export_index(interface))
        assert export is not None
        self._export = export

    def own(self, kind: int, value: Any) -> Any:
        """A handle of an object."""
        self._next += 1
        self._objects[self._next] = value
        return self._api.ResourceHost.own(self._next, kind)

    def get(self, store: Any, handle: Any) -> Any:
        """The object of a handle."""
        return self._objects[handle.to_host(store).rep]

    def ok(self, value: Any) -> Any:
        """The good side of a result of which both sides are handles."""
        return self._api.Variant("ok", value)

    def _drop(self, _store: Any, number: int) -> None:
        self._objects.pop(number, None)

    async def run(self, data: bytes, count: int) -> float:
        """Seconds for each message, each in a store of its own."""
        self.sent.clear()
        start = perf_counter()
        for _ in range(count):
            store = self._wasmtime.Store(self._engine)
            handle = self._linker.instantiate(store, self._component).get_func(store, self._export)
            assert handle is not None
            handle(store, self._generation.argument(self, data))
            self._objects.clear()
        took = perf_counter() - start
        assert [bytes(self._generation.body(sent)) for sent in self.sent] == [data.upper()] * count
        return took / count


class Quick(Recorder):
    """A context whose receipts cost nothing."""

    def receipt(self, _: Message) -> str:
        """The same for all."""
        return "0" * 22


def ours(handler: Any, batch: int = 1) -> Run:
    """Seconds for each message on our engine, so many in one call."""

    async def run(data: bytes, count: int) -> float:
        context, messages = Quick(), [Message(data, channel=CHANNEL)] * batch
        start = perf_counter()
        for _ in range(count):
            await handler.handle(messages, context)
        took = perf_counter() - start
        assert [sent.data for _, _, sent in context.sent] == [data.upper()] * (count * batch)
        return took / count / batch

    return run


async def measure() -> list[Figure]:
    """All figures, in rounds that take every side in turn."""
    with TemporaryDirectory() as cache:
        components = Components(Path(cache))
        runs: dict[tuple[str, str], Run] = {}
        for name, generation in GENERATIONS.items():
            path = guest(f"upper-{name}")
            runs[name, "public API"] = PublicApi(path, generation).run
            handler = await components.open("bench", HandlerConfig(component=path, client="default"))
            runs[name, "fresh"] = ours(handler)
            if name == "formats":
                runs[name, "batch"] = ours(handler, BATCH)
        times: dict[tuple[str, str, int], list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for (name, side), run in runs.items():
                for size, count, _ in SIZES if side != "batch" else SIZES[:1]:
                    few = count if side == "fresh" else max(2, count // 20)
                    times[name, side, size].append(await run(b"a" * size, few))
        await components.close()
    found = {key: median(values) * 1e6 for key, values in times.items()}
    return [*_figures(found), _batch(found)]


def _figures(found: Mapping[tuple[str, str, int], float]) -> list[Figure]:
    figures = []
    for name in GENERATIONS:
        for size, _, target in SIZES:
            slow, value = found[name, "public API", size], found[name, "fresh", size]
            figures.append(Figure(f"{name}, {size} B, public API", slow, "µs/message"))
            wanted = f">= {target}" if target else ""
            figures.append(Figure(f"{name}, {size} B", value, "µs/message", slow / value, "public API", wanted))
    return figures


def _batch(found: Mapping[tuple[str, str, int], float]) -> Figure:
    one, many = found["formats", "fresh", 256], found["formats", "batch", 256]
    return Figure(f"formats, 256 B, batch of {BATCH}", many, "µs/message", one / many, "a call each", ">= 4")


def main() -> None:
    """Measure and print."""
    report("generations", asyncio.run(measure()))


if __name__ == "__main__":
    main()
