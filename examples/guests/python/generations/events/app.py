"""A guest for `events`: what comes as a CloudEvent is checked, added up and sent on by `order`."""

import order
from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import pub
from wit_world.imports.types import Channel_Queue, Event, MessagingError_UnexpectedError


class Handler(exports.Handler):
    """What the world `service` exports."""

    def on_receive(self, e):
        """Handle one event. After an error the host tries again, unless it begins with `rejected:`."""
        try:
            routed = order.route(e.data or b"")
        except order.InvalidOrder as error:
            raise Err(MessagingError_UnexpectedError(f"rejected: {error}")) from None
        event = Event(
            specversion="1.0",
            ty="order.routed",
            source="orders",
            id=e.id,
            data=routed.data,
            datacontenttype="application/json",
            dataschema=None,
            subject=None,
            time=None,
            extensions=[("partitionkey", routed.id)],
        )
        pub.publish(Channel_Queue(routed.channel), event)
