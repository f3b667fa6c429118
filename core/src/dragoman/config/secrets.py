"""Keeps secrets out of what is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from pydantic import BaseModel, SecretBytes, SecretStr

from dragoman.config.annotations import at, is_model, mentions

if TYPE_CHECKING:
    from dragoman.config.model import Config
    from dragoman.plugins import Plugins

MASK: Final = "********"
#: Characters of a value of the environment that is taken for a secret in a log.
_SECRET: Final = 8

# Up to the last `@`: a password that should have been percent-encoded is one all the same.
_PASSWORD: Final = re.compile(r"(?P<before>[a-zA-Z][\w+.-]*://[^\s/:@]*:)(?P<password>\S*)(?=@)")


def without_passwords(text: str) -> str:
    """The text with the passwords of its URLs masked."""
    return _PASSWORD.sub(rf"\g<before>{MASK}", text)


def mask(text: str, secrets: Mapping[str, str]) -> str:
    """The text with every secret, also as Python would quote it, replaced by what is shown instead."""
    for secret in sorted(secrets, key=len, reverse=True):
        for form in _quoted(secret):
            text = _alone(form).sub(secrets[secret].replace("\\", r"\\"), text)
    return without_passwords(text)


def passwords(value: Any) -> dict[str, str]:
    """The passwords in the URLs among the strings of a value, decoded ones and pieces too, each with the mask."""
    return {
        form: MASK
        for text in _strings(value)
        for match in _PASSWORD.finditer(text)
        for form in _forms(match["password"])
        if form
    }


def secret_settings(model: type[BaseModel], settings: Mapping[str, Any]) -> dict[str, str]:
    """The values given for what the model says is secret, each with the mask."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        for annotation in at(model, (name,)):
            if is_model(annotation) and isinstance(value, Mapping):
                found |= secret_settings(annotation, value)
            elif mentions(annotation, SecretStr, SecretBytes):
                found |= {text: MASK for text in _strings(value) if text}
    return found


def in_logs(config: Config, plugins: Plugins) -> dict[str, str]:
    """What must not be in a log, where any text may come from anywhere, each with what is shown instead.

    Everything that the adapters' models call secret and the passwords of URLs; of the environment's values those that
    are long enough to be secrets, for a number or a word would be taken out of every other line.
    """
    found: dict[str, str] = {}
    for name, client in config.clients.items():
        adapter, _ = plugins.resolve(name, client)
        found |= {value: shown for value, shown in client.secrets.items() if shown == MASK or len(value) >= _SECRET}
        found |= passwords(client.settings) | secret_settings(adapter.config, client.settings)
    return found


def _alone(secret: str) -> re.Pattern[str]:
    # A secret of one to three characters, such as a number, is masked where it stands alone, not inside other words.
    pattern = re.escape(secret)
    return re.compile(pattern if len(secret) > 3 else rf"(?<!\w){pattern}(?!\w)")


def _quoted(secret: str) -> set[str]:
    # With both kinds of quotes in a text, Python escapes the single ones.
    return {secret, repr(secret)[1:-1], repr(f'{secret}"')[1:-2], repr(f"{secret}'")[1:-2]}


def _forms(password: str) -> set[str]:
    # A library that takes such a URL apart in the wrong place quotes a piece.
    return {password, unquote(password), *re.split(r"[/?#@:]", password)}


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
