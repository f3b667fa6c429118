"""The files that say who we are, looked at before nats-py reads them in the middle of connecting, and stumbles."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import nkeys

from dragoman.errors import AuthenticationFailed
from dragoman_nats.settings import CoreSettings

T = TypeVar("T")
_JWT: Final = "-----BEGIN NATS USER JWT-----"
_SEED: Final = "-----BEGIN USER NKEY SEED-----"


def tls_context(settings: CoreSettings, where: str) -> ssl.SSLContext | None:
    """The TLS context of these settings, or None where TLS is not spoken.

    Raises:
        AuthenticationFailed: a file is missing, or is not what it should be; so for the other files.
    """
    for name, check in (("nkey_seed_file", _check_seed), ("credentials_file", _check_credentials)):
        path: Path | None = getattr(settings, name)
        if path is not None:
            _read(name, where, lambda check=check, path=path: check(path.read_text()))  # type: ignore[misc]
    return _read("tls_…", where, settings.tls)


def _read(name: str, where: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except (OSError, ValueError, nkeys.NkeysError) as error:
        reason = str(error) or type(error).__name__
        raise AuthenticationFailed(f"the file of `{name}` can't be used: {reason}", where=where) from error


def _check_seed(text: str) -> None:
    nkeys.from_seed(bytearray(text.strip().encode()))


def _check_credentials(text: str) -> None:
    lines = [line.strip() for line in text.splitlines()]
    for block in (_JWT, _SEED):
        if block not in lines[:-1]:
            raise ValueError(f"there is no {block!r} in it")
    _check_seed(lines[lines.index(_SEED) + 1])
