"""What this guest does with an order: checks it, adds it up, and says where it goes.

Nothing here knows of messages or of WebAssembly: it runs, and is tested, anywhere.
"""

import json
import re
from dataclasses import dataclass


class InvalidOrder(Exception):
    """An order that can't be used; the text says why."""


@dataclass(frozen=True)
class Routed:
    """An order that was checked.

    Attributes:
        id: the order's own.
        channel: where it goes.
        data: what goes there, as JSON.
    """

    id: str
    channel: str
    data: bytes


def route(data: bytes) -> Routed:
    """Check the order in the body of a message, add it up and say where it goes.

    Raises:
        InvalidOrder: it can't be used, and why.
    """
    order = _object(data)
    identity = _text(order, "id", r"[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits, '.', '_' or '-'")
    country = _text(order, "country", r"[A-Z]{2}", "two capital letters, as in DE")
    lines = order.get("lines")
    if not isinstance(lines, list) or not 1 <= len(lines) <= 1000:
        raise InvalidOrder("lines: expected a list of 1 to 1000")
    items = cents = 0
    for number, line in enumerate(lines):
        if not isinstance(line, dict):
            raise InvalidOrder(f"lines[{number}]: expected an object")
        quantity = _whole(line.get("quantity"), f"lines[{number}].quantity", 1, 1000)
        cents += quantity * _whole(line.get("cents"), f"lines[{number}].cents", 0, 1000000)
        items += quantity
    routed = json.dumps({"id": identity, "country": country, "items": items, "cents": cents})
    return Routed(identity, f"orders.{country.lower()}", routed.encode())


def _object(data):
    try:
        value = json.loads(data.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidOrder("not an order: expected a JSON object")
    return value


def _no_number(text):
    raise ValueError(text)  # NaN and Infinity are not JSON


def _text(order, name, pattern, expected):
    value = order.get(name)
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise InvalidOrder(f"{name}: expected {expected}")
    return value


def _whole(value, name, least, most):
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not least <= value <= most or value != int(value):
        raise InvalidOrder(f"{name}: expected a whole number from {least} to {most}")
    return int(value)
