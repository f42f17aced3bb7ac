"""Callers that speak TLS, and the files that a proxy with TLS needs."""

import asyncio
import datetime as dt
import ssl
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy
from tests.support.waiting import within

__all__ = [
    "UNREADABLE_NAMES",
    "ServerFiles",
    "caller_context",
    "extended_caller_context",
    "named_caller_context",
    "tls_caller",
    "write_pair",
]

UNREADABLE_NAMES = x509.UnrecognizedExtension(
    x509.SubjectAlternativeName.oid, b"\x30\x0b\x82\x09caf\xe9.test"
)
"""A DNS name that is no ASCII, nor UTF-8; OpenSSL takes it."""


def write_pair(pair: trustme.LeafCert, cert: Path, key: Path) -> None:
    """Write a certificate with its chain, and its key."""
    cert.write_bytes(b"".join(part.bytes() for part in pair.cert_chain_pems))
    key.write_bytes(pair.private_key_pem.bytes())


class ServerFiles:
    """Certificate and key of the traffic ports, from an authority made for them.

    `settings` names them; with `clients`, callers need a certificate of that authority.
    """

    def __init__(self, directory: Path, clients: trustme.CA | None = None) -> None:
        self.ca = trustme.CA()
        self.cert, self.key = directory / "tls.crt", directory / "tls.key"
        self.client_ca = directory / "clients.pem"
        self.rotate()
        self.settings: dict[str, Any] = {"tls_cert_file": self.cert, "tls_key_file": self.key}
        if clients is not None:
            clients.cert_pem.write_to_path(str(self.client_ca))
            self.settings["tls_client_ca_file"] = self.client_ca

    def rotate(self, *, not_after: dt.datetime | None = None) -> trustme.LeafCert:
        """Write a new pair, and return it."""
        pair = self.ca.issue_cert("localhost", "127.0.0.1", not_after=not_after)
        write_pair(pair, self.cert, self.key)
        return pair


def caller_context(trusted: trustme.CA, shown: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return a caller's side: whom it trusts, and what it shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.configure_trust(context)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if shown is not None:
        shown.configure_cert(context)
    return context


def named_caller_context(
    trusted: trustme.CA, signer: trustme.CA, directory: Path, *, dns: str, uri: str
) -> ssl.SSLContext:
    """Return the side of a caller whose certificate has a URI, which trustme does not issue."""
    names = [
        x509.DNSName(dns),
        x509.UniformResourceIdentifier(uri),
        x509.IPAddress(ip_address("10.0.0.7")),
        x509.RFC822Name("a@b.test"),
    ]
    return extended_caller_context(trusted, signer, directory, x509.SubjectAlternativeName(names))


def extended_caller_context(
    trusted: trustme.CA, signer: trustme.CA, directory: Path, extension: x509.ExtensionType
) -> ssl.SSLContext:
    """Return the side of a caller whose certificate has an extension of any kind."""
    authority = x509.load_pem_x509_certificate(signer.cert_pem.bytes())
    signing = serialization.load_pem_private_key(signer.private_key_pem.bytes(), None)
    assert isinstance(signing, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(
            issuer_name=authority.subject,
            subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "other.test")]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - dt.timedelta(hours=1),
            not_valid_after=now + dt.timedelta(hours=1),
        )
        .add_extension(extension, critical=False)
        .sign(signing, hashes.SHA256())
    )
    cert, key_file = directory / "named.crt", directory / "named.key"
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = caller_context(trusted)
    context.load_cert_chain(cert, key_file)
    return context


async def tls_caller(proxy: RunningProxy, context: ssl.SSLContext) -> Channel:
    """Return a new caller's connection, its handshake done; the end of the test drops it."""
    connection = asyncio.open_connection(
        "127.0.0.1", proxy.port, ssl=context, server_hostname="localhost"
    )
    return proxy.keep(Channel(*await within(connection, "the handshake")))
