"""Certificates that prove a client, and a token endpoint that wants one (RFC 8705)."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.client_keys import pem
from tests.support.messages import Message, reply
from tests.support.tls_callers import write_pair
from tests.support.token_server import TokenServer

__all__ = [
    "REPLACED_END",
    "CertificateServer",
    "ClientFiles",
    "server_side",
    "with_end",
    "write_self_signed",
]

REPLACED_END = dt.datetime(2055, 1, 1, tzinfo=dt.UTC)
"""What `with_end` replaces."""


def server_side(ca: trustme.CA, *clients: trustme.CA, name: str = "127.0.0.1") -> ssl.SSLContext:
    """Return the side of a server of that name that takes certificates of these authorities."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert(name).configure_cert(context)
    for each in clients:
        each.configure_trust(context)
    context.verify_mode = ssl.CERT_OPTIONAL if clients else ssl.CERT_NONE
    return context


def with_end(certificate: x509.Certificate, end: bytes) -> bytes:
    """Return a certificate in PEM form, with another end in place of `REPLACED_END`, if given.

    Nobody verifies the signature of one that is trusted for itself.
    """
    der = certificate.public_bytes(Encoding.DER)
    if end:
        der = der.replace(f"{REPLACED_END:%Y%m%d%H%M%SZ}".encode(), end)
    return ssl.DER_cert_to_PEM_cert(der).encode()


def write_self_signed(
    cert: Path,
    key: Path,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    end: bytes = b"",
) -> None:
    """Write a pair that no authority has signed, for this use; `end` is written as it is."""
    made = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a client")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(made.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(REPLACED_END if end else now + dt.timedelta(days=30))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(made, hashes.SHA256())
    )
    cert.write_bytes(with_end(certificate, end))
    key.write_text(pem(made))


class ClientFiles:
    """Certificate and key of a client, from an authority made for them; `settings` names them."""

    def __init__(self, directory: Path) -> None:
        self.ca = trustme.CA()
        self.cert, self.key = directory / "client.crt", directory / "client.key"
        self.settings: dict[str, Any] = {
            "client_auth": "tls_client_auth",
            "client_secret": "",  # counts as none
            "client_cert_file": self.cert,
            "client_key_file": self.key,
        }
        self.rotate()

    def rotate(self, ca: trustme.CA | None = None, **validity: Any) -> int:
        """Write a new pair; return its serial number."""
        pair = (ca or self.ca).issue_cert("client.test", **validity)
        write_pair(pair, self.cert, self.key)
        loaded = x509.load_pem_x509_certificate(pair.cert_chain_pems[0].bytes())
        return loaded.serial_number


class CertificateServer(TokenServer):
    """Grants a token to whoever shows a certificate that is not among the `refused` ones.

    `serials` are the numbers of those shown, 0 for none.
    """

    def __init__(self, client_id: str, tls: ssl.SSLContext) -> None:
        super().__init__(tls=tls)
        self.client_id = client_id
        self.refused: set[int] = set()
        self.serials: list[int] = []

    async def _grant(self, message: Message) -> bytes:
        assert message.head.values("Authorization") == []
        assert dict(parse_qsl(message.body.decode(), strict_parsing=True)) == {
            "grant_type": "client_credentials",
            "scope": "signicat-api",
            "client_id": self.client_id,
        }
        secured = self.connections[-1]
        serial = secured.shown_serial if secured.has_shown else 0
        self.serials.append(serial)
        if not serial or serial in self.refused:
            body = b'{"error":"invalid_client"}'
            return reply("401 Unauthorized", "Connection: close", body=body)
        granted = await super()._grant(message)
        return granted.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
