"""Whom the mock's identity providers know: one invented person, as each of them would tell."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

__all__ = ["PROVIDERS", "idp_data_of", "subject_of"]

_NAME: Final[Mapping[str, Any]] = {"name": "Kari Test", "firstName": "Kari", "lastName": "Test"}
_BORN: Final[Mapping[str, Any]] = {**_NAME, "dateOfBirth": "1990-01-31"}


def _nin(value: str, country: str, kind: str = "BIRTH") -> dict[str, Any]:
    return {"nin": {"value": value, "issuingCountry": country, "type": kind}}


# Of each provider: the id of the person there, and the attributes that it can tell.
_KNOWN: Final[Mapping[str, tuple[str, Mapping[str, Any]]]] = {
    "nbid": ("9578-6000-4-000000", {**_BORN, **_nin("31019000000", "NO")}),
    "sbid": ("199001310000", {**_BORN, **_nin("199001310000", "SE")}),
    "mitid": ("7d1c7a4e-0000-4000-8000-000000000001", {**_BORN, **_nin("3101900000", "DK")}),
    "ftn": ("310190-9000", {**_BORN, **_nin("310190-9000", "FI")}),
    "idin": ("MOCKBIN0000000000001", _BORN),
    "digid": ("999990000", _nin("999990000", "NL", "SOCIAL")),
    "eherkenning": ("MOCK-EH-000001", {"name": "Example AS"}),
    "itsme": ("mock-itsme-000001", {**_BORN, **_nin("90013100000", "BE")}),
    "otp-email": ("kari.test@shop.example", {"email": "kari.test@shop.example"}),
    "otp-sms": ("+4700000000", {"phoneNumber": "+4700000000"}),
}
_OTHERS: Final[tuple[str, Mapping[str, Any]]] = ("mock-000001", _BORN)

PROVIDERS: Final = tuple(_KNOWN)
"""What a session without `allowedProviders` offers; its first is taken where nobody chooses."""

_SBID_STATUS: Final = {
    "CREATED": "outstandingTransaction",
    "WAITING_FOR_USER": "userSign",
    "SUCCESS": "complete",
}


def subject_of(provider: str, attributes: Iterable[str]) -> dict[str, Any]:
    """Return the end user: two ids, and of the attributes those that the provider can tell."""
    idp_id, told = _KNOWN.get(provider, _OTHERS)
    # The same person has the same id at every login, and another one at every provider.
    subject_id = hashlib.sha256(f"MOCK {provider}".encode()).hexdigest()
    wanted = {name: told[name] for name in attributes if name in told}
    return {"id": subject_id, "idpId": idp_id, **wanted}


def idp_data_of(provider: str, session_id: str, status: str, seconds: int) -> dict[str, str]:
    """Return what the application shows itself in a headless session: texts, as they are now.

    Swedish BankID has a start token, and a QR code that is another one each
    second; what other providers give is not known, so they give nothing.
    """
    if provider != "sbid":
        return {}
    seal = hashlib.sha256(f"{session_id} {seconds}".encode()).hexdigest()
    return {
        "autoStartToken": session_id,
        "qrData": f"bankid.{session_id}.{seconds}.{seal}",
        "sbidStatus": _SBID_STATUS.get(status, "failed"),
    }
