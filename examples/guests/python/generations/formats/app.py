"""A guest for `formats`: what comes as a list of messages is checked, added up and sent on by `order`.

In this generation a guest can't make an error of its own. An order that can't be used goes to `orders.rejected` with
the reason, and is done with; an error that the host gives goes back to it, and those messages are tried again.
"""

from collections import defaultdict

import order
from wit_world import exports
from wit_world.imports import producer
from wit_world.imports.messaging_types import Client, FormatSpec, GuestConfiguration, Message


class MessagingGuest(exports.MessagingGuest):
    """What the world `messaging` exports."""

    def configure(self):
        """What the guest wants to hear; the configuration's `listen` says what it may."""
        return GuestConfiguration(["orders"], None)

    def handler(self, ms):
        """Handle a batch of messages of one channel: one `send` for each channel that some of them go to."""
        outgoing = defaultdict(list)
        for message in ms:
            try:
                routed = order.route(message.data)
            except order.InvalidOrder as error:
                outgoing["orders.rejected"].append(rejected(message, str(error)))
            else:
                pairs = [("content-type", "application/json"), ("key", routed.id)]
                outgoing[routed.channel].append(Message(routed.data, FormatSpec.RAW, pairs))
        for channel, messages in outgoing.items():
            producer.send(Client.connect("shop"), channel, messages)  # a client is used up by it


def rejected(message, reason):
    """The message as it came, with the reason. What is the host's in its metadata, the host does not send on."""
    return Message(message.data, message.format, [*(message.metadata or ()), ("reason", reason)])
