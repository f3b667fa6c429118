"""The handler as a WebAssembly component: `component = "orders.wasm"` in the configuration; `build.py` makes it."""

import json
from decimal import Decimal

import rules
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import producer, request_reply
from wit_world.imports.types import Client, Error_Other, Message

#: Milliseconds that the service of exchange rates may take.
PATIENCE = 5_000


class IncomingHandler(exports.IncomingHandler):
    """What the world `messaging-request-reply` exports."""

    def handle(self, message):
        """Check, enrich and route one order."""
        try:
            order = rules.read(message.data())
        except rules.InvalidOrder as error:
            raise Err(Error_Other(str(error))) from None
        with Client.connect("shop") as client:
            rate = exchange_rate(order, client)
            routed = Message(rules.enriched(order, rate))
            routed.set_content_type("application/json")
            routed.set_metadata(
                [
                    ("message-id", order.id),
                    ("correlation-id", dict(message.metadata() or ()).get("message-id", order.id)),
                    ("key", order.fields["customer"]["id"]),
                ]
            )
            producer.send(client, rules.channel(order, rate), routed)


def exchange_rate(order, client):
    """Euros for one unit of the order's currency; asks another handler, which may be busy."""
    if order.currency == "EUR":
        return Decimal(1)
    question = Message(json.dumps({"currency": order.currency, "order": order.id}).encode())
    options = request_reply.RequestOptions()
    options.set_timeout_ms(PATIENCE)
    options.set_expected_replies(1)
    (answer,) = request_reply.request(client, "rates", question, options)
    found = json.loads(answer.data())
    if "rate" not in found:
        raise Err(Error_Other(f"no exchange rate: {found['error']}"))
    return Decimal(found["rate"])
