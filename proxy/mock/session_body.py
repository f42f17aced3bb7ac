"""What a session of the Authentication REST API is created from, as clients write it.

The official SDK writes every member: enumerations in capitals, null for what is not set,
and 0 for a lifetime that is not set.
"""

from typing import Annotated, Final, Literal

from pydantic import Field

from proxy.mock.body import ANY_CASE, Body, Url

__all__ = ["Callbacks", "NewSession"]

_DEFAULT_LIFETIME_SECONDS: Final = 1200
_LEAST_LIFETIME_SECONDS: Final = 300
_LARGEST_INT32: Final = 2_147_483_647  # what clients read a lifetime into

Tag = Annotated[str, Field(max_length=100)]
ProviderName = Annotated[str, Field(min_length=1, max_length=30)]
Lifetime = Annotated[int, Field(ge=0, le=_LARGEST_INT32)]


class Callbacks(Body):
    """Where the browser goes once the session has ended."""

    success: Url | None = None
    abort: Url | None = None
    error: Url | None = None


class PrefilledInput(Body):
    """What the end user need not type; the SDK says `username`, the OpenAPI file `userName`."""

    nin: str | None = None
    mobile: str | None = None
    date_of_birth: str | None = None
    username: str | None = None
    user_name: str | None = None
    email: str | None = None
    device_id: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    bank_account_number: str | None = None
    organisation: str | None = None


class PublicKey(Body):
    """The key that responses should be encrypted to; this mock does not encrypt."""

    kty: str | None = None
    use: str | None = None
    kid: str | None = None
    alg: str | None = None
    e: str | None = None
    n: str | None = None
    crv: str | None = None
    x: str | None = None
    y: str | None = None


class NewSession(Body):
    """What a session is created from."""

    flow: Annotated[Literal["redirect", "headless", "embedded"], ANY_CASE]
    prefilled_input: PrefilledInput | None = None
    additional_parameters: dict[str, str | None] | None = None
    callback_urls: Callbacks | None = None
    encryption_public_key: PublicKey | None = None
    requested_loa: Annotated[Literal["low", "substantial", "high"], ANY_CASE] | None = None
    tags: list[Tag] | None = None
    allowed_providers: list[ProviderName] | None = None
    language: str | None = None
    theme_id: str | None = None
    requested_attributes: list[str] | None = None
    external_reference: str | None = None
    usage_reference: str | None = None
    session_lifetime: Lifetime | None = None
    request_domain: str | None = None
    return_url: Url | None = None
    embedded_parent_domains: list[str] | None = None

    @property
    def lifetime_seconds(self) -> int:
        """Return how long the session lives: 1200 s unless it says, never under 300 s."""
        return max(self.session_lifetime or _DEFAULT_LIFETIME_SECONDS, _LEAST_LIFETIME_SECONDS)

    @property
    def language_code(self) -> str:
        """Return the language of the pages; what is no ISO 639-1 code falls back to `en`."""
        code = (self.language or "").lower()
        return code if len(code) == len("en") and code.isascii() and code.isalpha() else "en"
