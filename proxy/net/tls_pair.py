"""A certificate and its private key, as files in PEM form: what is wrong with them, and loaded.

For what callers are shown (I3), and for what the token endpoint is shown (T12).
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from proxy.files import UnusableFileError, read_file, short_name
from proxy.net.pem import as_file

__all__ = [
    "IGNORE_TIME",
    "CertificatePair",
    "PairContent",
    "end_of",
    "pair_faults",
    "shake_hands",
]

IGNORE_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which `ssl` has no name for."""
_MOST_FLIGHTS: Final = 8


@dataclass(frozen=True, slots=True)
class CertificatePair:
    """The two files, and the settings that name them, as in `UnusableFileError.file`.

    `cert` may hold the chain below its authority too.
    """

    cert: Path
    key: Path
    cert_setting: str
    key_setting: str

    def paths(self) -> dict[str, Path]:
        """Return the files by their settings."""
        return {self.cert_setting: self.cert, self.key_setting: self.key}

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have `context` show the certificate; raise `UnusableFileError` for the file to blame."""
        for fault in pair_faults(self):
            raise fault
        try:
            context.load_cert_chain(self.cert, self.key, password=_no_passphrase)
        except ssl.SSLError as error:
            if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
                other = short_name(self.cert_setting)
                reason = f"the key does not belong to the certificate in {other}"
                raise UnusableFileError(self.key_setting, reason) from error
            if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"):
                reason = "the key of a certificate is too short"
                raise UnusableFileError(self.cert_setting, reason) from error
            raise UnusableFileError(*self._damaged()) from error
        except (OSError, ValueError) as error:
            raise UnusableFileError(self.key_setting, "the pair cannot be read") from error

    def read(self) -> "PairContent":
        """Return what both files hold; raise `UnusableFileError` for the file to blame."""
        # From the files, as OpenSSL does not say what is wrong with a text that comes by a pipe.
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
        cert, key = (read_file(setting, path) for setting, path in self.paths().items())
        return PairContent(cert, key)

    def _damaged(self) -> tuple[str, str]:
        """Say which of the two files OpenSSL cannot read."""
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(self.cert)
        except (ssl.SSLError, OSError):
            return self.cert_setting, "the certificate is damaged"
        reason = "the private key is damaged, or of a kind that TLS does not know"
        return self.key_setting, reason


@dataclass(frozen=True, slots=True)
class PairContent:
    """What both files held when they were read, whatever they hold by now."""

    cert: bytes = field(repr=False)
    key: bytes = field(repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have `context` show the certificate; raise `OSError` without files left to open."""
        with as_file(self.cert) as cert, as_file(self.key) as key:
            context.load_cert_chain(cert, key, password=_no_passphrase)


def pair_faults(pair: CertificatePair) -> Iterator[UnusableFileError]:
    """Yield what is wrong with certificate and key, each looked at for itself."""
    try:
        if b"-----BEGIN CERTIFICATE-----" not in read_file(pair.cert_setting, pair.cert):
            reason = "no certificate in PEM form in this file"
            yield UnusableFileError(pair.cert_setting, reason)
    except UnusableFileError as error:
        yield error
    try:
        key = read_file(pair.key_setting, pair.key)
    except UnusableFileError as error:
        yield error
        return
    if b"PRIVATE KEY-----" not in key:
        yield UnusableFileError(pair.key_setting, "no private key in PEM form in this file")
    elif b"ENCRYPTED PRIVATE KEY" in key or b"4,ENCRYPTED" in key:
        reason = "the key is encrypted; give it without a passphrase"
        yield UnusableFileError(pair.key_setting, reason)


def _no_passphrase() -> str:
    """Keep OpenSSL from asking at the terminal."""
    return ""


def end_of(setting: str, certificate: Mapping[str, Any]) -> float:
    """Return when a certificate ends, in Unix time; it is as `getpeercert` gives it.

    Raises `UnusableFileError`, with `setting` in it, for an end that is no time.
    """
    try:
        return float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    except ValueError:
        reason = "the time at which a certificate ends cannot be read"
        raise UnusableFileError(setting, reason) from None


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Let two sides shake hands in memory; return them, the server's first.

    That reads a certificate by public means, and says what a peer would say of it.
    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    are_done = [False, False]
    for flight in range(_MOST_FLIGHTS):
        side = flight % 2
        try:
            sides[side].do_handshake()
            are_done[side] = True
        except ssl.SSLWantReadError:
            continue
        if all(are_done):
            return sides[1], sides[0]
    raise ssl.SSLError("the handshake does not end")
