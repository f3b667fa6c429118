"""A guest of the `events` generation that does what an event says.

A body is JSON, an object with the name of a function below and its arguments. What the function returns goes to the
queue that its environment's `ANSWERS` names, or `answers`, as JSON. With `"catch": true` an error of a call goes there
too; without, the handler returns it.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import pub, sub, types
from wit_world.imports.types import Channel_Queue, Channel_Topic, Event


def channel(text):
    """The channel that `queue:name` or `topic:name` means."""
    kind, _, name = text.partition(":")
    return Channel_Topic(name) if kind == "topic" else Channel_Queue(name)


def echo(event):
    """Everything that the event says about itself."""
    return {
        **{name: getattr(event, name) for name in ("specversion", "ty", "source", "id", "subject", "time")},
        "datacontenttype": event.datacontenttype,
        "dataschema": event.dataschema,
        "size": None if event.data is None else len(event.data),
        "extensions": None if event.extensions is None else [list(pair) for pair in event.extensions],
    }


def forward(event, to):
    """Publish the event as it is."""
    pub.publish(channel(to), event)


def publish(event, to, body=None, extensions=None, **attributes):
    """Publish an event of one's own."""
    given = {"datacontenttype": None, "dataschema": None, "subject": None, "time": None, **attributes}
    data = None if body is None else body.encode()
    pairs = None if extensions is None else [tuple(pair) for pair in extensions]
    made = Event(specversion="1.0", ty="test", source="/guest", id="1", data=data, extensions=pairs, **given)
    pub.publish(channel(to), made)


def subscribe(event, to):
    """Subscribe, and give the token."""
    return sub.subscribe(channel(to))


def unsubscribe(event, token):
    """Unsubscribe."""
    sub.unsubscribe(token)


def fail(event, case, text=""):
    """Return an error."""
    raise Err(getattr(types, f"MessagingError_{case}")(text))


def crash(event):
    """Raise."""
    raise RuntimeError("on purpose")


class Handler(exports.Handler):
    """The handler."""

    def on_receive(self, event):
        """Do what the event says."""
        order = json.loads(event.data)
        catch = order.pop("catch", False)
        try:
            result = globals()[order.pop("do")](event, **order)
        except Err as error:
            if not catch:
                raise
            result = {"case": type(error.value).__name__.removeprefix("MessagingError_"), "text": error.value.value}
        body = json.dumps(result).encode()
        answer = Event("1.0", "answer", "/guest", "1", body, "text/json", None, None, None, None)
        pub.publish(Channel_Queue(os.environ.get("ANSWERS", "answers")), answer)
