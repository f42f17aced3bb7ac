"""MOCK of the Sign API v2: what documents, collections and signing sessions are created from."""

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field

from proxy.mock.body import ANY_CASE, Body, Moment, Url

__all__ = [
    "Description",
    "ListQuery",
    "NewCollection",
    "NewSigningSession",
    "SigningSetup",
    "ToSign",
]

PackageType = Annotated[Literal["PADES_CONTAINER"], ANY_CASE]
Language = Annotated[Literal["da", "de", "en", "fi", "nb", "nn", "sv"], ANY_CASE]
Action = Annotated[Literal["SIGN", "VIEW"], ANY_CASE]
SigningFlow = Annotated[Literal["AUTHENTICATION_BASED", "PKISIGNING"], ANY_CASE]
# NBID is in none of the descriptions, and clients send it.
Vendor = Annotated[Literal["AUDKENNI", "BUYPASS", "SBID", "NBID"], ANY_CASE]
Validation = Annotated[Literal["NATIONAL_IDENTIFICATION_NUMBER"], ANY_CASE]
ServersOwn: TypeAlias = Any
"""What the API description has in requests too, though the server decides it: not read."""


class Description(Body):
    """What may be said of a document; all else of its metadata is the document's own."""

    filename: Annotated[str, Field(max_length=255)] | None = None
    title: Annotated[str, Field(max_length=255)] | None = None
    description: Annotated[str, Field(max_length=1000)] | None = None


class Member(Body):
    """A document of a collection."""

    document_id: str
    description: str | None = None


class NewCollection(Body):
    """What a collection is created from."""

    documents: Annotated[list[Member], Field(min_length=1)]
    package_to: list[PackageType] | None = None
    id: ServersOwn = None
    output: ServersOwn = None


class ToSign(Body):
    """A document of a signing session, out of a collection."""

    action: Action
    document_id: str
    document_collection_id: str


class IdentityProvider(Body):
    """Where the signer proves who it is."""

    idp_name: str


class SigningSetup(Body):
    """A way to sign that the signer may choose."""

    signing_flow: SigningFlow
    identity_providers: list[IdentityProvider] | None = None
    vendor: Vendor | None = None
    additional_parameters: dict[str, str] | None = None


class Redirects(Body):
    """Where the browser goes from the page to sign on."""

    success: Url
    cancel: Url
    error: Url


class PreAuthentication(Body):
    """Whether the signer logs in before the documents are shown."""

    enabled: bool


class Signer(Body):
    """Who is to sign."""

    email: str | None = None
    mobile: str | None = None
    national_identification_number: str | None = None
    validations: list[Validation] | None = None


class Ui(Body):
    """How the page to sign on looks."""

    language: Language | None = None


class NewSigningSession(Body):
    """What a signing session is created from."""

    title: str
    documents: Annotated[list[ToSign], Field(min_length=1)]
    signing_setup: Annotated[list[SigningSetup], Field(min_length=1)]
    due_date: Moment | None = None
    external_reference: str | None = None
    package_to: list[PackageType] | None = None
    pre_authentication: PreAuthentication | None = None
    redirect_settings: Redirects | None = None
    sender_display_name: str | None = None
    sign_text: str | None = None
    signer: Signer | None = None
    subsequent_to: list[str] | None = None
    ui: Ui | None = None
    id: ServersOwn = None
    signature_url: ServersOwn = None
    lifecycle: ServersOwn = None
    output: ServersOwn = None


class ListQuery(Body):
    """Which part of the list of signing sessions is wanted, in which order."""

    limit: Annotated[int, Field(ge=0)] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    sort: str | None = None
