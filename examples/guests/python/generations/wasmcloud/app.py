"""A guest for wasmCloud's interface: what comes as a message is checked, added up and sent on by `order`."""

import order
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import consumer
from wit_world.imports.types import BrokerMessage


class Handler(exports.Handler):
    """What the world `messaging` exports."""

    def handle_message(self, msg):
        """Handle one message. After an error the host tries again, unless it begins with `rejected:`."""
        try:
            routed = order.route(msg.body)
        except order.InvalidOrder as error:
            raise Err(f"rejected: {error}") from None
        consumer.publish(BrokerMessage(routed.channel, routed.data, None))
