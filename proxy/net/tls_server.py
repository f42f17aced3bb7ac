"""What the traffic ports show and ask for in TLS: loaded and checked as a whole (I3)."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.files import UnusableFileError, read_file
from proxy.net.tls import names_in, trust

__all__ = ["ServerTls", "TlsFiles", "load_server_tls", "server_tls_faults"]

_CERT: Final = "tls_cert_file"
_KEY: Final = "tls_key_file"
_CLIENT_CA: Final = "tls_client_ca_file"
_PROTOCOLS: Final = ["http/1.1"]
_IGNORE_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for
_MOST_FLIGHTS: Final = 8


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of TLS_CERT_FILE, TLS_KEY_FILE and, where callers need one, TLS_CLIENT_CA_FILE."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def paths(self) -> Mapping[str, Path]:
        """Return the files by their settings."""
        found = {_CERT: self.cert, _KEY: self.key}
        return found if self.client_ca is None else found | {_CLIENT_CA: self.client_ca}


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What was loaded: the context, and what people want to know of it.

    `ends` is when certificates end, Unix time, by the setting of their file; of several
    authorities it is the last end. `names` are those that the certificate is valid for.
    """

    context: ssl.SSLContext
    ends: Mapping[str, float]
    names: tuple[str, ...]


def load_server_tls(files: TlsFiles, wall: Callable[[], float]) -> ServerTls:
    """Load what callers are shown, and by what they are verified.

    Raises `UnusableFileError` for the first file that cannot be used: unreadable, no PEM, a key
    that is encrypted or belongs to another certificate, a certificate that has expired or is none
    for servers, an authority that is none. A certificate that is not valid yet passes: a clock that
    is a little late would refuse it for good.
    """
    context = _new_context()
    _load_pair(context, files)
    certificate = _shown_by(files)
    ends = {_CERT: _end_of(certificate)}
    if ends[_CERT] <= wall():
        raise UnusableFileError(_CERT, f"the certificate has expired ({certificate['notAfter']})")
    if files.client_ca is not None:
        ends[_CLIENT_CA] = _demand_certificates(context, files.client_ca, wall)
    return ServerTls(context, ends, names_in(certificate, "DNS", "IP Address"))


def _new_context() -> ssl.SSLContext:
    """Return the server's side: TLS 1.2 or later, and nothing that has been a weakness."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(_PROTOCOLS)
    return context


def _load_pair(context: ssl.SSLContext, files: TlsFiles) -> None:
    for fault in _faults_of_form(files):
        raise fault
    try:
        context.load_cert_chain(files.cert, files.key, password=_no_passphrase)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            reason = "the key does not belong to the certificate in TLS_CERT_FILE"
            raise UnusableFileError(_KEY, reason) from error
        if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"):
            raise UnusableFileError(_CERT, "the key of a certificate is too short") from error
        raise UnusableFileError(*_damaged(files)) from error
    except (OSError, ValueError) as error:
        raise UnusableFileError(_KEY, "the pair cannot be read") from error


def _faults_of_form(files: TlsFiles) -> Iterator[UnusableFileError]:
    """Yield what is wrong with certificate and key, each looked at for itself."""
    try:
        if b"-----BEGIN CERTIFICATE-----" not in read_file(_CERT, files.cert):
            yield UnusableFileError(_CERT, "no certificate in PEM form in this file")
    except UnusableFileError as error:
        yield error
    try:
        key = read_file(_KEY, files.key)
    except UnusableFileError as error:
        yield error
        return
    if b"PRIVATE KEY-----" not in key:
        yield UnusableFileError(_KEY, "no private key in PEM form in this file")
    elif b"ENCRYPTED PRIVATE KEY" in key or b"4,ENCRYPTED" in key:
        yield UnusableFileError(_KEY, "the key is encrypted; give it without a passphrase")


def server_tls_faults(files: TlsFiles, wall: Callable[[], float]) -> Iterator[UnusableFileError]:
    """Yield all that is wrong with the files, not only what loading them meets first."""
    faults = list(_faults_of_form(files))
    yield from faults
    if not faults:
        try:
            load_server_tls(TlsFiles(files.cert, files.key), wall)
        except UnusableFileError as error:
            yield error
    if files.client_ca is not None:
        try:
            _demand_certificates(_new_context(), files.client_ca, wall)
        except UnusableFileError as error:
            yield error


def _no_passphrase() -> str:
    """Keep OpenSSL from asking at the terminal."""
    return ""


def _damaged(files: TlsFiles) -> tuple[str, str]:
    """Say which of the two files OpenSSL cannot read."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(files.cert)
    except (ssl.SSLError, OSError):
        return _CERT, "the certificate is damaged"
    return _KEY, "the private key is damaged, or of a kind that TLS does not know"


def _demand_certificates(context: ssl.SSLContext, path: Path, wall: Callable[[], float]) -> float:
    """Demand a certificate of these authorities; return when the last of them ends."""
    trust(context, _CLIENT_CA, path)
    try:
        authorities = context.get_ca_certs()
    except (ssl.SSLError, ValueError) as error:  # names that are no UTF-8
        reason = "the names of an authority in this file cannot be read"
        raise UnusableFileError(_CLIENT_CA, reason) from error
    if not authorities:
        raise UnusableFileError(_CLIENT_CA, "no certificate in this file is one of an authority")
    context.verify_mode = ssl.CERT_REQUIRED
    # An authority below another one is trusted by itself: who names it means it alone.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    last_end = max(map(_end_of, authorities))
    if last_end <= wall():
        raise UnusableFileError(_CLIENT_CA, "every authority in this file has expired")
    return last_end


def _end_of(certificate: Mapping[str, Any]) -> float:
    return float(ssl.cert_time_to_seconds(certificate["notAfter"]))


def _shown_by(files: TlsFiles) -> Mapping[str, Any]:
    """Return the certificate as a caller sees it, who trusts this one alone.

    Found out by a handshake in memory: that reads the certificate by public means, and says
    what a caller would say of it. The time is not looked at.
    """
    server, client = _new_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        server.load_cert_chain(files.cert, files.key, password=_no_passphrase)
        client.load_verify_locations(files.cert)
        client.check_hostname = False
        client.verify_flags = ssl.VerifyFlags(
            client.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | _IGNORE_TIME
        )
        return _handshake(server, client) or {}
    except ssl.SSLCertVerificationError as error:
        reason = f"callers would refuse the certificate ({error.verify_message})"
        raise UnusableFileError(_CERT, reason) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UnusableFileError(_CERT, "no handshake succeeds with this certificate") from error


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> Mapping[str, Any] | None:
    """Let two sides shake hands; return the server's certificate as the client has verified it."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(down, up)
    sides = (caller, server.wrap_bio(up, down, server_side=True))
    for flight in range(_MOST_FLIGHTS):
        try:
            sides[flight % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
        if sides[flight % 2] is caller:
            return caller.getpeercert()
    raise ssl.SSLError("the handshake does not end")
