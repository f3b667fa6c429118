"""Components in the shape of wasmCloud's examples, in a whole host: echo, counters and task workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import dragoman
from dragoman.config.model import Config
from dragoman.host.host import Host
from dragoman.plugins import load_plugins
from tests.end_to_end.generations import collecting
from tests.faults.killing import QUICK
from tests.guests.build import COMPILED
from tests.guests.javascript import shape
from tests.host.running import until

COUNT = 20


def config(settings: Mapping[str, Any], **handlers: Mapping[str, Any]) -> Config:
    """A host of components, with nothing but what their own configuration grants."""
    common = {"client": "default", "retry": {"attempts": 2, "backoff": "1ms"}}
    return Config.model_validate(
        {
            "clients": {"default": dict(settings)},
            "handlers": {name: {**common, **handler} for name, handler in handlers.items()},
            "host": {"cache": COMPILED},
        }
    )


class TestEmbedded:
    """On the embedded broker."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Mapping[str, Any]:
        """Of the client."""
        return {"adapter": "embedded", "path": str(tmp_path / "log.db"), "poll": "100ms"}

    @pytest.mark.timeout(180)
    async def test_the_shapes_of_its_examples_run_unmodified(
        self, settings: Mapping[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Echo replies or logs; a counter counts each message; a worker does what another component requests of it."""
        mark = uuid4().hex[:8]
        echoed, counted, counts, work, tasks, results, dead = (
            f"{name}-{mark}" for name in ("echoed", "counted", "counts", "work", "tasks", "results", "dead")
        )
        hosted = config(
            settings,
            echo={"component": shape("echo"), "subscribe": [echoed]},
            counter={
                "component": shape("counter"),
                "subscribe": [counted],
                "publish": [counts],
                "keyvalue": {"buckets": ["visits"], "path": tmp_path / "kv.db"},
                "wasi": {"config": {"link": "visits", "counts": counts}},
            },
            worker={"component": shape("task"), "subscribe": [tasks], "dead_letter": dead},
            asker={
                "component": shape("task"),
                "subscribe": [work],
                "publish": [tasks, results],
                "wasi": {"config": {"worker": tasks, "results": results}},
            },
        )
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(dragoman.connect(dict(settings), client="default"))
            found = await stack.enter_async_context(collecting(client, counts, results, dead))
            host = await stack.enter_async_context(Host(hosted, plugins=load_plugins(), folder=tmp_path))

            (reply,) = await client.request(echoed, b"\x00\xff there", timeout=20, expected=1)
            assert reply.data == b"\x00\xff there"
            await client.publish(echoed, b"alone")
            await until(lambda: f"nobody wants {echoed} back" in caplog.text, 60)

            for _ in range(COUNT):
                await client.publish(counted, b"2")
            await until(lambda: len(found.messages[counts]) == COUNT, 60)
            said = [json.loads(message.data) for message in found.messages[counts]]
            assert sorted(one["count"] for one in said) == [2 * number for number in range(1, COUNT + 1)]
            assert all((one["last"], one["keys"]) == ("2", [counted, "last"]) for one in said)

            for number in range(COUNT):
                await client.publish(work, b"work %02d" % number)
            await found.all(results, [f"{number:02}"[::-1] + " krow" for number in range(COUNT)])
            await client.publish(tasks, b"for nobody")
            await found.all(dead, ["for nobody"])
            assert found.messages[dead][0].get("dragoman-reason") == "a task must say where its reply goes"
            counters = host.counters
            assert [counters[name].handled for name in ("echo", "counter", "asker")] == [2, COUNT, COUNT]
            assert not any(counters[name].retried for name in ("echo", "counter", "asker", "worker"))


@pytest.mark.usefixtures("nats")
class TestNats(TestEmbedded):
    """On NATS, which is wasmCloud's own broker."""

    @pytest.fixture
    def settings(self, request: pytest.FixtureRequest) -> Mapping[str, Any]:
        """Of the client."""
        return {"url": request.getfixturevalue("nats").url, **QUICK["nats"]}
