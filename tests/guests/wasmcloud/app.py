"""A guest of wasmCloud's interface that does what a message says.

A body is JSON, an object with the name of a function below and its arguments. What the function returns goes to the
subject that its environment's `ANSWERS` names, or `answers`, as JSON. With `"catch": true` an error of a call goes
there too; without, the handler returns it.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import consumer
from wit_world.imports.types import BrokerMessage


def echo(message):
    """Everything that the message says about itself."""
    return {"subject": message.subject, "size": len(message.body), "reply_to": message.reply_to}


def forward(message, to):
    """Publish the message as it is, to another subject."""
    consumer.publish(BrokerMessage(to, message.body, message.reply_to))


def publish(message, to, body="", reply_to=None):
    """Publish a message of one's own."""
    consumer.publish(BrokerMessage(to, body.encode(), reply_to))


def answer(message, texts):
    """Reply to the message with each of these texts, where it wants a reply."""
    for text in texts if message.reply_to is not None else ():
        consumer.publish(BrokerMessage(message.reply_to, text.encode(), None))


def ask(message, to, timeout_ms, body="question"):
    """Send a request and give its reply."""
    reply = consumer.request(to, body.encode(), timeout_ms)
    return reply.body.decode()


def fail(message, text):
    """Return an error."""
    raise Err(text)


def crash(message):
    """Raise."""
    raise RuntimeError("on purpose")


class Handler(exports.Handler):
    """The handler."""

    def handle_message(self, message):
        """Do what the message says."""
        order = json.loads(message.body)
        catch = order.pop("catch", False)
        try:
            result = globals()[order.pop("do")](message, **order)
        except Err as error:
            if not catch:
                raise
            result = {"text": error.value}
        consumer.publish(BrokerMessage(os.environ.get("ANSWERS", "answers"), json.dumps(result).encode(), None))
