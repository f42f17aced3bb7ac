"""Why a handshake with a caller failed, in words of ours (I3).

A closed set, so that nothing that a caller chooses gets into a log: only OpenSSL's own name of
a fault stands where there is no better word.
"""

import ssl
from typing import Final

__all__ = ["EXPIRED", "handshake_fault"]

EXPIRED: Final = "the caller's certificate has expired"
_OWN_CERTIFICATE: Final = "the caller does not accept this proxy's certificate"
_NO_AUTHORITY: Final = (
    "no authority in SIGNICAT_PROXY_TLS_CLIENT_CA_FILE signed the caller's certificate"
)
# Numbers of X509_V_ERR_…, which are part of OpenSSL's interface.
_VERIFY_FAULTS: Final = {
    2: _NO_AUTHORITY,
    9: "the caller's certificate is not valid yet",
    10: EXPIRED,
    18: _NO_AUTHORITY,
    19: _NO_AUTHORITY,
    20: _NO_AUTHORITY,
    21: _NO_AUTHORITY,
    26: "the caller's certificate is not one for clients (its extended key usage)",
}
_FAULTS: Final = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "the caller showed no certificate",
    "UNSUPPORTED_PROTOCOL": "the caller offers no TLS 1.2 or later",
    "WRONG_VERSION_NUMBER": "the caller's bytes are no TLS of a version that there is",
    "VERSION_TOO_LOW": "the caller offers no TLS 1.2 or later",
    "NO_SHARED_CIPHER": "the caller offers no cipher that is allowed here",
    "TLSV1_ALERT_UNKNOWN_CA": f"{_OWN_CERTIFICATE}: its authority is not known there",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OWN_CERTIFICATE,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": f"{_OWN_CERTIFICATE}: it has expired",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OWN_CERTIFICATE,
    "SSLV3_ALERT_BAD_CERTIFICATE": f"{_OWN_CERTIFICATE}, mostly for its name",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OWN_CERTIFICATE,
}


def handshake_fault(error: ssl.SSLError) -> str:
    """Return what was wrong, for the log and the status page."""
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _VERIFY_FAULTS.get(error.verify_code)
        return known or f"the caller's certificate cannot be verified ({error.verify_message})"
    reason = error.reason or "no reason given"
    return _FAULTS.get(reason) or f"TLS failed: {reason.lower().replace('_', ' ')}"
