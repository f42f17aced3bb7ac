"""Express Sign: what documents and attachments are created from, as clients write them."""

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from proxy.mock.body import ANY_CASE, Body, Moment
from proxy.mock.express_signer_body import Language, NewSigner

__all__ = ["REQUIRED", "DocumentChange", "NewAttachment", "NewDocument", "decoded"]

REQUIRED: Final = "is required"
"""The reason that the error of a missing member has."""


def decoded(text: str | None) -> bytes:
    """Return the bytes that a text in base64 stands for; raise `ValueError` if it is none."""
    return base64.b64decode(text or "", validate=True)


def _checked_base64(text: str) -> str:
    try:
        decoded(text)
    except ValueError:
        raise ValueError("must be base64") from None
    return text


def _present(text: str | None) -> str | None:
    if not text:
        raise ValueError(REQUIRED)
    return text


# Null is what the official SDK sends for a title that is not set, and its error is known.
Present = Annotated[str | None, AfterValidator(_present), Field(validate_default=True)]
Base64Text = Annotated[str, AfterValidator(_checked_base64), Field(examples=["TU9DSw=="])]
PackageFormat = Annotated[Literal["pades", "native"], ANY_CASE]


class PadesSettings(Body):
    """How a signed PDF is made."""

    primary_language: Language | None = None
    secondary_language: Language | None = None
    pades_template_id: str | None = None
    include_ssn_in_pades: bool | None = None


class Packaging(Body):
    """In which formats the signed document is wanted."""

    signature_package_formats: list[PackageFormat] | None = None
    pades_settings: PadesSettings | None = None


class DataToSign(Body):
    """The document itself."""

    title: str | None = None
    description: str | None = None
    base64_content: Base64Text | None = None
    base64_content_style_sheet: Base64Text | None = None
    file_name: str | None = None
    convert_to_pdf: bool | None = Field(None, alias="convertToPDF")
    packaging: Packaging | None = None


class ContactDetails(Body):
    """Whom a signer can ask."""

    name: str | None = None
    phone: str | None = None
    email: str | None = None
    url: str | None = None


class Security(Body):
    """Who may open the signing page."""

    one_time_use: bool | None = None
    ip_white_list: list[str] | None = None


class TimeToLive(Body):
    """Until when the document can be signed, and how long it is kept afterwards."""

    deadline: Annotated[Moment, Field(examples=["2027-02-01T12:00:00Z"])] | None = None
    delete_after_hours: Annotated[int, Field(ge=0, le=168)] | None = None


class Advanced(Body):
    """Further settings; `attachments` is how many are to come before anybody signs."""

    tags: list[str] | None = None
    attachments: Annotated[int, Field(ge=0, le=1000)] | None = None
    required_signatures: Annotated[int, Field(ge=0, le=1000)] | None = None
    created_by_application: str | None = None
    get_social_security_number: bool | None = None
    security: Security | None = None
    time_to_live: TimeToLive | None = None
    department_id: str | None = None


class DocumentChange(Body):
    """What changes of a document; null leaves a member as it is.

    `notification` holds texts of e-mails and messages, which this mock does not send.
    """

    title: str | None = None
    description: str | None = None
    notification: dict[str, Any] | None = None
    contact_details: ContactDetails | None = None
    advanced: Advanced | None = None


class NewDocument(Body):
    """What a document is created from."""

    signers: list[NewSigner] | None = None
    title: Present = None
    description: str | None = None
    external_id: str | None = None
    data_to_sign: DataToSign | None = None
    contact_details: ContactDetails | None = None
    notification: dict[str, Any] | None = None
    advanced: Advanced | None = None


class NewAttachment(Body):
    """What an attachment is created from, or changed by: then null leaves a member as it is."""

    file_name: str | None = None
    title: str | None = None
    data: Base64Text | None = None
    convert_to_pdf: bool | None = None
    signers: list[str] | None = None
    description: str | None = None
    type: Annotated[Literal["show_accept", "read_accept", "sign"], ANY_CASE] | None = None
