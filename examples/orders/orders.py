"""The handler as a plain Python function: `python = "orders:handle"` in the configuration."""

import json
from decimal import Decimal

import rules

from dragoman import Context, HandlerFailed, Message, Rejected

#: Seconds that the service of exchange rates may take.
PATIENCE = 5.0


async def handle(message: Message, context: Context) -> None:
    """Check, enrich and route one order."""
    try:
        order = rules.read(message.data)
    except rules.InvalidOrder as error:
        raise Rejected(str(error)) from None  # no other try would help
    rate = await exchange_rate(order, context)
    routed = Message(
        rules.enriched(order, rate),
        (
            ("message-id", order.id),
            ("correlation-id", message.id or order.id),
            ("key", order.fields["customer"]["id"]),
        ),
        content_type="application/json",
    )
    await context.publish(rules.channel(order, rate), routed)


async def exchange_rate(order: rules.Order, context: Context) -> Decimal:
    """Euros for one unit of the order's currency; asks another handler, which may be busy."""
    if order.currency == "EUR":
        return Decimal(1)
    question = json.dumps({"currency": order.currency, "order": order.id})
    (answer,) = await context.request("rates", question, timeout=PATIENCE, expected=1)
    found = json.loads(answer.data)
    if "rate" not in found:
        raise HandlerFailed(f"no exchange rate: {found['error']}")
    return Decimal(found["rate"])
