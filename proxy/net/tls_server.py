"""What the traffic ports show and ask for in TLS: loaded and checked as a whole (I3)."""

import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.files import UnusableFileError
from proxy.net.tls import names_in, trust
from proxy.net.tls_pair import IGNORE_TIME, CertificatePair, end_of, pair_faults, shake_hands

__all__ = ["ServerTls", "TlsFiles", "load_server_tls", "server_tls_faults"]

_CERT: Final = "tls_cert_file"
_KEY: Final = "tls_key_file"
_CLIENT_CA: Final = "tls_client_ca_file"
_PROTOCOLS: Final = ["http/1.1"]


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """The files of TLS_CERT_FILE, TLS_KEY_FILE and, where callers need one, TLS_CLIENT_CA_FILE."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    @property
    def pair(self) -> CertificatePair:
        """What callers are shown."""
        return CertificatePair(self.cert, self.key, _CERT, _KEY)

    def paths(self) -> Mapping[str, Path]:
        """Return the files by their settings."""
        found = self.pair.paths()
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
    files.pair.load_into(context)
    certificate = _shown_by(files)
    ends = {_CERT: end_of(_CERT, certificate)}
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


def server_tls_faults(files: TlsFiles, wall: Callable[[], float]) -> Iterator[UnusableFileError]:
    """Yield all that is wrong with the files, not only what loading them meets first."""
    faults = list(pair_faults(files.pair))
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
    last_end = max(end_of(_CLIENT_CA, each) for each in authorities)
    if last_end <= wall():
        raise UnusableFileError(_CLIENT_CA, "every authority in this file has expired")
    return last_end


def _shown_by(files: TlsFiles) -> Mapping[str, Any]:
    """Return the certificate as a caller sees it, who trusts this one alone.

    Found out by a handshake in memory: that reads the certificate by public means, and says
    what a caller would say of it. The time is not looked at.
    """
    server, client = _new_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        files.pair.load_into(server)
        client.load_verify_locations(files.cert)
        client.check_hostname = False
        client.verify_flags = ssl.VerifyFlags(
            client.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | IGNORE_TIME
        )
        return shake_hands(server, client)[1].getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        reason = f"callers would refuse the certificate ({error.verify_message})"
        raise UnusableFileError(_CERT, reason) from error
    except (ssl.SSLError, OSError, ValueError) as error:
        raise UnusableFileError(_CERT, "no handshake succeeds with this certificate") from error
