"""Keys and values, the log and settings: what a guest asks for and what comes back, through real components."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from dragoman.errors import ComponentError, HandlerFailed, StorageFailed
from dragoman.handlers.component.bodies import IMPORTS, wrapped
from dragoman.handlers.component.components import ComponentHandler, Components
from dragoman.handlers.component.engine import Engine
from dragoman.handlers.component.interfaces.buckets import PAGE
from dragoman.handlers.component.shape import read_shape
from dragoman.handlers.component.types import Interface
from dragoman.message import Message
from tests.component.harness import Recorder, opened
from tests.guests import packages
from tests.guests.javascript import shape
from tests.guests.projects import run


class Asked:
    """Asks one guest."""

    def __init__(self, handler: ComponentHandler, context: Recorder) -> None:
        self.handler = handler
        self.context = context

    async def __call__(self, *calls: Any, bucket: str = "mine", then: str | None = None) -> Any:
        """What comes of some calls, each a list of the function's name and its arguments."""
        said = Message.of(json.dumps({"bucket": bucket, "calls": calls, "then": then}))
        await self.handler.handle([said], self.context)
        return self.context.answer


async def asked(components: Components, context: Recorder, path: Path | str = ":memory:", **bounds: int) -> Asked:
    """A guest that is granted the buckets `mine` and `yours`."""
    keyvalue = {"buckets": ("mine", "yours"), "path": path, **bounds}
    return Asked(await opened(components, shape("keyvalue"), keyvalue=keyvalue, instances="reuse"), context)


async def test_a_value_is_what_was_set(components: Components, context: Recorder, tmp_path: Path) -> None:
    """In its own bucket, also when another host opens the file; and gone when it is deleted."""
    ask = await asked(components, context, tmp_path / "kv.db")
    assert await ask(["get", "a"], ["exists", "a"], ["delete", "a"]) == [None, False, None]
    assert await ask(["put", "a", "\xe9"], ["get", "a"], ["put", "a", ""], ["get", "a"]) == [None, "\xe9", None, ""]
    await ask(["put", "a", "1"])
    assert await ask(["get", "a"], ["exists", "a"], bucket="yours") == [None, False]
    again = Components()
    assert await (await asked(again, context, tmp_path / "kv.db"))(["get", "a"], ["delete", "a"]) == ["1", None]
    await again.close()
    assert await ask(["exists", "a"]) == [False]


async def test_values_are_bytes(components: Components, context: Recorder) -> None:
    """As large as they may be, and no larger."""
    ask = await asked(components, context, max_value=1000)
    assert await ask(["put", "a", 1000], ["get", "a"]) == [None, "\0" * 1000]
    refused = await ask(["put", "a", 1001])
    assert refused["case"] == "other"
    assert refused["text"] == "the value of 'a' has 1001 bytes, more than 1000 (`keyvalue.max_value`)"
    assert await ask(["get", "a"]) == ["\0" * 1000]


async def test_a_bucket_that_is_not_granted(components: Components, context: Recorder) -> None:
    """Is denied, whether it exists or not; so is the default one where it is not named."""
    ask = await asked(components, context)
    for bucket in ("theirs", "default", ""):
        assert await ask(["get", "a"], bucket=bucket) == {"case": "access-denied", "text": None}


async def test_counting(components: Components, context: Recorder) -> None:
    """Begins at 0, adds whole numbers with a sign, and leaves text that `get` can read."""
    ask = await asked(components, context)
    assert await ask(["add", "n", 5], ["add", "n", -7], ["get", "n"]) == [5, -2, "-2"]
    assert (await ask(["put", "n", str(2**63 - 2)], ["add", "n", 1], ["get", "n"]))[2] == str(2**63 - 1)
    assert "does not fit" in (await ask(["add", "n", 1]))["text"]
    for value in ("", " 1", "1_0", "one", "1" * 30):
        assert "is no whole number" in (await ask(["put", "n", value], ["add", "n", 1]))["text"]


async def test_a_retry_counts_again(components: Components, context: Recorder) -> None:
    """What was changed stays, whatever becomes of the try."""
    ask = await asked(components, context)
    for _ in range(2):
        with pytest.raises(HandlerFailed, match="later"):
            await ask(["add", "n", 1], then="later")
    assert await ask(["get", "n"]) == ["2"]


async def test_swapping(components: Components, context: Recorder) -> None:
    """A value is set only if nobody has changed it since; who lost gets a new handle with what is there now."""
    ask = await asked(components, context)
    assert await ask(["swap", "s", "1"], ["swap", "s", "2"]) == [[None, "1"], ["1", "2"]]
    assert await ask(["swap", "s", "4", "3"]) == [["2", "3", "4"]]
    assert await ask(["swap", "s", "4", "4"]) == [["4", "4", "4"]]  # the same value, but set by another
    assert await ask(["swap", "new", "mine", "theirs"]) == [[None, "theirs", "mine"]]


async def test_batches(components: Components, context: Recorder) -> None:
    """Several keys in the order asked; all are set or none."""
    ask = await asked(components, context, max_value=1000)
    assert await ask(["put_many", [["a", "1"], ["b", "2"], ["a", "3"]]], ["get_many", "b", "x", "a"]) == [
        None, [["b", "2"], None, ["a", "3"]],
    ]  # fmt: skip
    assert "max_value" in (await ask(["put_many", [["a", "9"], ["c", 1001]]]))["text"]
    assert await ask(["get_many", "a", "c"], ["delete_many", "a", "x"], ["keys"]) == [
        [["a", "3"], None], None, [["b"], None],
    ]  # fmt: skip
    many = await ask(["get_many", *["k"] * 1001])
    assert many["text"] == "a batch has 1001 keys; expected at most 1000"


async def test_keys_come_in_pages(components: Components, context: Recorder) -> None:
    """Each once, in the order in which they came; a cursor that is none is an error."""
    ask = await asked(components, context)
    names = [f"key {number}" for number in range(PAGE + 5)]
    await ask(["put_many", [[name, "x"] for name in names[:PAGE]]])
    await ask(["put_many", [[name, "x"] for name in names[PAGE:]]], ["put", names[0], "y"])
    ((first, cursor),) = await ask(["keys"])
    ((rest, end),) = await ask(["keys", cursor])
    assert (first + rest, end) == (names, None)
    assert "cursor" in (await ask(["keys", "x"]))["text"]


async def test_a_bucket_has_an_end(components: Components, context: Recorder) -> None:
    """So many keys, and so many bytes; what is deleted or shorter makes room."""
    ask = await asked(components, context, max_entries=2, max_size=100)
    await ask(["put", "a", "1"], ["put", "b", 50])
    assert "as many keys as it may, 2" in (await ask(["put", "c", "1"]))["text"]
    assert await ask(["delete", "a"], ["put", "c", "1"], ["keys"]) == [None, None, [["b", "c"], None]]
    assert "would have 101 bytes, more than 100" in (await ask(["put", "c", 49]))["text"]
    assert await ask(["put", "b", ""], ["put", "c", 98]) == [None, None]
    assert "a key has 2000 bytes" in (await ask(["put", "k" * 2000, "1"]))["text"]


async def test_a_component_that_is_not_granted_any(components: Components) -> None:
    """Is refused before it runs, with what to write."""
    with pytest.raises(ComponentError) as refused:
        await opened(components, shape("keyvalue"))
    assert "imports wasi:keyvalue, which its handler is not granted; expected `keyvalue = { buckets" in str(
        refused.value
    )


async def test_a_file_of_something_else(components: Components, context: Recorder, tmp_path: Path) -> None:
    """Is found before anything runs; so is a folder that is not there, and nothing is made."""
    other = tmp_path / "other.db"
    other.write_bytes(b"something else" * 100)
    with pytest.raises(StorageFailed, match="no SQLite database"):
        await asked(components, context, other)
    with pytest.raises(StorageFailed, match="no such folder"):
        await asked(components, context, tmp_path / "nowhere" / "kv.db")
    await asked(components, context, tmp_path / "new.db")
    assert os.listdir(tmp_path) == ["other.db"]


async def test_the_log(components: Components, context: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    """What a guest says is in the handler's log, as loud as it says, line by line, and with an end."""
    keyvalue = {"buckets": ("mine",), "path": ":memory:"}
    handler = await opened(components, shape("keyvalue"), keyvalue=keyvalue, limits={"output": 2000})
    ask = Asked(handler, context)
    with caplog.at_level(logging.DEBUG, logger="tests.handler"):
        await ask(["say", "trace", "", "low"], ["say", "critical", "c", "one\ntwo\x1b"])
        said = [(record.levelname, record.getMessage()) for record in caplog.records]
        assert said == [("DEBUG", "low"), ("CRITICAL", "c: one"), ("CRITICAL", "c: two\N{REPLACEMENT CHARACTER}")]
        caplog.clear()
        await ask(["say", "info", "", "x" * 99, 100])
        assert len(caplog.records) == 21
        assert caplog.records[-1].getMessage().startswith("the rest of what the guest logs is left out, after 20 lines")
        caplog.clear()
        await ask(["say", "info", "", "again"])
        assert [record.getMessage() for record in caplog.records] == ["again"]


async def test_settings(components: Components, context: Recorder) -> None:
    """What the configuration says, and nothing else."""
    granted = {"keyvalue": {"buckets": ("mine",), "path": ":memory:"}}
    handler = await opened(components, shape("keyvalue"), wasi={"config": {"a": "1", "b": "é"}}, **granted)
    assert await Asked(handler, context)(["setting", "b", "x"]) == [[["é", None], {"a": "1", "b": "é"}]]
    handler = await opened(components, shape("keyvalue"), **granted)
    assert await Asked(handler, context)(["setting", "a"]) == [[[None], {}]]


async def test_links_choose_the_bucket_without_a_name(components: Components, context: Recorder) -> None:
    """`default` at first; a link that is not granted is no way around the grants."""
    keyvalue = {"buckets": ("default", "other"), "path": ":memory:"}
    for config, count in (({}, 1), ({"link": "other"}, 1), ({}, 2), ({"link": "default"}, 3)):
        wasi = {"config": {"counts": "answers", **config}}
        counter = shape("counter")
        handler = await opened(components, counter, keyvalue=keyvalue, wasi=wasi)
        await handler.handle([Message(b"1")], context)
        assert context.answer == {"count": count, "last": "1", "keys": ["", "last"]}


async def test_values_cross_as_text_where_a_component_can_be_wrapped(components: Components, tmp_path: Path) -> None:
    """Through every function that has them; what one of a toolchain's own making does is in the tests above."""
    wit = packages.together("keyvalue", tmp_path / "wit")
    run(tmp_path, "c", "wasm-tools", "component", "embed", wit, "--world", "keyvalue", "--dummy", "-o", "core.wasm")
    run(tmp_path, "c", "wasm-tools", "component", "new", "core.wasm", "-o", "guest.wasm")
    engine = Engine()
    wrapper = wrapped(engine, (tmp_path / "guest.wasm").read_bytes())
    assert wrapper is not None
    shape_ = read_shape(engine.pointer, engine.compile(wrapper))
    calls = shape_.imports[IMPORTS]
    assert isinstance(calls, Interface)
    assert {name for name in calls.functions if "consumer" not in name} == {
        "store-method-bucket-get", "store-method-bucket-set", "atomics-method-cas-current", "atomics-swap",
        "batch-get-many", "batch-set-many",
    }  # fmt: skip
    engine.close()
    await opened(components, tmp_path / "guest.wasm", keyvalue={"buckets": ("mine",), "path": ":memory:"})
