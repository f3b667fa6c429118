"""A certificate authority of our own, and a server's certificate that it signed."""

from __future__ import annotations

from pathlib import Path

import trustme


class Certificates:
    """Files in `folder`: an authority that signs itself, and certificates for `localhost` and for a client.

    Attributes:
        authority: what a client must trust, as PEM.
        server: the server's certificate, as PEM.
        server_key: its key, as PEM.
        client: a client's certificate, for the name `dragoman`, as PEM.
        client_key: its key, as PEM.
        server_both: key and certificates in one file, as Kafka wants it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.authority = folder / "ca.pem"
        self.server = folder / "server.pem"
        self.server_key = folder / "server.key"
        self.client = folder / "client.pem"
        self.client_key = folder / "client.key"
        self.server_both = folder / "server-both.pem"
        authority = trustme.CA()
        authority.cert_pem.write_to_path(self.authority)
        for leaf, certificate, key in (
            (authority.issue_cert("localhost", "127.0.0.1"), self.server, self.server_key),
            (authority.issue_cert("dragoman.example", common_name="dragoman"), self.client, self.client_key),
        ):
            leaf.private_key_pem.write_to_path(key)
            certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.server_both.write_bytes(_pkcs8(self.server_key) + self.server.read_bytes())


def _pkcs8(key: Path) -> bytes:
    """The key in the only form that Java reads."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        load_pem_private_key,
    )

    loaded = load_pem_private_key(key.read_bytes(), None)
    return loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
