"""MOCK of MobileID: users, and no more than that.

The official SDK's tests ask it for a user without a token (401), and with a
client that lacks the permission (403): so it is given to none unless by name.
"""

from typing import Any, Final

from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, general_form, not_found

__all__ = ["PRODUCT"]

_PREFIX: Final = "/mobileid/core"
_USER: Final[dict[str, Any]] = {
    "id": "00000000-0000-4000-8000-000000000001",
    "externalReference": "mock-user",
    "segment": "mock",
}


def _get(call: Call) -> Result:
    if call.path["id"].lower() != _USER["id"]:
        raise not_found("user")
    return _USER


def _form(error: ApiError, code: str) -> dict[str, object]:
    """Return an error as MobileID has it: the type is its API description."""
    description = f"https://api.signicat.com{_PREFIX}/openapi.json"
    return {**general_form(error, code), "type": description}


PRODUCT: Final = Product(
    name="MobileID",
    prefix=_PREFIX,
    permission="MobileID API",
    endpoints=(endpoint("GET", "/users/{id}", _get),),
    error_form=_form,
    is_withheld=True,
)
