"""Express Sign in the shapes that the official .NET SDK reads."""

from typing import Final

from tests.mock.sdk_reading import (
    Check,
    anything,
    each,
    exactly,
    flag,
    guid,
    map_of,
    may_have,
    members,
    moment,
    one_of,
    or_null,
    text,
    texts,
    whole,
)

__all__ = [
    "ATTACHMENT_READ",
    "DOCUMENT",
    "MERCHANT_READ",
    "METHODS",
    "NOTIFICATIONS",
    "PAGE",
    "REMINDER",
    "SIGNER_READ",
    "SPINNERS_READ",
    "STATUS",
    "SUMMARY",
    "THEMES_READ",
    "VALIDATED",
]

_FORMATS: Final = each(exactly("unsigned", "native", "standard_packaging", "pades", "xades"))
_METHOD: Final = exactly(
    *("no_bankid", "no_bankid_mobile", "no_bankid_netcentric", "no_buypass", "se_bankid"),
    *("dk_nemid", "sms_otp", "unknown", "fi_eid", "mitid", "no_bankid_oidc", "no_bankid_csc"),
)
_MECHANISM: Final = exactly(
    "pkisignature", "identification", "handwritten", "handwritten_with_identification"
)
_REDIRECT_MODE: Final = exactly(
    *("donot_redirect", "redirect", "iframe_with_webmessaging", "iframe_with_redirect"),
    "iframe_with_redirect_and_webmessaging",
)
_SETTING: Final = one_of("Off", "SendSms", "SendEmail", "SendBoth")
_THEME: Final = one_of(
    *("Default", "Black", "Blue", "Cyan", "Dark", "Lime", "Neutral", "Pink", "Purple", "Red"),
    *("Teal", "Indigo", "LightBlue", "DeepPurple", "Green", "LightGreen", "Yellow", "Amber"),
    *("Orange", "DeepOrange", "Brown", "Gray", "BlueGray", "OceanGreen", "GreenOcean"),
)
_SPINNER: Final = one_of("Document", "Classic", "Cubes", "Bounce")
_LINKS: Final = each(members(texts("href", "rel", "contentType", "error")))
_SIGNATURE_MEMBERS: Final[dict[str, Check]] = {
    **texts("fullName", "firstName", "lastName", "middleName", "dateOfBirth", "clientIp"),
    "signatureMethodUniqueId": text,
    "signatureMethod": or_null(_METHOD),
    "signedTime": or_null(moment),
    "socialSecurityNumber": members(texts("value", "countryCode")),
    "mechanism": _MECHANISM,
    "personalInfoOrigin": one_of("Unknown", "Eid", "UserFormInput"),
    "attributes": map_of(text),
}
_FIELD: Final = may_have(
    {
        **texts("description", "key", "regex"),
        "type": one_of("Text", "Checkbox"),
        "required": flag,
    }
)
_USER_INTERFACE: Final = may_have(
    {
        "language": or_null(one_of("EN", "NO", "DA", "SV", "FI", "NL", "DE")),
        "dialogs": may_have(
            {
                "before": may_have(
                    {
                        **texts("title", "message"),
                        "useCheckBox": or_null(flag),
                        "formFields": each(_FIELD),
                    }
                ),
                "after": members(texts("title", "message")),
            }
        ),
        "styling": may_have(
            {
                "colorTheme": or_null(_THEME),
                "themeMode": or_null(one_of("Default", "Light", "Dark")),
                "spinner": or_null(_SPINNER),
                "hideTopBar": or_null(flag),
                "backgroundColor": text,
            }
        ),
    }
)
_SIGNER_INFO: Final = may_have(
    {
        **texts("firstName", "lastName", "email", "socialSecurityNumber", "title"),
        "mobile": members(texts("countryCode", "number")),
        "organizationInfo": members(texts("orgNo", "companyName", "countryCode")),
    }
)
SIGNER_READ: Final = may_have(
    {
        "id": guid,
        "url": text,
        "documentSignature": may_have(_SIGNATURE_MEMBERS),
        "links": _LINKS,
        "externalSignerId": text,
        "redirectSettings": may_have(
            {**texts("domain", "error", "cancel", "success"), "redirectMode": _REDIRECT_MODE}
        ),
        "signatureType": may_have({"signatureMethods": each(_METHOD), "mechanism": _MECHANISM}),
        "signerInfo": _SIGNER_INFO,
        "authentication": may_have(
            {
                **texts("socialSecurityNumber", "signatureMethodUniqueId"),
                "mechanism": or_null(one_of("Off", "Eid", "SmsOtp", "EidAndSmsOtp")),
            }
        ),
        "extraInfo": members({"types": each(one_of("PersonLookup"))}),
        "addons": members({"types": each(exactly("secureShare"))}),
        "ui": _USER_INTERFACE,
        "notifications": may_have(
            {"setup": map_of(or_null(_SETTING)), "mergeFields": map_of(text)}
        ),
        "tags": each(text),
        "order": or_null(whole),
        "required": or_null(flag),
        "signUrlExpires": or_null(moment),
        "getSocialSecurityNumber": or_null(flag),
        "verifySocialSecurityNumber": or_null(flag),
    }
)
STATUS: Final = members(
    {
        "documentStatus": exactly(
            *("unsigned", "waiting_for_attachments", "partialsigned", "signed"),
            *("canceled", "expired"),
        ),
        "completedPackages": _FORMATS,
        "attachmentPackages": map_of(_FORMATS),
    }
)
DOCUMENT: Final = may_have(
    {
        "documentId": guid,
        "signers": each(SIGNER_READ),
        "status": STATUS,
        "links": _LINKS,
        **texts("title", "description", "externalId"),
        "dataToSign": map_of(anything),
        "contactDetails": may_have(texts("name", "phone", "email", "url")),
        "notification": map_of(anything),
        "advanced": may_have(
            {
                "tags": each(text),
                "attachments": or_null(whole),
                "requiredSignatures": or_null(whole),
            }
        ),
    }
)
SUMMARY: Final = may_have(
    {
        **dict.fromkeys(("documentId", "accountId"), or_null(guid)),
        **texts("title", "description", "externalId"),
        **dict.fromkeys(("lastUpdated", "deadline", "signedDate", "created"), or_null(moment)),
        "status": STATUS,
        "documentSignatures": each(
            may_have({**_SIGNATURE_MEMBERS, "signerId": guid, "externalSignerId": text})
        ),
        **dict.fromkeys(("requiredSignatures", "currentSignatures"), or_null(whole)),
        "tags": each(text),
        "attachments": each(guid),
        "signers": each(guid),
    }
)
PAGE: Final = members(
    {
        **dict.fromkeys(("offset", "limit", "size"), or_null(whole)),
        "links": may_have(texts("next", "previous", "first")),
        "data": each(SUMMARY),
    }
)
ATTACHMENT_READ: Final = may_have(
    {
        "id": guid,
        **texts("fileName", "title", "data", "description"),
        "convertToPdf": or_null(flag),
        "signers": each(guid),
        "type": or_null(exactly("show_accept", "read_accept", "sign")),
    }
)
MERCHANT_READ: Final = may_have(
    {
        **texts("signedData", "signCertificateBase64String", "departmentId"),
        "signingFormat": exactly("use_provider_setting", "no_bankid_seid_sdo"),
        "transactionId": guid,
        "dataEncodingFormat": exactly("UTF8", "ISOLATIN"),
        "dataFormat": exactly("xml", "txt"),
    }
)
REMINDER: Final = members(
    {
        "notificationSetting": _SETTING,
        "signers": map_of(may_have(texts("emailOverride", "mobileOverride"))),
    }
)
NOTIFICATIONS: Final = each(
    members(
        texts(
            *("sentTimeStamp", "title", "text", "messageType", "status", "fromAddress", "receiver")
        )
    )
)
METHODS: Final = each(
    may_have({"type": or_null(_METHOD), **texts("name", "description", "logoUrl")})
)
THEMES_READ: Final = each(_THEME)
SPINNERS_READ: Final = each(_SPINNER)
VALIDATED: Final = may_have(
    {
        "valid": or_null(flag),
        "expires": or_null(moment),
        "payload": map_of(anything),
        "error": text,
    }
)
