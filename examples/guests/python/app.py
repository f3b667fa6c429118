"""A guest for Dragoman: what comes as a message is checked, added up and sent on by `order`."""

import order
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import producer
from wit_world.imports.types import Client, Error_Other, Message


class IncomingHandler(exports.IncomingHandler):
    """What the world `messaging-core` exports."""

    def handle(self, message):
        """Handle one message. After an error the host tries again, unless it begins with `rejected:`."""
        try:
            routed = order.route(message.data())
        except order.InvalidOrder as error:
            raise Err(Error_Other(f"rejected: {error}")) from None
        with Client.connect("shop") as client:
            outgoing = Message(routed.data)
            outgoing.set_content_type("application/json")
            outgoing.add_metadata("key", routed.id)
            producer.send(client, routed.channel, outgoing)
