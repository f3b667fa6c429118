"""What a message costs in a component, beside the same guest and host functions on wasmtime-py's public API.

The guest `upper` reads its message, makes another, sets content type and metadata and sends it: six calls of the host;
`noop` drops its message, so that what remains is the price of calling a component at all. Both sides make a new store
and instance for each message, and both have the component compiled. `reuse` is our side with an instance that is kept.
The host functions do the same on both sides: tables of objects, and a list for what is sent.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from tests.component.harness import Recorder
from tests.guests.build import guest

from benchmarks.report import Figure, report
from dragoman.config.model import HandlerConfig
from dragoman.handlers.component.components import Components
from dragoman.message import Message

ROUNDS = 7
#: The guest, bytes of a body, messages in a round, and the ratio that is wanted.
CASES = (("noop", 256, 400, None), ("upper", 256, 400, 4), ("upper", 4096, 100, 15), ("upper", 65_536, 8, None))
VERSION = "0.2.0-draft"

Run = Callable[[bytes, int], Awaitable[float]]


class PublicApi:
    """The same host on wasmtime-py's public API."""

    def __init__(self, path: Path) -> None:
        import wasmtime
        from wasmtime import component

        self._api, self._wasmtime = component, wasmtime
        self._engine = wasmtime.Engine()
        self._component = component.Component.from_file(self._engine, str(path))
        self._linker = component.Linker(self._engine)
        self._objects: dict[int, Any] = {}
        self._next = 0
        self.sent: list[Any] = []
        self._link()
        handler = f"wasi:messaging/incoming-handler@{VERSION}"
        export = self._component.get_export_index("handle", self._component.get_export_index(handler))
        assert export is not None
        self._export = export

    def _link(self) -> None:
        functions = {
            "[static]client.connect": lambda _s, name: self._own(1, name),
            "[constructor]message": lambda _s, data: self._own(2, {"data": data, "metadata": []}),
            "[method]message.data": lambda s, message: self._get(s, message)["data"],
            "[method]message.set-content-type": lambda s, m, text: self._get(s, m).update(content_type=text),
            "[method]message.add-metadata": lambda s, m, key, value: self._get(s, m)["metadata"].append((key, value)),
        }
        with self._linker.root() as root:
            with root.add_instance(f"wasi:messaging/types@{VERSION}") as types:
                for number, name in ((1, "client"), (2, "message")):
                    types.add_resource(name, self._api.ResourceType.host(number), self._drop)
                for name, function in functions.items():
                    types.add_func(name, function)
            with root.add_instance(f"wasi:messaging/producer@{VERSION}") as producer:
                producer.add_func("send", self._send)

    def _own(self, kind: int, value: Any) -> Any:
        self._next += 1
        self._objects[self._next] = value
        return self._api.ResourceHost.own(self._next, kind)

    def _get(self, store: Any, handle: Any) -> Any:
        return self._objects[handle.to_host(store).rep]

    def _drop(self, _store: Any, number: int) -> None:
        self._objects.pop(number, None)

    def _send(self, store: Any, client: Any, topic: str, message: Any) -> None:
        self.sent.append((self._get(store, client), topic, self._objects.pop(message.to_host(store).rep)))

    def handle(self, data: bytes) -> None:
        """One message in a store of its own."""
        store = self._wasmtime.Store(self._engine)
        instance = self._linker.instantiate(store, self._component)
        handle = instance.get_func(store, self._export)
        assert handle is not None
        handle(store, self._own(2, {"data": data, "metadata": []}))
        self._objects.clear()


def answers(guest_name: str, data: bytes, count: int) -> list[bytes]:
    """The bodies that a guest sends for so many messages."""
    return [data.upper()] * count if guest_name == "upper" else []


def ours(guest_name: str, handler: Any) -> Run:
    """Seconds per message on our engine."""

    async def run(data: bytes, count: int) -> float:
        context, message = Recorder(), Message(data)
        start = perf_counter()
        for _ in range(count):
            await handler.handle([message], context)
        took = perf_counter() - start
        assert [sent.data for _, _, sent in context.sent] == answers(guest_name, data, count)
        return took / count

    return run


def theirs(guest_name: str, host: PublicApi) -> Run:
    """Seconds per message on the public API."""

    async def run(data: bytes, count: int) -> float:
        host.sent.clear()
        start = perf_counter()
        for _ in range(count):
            host.handle(data)
        took = perf_counter() - start
        assert [bytes(message["data"]) for _, _, message in host.sent] == answers(guest_name, data, count)
        return took / count

    return run


async def sides(components: Components, name: str) -> dict[str, Run]:
    """The ways to run a guest."""
    found = {"public API": theirs(name, PublicApi(guest(name)))}
    for instances in ("fresh", "reuse"):
        config = HandlerConfig.model_validate({"component": guest(name), "client": "default", "instances": instances})
        found[instances] = ours(name, await components.open("bench", config))
    return found


async def measure() -> list[Figure]:
    """All figures, in rounds that take every side in turn."""
    with TemporaryDirectory() as cache:
        components = Components(Path(cache))
        runs = {name: await sides(components, name) for name in ("noop", "upper")}
        times: dict[tuple[str, int, str], list[float]] = defaultdict(list)
        for _ in range(ROUNDS):
            for name, size, count, _ in CASES:
                for side, run in runs[name].items():
                    few = count if side != "public API" else max(2, count // 10)
                    times[name, size, side].append(await run(b"a" * size, few))
        await components.close()
    return [figure for name, size, _, target in CASES for figure in _figures(times, name, size, target)]


def _figures(times: dict[tuple[str, int, str], list[float]], name: str, size: int, target: int | None) -> list[Figure]:
    label = f"{size} B" if name == "upper" else f"{size} B, no-op"
    slow = median(times[name, size, "public API"]) * 1e6
    figures = [Figure(f"{label}, public API", slow, "µs/message")]
    for side in ("fresh", "reuse"):
        value = median(times[name, size, side]) * 1e6
        wanted = f">= {target}" if target and side == "fresh" else ""
        figures.append(Figure(f"{label}, {side}", value, "µs/message", slow / value, "public API", wanted))
    return figures


def main() -> None:
    """Measure and print."""
    report("component", asyncio.run(measure()))


if __name__ == "__main__":
    main()
