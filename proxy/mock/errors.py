"""Errors of the product APIs: one exception, and the form in which Signicat tells it.

A handler raises `ApiError`; the edge (`proxy.mock.edge`) makes the response of
it, in the form of the product, with the trace id of that very response.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, TypeAlias

__all__ = [
    "ApiError",
    "ErrorForm",
    "InvalidParam",
    "code_of",
    "general_form",
    "invalid_param",
    "not_found",
]

_ERROR_TYPE: Final = "https://developer.signicat.com/docs/error-codes/"
_CODES: Final = {400: "bad_request", 401: "invalid_token", 500: "internal_server_error"}
_TITLES: Final = {401: "Token not valid"}


@dataclass(frozen=True, slots=True)
class InvalidParam:
    """A member of a body, or a parameter, that is wrong: `documents[0].documentId`, and why."""

    name: str
    reason: str


class ApiError(Exception):
    """A product refuses a request.

    Without a `code` it is the product's for that status, or the general one;
    without a `title` the usual one. `detail` is for people; it says MOCK.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        code: str = "",
        title: str = "",
        invalid: tuple[InvalidParam, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = f"MOCK: {detail}" if detail else "MOCK"
        self.code = code
        self.title = title or _TITLES.get(status) or HTTPStatus(status).phrase.capitalize()
        self.invalid = invalid
        self.headers = dict(headers or {})


ErrorForm: TypeAlias = Callable[[ApiError, str], dict[str, object]]
"""Makes the members of an error's body from the error and its code; `traceId` is added to them."""


def code_of(error: ApiError, codes: Mapping[int, str]) -> str:
    """Return the machine-readable code of an error, by the product's own `codes` where it has one.

    >>> code_of(ApiError(404), {})
    'not_found'
    """
    own = error.code or codes.get(error.status) or _CODES.get(error.status)
    return own or HTTPStatus(error.status).phrase.lower().replace(" ", "_")


def general_form(error: ApiError, code: str) -> dict[str, object]:
    """Return the error object that most products use."""
    return {
        "type": _ERROR_TYPE,
        "title": error.title,
        "status": error.status,
        "code": code,
        "detail": error.detail,
        "invalidParams": [{"name": p.name, "reason": p.reason} for p in error.invalid],
    }


def invalid_param(name: str, reason: str) -> ApiError:
    """Return the 400 for one member that is wrong."""
    return ApiError(400, f"{name}: {reason}", invalid=(InvalidParam(name, reason),))


def not_found(what: str) -> ApiError:
    """Return the 404 for a thing that there is not."""
    return ApiError(404, f"no such {what}")
