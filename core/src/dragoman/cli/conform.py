"""`dragoman conform`: the conformance kit, without pytest."""

from __future__ import annotations

import asyncio
import json
import sys
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any, Final

import click

from dragoman.cli.examples import examples

if TYPE_CHECKING:
    from dragoman.testing.case import Case
    from dragoman.testing.run import Result

_FAILED: Final = 1
_MARKS: Final = {"passed": "[green]passed[/]", "failed": "[red]FAILED[/]", "not applicable": "[dim]n/a[/]"}


@examples("dragoman conform dragoman_my_queue.harness:Local", "dragoman conform kit:Local --only 'order.*'")
@click.command("conform")
@click.argument("harness", metavar="MODULE:HARNESS")
@click.option("--only", metavar="PATTERN", help="Only cases whose names match, as in 'delivery.*'.")
@click.option("--list", "listing", is_flag=True, help="Print the cases that the adapter's capabilities call for.")
def command(harness: str, only: str | None, *, listing: bool) -> None:
    """Run the conformance kit on an adapter.

    Prints a report card: a table on a terminal, one JSON line for each case when piped. Ends with 1 if a case failed.
    HARNESS is a dragoman.testing.Harness class, or a function that gives one or a context manager with one.
    """
    from dragoman.testing.load import load  # noqa: PLC0415 - the command line must start fast

    if asyncio.run(_conform(load(harness), only or "*", listing=listing)):
        raise click.exceptions.Exit(_FAILED)


async def _conform(found: Any, only: str, *, listing: bool) -> int:
    """How many cases failed."""
    from dragoman.testing.load import opened  # noqa: PLC0415 - the command line must start fast
    from dragoman.testing.run import cases_of, results  # noqa: PLC0415

    async with opened(found) as harness:
        cases = [case for case in cases_of(harness.adapter) if fnmatch(case.name, only)]
        if not cases:
            raise click.UsageError(f"no case's name matches {only!r}; --list shows them")
        if listing:
            _list(cases)
            return 0
        card = _Card()
        async for result in results(harness, cases):
            card.add(result)
        card.close(harness.adapter.name)
    return card.failed


def _list(cases: list[Case]) -> None:
    for case in cases:
        click.echo(f"{case.name}\t{case.doc}")


class _Card:
    """The report card, which grows as the cases run."""

    def __init__(self) -> None:
        self.failed = 0
        self._results: list[Result] = []
        self._for_people = sys.stdout.isatty()

    def add(self, result: Result) -> None:
        """Show how a case went."""
        self._results.append(result)
        self.failed += result.outcome == "failed"
        if self._for_people:
            click.echo(f"\r{len(self._results):3} {result.case.name:60.60}", nl=False)
        else:
            click.echo(json.dumps(_line(result)))

    def close(self, adapter: str) -> None:
        """Show the table, on a terminal."""
        if not self._for_people:
            return
        from rich.console import Console  # noqa: PLC0415 - the command line must start fast
        from rich.markup import escape  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        table = Table("case", "outcome", "s", "what must be true, or what went wrong", title=f"{adapter}: conformance")
        for result in self._results:
            case, mark = result.case, _MARKS[result.outcome]
            table.add_row(case.name, mark, f"{result.seconds:.2f}", escape(result.reason or case.doc))
        click.echo("\r" + " " * 64 + "\r", nl=False)
        Console().print(table)
        passed = sum(result.outcome == "passed" for result in self._results)
        absent = len(self._results) - passed - self.failed
        click.echo(f"{passed} passed, {self.failed} failed, {absent} not applicable")


def _line(result: Result) -> dict[str, object]:
    return {
        "case": result.case.name,
        "outcome": result.outcome,
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "must": result.case.doc,
    }
