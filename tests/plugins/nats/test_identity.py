"""Who we are to a real nats-server: an NKey, a credentials file, a token, a name and password."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nkeys
import pytest

from dragoman.adapter import ACCEPT, SubscribeOptions
from dragoman.errors import AuthenticationFailed
from dragoman.message import Channel, Message
from dragoman_nats.adapter import connect
from dragoman_nats.settings import NatsSettings
from tests.servers import Nats

#: No bound, as the claims of accounts and users spell it.
_BOUNDS = ("subs", "data", "payload", "imports", "exports", "conn", "leaf", "mem_storage", "disk_storage", "streams")
_LIMITS = dict.fromkeys((*_BOUNDS, "consumer"), -1) | {"wildcards": True}


class _Key:
    """An NKey.

    Attributes:
        seed: what its owner keeps.
        name: what others know it by.
    """

    def __init__(self, prefix: int) -> None:
        self.seed: bytes = bytes(nkeys.encode_seed(os.urandom(32), prefix))
        self._pair = nkeys.from_seed(bytearray(self.seed))
        self.name: str = self._pair.public_key.decode()

    def claim(self, kind: str, subject: str, **more: Any) -> str:
        """A JWT about somebody, signed with this key."""
        claims = {
            "jti": subject,
            "iat": int(time.time()),
            "iss": self.name,
            "name": kind,
            "sub": subject,
            "nats": {"type": kind, "version": 2, **more},
        }
        head = {"typ": "JWT", "alg": "ed25519-nkey"}
        text = b".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        return (text + b"." + _encoded(self._pair.sign(text))).decode()


def _encoded(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class _Identified(Nats):
    """A server that knows its users by what the given lines of its configuration say."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self._lines = lines

    def configure(self) -> None:
        """See `Server.configure`."""
        super().configure()
        with (self.folder / "nats.conf").open("a") as file:
            file.write("\n".join(self._lines) + "\n")


async def _works(settings: NatsSettings) -> None:
    adapter = await connect(settings)
    try:
        channel = Channel("identified")
        async with adapter.subscribe(channel, SubscribeOptions(group="readers")) as subscription:
            await adapter.publish(channel, [Message(b"1")])
            (delivery,) = await subscription.receive(1)
            await subscription.settle([(delivery, ACCEPT)])
        assert delivery.message.data == b"1"
    finally:
        await adapter.close()


async def _refused(settings: NatsSettings) -> None:
    with pytest.raises(AuthenticationFailed):
        await connect(settings)


async def test_an_nkey_is_a_name_without_a_password(tmp_path: Path) -> None:
    """The server knows the public half; the seed is in a file, and another one is refused."""
    ours, other = _Key(nkeys.PREFIX_BYTE_USER), _Key(nkeys.PREFIX_BYTE_USER)
    seed, wrong = tmp_path / "user.nk", tmp_path / "other.nk"
    seed.write_bytes(ours.seed)
    wrong.write_bytes(other.seed)
    with _Identified(f"authorization {{ users: [ {{ nkey: {ours.name} }} ] }}") as server:
        await _works(NatsSettings(url=server.url, nkey_seed_file=seed))
        await _refused(NatsSettings(url=server.url, nkey_seed_file=wrong))
        await _refused(NatsSettings(url=server.url))


@pytest.fixture
def account() -> Iterator[tuple[_Identified, _Key]]:
    """A server that trusts an operator, and the account whose key signs its users."""
    operator, key, system = (
        _Key(prefix) for prefix in (nkeys.PREFIX_BYTE_OPERATOR, nkeys.PREFIX_BYTE_ACCOUNT, nkeys.PREFIX_BYTE_ACCOUNT)
    )
    # The server's own account may not have JetStream.
    limits = {key: _LIMITS, system: _LIMITS | dict.fromkeys(("mem_storage", "disk_storage", "streams", "consumer"), 0)}
    accounts = [f"{one.name}: {operator.claim('account', one.name, limits=own)}" for one, own in limits.items()]
    lines = (
        f"operator: {operator.claim('operator', operator.name)}",
        f"system_account: {system.name}",
        "resolver: MEMORY",
        f"resolver_preload: {{ {', '.join(accounts)} }}",
    )
    with _Identified(*lines) as server:
        yield server, key


async def test_a_credentials_file_is_a_jwt_and_its_seed(account: tuple[_Identified, _Key], tmp_path: Path) -> None:
    """As `nsc` writes it; one that another account signed is refused."""
    server, key = account

    def credentials(signed_by: _Key) -> Path:
        user = _Key(nkeys.PREFIX_BYTE_USER)
        jwt = signed_by.claim("user", user.name, subs=-1, data=-1, payload=-1)
        path = tmp_path / f"{signed_by.name}.creds"
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )
        return path

    await _works(NatsSettings(url=server.url, credentials_file=credentials(key)))
    await _refused(NatsSettings(url=server.url, credentials_file=credentials(_Key(nkeys.PREFIX_BYTE_ACCOUNT))))


async def test_a_token() -> None:
    """It is a secret like a password."""
    with _Identified('authorization { token: "open-sesame" }') as server:
        await _works(NatsSettings.model_validate({"url": server.url, "token": "open-sesame"}))
        await _refused(NatsSettings.model_validate({"url": server.url, "token": "open-barley"}))


@pytest.mark.parametrize("name", ["nkey_seed_file", "credentials_file", "tls_ca"])
async def test_a_file_that_is_missing_or_is_none_is_said(nats: Nats, tmp_path: Path, name: str) -> None:
    """It is nothing that another try would cure, and no traceback of somebody else's."""
    garbage = tmp_path / "garbage"
    garbage.write_text("no seed at all\n")
    for path in (tmp_path / "missing", garbage):
        with pytest.raises(AuthenticationFailed, match=name[:4]):
            await connect(NatsSettings.model_validate({"url": nats.url, name: path}))
