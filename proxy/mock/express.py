"""MOCK of Express Sign: documents to sign, their signers, attachments and files."""

from typing import Final

from proxy.mock import (
    express_documents,
    express_extras,
    express_files,
    express_page,
    express_parts,
)
from proxy.mock.endpoint import Product
from proxy.mock.errors import ApiError, InvalidParam
from proxy.mock.express_body import REQUIRED

__all__ = ["PRODUCT"]


def _error_form(error: ApiError, code: str) -> dict[str, object]:
    """Return an error in the form of Express Sign, whose fields are called as in .NET."""
    return {
        "message": error.detail,
        "code": code,
        "errors": [_field_error(parameter) for parameter in error.invalid],
    }


def _field_error(parameter: InvalidParam) -> dict[str, str]:
    """Return what is wrong with one member.

    >>> _field_error(InvalidParam("title", "is required"))
    {'field': 'Title', 'message': 'The Title field is required.'}
    """
    field = ".".join(part[:1].upper() + part[1:] for part in parameter.name.split("."))
    is_missing = parameter.reason in {REQUIRED, "Field required"}
    reason = REQUIRED if is_missing else f"is not valid: {parameter.reason}"
    return {"field": field, "message": f"The {field} field {reason}."}


PRODUCT: Final = Product(
    name="Express Sign",
    prefix="/express/sign",
    permission="Express Signature API",
    endpoints=(
        *express_documents.ENDPOINTS,
        *express_parts.ENDPOINTS,
        *express_files.ENDPOINTS,
        *express_extras.ENDPOINTS,
    ),
    pages=express_page.PAGES,
    codes={400: "validation_error"},
    error_form=_error_form,
)
