"""RabbitMQ's own settings for one subscription: `SubscribeOptions.extensions`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dragoman.errors import Unsupported, nearest


@dataclass(frozen=True, slots=True)
class Extensions:
    """What was asked for.

    Attributes:
        exclusive: whether nobody else may consume from the queue meanwhile.
        priority: consumers with a higher one get messages first; None is the broker's 0.
        binding_keys: of a topic's subscription without a group, the patterns to bind instead of the channel's name.
    """

    exclusive: bool = False
    priority: int | None = None
    binding_keys: tuple[str, ...] = ()

    def arguments(self) -> dict[str, Any]:
        """The arguments of `Basic.Consume`."""
        return {} if self.priority is None else {"x-priority": self.priority}


def parse(given: Mapping[str, str]) -> Extensions:
    """Read the extensions of a subscription.

    Raises:
        Unsupported: one is unknown, or its value is not what it should be.
    """
    values: dict[str, Any] = {}
    for name, text in given.items():
        if name not in _READERS:
            raise Unsupported(
                f"AMQP has no extension {name!r}",
                expected=f"one of {', '.join(_READERS)}",
                nearest=nearest(name, _READERS),
            )
        values[name.replace("-", "_")] = _READERS[name](name, text)
    return Extensions(**values)


def _flag(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise Unsupported(f"the extension {name!r} is {text!r}", expected="`true` or `false`")
    return text == "true"


def _number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unsupported(f"the extension {name!r} is {text!r}", expected="a whole number") from None


def _words(name: str, text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise Unsupported(f"the extension {name!r} is {text!r}", expected="patterns with commas between")
    return words


_READERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "exclusive": _flag,
    "priority": _number,
    "binding-keys": _words,
}
