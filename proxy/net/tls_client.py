"""The certificate that proves a client at the token endpoint (RFC 8705, T12)."""

import asyncio
import hashlib
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from proxy.files import UnusableFileError
from proxy.net.pem import as_file, secret_lines
from proxy.net.tls import ClientContext, speak_as_client, trust_as
from proxy.net.tls_pair import (
    IGNORE_TIME,
    CertificatePair,
    PairContent,
    end_of,
    pair_faults,
    shake_hands,
)

__all__ = [
    "CertifiedTls",
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
    """The certificate and key of a client, and the host that it shows them to."""

    pair: CertificatePair
    host: str

    def paths(self) -> dict[str, Path]:
        """Return the files by their settings."""
        return self.pair.paths()


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What was loaded: two are equal where certificate and key are the same.

    `end` is its last moment, Unix time. What the files held is kept: whom the token endpoint is
    trusted by may change while they hold nothing that can be used (C4).
    """

    digest: bytes = field(repr=False)
    end: float = field(compare=False)
    _content: PairContent = field(repr=False, compare=False)
    _host: str = field(repr=False, compare=False)
    _private: tuple[str, ...] = field(repr=False, compare=False)

    def context(self, trusted: ClientContext) -> ssl.SSLContext:
        """Return a context for the requests that it proves, which trusts as `trusted` does.

        It takes up to some hundredths of a second. Raises `OSError` without files left to open.
        """
        context = _ForOneHost(ssl.PROTOCOL_TLS_CLIENT)
        speak_as_client(context)
        trust_as(context, trusted)
        context.host, context.plain = self._host, trusted
        self._content.load_into(context)
        return context

    @property
    def summary(self) -> str:
        """How long it is valid."""
        return f"a certificate valid until {datetime.fromtimestamp(self.end, UTC):%Y-%m-%d}"

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged: the lines of the key."""
        yield from self._private


class CertifiedTls:
    """Owns the context for the requests of one client that a certificate proves.

    It is made anew where another certificate is shown, or other authorities are trusted (C4):
    as long as it is the same, a connection may be used again.
    """

    def __init__(self) -> None:
        self._made: tuple[ClientCertificate, ClientContext, ssl.SSLContext] | None = None

    async def context(
        self, certificate: ClientCertificate, trusted: ClientContext
    ) -> ssl.SSLContext:
        """Return it; raise `OSError` without files left to open."""
        if self._made is None or self._made[:2] != (certificate, trusted):
            context = await asyncio.to_thread(certificate.context, trusted)
            self._made = certificate, trusted, context
        return self._made[2]


def load_client_certificate(files: ClientTlsFiles, wall: Callable[[], float]) -> ClientCertificate:
    """Load what proves a client, with whom it trusts.

    Raises `UnusableFileError` for the first file that cannot be used: unreadable, no PEM, a key
    that is encrypted or belongs to another certificate, a certificate that has expired or is none
    for clients. One that is not valid yet passes: a clock that is a little late would refuse it.
    """
    content = files.pair.read()
    certificate = _as_shown(content, files.pair.cert_setting)
    end = end_of(files.pair.cert_setting, certificate)
    if end <= wall():
        reason = f"the certificate has expired ({certificate['notAfter']})"
        raise UnusableFileError(files.pair.cert_setting, reason)
    digest = hashlib.sha256(b"\0".join((content.cert, content.key))).digest()
    private = secret_lines(content.key.decode("ascii", "replace"))
    return ClientCertificate(digest, end, content, files.host, private)


def client_tls_faults(
    files: ClientTlsFiles, wall: Callable[[], float]
) -> Iterator[UnusableFileError]:
    """Yield all that is wrong with certificate and key, not only what loading them meets first."""
    faults = list(pair_faults(files.pair))
    yield from faults
    if not faults:
        try:
            load_client_certificate(files, wall)
        except UnusableFileError as error:
            yield error


def _as_shown(content: PairContent, setting: str) -> Mapping[str, Any]:
    """Return the certificate as a server sees it that trusts this one alone; not the time."""
    server, client = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE  # in memory: it is itself that it speaks with
    try:
        for side in (server, client):
            content.load_into(side)
        with as_file(content.cert) as path:
            server.load_verify_locations(path)
        server.verify_mode = ssl.CERT_REQUIRED
        server.verify_flags = ssl.VerifyFlags(
            server.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | IGNORE_TIME
        )
        return shake_hands(server, client)[0].getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        reason = f"the token endpoint would refuse the certificate ({error.verify_message})"
        raise UnusableFileError(setting, reason) from error
    except (ssl.SSLError, ValueError) as error:
        reason = "no handshake succeeds with this certificate"
        raise UnusableFileError(setting, reason) from error
    except OSError as error:
        raise UnusableFileError(setting, f"cannot be read ({error.strerror})") from error
