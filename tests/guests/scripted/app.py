"""A guest in Python that does what a message says: JSON, an object with the name of a function below and its arguments.

What the function returns goes to the channel that its environment's `ANSWERS` names, or `answers`, as JSON. With
`"catch": true` an error of a call goes there too; without, the handler returns it.
"""

import json
import os
import sys
import time
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import producer, request_reply
from wit_world.imports.types import (
    Client,
    Error_Connection,
    Error_Other,
    Error_PermissionDenied,
    Error_Timeout,
    Message,
)

calls = 0
kept = []


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
    """Send the message on as it is."""
    with Client.connect("default") as client:
        producer.send(client, topic, message)


def send(message, topic, body):
    """Send a message of one's own."""
    with Client.connect("default") as client:
        producer.send(client, topic, Message(body.encode()))


def change(message, steps):
    """Change the message in steps, each the name of a method and its arguments, and say what came of it."""
    decode = {"set_metadata": lambda pairs: [tuple(pair) for pair in pairs], "set_data": str.encode}
    for name, *arguments in steps:
        if name in decode:
            getattr(message, name)(decode[name](*arguments))
        else:
            getattr(message, name)(*arguments)
    return echo(message)


def ask(message, topic, timeout_ms=None, expected=None, options=True):
    """Send a request with this message's metadata and give the bodies of its replies."""
    wanted = None
    if options:
        wanted = request_reply.RequestOptions()
        if timeout_ms is not None:
            wanted.set_timeout_ms(timeout_ms)
        if expected is not None:
            wanted.set_expected_replies(expected)
    with Client.connect("default") as client:
        replies = request_reply.request(client, topic, Message(b"question"), wanted)
    return [reply.data().decode() for reply in replies]


def answer(message, texts):
    """Reply to the message with each of these texts."""
    for text in texts:
        request_reply.reply(message, Message(text.encode()))


def connect(message, name):
    """Connect to a client."""
    Client.connect(name)


def send_disconnected(message):
    """Send over a client that was disconnected."""
    client = Client.connect("default")
    client.disconnect()
    producer.send(client, "out", Message(b""))


def say(message, out="", err="", times=1):
    """Print."""
    for _ in range(times):
        sys.stdout.write(out)
        sys.stderr.write(err)
    sys.stdout.flush()
    sys.stderr.flush()


def see(message):
    """What of the system is visible."""
    return {
        "environment": dict(os.environ),
        "root": sorted(map(str, Path("/").iterdir())) if Path("/").exists() else [],
    }


def read(message, path):
    """The content of a file."""
    return Path(path).read_text()


def write(message, path, text):
    """Write a file."""
    Path(path).write_text(text)


def sleep(message, seconds):
    """Wait."""
    time.sleep(seconds)


def clocks(message):
    """What the clocks say."""
    return {"monotonic": time.monotonic(), "wall": time.time()}


def count(message):
    """How many messages this instance has seen."""
    return calls


def leave(message, status):
    """End the program."""
    os._exit(status)


def resolve(message):
    """Open a connection to somewhere."""
    import socket

    socket.create_connection(("127.0.0.1", 9), timeout=0.1)


def keep(message, number):
    """Make messages and never let them go."""
    kept.extend(Message(b"") for _ in range(number))
    return len(kept)


def keep_bytes(message, size):
    """Take memory."""
    return len(bytearray(size))


def fail(message, case, text=""):
    """Return an error."""
    cases = {"connection": Error_Connection, "permission-denied": Error_PermissionDenied, "other": Error_Other}
    raise Err(cases[case](text) if case in cases else Error_Timeout())


def crash(message):
    """Raise."""
    raise RuntimeError("on purpose")


def described(error):
    """An error as JSON."""
    return {"case": type(error).__name__.removeprefix("Error_"), "text": getattr(error, "value", "")}


class IncomingHandler(exports.IncomingHandler):
    """The handler."""

    def handle(self, message):
        """Do what the message says."""
        global calls  # noqa: PLW0603 - what one instance has seen
        calls += 1
        order = json.loads(message.data())
        catch = order.pop("catch", False)
        try:
            result = globals()[order.pop("do")](message, **order)
        except (Err, OSError) as error:
            if not catch:
                raise
            result = described(error.value) if isinstance(error, Err) else {"case": "OSError", "text": str(error)}
        with Client.connect("default") as client:
            producer.send(client, os.environ.get("ANSWERS", "answers"), Message(json.dumps(result).encode()))
