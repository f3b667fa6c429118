"""A service of exchange rates, as a handler that answers requests. It has bad moments, as real services do.

Which orders meet it in one depends on the order's number alone, so every run has the same retries: one order in 30
finds it busy once, one in 120 twice, and one in 600 always. It counts by itself how often it was asked for those.
"""

import json
from collections import Counter

from dragoman import Context, Message

RATES = {"GBP": "1.1530", "JPY": "0.0061", "PLN": "0.2340", "SEK": "0.0872", "USD": "0.9210"}
_asked: Counter[str] = Counter()


def bad_moments(order: str) -> int:
    """How many times the service is busy when it is asked for this order."""
    number = int(order.rpartition("-")[2])
    if number % 600 == 7:
        return 1_000_000
    if number % 120 == 7:
        return 2
    return int(number % 30 == 7)


async def answer(message: Message, context: Context) -> None:
    """Reply with the rate, or with an error."""
    question = json.loads(message.data)
    busy = bad_moments(question["order"])
    if busy:
        _asked[question["order"]] += 1
        if _asked[question["order"]] <= busy:
            await context.reply(message, json.dumps({"error": "the service is busy"}))
            return
    await context.reply(message, json.dumps({"rate": RATES[question["currency"]]}))
