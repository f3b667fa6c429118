"""`make demo`: 10,000 orders through a sandboxed component, on a broker that is a file.

`--broker kafka` (or `amqp`, `mqtt`, `nats`) starts such a server and runs on that: one table of the configuration
changes. `--python` takes the plain Python function in the component's place: one line of it changes.
The demo uses what any user has, the `dragoman` command and `dragoman.connect`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import brokers
import build
import report
from host import Counters, HostProcess
from report import Results
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import dragoman

HERE: Final = Path(__file__).resolve().parent
FURTHER: Final = (
    "tail shop dead.orders --from-start --count 3",
    "tail shop orders.review --from-start --count 3 --json",
    'request shop rates \'{"currency": "SEK", "order": "A-1"}\'  # while `dragoman run` runs',
)
#: Orders that are sent at once.
BATCH: Final = 250


async def main() -> int:
    """Run the demo and return its exit code."""
    options = _options()
    console = Console(record=options.svg is not None, width=100 if options.svg else None)
    lines = (HERE / "orders.jsonl").read_bytes().splitlines(keepends=False)[: options.orders]
    if not options.python:
        _build(console)
    with brokers.configured(options.broker, function=options.python) as config:
        began = time.perf_counter()
        counters, results = await _handle(console, config, lines)
        seconds = time.perf_counter() - began
    report.show(console, counters, results, lines)
    _goodbye(console, len(lines), seconds, config)
    if options.svg:
        _keep(console, options.svg)
    return 0 if results.accounts_for(lines) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=brokers.NAMES, default=brokers.EMBEDDED, help="what it runs on")
    parser.add_argument("--orders", type=int, metavar="N", help="only the first so many")
    parser.add_argument("--python", action="store_true", help="the Python function instead of the component")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="also keep what was printed as a picture")
    return parser.parse_args()


def _build(console: Console) -> None:
    began = time.perf_counter()
    with console.status("building orders.wasm with componentize-py"):
        fresh = build.build()
    size = build.COMPONENT.stat().st_size / 1e6
    how = f"built in {time.perf_counter() - began:.1f} s" if fresh else "built before"
    console.print(
        f"[bold]orders.wasm[/]: a component of {size:.1f} MB from app.py and rules.py, {how}", highlight=False
    )


def _goodbye(console: Console, count: int, seconds: float, config: Path) -> None:
    rate = f"It took {seconds:.1f} s, start and drain included: {count / seconds:,.0f} orders a second."
    console.print(rate, highlight=False, soft_wrap=True)
    if config.name.partition(".")[0] in brokers.TABLES:
        return  # its server has gone, and all that was in it
    where = Path(os.path.relpath(config))
    dragoman_command = os.path.relpath(Path(sys.executable).with_name("dragoman"))
    console.print("\n[bold]Look further[/]", highlight=False, soft_wrap=True)
    for arguments in FURTHER:
        console.print(f"  {dragoman_command} -c {where} {arguments}", highlight=False, soft_wrap=True)
    if config == brokers.CONFIG:
        component = os.path.relpath(build.COMPONENT)
        console.print(f"  {dragoman_command} inspect {component}", highlight=False, soft_wrap=True)


def _keep(console: Console, path: Path) -> None:
    # Whoever looks at the picture fetches no fonts for it: the viewer's own monospaced one will do.
    picture = console.export_svg(title="make demo")
    path.write_text(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))


async def _handle(console: Console, config: Path, lines: list[bytes]) -> tuple[Counters, Results]:
    """Send the orders while the host works, and wait until it is done with all of them; and what became of them."""
    live = Console(stderr=True)
    columns = (TextColumn("{task.description:<10}"), BarColumn(40), MofNCompleteColumn(), TimeElapsedColumn())
    async with dragoman.connect(config, client="shop") as client, report.reading(client) as reader:
        async with await HostProcess.start(config) as host:
            console.print(f"[bold]dragoman run[/]: ready in {host.seconds_to_ready:.1f} s", highlight=False)
            with Progress(*columns, TextColumn("{task.fields[more]}"), console=live, transient=True) as progress:
                sent, done = (progress.add_task(name, total=len(lines), more="") for name in ("sent", "done"))

                def all_done(counters: Counters) -> bool:
                    orders = counters["orders"]
                    finished = orders["handled"] + orders["dead_lettered"]
                    more = f"{orders['retried']:,} retried, {orders['dead_lettered']:,} dead letters"
                    progress.update(done, completed=finished, more=more)
                    return bool(finished >= len(lines))

                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(_send(client, lines, lambda count: progress.update(sent, completed=count)))
                    await host.until(all_done)
            await host.drain()
        return host.counters, await reader.all(lines)


async def _send(client: dragoman.Client, lines: list[bytes], sent: Callable[[int], None]) -> None:
    for start in range(0, len(lines), BATCH):
        batch = enumerate(lines[start : start + BATCH], start + 1)
        orders = [dragoman.Message(line, (("message-id", report.identity(number)),)) for number, line in batch]
        await client.publish("orders", *orders)
        sent(start + len(orders))


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
