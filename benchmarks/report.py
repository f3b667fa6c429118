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
    """

    name: str
    value: float
    unit: str
    ratio: float | None = None
    beside: str = ""
    target: str = ""


def report(title: str, figures: Sequence[Figure]) -> None:
    """Print the figures."""
    if not sys.stdout.isatty():
        for figure in figures:
            print(json.dumps({"benchmark": title, **asdict(figure)}), flush=True)
        return
    table = Table("measured", "value", "unit", "ratio", "beside", "target", title=title)
    for figure in figures:
        ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
        table.add_row(figure.name, f"{figure.value:,.2f}", figure.unit, ratio, figure.beside, figure.target)
    Console().print(table)
