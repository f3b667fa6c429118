"""The broker that the demo runs on: one table of the configuration, and the server that it is about."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).resolve().parent
CONFIG: Final = HERE / "dragoman.toml"
EMBEDDED: Final = "embedded"
#: The tables for the other brokers, as a user would write them.
TABLES: Final[dict[str, dict[str, Any]]] = tomllib.loads((HERE / "brokers.toml").read_text())
NAMES: Final = (EMBEDDED, *TABLES)
_TABLE: Final = re.compile(r"^\[clients\.shop\]\n(?:[^\[\n].*\n)+", re.MULTILINE)
_COMPONENT: Final = 'component = "orders.wasm"'
_FUNCTION: Final = 'python = "orders:handle"'


@contextmanager
def configured(broker: str, *, function: bool) -> Iterator[Path]:
    """The configuration for a broker, whose server runs meanwhile: `dragoman.toml`, or a copy with what changes.

    Args:
        broker: one of `NAMES`.
        function: the Python function in the component's place.
    """
    text = CONFIG.read_text()
    if function:
        text = _replaced(text, re.compile(re.escape(_COMPONENT)), _FUNCTION)
    if broker == EMBEDDED:
        _forget_last_time()
        yield _written("python.toml", text) if function else CONFIG
        return
    with _server(broker) as server:
        table = TABLES[broker] | {"url": server.url}
        # What JSON writes for text and for true and false, TOML writes too.
        lines = (f"{key} = {json.dumps(value)}\n" for key, value in table.items())
        yield _written(f"{broker}.toml", _replaced(text, _TABLE, "[clients.shop]\n" + "".join(lines)))


def _server(broker: str) -> AbstractContextManager[Any]:
    """A server of its own, or the one that `DRAGOMAN_TEST_KAFKA=host:port` and so on name."""
    sys.path.insert(0, str(HERE.parents[1]))
    from tests import servers  # noqa: PLC0415 - it is beside the examples, and only these brokers need it

    kinds: dict[str, tuple[str, Callable[[], servers.Server]]] = {
        "kafka": ("kafka", servers.Kafka),
        "amqp": ("rabbitmq", servers.RabbitMQ),
        # Nobody kills it here: writing all that it holds to its file with each change would only take time.
        "mqtt": ("mosquitto", partial(servers.Mosquitto, crash_safe=False)),
        "nats": ("nats", servers.Nats),
    }
    name, start = kinds[broker]
    return servers.External.named(name, broker) or start()


def _replaced(text: str, pattern: re.Pattern[str], new: str) -> str:
    changed, count = pattern.subn(lambda _: new, text, count=1)
    if not count:
        raise SystemExit(f"{CONFIG}: there is no {pattern.pattern!r} to change")
    return changed


def _written(name: str, text: str) -> Path:
    path = HERE / name
    path.write_text(text)
    return path


def _forget_last_time() -> None:
    for path in HERE.glob("shop.db*"):
        if path.is_file():
            path.unlink()
