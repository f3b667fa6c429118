"""What Dragoman's conformance kit must be told about this broker."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from dragoman.testing import Harness
from dragoman_template.broker import MAX_BODY
from dragoman_template.plugin import ADAPTER


class Local(Harness):
    """A broker of its own. Replace: start a real server, and write `restart`, `cut` and `restore` for it."""

    adapter = ADAPTER
    too_large = MAX_BODY + 1
    # None: the broker has no such thing. Say it only where it is so.
    forbidden = None
    missing = None
    unreachable: Mapping[str, Any] | None = {"url": "template://nowhere"}

    def __init__(self) -> None:
        url = f"template://{secrets.token_hex(4)}"
        self.settings = {"url": url, "password": "right-one"}
        self.wrong_password = {"url": url, "password": "wrong-one"}
