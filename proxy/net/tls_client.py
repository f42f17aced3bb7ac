"""The certificate that proves a client at the token endpoint (RFC 8705, T12)."""

import hashlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy.files import UnusableFileError, read_file
from proxy.net.tls import client_context, trust_in
from proxy.net.tls_pair import IGNORE_TIME, CertificatePair, end_of, pair_faults, shake_hands

__all__ = [
    "ClientCertificate",
    "ClientTlsFiles",
    "client_tls_faults",
    "load_client_certificate",
]


class _ForOneHost(ssl.SSLContext):
    """Shows its certificate to `host` only, and uses `plain` with everybody else.

    `host` is as `hosts.host_of` gives it; the token endpoint is called by that in TLS.

    The library has one context for a request, with which it also reaches an egress proxy by TLS:
    that must not see who the client is.
    """

    host: str
    plain: ssl.SSLContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - as its base has it
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin TLS with whoever has that name."""
        if server_hostname != self.host:
            return self.plain.wrap_bio(incoming, outgoing, server_side, server_hostname, session)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@dataclass(frozen=True, slots=True)
class ClientTlsFiles:
    """The certificate and key of a client, whom it trusts (CA_FILE), and whom it shows them to."""

    pair: CertificatePair
    ca: Path | None
    host: str

    def paths(self) -> dict[str, Path]:
        """Return the files by their settings."""
        found = self.pair.paths()
        return found if self.ca is None else found | {"ca_file": self.ca}


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What was loaded: two are equal where certificate and key are the same.

    `context` is for the requests that it proves; `end` is its last moment, Unix time. The text of
    the key is not kept.
    """

    digest: bytes = field(repr=False)
    context: ssl.SSLContext = field(repr=False, compare=False)
    end: float = field(compare=False)

    @property
    def summary(self) -> str:
        """How long it is valid."""
        return f"a certificate valid until {datetime.fromtimestamp(self.end, UTC):%Y-%m-%d}"

    def secrets(self) -> Iterator[str]:
        """Yield nothing: no text of the key is left."""
        return iter(())


def load_client_certificate(files: ClientTlsFiles, wall: Callable[[], float]) -> ClientCertificate:
    """Load what proves a client, with whom it trusts.

    Raises `UnusableFileError` for the first file that cannot be used: unreadable, no PEM, a key
    that is encrypted or belongs to another certificate, a certificate that has expired or is none
    for clients. One that is not valid yet passes: a clock that is a little late would refuse it.
    """
    context = _ForOneHost(ssl.PROTOCOL_TLS_CLIENT)
    trust_in(context, files.ca)
    context.host, context.plain = files.host, client_context(files.ca)
    files.pair.load_into(context)
    certificate = _as_shown(files.pair)
    end = end_of(certificate)
    if end <= wall():
        reason = f"the certificate has expired ({certificate['notAfter']})"
        raise UnusableFileError(files.pair.cert_setting, reason)
    contents = [read_file(setting, path) for setting, path in files.pair.paths().items()]
    return ClientCertificate(hashlib.sha256(b"\0".join(contents)).digest(), context, end)


def client_tls_faults(
    files: ClientTlsFiles, wall: Callable[[], float]
) -> Iterator[UnusableFileError]:
    """Yield all that is wrong with certificate and key, not only what loading them meets first."""
    faults = list(pair_faults(files.pair))
    yield from faults
    if not faults:
        try:
            load_client_certificate(ClientTlsFiles(files.pair, None, files.host), wall)
        except UnusableFileError as error:
            yield error


def _as_shown(pair: CertificatePair) -> Mapping[str, Any]:
    """Return the certificate as a server sees it that trusts this one alone; not the time."""
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE  # in memory: it is itself that it speaks with
    try:
        for side in (server, client):
            pair.load_into(side)
        server.load_verify_locations(pair.cert)
        server.verify_mode = ssl.CERT_REQUIRED
        server.verify_flags = ssl.VerifyFlags(
            server.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | IGNORE_TIME
        )
        return shake_hands(server, client)[0].getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        reason = f"the token endpoint would refuse the certificate ({error.verify_message})"
        raise UnusableFileError(pair.cert_setting, reason) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        reason = "no handshake succeeds with this certificate"
        raise UnusableFileError(pair.cert_setting, reason) from error
