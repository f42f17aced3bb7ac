"""Express Sign: what a signer is created from, as clients write it."""

from typing import Annotated, Literal

from proxy.mock.body import ANY_CASE, Body, Moment, Url

__all__ = [
    "FileFormat",
    "Language",
    "Mechanism",
    "NewSigner",
    "NotificationSetting",
    "SignatureMethod",
]

FileFormat = Annotated[
    Literal["unsigned", "native", "standard_packaging", "pades", "xades"], ANY_CASE
]
Language = Annotated[Literal["EN", "NO", "DA", "SV", "FI", "NL", "DE"], ANY_CASE]
Mechanism = Annotated[
    Literal["pkisignature", "identification", "handwritten", "handwritten_with_identification"],
    ANY_CASE,
]
NotificationSetting = Annotated[Literal["off", "sendSms", "sendEmail", "sendBoth"], ANY_CASE]
SignatureMethod = Annotated[
    Literal[
        "no_bankid",
        "no_bankid_mobile",
        "no_bankid_netcentric",
        "no_bankid_oidc",
        "no_bankid_csc",
        "no_buypass",
        "se_bankid",
        "dk_nemid",
        "fi_eid",
        "mitid",
        "sms_otp",
        "unknown",
    ],
    ANY_CASE,
]
RedirectMode = Annotated[
    Literal[
        "donot_redirect",
        "redirect",
        "iframe_with_webmessaging",
        "iframe_with_redirect",
        "iframe_with_redirect_and_webmessaging",
    ],
    ANY_CASE,
]
ExtraInfoType = Annotated[
    Literal[
        "personLookup",
        "bankIDApisAmlPersonSanctionPep",
        "bankIDApisAmlCurrentAddress",
        "bankIDApisAmlPersonSanctionPepReport",
        "vippsAmlPerson",
    ],
    ANY_CASE,
]


class RedirectSettings(Body):
    """Where the signer's browser goes afterwards."""

    redirect_mode: RedirectMode | None = None
    domain: str | None = None
    error: Url | None = None
    cancel: Url | None = None
    success: Url | None = None


class SignatureType(Body):
    """How the signer may sign."""

    signature_methods: list[SignatureMethod] | None = None
    mechanism: Mechanism | None = None


class Mobile(Body):
    """A mobile number."""

    country_code: str | None = None
    number: str | None = None


class OrganizationInfo(Body):
    """For whom the signer signs."""

    org_no: str | None = None
    company_name: str | None = None
    country_code: str | None = None


class SignerInfo(Body):
    """Who the signer is."""

    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    social_security_number: str | None = None
    mobile: Mobile | None = None
    organization_info: OrganizationInfo | None = None
    title: str | None = None


class Authentication(Body):
    """What the signer must prove before reading."""

    mechanism: Annotated[Literal["off", "eid", "smsOtp", "eidAndSmsOtp"], ANY_CASE] | None = None
    social_security_number: str | None = None
    signature_method_unique_id: str | None = None


class ExtraInfo(Body):
    """What is looked up about the signer."""

    types: list[ExtraInfoType] | None = None


class Addons(Body):
    """What happens by itself after the signing."""

    types: list[Annotated[Literal["secureShare"], ANY_CASE]] | None = None


class FormField(Body):
    """A question to the signer."""

    description: str | None = None
    key: str | None = None
    type: Annotated[Literal["text", "checkbox"], ANY_CASE] | None = None
    regex: str | None = None
    required: bool | None = None


class DialogBefore(Body):
    """What the signer sees before the document."""

    use_check_box: bool | None = None
    title: str | None = None
    message: str | None = None
    form_fields: list[FormField] | None = None


class DialogAfter(Body):
    """What the signer sees after signing."""

    title: str | None = None
    message: str | None = None


class Dialogs(Body):
    """What the signer sees around the document."""

    before: DialogBefore | None = None
    after: DialogAfter | None = None


class Styling(Body):
    """How the signing page looks; its names are those that `/themes/list` gives."""

    color_theme: str | None = None
    theme_mode: Annotated[Literal["Default", "Light", "Dark"], ANY_CASE] | None = None
    spinner: str | None = None
    hide_top_bar: bool | None = None
    background_color: str | None = None


class UserInterface(Body):
    """The signing page."""

    language: Language | None = None
    dialogs: Dialogs | None = None
    styling: Styling | None = None


class NotificationSetup(Body):
    """By which way the signer hears of what."""

    request: NotificationSetting | None = None
    reminder: NotificationSetting | None = None
    signature_receipt: NotificationSetting | None = None
    final_receipt: NotificationSetting | None = None
    canceled: NotificationSetting | None = None
    expired: NotificationSetting | None = None


class SignerNotifications(Body):
    """What the signer hears."""

    setup: NotificationSetup | None = None
    merge_fields: dict[str, str | None] | None = None


class NewSigner(Body):
    """What a signer is created from, or changed by: then null leaves a member as it is."""

    external_signer_id: str | None = None
    redirect_settings: RedirectSettings | None = None
    signature_type: SignatureType | None = None
    signer_info: SignerInfo | None = None
    authentication: Authentication | None = None
    extra_info: ExtraInfo | None = None
    addons: Addons | None = None
    ui: UserInterface | None = None
    notifications: SignerNotifications | None = None
    tags: list[str] | None = None
    order: int | None = None
    required: bool | None = None
    sign_url_expires: Moment | None = None
    get_social_security_number: bool | None = None
    verify_social_security_number: bool | None = None
