"""A guest that does what a message says with keys and values, with the log and with its settings.

A body is JSON, an object with the name of a function below and its arguments. What the function returns goes to
`answers`, as JSON, or the case and text of its error.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import atomics, batch, consumer, logging
from wit_world.imports import wasi_config_store as settings
from wit_world.imports import wasi_keyvalue_store as store
from wit_world.imports.types import BrokerMessage


def each(bucket, calls):
    """The results of several calls of a bucket's methods, or of the functions below: each a list."""
    return [globals()[name](store.open(bucket), *arguments) for name, *arguments in calls]


def get(bucket, key):
    """A value as text."""
    value = bucket.get(key)
    return None if value is None else value.decode()


def put(bucket, key, value):
    """Set a text, or so many bytes."""
    bucket.set(key, bytes(value) if isinstance(value, int) else value.encode())


def delete(bucket, key):
    """Delete a key."""
    bucket.delete(key)


def exists(bucket, key):
    """Whether there is a key."""
    return bucket.exists(key)


def keys(bucket, cursor=None):
    """A page of keys, and the cursor."""
    page = bucket.list_keys(cursor)
    return [page.keys, page.cursor]


def add(bucket, key, delta):
    """Increment."""
    return atomics.increment(bucket, key, delta)


def swap(bucket, key, value, meanwhile=None):
    """Swap a value, while another change may come between; what was there, and what is there now."""
    cas = atomics.Cas.new(bucket, key)
    before = cas.current()
    if meanwhile is not None:
        bucket.set(key, meanwhile.encode())
    try:
        atomics.swap(cas, value.encode())
    except Err as error:
        again = error.value.value
        seen = again.current()
        atomics.swap(again, value.encode())
        return [text(before), text(seen), get(bucket, key)]
    return [text(before), get(bucket, key)]


def get_many(bucket, *wanted):
    """Several values."""
    found = batch.get_many(bucket, list(wanted))
    return [None if pair is None else [pair[0], pair[1].decode()] for pair in found]


def set_many(bucket, **values):
    """Set several texts."""
    batch.set_many(bucket, [(key, value.encode()) for key, value in values.items()])


def put_many(bucket, pairs):
    """Set several texts, or so many bytes."""
    batch.set_many(bucket, [(key, bytes(v) if isinstance(v, int) else v.encode()) for key, v in pairs])


def delete_many(bucket, *unwanted):
    """Delete several keys."""
    batch.delete_many(bucket, list(unwanted))


def say(bucket, level, context, message, times=1):
    """Log something."""
    for _ in range(times):
        logging.log(logging.Level[level.upper()], context, message)


def setting(bucket, *names):
    """Some settings, and all."""
    return [[settings.get(name) for name in names], dict(settings.get_all())]


def text(value):
    """Bytes as text."""
    return None if value is None else value.decode()


class Handler(exports.Handler):
    """The handler."""

    def handle_message(self, msg):
        """Do what the message says."""
        order = json.loads(msg.body)
        fails = order.pop("then", None)
        try:
            answer = each(**order)
        except Err as error:
            answer = {"case": type(error.value).__name__, "text": getattr(error.value, "value", None)}
        consumer.publish(BrokerMessage("answers", json.dumps(answer).encode(), None))
        if fails:
            raise Err(fails)
