"""What this shop does with an order: read it, check it, enrich it, and say where it goes.

Nothing here knows of messages or brokers, so the component (`app.py`) and the Python function (`orders.py`) share it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar

Kind = TypeVar("Kind")

CURRENCIES = ("EUR", "GBP", "JPY", "PLN", "SEK", "USD")
REGIONS = {"DE": "eu", "FR": "eu", "NL": "eu", "SE": "eu", "PL": "eu", "US": "us"}
#: Euros from which a person looks at an order.
REVIEW = Decimal(5_000)
#: Items, and price in the order's own currency, that no real line of an order exceeds.
MOST = 10_000


class InvalidOrder(Exception):
    """An order that nobody can process. The text is `KIND: details`; the kinds are those of `make_orders.FAULTS`."""


@dataclass(frozen=True)
class Order:
    """An order that was checked.

    Attributes:
        id: the shop's number of it.
        currency: the ISO 4217 code.
        total: in that currency.
        fields: everything that came, fields that we do not know included.
    """

    id: str
    currency: str
    total: Decimal
    fields: Mapping[str, Any]


def read(data: bytes) -> Order:
    """The order in the bytes of a message.

    Raises:
        InvalidOrder: it can't be processed, and why.
    """
    fields = _object(_parsed(_text(data)))
    identity, _ = _check(fields, "id", str), _check(fields, "country", str)
    _customer(_check(fields, "customer", dict))
    currency = _check(fields, "currency", str).upper()
    if currency not in CURRENCIES:
        raise InvalidOrder(f"unknown currency: {currency[:20]!r}; expected one of {', '.join(CURRENCIES)}")
    _date(_check(fields, "placed", str))
    lines = _check(fields, "lines", list)
    if not lines:
        raise InvalidOrder("no lines: an order needs at least one")
    return Order(identity, currency, sum(map(_line_total, lines), Decimal()), fields)


def enriched(order: Order, rate: Decimal) -> bytes:
    """The order as JSON, with its total in euros, its region and the customer's tier.

    Args:
        order: what `read` gave.
        rate: euros for one unit of its currency.
    """
    euros = (order.total * rate).quantize(Decimal("0.01"))
    more = {
        "currency": order.currency,
        "total": str(order.total),
        "total_eur": str(euros),
        "region": REGIONS.get(order.fields["country"], "world"),
        "tier": _tier(order.fields["customer"]["since"], euros),
    }
    # Decimals of the original are written as text: a float would change them.
    return json.dumps({**order.fields, **more}, ensure_ascii=False, default=str).encode()


def channel(order: Order, rate: Decimal) -> str:
    """Where the order goes: to its region, or to a person if it is very large."""
    if order.total * rate >= REVIEW:
        return "orders.review"
    return "orders." + REGIONS.get(order.fields["country"], "world")


def _text(data: bytes) -> str:
    try:
        return data.decode().removeprefix("\ufeff")  # "utf-8-sig" is a module that a component would not have with it
    except UnicodeDecodeError as error:
        raise InvalidOrder(f"not UTF-8: byte 0x{data[error.start]:02x} at {error.start}") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text, parse_float=_decimal, parse_constant=_decimal)
    except json.JSONDecodeError as error:
        raise InvalidOrder(f"not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise InvalidOrder("too deep: brackets in brackets, more than can be read") from None
    except ValueError:
        raise InvalidOrder("not JSON: a number with too many digits") from None


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except ArithmeticError:  # an exponent that does not fit: the largest is smaller in a component than outside
        return Decimal("Infinity")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidOrder(f"not an order: JSON of type {type(value).__name__}; expected an object")
    return value


def _check(fields: Mapping[str, Any], name: str, kind: type[Kind]) -> Kind:
    if name not in fields:
        raise InvalidOrder(f"missing field: {name}")
    value = fields[name]
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidOrder(f"wrong type: {name} is {type(value).__name__}; expected {kind.__name__}")
    return value


def _date(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise InvalidOrder(f"bad date: {text[:40]!r}; expected one like 2026-03-04T10:15:00Z") from None


def _customer(customer: Mapping[str, Any]) -> None:
    _check(customer, "id", str)
    _check(customer, "since", int)


def _line_total(line: Any) -> Decimal:
    if not isinstance(line, dict):
        raise InvalidOrder(f"wrong type: a line is {type(line).__name__}; expected dict")
    quantity = _check(line, "quantity", int)
    if not 0 < quantity <= MOST:
        raise InvalidOrder(f"bad quantity: expected 1 to {MOST:,}")
    return quantity * _price(line)


def _price(line: Mapping[str, Any]) -> Decimal:
    if "price" not in line:
        raise InvalidOrder("missing field: price")
    try:
        price = Decimal(line["price"])
    except (ArithmeticError, TypeError, ValueError):
        raise InvalidOrder("bad price: no number") from None
    if not (price.is_finite() and 0 <= price <= MOST):
        raise InvalidOrder(f"bad price: expected 0 to {MOST:,}")
    return price


def _tier(since: int, euros: Decimal) -> str:
    if since <= 2016 or euros >= 1_000:
        return "gold"
    return "silver" if since <= 2020 else "new"
