"""MOCK of Express Sign: reminders, themes, methods, merchant signatures, JWTs of redirects."""

import base64
import uuid
from typing import Annotated, Any, Final, Literal

from proxy.mock.body import ANY_CASE, Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.express_body import Base64Text
from proxy.mock.express_life import DOCUMENTS
from proxy.mock.express_signer_body import Language, Mechanism, NotificationSetting
from proxy.mock.replies import json_reply

__all__ = ["ENDPOINTS"]

_THEMES: Final = (
    *("Default", "Black", "Blue", "Cyan", "Dark", "Lime", "Neutral", "Pink", "Purple", "Red"),
    *("Teal", "Indigo", "LightBlue", "DeepPurple", "Green", "LightGreen", "Yellow", "Amber"),
    *("Orange", "DeepOrange", "Brown", "Gray", "BlueGray", "OceanGreen", "GreenOcean"),
)
_SPINNERS: Final = ("Document", "Classic", "Cubes", "Bounce")
_METHODS: Final = {
    "no_bankid": "Norwegian BankID",
    "se_bankid": "Swedish BankID",
    "mitid": "MitID",
    "fi_eid": "Finnish Trust Network",
    "sms_otp": "One-time code by SMS",
}


class Overrides(Body):
    """Where a signer gets a reminder, if not where the document says."""

    email_override: str | None = None
    mobile_override: str | None = None


class Reminder(Body):
    """Which signers are reminded, and by which way."""

    notification_setting: NotificationSetting | None = None
    signers: dict[str, Overrides | None] | None = None


class Methods(Body):
    """Which signature methods are wanted; this mock shows all of them to everybody."""

    mechanism: Mechanism | None = None
    file_type: Annotated[Literal["pdf", "txt", "xml"], ANY_CASE] | None = None
    language: Language | None = None
    signable_attachments: bool | None = None


class RedirectToken(Body):
    """What a redirect to the application carried."""

    jwt: str


class MerchantDocument(Body):
    """What the merchant itself signs."""

    data_to_sign: Base64Text
    xslt: str | None = None
    data_format: Annotated[Literal["txt", "xml"], ANY_CASE] | None = None
    data_encoding_format: Annotated[Literal["UTF8", "ISOLATIN"], ANY_CASE] | None = None
    external_reference: str | None = None
    signing_format: (
        Annotated[Literal["use_provider_setting", "no_bankid_seid_sdo"], ANY_CASE] | None
    ) = None
    department_id: str | None = None


def _list_notifications(call: Call) -> Result:
    return call.find(DOCUMENTS).notifications


def _remind(call: Call, wanted: Reminder) -> Result:
    """Note a reminder to each signer that is named; nothing is sent."""
    document = call.find(DOCUMENTS)
    for name in wanted.signers or ():
        signer = document.signers.get(name)
        if signer is None:
            continue
        info = signer.wanted.signer_info
        document.notifications.append(
            {
                "sentTimeStamp": call.now.isoformat(),
                "title": "MOCK reminder",
                "text": f"MOCK: {document.wanted.title} waits for your signature",
                "messageType": "reminder",
                "status": "sent",
                "fromAddress": "mock@signicat.example",
                "receiver": (info.email if info else None) or name,
            }
        )
    return wanted


def _themes(_: Call) -> Result:
    return json_reply(_THEMES)


def _spinners(_: Call) -> Result:
    return json_reply(_SPINNERS)


def _methods(_: Call, __: Methods) -> Result:
    return [
        {"type": kind, "name": name, "description": f"MOCK of {name}"}
        for kind, name in _METHODS.items()
    ]


def _validate(_: Call, __: RedirectToken) -> Result:
    """Say that a token is not valid: this mock's redirects carry none."""
    return {"valid": False, "error": "MOCK: redirects of the mock carry no JWT"}


def _sign_as_merchant(_: Call, wanted: MerchantDocument) -> Result:
    shown: dict[str, Any] = {
        name: value
        for name, value in wanted.given().items()
        if name in {"signingFormat", "departmentId", "dataEncodingFormat", "dataFormat"}
    }
    return {
        **shown,
        "signedData": base64.b64encode(f"MOCK {wanted.data_to_sign}".encode()).decode(),
        "signCertificateBase64String": base64.b64encode(b"MOCK certificate").decode(),
        "transactionId": str(uuid.uuid4()),
    }


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/documents/{id}/notifications", _list_notifications),
    endpoint("POST", "/documents/{id}/notifications/reminder", _remind, takes=Reminder),
    endpoint("GET", "/themes/list/themes", _themes),
    endpoint("GET", "/themes/list/spinners", _spinners),
    endpoint("GET", "/signature-methods", _methods, takes=Methods),
    endpoint("GET", "/signature-methods/account", _methods, takes=Methods),
    endpoint("POST", "/jwt/validate", _validate, takes=RedirectToken),
    endpoint("POST", "/merchant/signature", _sign_as_merchant, takes=MerchantDocument),
)
