"""What `run` prints in a pipe: a JSON object for each event."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from dragoman.cli.view import Rates
from dragoman.cli.writer import Writer
from dragoman.host.counters import Counters
from dragoman.host.workers.supervisor import WorkerState

_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}


class Events:
    """A `View` of JSON lines on standard output."""

    def __init__(self, interval: float, clean: Callable[[str], str]) -> None:
        """Prints counters each `interval` seconds, and every text as `clean` returns it."""
        self.interval = interval
        self._clean = clean
        self._rates = Rates()
        self._writer = Writer(self._dropped)

    def log(self, record: logging.LogRecord) -> None:
        """A line of the log, with what its author added, such as the handler."""
        added = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        # A worker's record comes with its text only.
        trace = "".join(traceback.format_exception(record.exc_info[1])) if record.exc_info else record.exc_text
        about = {"level": record.levelname.lower(), "logger": record.name, "message": record.getMessage(), **added}
        self._print("log", about | ({"traceback": trace} if trace else {}), record.created)

    def event(self, name: str, text: str, **about: str | float | list[str]) -> None:
        """Something that happened to the host as a whole."""
        self._print(name, {"message": text, **about})

    def counters(self, counters: Mapping[str, Counters], workers: Sequence[WorkerState] = ()) -> None:
        """One line for all handlers, with each worker's share of it; times are milliseconds."""
        found: dict[str, Any] = {"handlers": self._figures("", counters)}
        if workers:
            found["workers"] = [
                {
                    "worker": one.number,
                    "pid": one.pid,
                    "ready": one.ready,
                    "restarts": one.restarts,
                    "handlers": self._figures(f"{one.pid}/", one.counters),
                }
                for one in workers
            ]
        self._print("counters", found)

    def _figures(self, prefix: str, counters: Mapping[str, Counters]) -> dict[str, Any]:
        return {name: asdict(self._rates.figures(prefix + name, one)) for name, one in counters.items()}

    def close(self) -> None:
        """Wait until everything is printed, for two seconds at most."""
        self._writer.close()

    def _print(self, event: str, about: Mapping[str, Any], when: float | None = None) -> None:
        self._writer.write(self._line(event, about, when))

    def _dropped(self, lines: int) -> str:
        text = f"{lines:,} lines were left out: whoever reads this output is too slow"
        return self._line("log", {"level": "warning", "logger": "dragoman.cli", "message": text, "lines": lines})

    def _line(self, event: str, about: Mapping[str, Any], when: float | None = None) -> str:
        moment = datetime.now(UTC) if when is None else datetime.fromtimestamp(when, UTC)
        line = {"time": moment.isoformat(timespec="milliseconds"), "event": event, **self._cleaned(about)}
        return json.dumps(line) + "\n"

    def _cleaned(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(key): self._cleaned(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._cleaned(item) for item in value]
        return value if isinstance(value, int | float | None) else self._clean(str(value))
