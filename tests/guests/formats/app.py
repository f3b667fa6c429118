"""A guest of the `formats` generation, in both of its forms, that does what messages say.

A body is JSON, an object with the name of a function below and its arguments. What the functions return goes to the
channel that its environment's `ANSWERS` names, or `answers`, as JSON, all answers of a call in one batch. With
`"catch": true` an error of a call goes there too; without, the handler returns it. It wants to hear what its
environment's `CHANNELS` says, with the pairs of `EXTENSIONS`; without these, `in`.
"""

import json
import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import consumer, messaging_types, producer
from wit_world.imports.messaging_types import FormatSpec, GuestConfiguration, Message

calls = 0


def connected(name="default"):
    """A client, in either form."""
    if hasattr(messaging_types, "Client"):
        return messaging_types.Client.connect(name)
    return messaging_types.connect(name)


def traced(error):
    """The text of an error, in either form."""
    if hasattr(messaging_types, "Error"):
        return messaging_types.Error.trace()
    text = messaging_types.trace(error)
    messaging_types.drop_error(error)
    return text


def described(message):
    """A message as JSON."""
    pairs = None if message.metadata is None else [list(pair) for pair in message.metadata]
    return {"body": message.data.decode(), "format": message.format.name.lower(), "metadata": pairs}


def echo(message):
    """Everything that the message says about itself, and how many came with it."""
    return {**described(message), "calls": calls}


def forward(message, channel):
    """Send the message on as it is."""
    producer.send(connected(), channel, [message])


def send(message, channel, bodies, spec="raw", metadata=None, *, client="default"):
    """Send a batch of messages of one's own."""
    pairs = None if metadata is None else [tuple(pair) for pair in metadata]
    made = [Message(body.encode(), FormatSpec[spec.upper()], pairs) for body in bodies]
    producer.send(connected(client), channel, made)


def try_receive(message, channel, timeout_ms, client="default"):
    """Receive what comes in time."""
    found = consumer.subscribe_try_receive(connected(client), channel, timeout_ms)
    return None if found is None else [described(one) for one in found]


def receive(message, channel):
    """Receive what comes, however long it takes."""
    return [described(one) for one in consumer.subscribe_receive(connected(), channel)]


def receive_and(message, channel, settle):
    """Receive what comes, and settle it by itself."""
    found = consumer.subscribe_receive(connected(), channel)
    for one in found:
        (consumer.complete_message if settle == "complete" else consumer.abandon_message)(one)
    return [one.data.decode() for one in found]


def update(message, channels, extensions=None):
    """Say what to hear from now on."""
    pairs = None if extensions is None else list(extensions.items())
    consumer.update_guest_configuration(GuestConfiguration(channels, pairs))


def complete(message, times=1, receipt=None):
    """Complete the message, so often, or another one of which only the receipt is known."""
    if receipt is not None:
        message = Message(b"", FormatSpec.RAW, [("dragoman-receipt", receipt)])
    for _ in range(times):
        consumer.complete_message(message)


def abandon(message):
    """Abandon the message."""
    consumer.abandon_message(message)


def bare(message):
    """Complete a message that has no receipt."""
    consumer.complete_message(Message(message.data, message.format, None))


def use_disconnected(message):
    """Send over a client that was disconnected."""
    client = connected()
    messaging_types.disconnect(client)
    producer.send(client, "out", [])


def trace_again(message):
    """What `trace` says after `drop-error`, and for a number that never was one."""
    try:
        connected("denied")
    except Err as error:
        return [
            traced(error.value),
            *([] if hasattr(messaging_types, "Error") else map(messaging_types.trace, (error.value, 99))),
        ]


def trace_nothing(message):
    """What `trace` says when there was no error."""
    return messaging_types.Error.trace()


def make_up(message, error):
    """Return an error of one's own."""
    raise Err(error)


def crash(message):
    """Raise."""
    raise RuntimeError("on purpose")


class MessagingGuest(exports.MessagingGuest):
    """The guest."""

    def configure(self):
        """What it wants to hear."""
        channels = os.environ.get("CHANNELS", "in").split(",")
        extensions = json.loads(os.environ.get("EXTENSIONS", "null"))
        return GuestConfiguration(channels, None if extensions is None else list(extensions.items()))

    def handler(self, messages):
        """Do what the messages say."""
        global calls  # noqa: PLW0603 - what one instance has seen
        calls = len(messages)
        answers = [Message(json.dumps(done(message)).encode(), FormatSpec.RAW, None) for message in messages]
        producer.send(connected(), os.environ.get("ANSWERS", "answers"), answers)


def done(message):
    """What one message says."""
    order = json.loads(message.data)
    catch = order.pop("catch", False)
    order.pop("number", None)  # only tells one from another
    try:
        return globals()[order.pop("do")](message, **order)
    except Err as error:
        if not catch:
            raise
        return {"text": traced(error.value)}
