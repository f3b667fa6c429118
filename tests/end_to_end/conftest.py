"""A folder with a configuration: a component that writes in capitals, and a Python function that comes after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import dragoman, start
from tests.guests.build import guest

__all__ = ["dragoman", "folder", "start"]

CONFIG = """
[clients.default]
adapter = "embedded"
path = "shop.db"

[handlers.capitals]
component = "COMPONENT"
client = "default"
subscribe = ["in"]
publish = ["out"]

[handlers.last]
python = "app:last"
client = "default"
subscribe = ["out"]
publish = ["done"]
retry = { attempts = 2, backoff = "1ms" }
dead_letter = "dead"

[handlers.answers]
python = "app:answer"
client = "default"
subscribe = ["questions"]
"""

HANDLERS = """
async def last(message, context):
    if message.data == b"BAD":
        raise ValueError("no good")
    await context.publish("done", message)

async def answer(message, context):
    await context.reply(message, message.data[::-1])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """See the module."""
    tmp_path.joinpath("dragoman.toml").write_text(CONFIG.replace("COMPONENT", str(guest("upper"))))
    tmp_path.joinpath("app.py").write_text(HANDLERS)
    return tmp_path
