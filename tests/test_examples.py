"""The example runs as its readers run it, and what became of each order is counted against how the file was made."""

from __future__ import annotations

import asyncio
import html
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import dragoman

ROOT = Path(__file__).parents[1]
ORDERS = ROOT / "examples" / "orders"
#: Configurations that the demo writes.
GENERATED = ("python.toml", "kafka.toml", "amqp.toml", "mqtt.toml", "nats.toml")
MODULES = ("make_orders", "rates", "rules")
#: Orders that go over each of the other brokers.
SOME = 300
#: Tries that an order gets, as the example's configuration says.
ATTEMPTS = 4


class Example(NamedTuple):
    """The modules of the example."""

    make_orders: ModuleType
    rates: ModuleType
    rules: ModuleType


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Example]:
    """The example's own modules."""
    monkeypatch.syspath_prepend(ORDERS)
    yield Example(*(__import__(name) for name in MODULES))
    for name in MODULES:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the example, with what it needs beside it, so that nobody's own run of it is disturbed."""
    subprocess.run([sys.executable, ORDERS / "build.py"], check=True)
    shutil.copytree(ROOT / "wit", tmp_path / "wit")
    ignore = shutil.ignore_patterns("shop.db*", *GENERATED, "__pycache__")
    shutil.copytree(ORDERS, tmp_path / "examples" / "orders", ignore=ignore)
    return tmp_path / "examples" / "orders"


def test_the_script_makes_the_file_that_is_shipped(example: Example) -> None:
    """Byte for byte, so the file can be trusted to hold the faults that the script names."""
    assert b"".join(line + b"\n" for line in example.make_orders.lines()) == (ORDERS / "orders.jsonl").read_bytes()


def test_the_rules_find_each_fault_that_was_made_and_no_other(example: Example) -> None:
    """Each kind as often as it was made; what is only odd is read."""
    found: Counter[str] = Counter()
    for line in example.make_orders.lines():
        try:
            example.rules.read(line)
        except example.rules.InvalidOrder as error:
            found[str(error).partition(":")[0]] += 1
    assert found == _faults(example)


def test_the_picture_in_the_readme_shows_these_orders(example: Example) -> None:
    """`python examples/orders/demo.py --svg docs/demo.svg` makes it; it needs nothing from elsewhere."""
    picture = (ROOT / "docs" / "demo.svg").read_text()
    shown = html.unescape(re.sub(r"<[^>]+>", "", picture)).replace("\xa0", " ")
    places = _expected(example)
    for name, lines in places.items():
        assert re.search(rf"{re.escape(name)} +{len(lines):,}\b", shown), name
    assert "Every one of the 10,000 lines is accounted for" in shown
    assert "url(" not in picture.replace("url(#", "")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["component", "python"])
async def test_the_demo_accounts_for_every_order(example: Example, folder: Path, way: str) -> None:
    """As a component and as a Python function: the same orders to the same places, for the same reasons."""
    demo = await asyncio.to_thread(_demo, folder, way)
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert "Every one of the 10,000 lines is accounted for" in demo.stdout
    assert "none was lost" in demo.stdout

    channels = await _channels(folder / "dragoman.toml")
    expected = _expected(example)
    dead = expected.pop("dead.orders")
    letters = channels.pop("dead.orders")
    assert {name: sorted(message.get("correlation-id") for message in found) for name, found in channels.items()} == {
        name: sorted(_identity(number) for number in found) for name, found in expected.items()
    }
    assert sorted((letter.id, letter.data) for letter in letters) == sorted(
        (_identity(number), line) for number, line in dead.items()
    )
    assert Counter(map(_kind, letters)) == _kinds(example, way)
    busy = _busy(example, expected, dead)
    # A component can't say that another try would be useless: what is invalid gets all of its tries.
    useless = 0 if way == "python" else sum(_faults(example).values())
    assert _row(demo.stdout, "orders") == {
        "handled": sum(map(len, expected.values())),
        "retried": busy + (ATTEMPTS - 1) * useless,
        "dead letters": len(dead),
    }


@pytest.mark.timeout(300)
@pytest.mark.parametrize("broker", ["kafka", "amqp", "mqtt", "nats"])
async def test_the_demo_accounts_for_every_order_on_each_broker(example: Example, folder: Path, broker: str) -> None:
    """As a component, with nothing changed but the table of the client; a part of the orders, to save time."""
    demo = await asyncio.to_thread(_demo, folder, "component", "--broker", broker, "--orders", str(SOME))
    assert demo.returncode == 0, demo.stdout + demo.stderr
    assert not demo.stderr.strip()
    expected = {name: sum(number <= SOME for number in found) for name, found in _expected(example).items()}
    assert {name: _messages(demo.stdout, name) for name in expected} == expected
    dead = expected.pop("dead.orders")
    routed = sum(expected.values())
    assert f"Every one of the {SOME} lines is accounted for: {routed} were routed, {dead} are" in demo.stdout
    assert _row(demo.stdout, "orders")["dead letters"] == dead

    changed = set((folder / f"{broker}.toml").read_text().splitlines())
    same = set((folder / "dragoman.toml").read_text().splitlines())
    assert {line.partition(" = ")[0] for line in same - changed} == {"adapter", "path"}


def _demo(folder: Path, way: str, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "demo.py", *(["--python"] if way == "python" else []), *options]
    servers = os.environ | {"PYTHONPATH": str(ROOT)}  # beside the copy there is no `tests`
    return subprocess.run(command, cwd=folder, env=servers, capture_output=True, text=True, timeout=280, check=False)


def _messages(output: str, channel: str) -> int:
    found = re.search(rf"^{re.escape(channel)} +([\d,]+)$", output, re.MULTILINE)
    assert found, output
    return int(found[1].replace(",", ""))


def _identity(number: int) -> str:
    return f"line-{number:05}"


def _faults(example: Example) -> Counter[str]:
    faults: Counter[str] = Counter()
    for kind, count, _ in example.make_orders.FAULTS:
        faults[kind] += count
    return faults


def _kinds(example: Example, way: str) -> Counter[str]:
    kinds = _faults(example)
    kinds["no exchange rate"] = sum(1 for _ in _never_answered(example))
    if way == "component":  # its stack ends before Python's own limit: only that instance ends with it
        kinds["the guest trapped"] = kinds.pop("too deep")
    return kinds


def _expected(example: Example) -> dict[str, dict[int, bytes]]:
    """The lines by the channel that they belong in, by their numbers."""
    places: dict[str, dict[int, bytes]] = {}
    never = set(_never_answered(example))
    for number, line in enumerate(example.make_orders.lines(), 1):
        try:
            order = example.rules.read(line)
            rate = Decimal(example.rates.RATES.get(order.currency, 1))
            place = "dead.orders" if number in never else example.rules.channel(order, rate)
        except example.rules.InvalidOrder:
            place = "dead.orders"
        places.setdefault(place, {})[number] = line
    return places


def _foreign(example: Example) -> Iterator[tuple[int, str]]:
    """The numbers and orders of the good lines that need an exchange rate."""
    for number, line in enumerate(example.make_orders.lines(), 1):
        try:
            order = example.rules.read(line)
        except example.rules.InvalidOrder:
            continue
        if order.currency != "EUR":
            yield number, order.id


def _never_answered(example: Example) -> Iterator[int]:
    return (number for number, order in _foreign(example) if example.rates.bad_moments(order) >= ATTEMPTS)


def _busy(example: Example, routed: dict[str, dict[int, bytes]], dead: dict[int, bytes]) -> int:
    """How many tries failed for want of a rate, and were followed by another."""
    moments = {order: example.rates.bad_moments(order) for number, order in _foreign(example) if number not in dead}
    return sum(moments.values()) + (ATTEMPTS - 1) * sum(1 for _ in _never_answered(example))


async def _channels(config: Path) -> dict[str, list[dragoman.Message]]:
    channels = {}
    async with dragoman.connect(config, client="shop") as client:
        for name in ("orders.eu", "orders.us", "orders.world", "orders.review", "dead.orders"):
            found = channels[name] = []
            async with client.subscribe(f"topic:{name}", start=dragoman.Start()) as subscription:
                while await subscription.lag():
                    deliveries = await subscription.receive(500)
                    found += [delivery.message for delivery in deliveries]
                    await subscription.accept(*deliveries)
    return channels


def _kind(letter: dragoman.Message) -> str:
    reason = letter.get("dragoman-reason") or ""
    return reason.removeprefix("the guest returned other: ").partition(":")[0]


def _row(output: str, handler: str) -> dict[str, int]:
    found = re.search(rf"^{handler} +([\d,]+) +[\d,]+ +([\d,]+) +([\d,]+)", output, re.MULTILINE)
    assert found, output
    numbers = (int(text.replace(",", "")) for text in found.groups())
    return dict(zip(("handled", "retried", "dead letters"), numbers, strict=True))
