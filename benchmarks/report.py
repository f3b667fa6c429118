"""How every benchmark prints: a table on a terminal, one JSON line per figure when piped."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value.

    Attributes:
        name: what was measured.
        value: the median over the rounds.
        unit: of the value, such as `µs/message` or `messages/s`.
        ratio: of this value to the one that it is measured beside, in the same run; None where it stands alone.
        beside: the name of that other value.
        target: what the ratio (or the value, where there is no ratio) is to be, such as `>= 4` or `<= 15`.
        cost: microseconds of computing for each message, in the process that is measured; None where nobody looked.
        lighter: the other's cost to this one: what the ratio is where nothing but computing takes time.
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str = ""
    target: str = ""
    cost: float | None = None
    lighter: float | None = None


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print the figures."""
    if not sys.stdout.isatty():
        for figure in figures:
            print(json.dumps({"benchmark": title, **asdict(figure)}), flush=True)
        return
    costs = any(figure.cost is not None for figure in figures)
    table = Table("measured", "value", "unit", "ratio", "beside", "target", title=title)
    for heading in ("µs of computing", "ratio") if costs else ():
        table.add_column(heading)
    for figure in figures:
        cells = [figure.name, f"{figure.value:,.2f}", figure.unit, _number(figure.ratio), figure.beside, figure.target]
        table.add_row(*cells, *([_number(figure.cost), _number(figure.lighter)] if costs else []))
    Console().print(table)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
