"""The file behind `wasi:keyvalue`: shared by connections, exact, and true to what it confirmed."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from dragoman.errors import Closed, StorageFailed
from dragoman.handlers.component.interfaces import buckets
from dragoman.handlers.component.interfaces.buckets import Bounds, Buckets

BOUNDS = Bounds(entries=100, value=100, size=10_000)


def one_more(db: sqlite3.Connection) -> int:
    """Count."""
    found = buckets.get(db, "b", "n")
    number = int(found[2]) + 1 if found else 1
    buckets.put(db, "b", "n", b"%d" % number, BOUNDS)
    return number


async def test_connections_that_count_at_once_count_each_time(tmp_path: Path) -> None:
    """Several connections, as of several processes, and several calls at once in each."""
    several = [Buckets(tmp_path / "kv.db") for _ in range(3)]
    counts = await asyncio.gather(*(one.run(one_more, changes=True) for one in several for _ in range(50)))
    assert sorted(counts) == list(range(1, 151))
    await asyncio.gather(*(one.close() for one in several))


async def test_a_call_that_fails_fails_alone(tmp_path: Path) -> None:
    """Those in the same transaction are done, whatever is wrong with it; of itself nothing is."""
    one = Buckets(tmp_path / "kv.db")

    def broken(db: sqlite3.Connection) -> None:
        buckets.put(db, "b", "half", b"x", BOUNDS)
        db.execute("INSERT INTO nowhere VALUES (1)")

    work = [one_more, broken, one_more]
    outcomes = await asyncio.gather(*(one.run(call, changes=True) for call in work), return_exceptions=True)
    assert [outcomes[0], outcomes[2]] == [1, 2]
    assert isinstance(outcomes[1], StorageFailed)
    assert await one.run(lambda db: buckets.get(db, "b", "half"), changes=False) is None
    await one.close()


async def test_the_size_of_a_bucket_is_what_is_in_it(tmp_path: Path) -> None:
    """Whatever was set, replaced, refused and deleted."""
    one = Buckets(tmp_path / "kv.db")
    for number in range(60):
        key, value = f"key {number % 7}", b"x" * (number % 13)
        await one.run(lambda db, key=key, value=value: buckets.put(db, "b", key, value, BOUNDS), changes=True)
        if number % 5 == 0:
            await one.run(lambda db, key=key: buckets.remove(db, "b", [key, "none"]), changes=True)
    with pytest.raises(StorageFailed, match="max_value"):
        await one.run(lambda db: buckets.put(db, "b", "key 1", b"x" * 101, BOUNDS), changes=True)
    counted = await one.run(lambda db: db.execute("SELECT entries, bytes FROM bucket").fetchall(), changes=False)
    sums = "SELECT count(*), sum(length(cast(key AS BLOB)) + length(value)) FROM entry"
    assert counted == await one.run(lambda db: db.execute(sums).fetchall(), changes=False)
    await one.close()


async def test_a_file_that_another_process_keeps_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error after a while, and no further call fails for it."""
    monkeypatch.setattr(buckets, "_LOCK", 0.05)
    one = Buckets(tmp_path / "kv.db")
    await one.run(one_more, changes=True)
    other = sqlite3.connect(tmp_path / "kv.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageFailed, match="another process holds"):
        await one.run(one_more, changes=True)
    assert (await one.run(lambda db: buckets.get(db, "b", "n"), changes=False) or ())[2] == b"1"
    other.close()
    assert await one.run(one_more, changes=True) == 2
    await one.close()


async def test_closing(tmp_path: Path) -> None:
    """What is under way is done; what comes later is told; twice is fine."""
    one = Buckets(tmp_path / "kv.db")
    last = asyncio.create_task(one.run(one_more, changes=True))
    await asyncio.sleep(0)
    await one.close()
    await one.close()
    assert await last == 1
    with pytest.raises(Closed):
        await one.run(one_more, changes=True)
