"""Makes orders.jsonl: 10,000 lines as a shop's export might hold them, with the faults that real data has.

`python make_orders.py > orders.jsonl` gives the same bytes every time. How many lines of each fault there are is in
`FAULTS`; everything else is valid, some of it in odd ways (`ODDITIES`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from random import Random
from typing import Any, Final

LINES: Final = 10_000
SEED: Final = 1896
Order = dict[str, Any]
Damage = Callable[[Order, Random], bytes]

_NAMES: Final = ("Ada", "Björn", "Chloé", "Dagmar", "Élise", "Łukasz", "Mae", "Nguyễn", "Øyvind", "Zoë", "文子", "Ömer")
_GOODS: Final = ("tea", "cup", "kettle", "tray", "spoon", "tin", "scale", "towel")
_HOMES: Final = (
    ("DE", "EUR", 30), ("FR", "EUR", 15), ("NL", "EUR", 10), ("US", "USD", 25), ("GB", "GBP", 8),
    ("SE", "SEK", 5), ("PL", "PLN", 4), ("JP", "JPY", 3),
)  # fmt: skip


def _order(number: int, random: Random) -> Order:
    country, currency, _ = random.choices(_HOMES, [weight for *_, weight in _HOMES])[0]
    customer = random.randrange(2_000)
    # A few orders are so large that somebody should look at them.
    most = 400 if random.random() < 0.01 else 4
    return {
        "id": f"A-{100_000 + number}",
        "placed": f"2026-{random.randint(1, 12):02}-{random.randint(1, 28):02}T{random.randrange(24):02}:15:00Z",
        "customer": {"id": f"C-{customer:04}", "name": _NAMES[customer % len(_NAMES)], "since": 2014 + customer % 12},
        "country": country,
        "currency": currency,
        "lines": [_line(random, most) for _ in range(random.randint(1, 3))],
    }


def _line(random: Random, most: int) -> Order:
    price = random.randint(150, 9_900) / 100
    return {"sku": random.choice(_GOODS), "quantity": random.randint(1, most), "price": price}


def _json(order: Order) -> bytes:
    return json.dumps(order, ensure_ascii=False, separators=(",", ":")).encode()


def _without(*names: str) -> Damage:
    def damage(order: Order, random: Random) -> bytes:
        del order[random.choice(names)]
        return _json(order)

    return damage


def _in_line(name: str, *values: object) -> Damage:
    def damage(order: Order, random: Random) -> bytes:
        random.choice(order["lines"])[name] = random.choice(values)
        return _json(order)

    return damage


def _with(name: str, *values: object) -> Damage:
    def damage(order: Order, random: Random) -> bytes:
        order[name] = random.choice(values)
        return _json(order)

    return damage


def _named(order: Order, name: str) -> bytes:
    order["customer"]["name"] = name
    return _json(order)


#: What makes a line useless: its name in the dead letter's reason, how many there are, and how it is done.
FAULTS: Final[tuple[tuple[str, int, Damage], ...]] = (
    ("not JSON", 60, lambda order, random: _json(order).decode()[: random.randint(1, 90)].encode()),  # cut off
    ("not JSON", 25, lambda order, _: f"{order['id']};{order['country']};{order['currency']}".encode()),
    ("not JSON", 15, lambda order, _: _json(order) + b"\0\0\0\0"),  # padded
    ("not JSON", 5, lambda order, _: _json(order) + _json(order)),  # two on a line
    ("too deep", 2, lambda _order, _: b"[" * 5_000),  # more than a reader's stack has room for
    ("not an order", 12, lambda order, random: random.choice((b"null", b"[]", b'"' + order["id"].encode() + b'"'))),
    ("not UTF-8", 40, lambda order, _: _named(order, "Jürgen Groß").decode().encode("latin-1", "replace")),
    ("not UTF-8", 15, lambda order, _: _named(order, "Zoë").partition(b"\xab")[0]),  # cut off inside a character
    ("not UTF-8", 5, lambda order, _: b"\xff\xfe" + _json(order).decode().encode("utf-16-le")),
    ("missing field", 70, _without("id", "customer", "currency", "country", "lines", "placed")),
    ("missing field", 10, _with("lines", [{"sku": "tea", "quantity": 1}])),
    ("wrong type", 40, _in_line("quantity", "two", None, 1.5, True)),
    ("wrong type", 15, _with("lines", {}, "none", 3)),
    ("no lines", 10, _with("lines", [])),
    ("bad price", 30, _in_line("price", -4.5, -0.01, "free", "4,95")),
    ("bad price", 10, lambda order, _: _in_line_raw(order, b"1e999999999")),
    ("bad price", 6, lambda order, _: _in_line_raw(order, b"NaN")),
    ("bad quantity", 20, _in_line("quantity", 0, -1, 10**30)),
    ("not JSON", 2, lambda order, _: _in_line_raw(order, b"9" * 5_000)),  # more digits than Python reads
    ("unknown currency", 30, _with("currency", "EURO", "€", "XXX", "usd.")),
    ("bad date", 20, _with("placed", "2026-02-30T10:00:00Z", "yesterday", "03/04/2026")),
)


def _in_line_raw(order: Order, price: bytes) -> bytes:
    order["lines"][0]["price"] = "PRICE"
    return _json(order).replace(b'"PRICE"', price)


#: What is odd, but can be read.
ODDITIES: Final[tuple[tuple[str, int, Damage], ...]] = (
    ("a byte order mark", 15, lambda order, _: b"\xef\xbb\xbf" + _json(order)),
    ("a carriage return", 20, lambda order, _: _json(order) + b"\r"),
    ("escapes", 20, lambda order, _: json.dumps(order).encode()),
    ("prices as text", 25, _in_line("price", "4.95", "12", "0.5")),
    ("unknown fields", 30, _with("coupon", "TEA-TIME", None, 7)),
    ("an emoji", 10, lambda order, _: _named(order, "Zoë 🫖")),
    ("a currency in small letters", 15, lambda order, _: _json(order | {"currency": order["currency"].lower()})),
)
#: Lines that are there a second time, further down.
REPEATED: Final = 120


def lines() -> list[bytes]:
    """The lines of the file, without their ends."""
    random = Random(SEED)
    single = LINES - REPEATED
    damages = [damage for _, count, damage in (*FAULTS, *ODDITIES) for _ in range(count)]
    kinds: list[Damage] = damages + [lambda order, _: _json(order)] * (single - len(damages))
    random.shuffle(kinds)
    made = [kind(_order(number, random), random) for number, kind in enumerate(kinds)]
    # Only good lines are repeated, so that the number of faults is as above.
    good = [number for number, kind in enumerate(kinds) if kind not in damages]
    again = [made[number] for number in random.sample(good, REPEATED)]
    for line in again:
        made.insert(random.randint(made.index(line) + 1, len(made)), line)
    return made


def main() -> None:
    """Write the file to standard output."""
    sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines()))


if __name__ == "__main__":
    main()
