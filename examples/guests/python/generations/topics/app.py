"""A guest for `topics`: what comes as a message is checked, added up and sent on by `order`."""

import order
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import producer
from wit_world.imports.types import Client, Error_Abandoned, Message


class MessagingGuest(exports.MessagingGuest):
    """What the world `messaging` exports."""

    def configure(self):
        """What the guest wants to hear; the configuration's `listen` says what it may."""
        return ["orders"]

    def handler(self, m):
        """Handle one message. After an error the host tries again; `abandoned` says that this would not help."""
        try:
            routed = order.route(m.data())
        except order.InvalidOrder as error:
            raise Err(Error_Abandoned(str(error))) from None
        outgoing = Message(routed.channel, routed.data)
        outgoing.set_content_type("application/json")
        outgoing.add_metadata("key", routed.id)
        producer.send(Client.connect("shop"), outgoing)
