"""What `run` shows on a terminal: the log, and below it a table that is always up to date."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rich import box
from rich.console import Console, Group
from rich.live import Live as RichLive
from rich.table import Table
from rich.text import Text

from dragoman.cli.view import Figures, Rates
from dragoman.cli.writer import Writer
from dragoman.host.counters import Counters
from dragoman.host.workers.supervisor import WorkerState

_INTERVAL: Final = 0.25
_COLUMNS: Final = (
    "handled",
    "rate/s",
    "in hand",
    "lag",
    "sent",
    "retried",
    "dead",
    "dropped",
    "p50 ms",
    "p99 ms",
)
#: Names where there is little room.
_SHORT: Final = {"dropped": "drop"}
#: Columns of a terminal that has room for longer names, and for space between the figures.
_WIDE: Final = 120
_STYLES: Final = {logging.WARNING: "yellow", logging.ERROR: "red", logging.CRITICAL: "bold red"}


class Live:
    """A `View` on a terminal. It draws when it is told to, on the loop's thread: there is no other."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        """Shows every text as `clean` returns it."""
        self._clean = clean
        self.interval = _INTERVAL
        self._writer = Writer(lambda count: f"{count:,} lines were left out: the terminal stood still\n")
        self._console = Console(file=_Terminal(self._writer))
        self._live = RichLive(console=self._console, auto_refresh=False)
        self._rates = Rates()

    def log(self, record: logging.LogRecord) -> None:
        """A line above the table."""
        handler = getattr(record, "handler", None)
        moment = logging.Formatter("%(asctime)s").formatTime(record, "%H:%M:%S")
        line = Text.assemble(
            (moment, "dim"),
            " ",
            (record.levelname.lower(), _STYLES.get(record.levelno, "dim")),
            " ",
            (f"{handler}: " if handler else "", "bold"),
            self._clean(record.getMessage()),
        )
        self._console.print(line, highlight=False, soft_wrap=True)
        if record.exc_info or record.exc_text:
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else record.exc_text or ""
            self._console.print(Text(self._clean(trace), "dim"), highlight=False, soft_wrap=True)

    def event(self, name: str, text: str, **about: str | float | list[str]) -> None:  # noqa: ARG002 - for machines
        """A line above the table."""
        self._console.print(Text(self._clean(text), "bold red" if name == "failed" else "bold"), soft_wrap=True)

    def counters(self, counters: Mapping[str, Counters], workers: Sequence[WorkerState] = ()) -> None:
        """The table, drawn anew, what each handler waits for, and the last error of each that had one."""
        figures = {name: self._rates.figures(name, one) for name, one in counters.items()}
        ready = sum(one.ready for one in workers)
        processes = [Text(f"{ready} of {len(workers)} workers at work", "dim")] if workers else []
        waiting = [
            Text(f"{name}: can't {what}: {self._clean(why)}", "yellow", no_wrap=True, overflow="ellipsis")
            for name, one in figures.items()
            for what, why in one.outages.items()
        ]
        errors = [
            Text(f"{name}: {self._clean(one.last_error)}", "red", no_wrap=True, overflow="ellipsis")
            for name, one in figures.items()
            if one.last_error and one.last_error not in one.outages.values()
        ]
        if not self._live.is_started:
            self._live.start()
        self._live.update(Group(_table(figures, self._console.width), *processes, *waiting, *errors), refresh=True)

    def close(self) -> None:
        """The table stays as it was last drawn; the cursor is back."""
        if self._live.is_started:
            self._live.stop()
        self._writer.close()


class _Terminal(io.StringIO):
    """The terminal as rich sees it: what is written is shown when it is flushed, and nobody waits for that."""

    def __init__(self, writer: Writer) -> None:
        super().__init__()
        self._writer = writer

    def isatty(self) -> bool:
        """As standard output."""
        return sys.stdout.isatty()

    def fileno(self) -> int:
        """As standard output."""
        return sys.stdout.fileno()

    def flush(self) -> None:
        """Let it be written."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        if text:
            self._writer.write(text)


def _table(figures: Mapping[str, Figures], width: int) -> Table:
    # All of it fits into 80 columns: a number that is cut off is worse than a name that is.
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, int(wide), 0, 0))
    table.add_column("handler", no_wrap=True, max_width=40 if wide else 12)
    for name in _COLUMNS:
        title = name if wide else _SHORT.get(name, name)
        table.add_column(title, justify="right", no_wrap=True, min_width=len(title))
    for handler, one in figures.items():
        table.add_row(handler, *_cells(one, "{:,}".format if wide else _short))
    return table


def _cells(figures: Figures, count: Callable[[int], str]) -> Sequence[str]:
    return [
        count(figures.handled),
        count(round(figures.rate)),
        count(figures.in_hand),
        "" if figures.lag is None else count(figures.lag),
        count(figures.sent),
        count(figures.retried),
        count(figures.dead_lettered),
        count(figures.dropped),
        _time(figures.p50),
        _time(figures.p99),
    ]


def _short(count: int) -> str:
    """At most five characters, up to a thousand million."""
    if count < 10_000:
        return f"{count:,}"
    size, unit = (count / 1e3, "k") if count < 1_000_000 else (count / 1e6, "M")
    return f"{size:.3g}{unit}" if size < 999.5 else f"{size:,.0f}{unit}"


def _time(milliseconds: float | None) -> str:
    return "" if milliseconds is None else f"{milliseconds:,.1f}"
