"""TLS to the upstream, the token endpoint and the egress proxy (G8); who a peer is by TLS (I3)."""

import asyncio
import os
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from proxy.files import UnusableFileError, read_file
from proxy.net.pem import as_file

__all__ = [
    "ENDS_SOON_DAYS",
    "ClientContext",
    "client_context",
    "is_resumed_too_late",
    "names_in",
    "peer_names",
    "speak_as_client",
    "system_trust_hidden",
    "trust",
    "trust_as",
]

ENDS_SOON_DAYS: Final = 14
"""A certificate with fewer days left is worth a warning, whoever shows it."""

_PLACES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def names_in(certificate: Mapping[str, Any], *kinds: str) -> tuple[str, ...]:
    """Return the subject's alternative names of these kinds (`DNS`, `URI`, `IP Address`)."""
    found = certificate.get("subjectAltName", ())
    return tuple(str(name) for kind, name in found if kind in kinds)


def _demanded(transport: asyncio.BaseTransport) -> ssl.SSLObject | None:
    """Return the peer's TLS where a certificate was demanded of it, and so verified."""
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if secured is None or secured.context.verify_mode is not ssl.CERT_REQUIRED:
        return None
    return secured


def peer_names(transport: asyncio.BaseTransport, *kinds: str) -> tuple[str, ...]:
    """Return the names of these kinds in the certificate that the peer has shown and proved.

    Empty where there is no TLS, its handshake is not over, or no certificate was demanded:
    a certificate that nobody verified has no names. One whose names cannot be read has none.
    """
    secured = _demanded(transport)
    if secured is None:
        return ()
    try:
        return names_in(secured.getpeercert() or {}, *kinds)
    except (ssl.SSLError, ValueError):  # not UTF-8, or no list of names
        return ()


def is_resumed_too_late(transport: asyncio.BaseTransport, now: float) -> bool:
    """Say whether the peer was let in by a session of before, and its certificate has expired.

    OpenSSL does not look at the certificate again, and each resumed session brings another: so
    one that has been valid once would be for ever. `now` is Unix time.
    """
    secured = _demanded(transport)
    if secured is None or not secured.session_reused:
        return False
    try:
        end = ssl.cert_time_to_seconds(str((secured.getpeercert() or {}).get("notAfter")))
    except (ssl.SSLError, ValueError):
        return True
    return end <= now


@contextmanager
def system_trust_hidden() -> Iterator[None]:
    """Let what is imported in the block find no CA certificates of the system.

    aiohttp reads them all while it is imported, a sixth of the time until the
    proxy serves, for connections without a context of their own. We have none
    such, and one made by mistake would trust nobody.
    """
    before = {name: os.environ.get(name) for name in _PLACES}
    os.environ.update(dict.fromkeys(_PLACES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class ClientContext(ssl.SSLContext):
    """The client's side, as `client_context` makes it; a new one trusts nobody.

    `authorities` is what CA_FILE held, so that another context can trust the same; None: what
    the system trusts.
    """

    authorities: bytes | None = b""


def client_context(ca_file: Path | None) -> ClientContext:
    """Return a context that speaks TLS 1.2 or later and HTTP/1.1, and always verifies.

    Trusted is what the system trusts or, with `ca_file` (PEM), what stands
    there and nothing else. Reading takes up to some hundredths of a second: call it
    before the loop runs, or in a thread. Raises `UnusableFileError`.

    `ssl.create_default_context` is not used because it obeys `SSLKEYLOGFILE`,
    which would write the session keys that protect tokens to a file.
    """
    context = ClientContext(ssl.PROTOCOL_TLS_CLIENT)
    speak_as_client(context)
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        context.authorities = None
    else:
        context.authorities = trust(context, "ca_file", ca_file)
    return context


def speak_as_client(context: ssl.SSLContext) -> None:
    """Have a new client's context speak as one of `client_context`, whomever it trusts."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])


def trust_as(context: ssl.SSLContext, other: ClientContext) -> None:
    """Let a new context trust whom `other` trusts; wait for no disk where that has CA_FILE."""
    if other.authorities is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        with as_file(other.authorities) as path:
            context.load_verify_locations(cafile=path)


def trust(context: ssl.SSLContext, file: str, path: Path) -> bytes:
    """Let `context` trust the authorities in a PEM file, which the setting `file` names.

    Returns what the file holds. Raises `UnusableFileError`.
    """
    content = read_file(file, path)  # a pipe, or a disk as a file, is no file to read
    try:
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:
        raise UnusableFileError(file, "no certificates in PEM form in this file") from error
    except OSError as error:
        raise UnusableFileError(file, f"cannot be read ({error.strerror})") from error
    return content
