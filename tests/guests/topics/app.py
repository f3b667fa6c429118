"""A guest of the `topics` generation that does what a message says.

A body is JSON, an object with the name of a function below and its arguments. What the function returns goes to the
topic that its environment's `ANSWERS` names, or `answers`, as JSON. With `"catch": true` an error of a call goes there
too; without, the handler returns it. It wants to hear what its environment's `CHANNELS` says, and `in` without that.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import consumer, producer, types
from wit_world.imports.types import Client, Message


def echo(message):
    """Everything that the message says about itself."""
    metadata = message.metadata()
    return {
        "topic": message.topic(),
        "content_type": message.content_type(),
        "size": len(message.data()),
        "metadata": None if metadata is None else [list(pair) for pair in metadata],
    }


def forward(message, topic):
    """Send the message on as it is, to another topic."""
    message.set_topic(topic)
    producer.send(Client.connect("default"), message)


def send(message, topic, body, client="default"):
    """Send a message of one's own."""
    producer.send(Client.connect(client), Message(topic, body.encode()))


def change(message, steps):
    """Change the message in steps, each the name of a method and its arguments, and say what came of it."""
    for name, *arguments in steps:
        getattr(message, name)(*(str.encode(*arguments),) if name == "set_data" else arguments)
    return echo(message)


def set_subscriptions(message, topics):
    """Say what to hear from now on."""
    consumer.set_subscriptions(topics)


def fail(message, case, text=None):
    """Return an error."""
    raise Err(getattr(types, f"Error_{case}")(*() if text is None else (text,)))


def crash(message):
    """Raise."""
    raise RuntimeError("on purpose")


class MessagingGuest(exports.MessagingGuest):
    """The guest."""

    def configure(self):
        """What it wants to hear."""
        return os.environ.get("CHANNELS", "in").split(",")

    def handler(self, message):
        """Do what the message says."""
        order = json.loads(message.data())
        catch = order.pop("catch", False)
        try:
            result = globals()[order.pop("do")](message, **order)
        except Err as error:
            if not catch:
                raise
            case = type(error.value).__name__.removeprefix("Error_")
            result = {"case": case, "text": getattr(error.value, "value", "")}
        answers = os.environ.get("ANSWERS", "answers")
        producer.send(Client.connect("default"), Message(answers, json.dumps(result).encode()))
