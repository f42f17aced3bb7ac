"""What the token endpoint responded: a grant, or a failure with its cause (T5, T6, T8)."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, Literal, get_args

__all__ = [
    "HINTS",
    "MAX_TOKEN_LENGTH",
    "OUTCOMES",
    "Failure",
    "FailureOutcome",
    "Grant",
    "Outcome",
    "hint",
    "hints",
    "lacks_scope",
    "read_response",
]

MAX_TOKEN_LENGTH: Final = 16 * 1024
"""Characters; with it a request head still fits what servers accept."""
FailureOutcome = Literal[
    "connect_failed",
    "connection_lost",
    "dns_failed",
    "egress_proxy",
    "http_408",
    "http_429",
    "http_4xx",
    "http_5xx",
    "invalid_client",
    "invalid_scope",
    "oauth_error",
    "redirect",
    "secret_unreadable",
    "timeout",
    "tls_failed",
    "too_many_open_files",
    "unauthorized_client",
    "unusable_answer",
]
"""Every way in which an attempt can fail: the values of `last_error`."""
Outcome = Literal["ok", FailureOutcome]
"""Every end of an attempt: the values of the label `outcome`."""
OUTCOMES: Final[tuple[str, ...]] = get_args(Outcome)
_HINTS: Final[Mapping[FailureOutcome, str]] = {
    "invalid_client": "check {client_id} and {client_secret}",
    "unauthorized_client": "the client may not use the client-credentials grant; see the Dashboard",
    "invalid_scope": "check {scope}",
    "secret_unreadable": "check {client_secret_file}",
    "dns_failed": "check {token_url} and the DNS of this host",
    "connect_failed": "check {token_url} and the network",
    "tls_failed": "check {token_url} and {ca_file}",
    "egress_proxy": "check {egress_proxy}",
    "too_many_open_files": "raise the limit of open files of this process",
    "timeout": "check the network, or raise {token_timeout_seconds}",
    "redirect": "check {token_url}",
    "unusable_answer": "check that {token_url} names a token endpoint",
    "http_4xx": "check {token_url}",
    "oauth_error": "check {client_auth} and {scope}",
}
"""What an operator can do about an outcome; settings stand there by their fields.

An outcome without a hint passes by itself.
"""

_DEFAULT_LIFETIME_SECONDS: Final = 300.0
_MIN_LIFETIME_SECONDS: Final = 1.0  # so that steady traffic asks twice a second at most
_MAX_LIFETIME_SECONDS: Final = 24 * 3600.0
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750 §2.1, b64token
_NUMBER: Final = re.compile(r"-?[0-9]{1,64}(\.[0-9]{1,64})?")
_ERROR_CODE: Final = re.compile(r"[a-zA-Z0-9_.:/-]{1,64}")  # RFC 6749 §5.2, without spaces
# OAuth's codes that are outcomes of their own (RFC 6749 §5.2).
_PERMANENT: Final[Mapping[str, FailureOutcome]] = {
    "invalid_client": "invalid_client",
    "unauthorized_client": "unauthorized_client",
    "invalid_scope": "invalid_scope",
}
_PERMANENT_STATUS: Final = frozenset(
    (HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
)


class _Names(dict[str, str]):
    """Asks for the name of each setting that a hint mentions."""

    def __init__(self, name_of: Callable[[str], str]) -> None:
        super().__init__()
        self._name_of = name_of

    def __missing__(self, field: str) -> str:
        return self._name_of(field)


def hint(outcome: FailureOutcome, name_of: Callable[[str], str]) -> str | None:
    """Return what an operator can do about an outcome, None where it passes by itself.

    `name_of` says what a setting is called; it gets the name of its field, and
    `client_secret` for the one that is in use of those that prove the client.
    """
    text = _HINTS.get(outcome)
    return None if text is None else text.format_map(_Names(name_of))


def hints(name_of: Callable[[str], str]) -> Mapping[FailureOutcome, str]:
    """Return every hint; `name_of` is as in `hint`."""
    return {outcome: str(hint(outcome, name_of)) for outcome in _HINTS}


def _name_in_environment(field: str) -> str:
    field = "client_secret(_file)" if field == "client_secret" else field
    return f"SIGNICAT_PROXY_{field.upper()}"


HINTS: Final = hints(_name_in_environment)
"""The hints of log and status page for a client with a secret."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A usable access token; `scope` is what was granted, None where that was not said."""

    access_token: str = field(repr=False)
    lifetime_seconds: float
    scope: str | None


def lacks_scope(grant: Grant, wanted: str) -> bool:
    """Say whether it is known that less than `wanted` was granted (T8)."""
    return grant.scope is not None and not set(wanted.split()) <= set(grant.scope.split())


@dataclass(frozen=True, slots=True)
class Failure:
    """An attempt that gave no token.

    `is_permanent`: only a person can fix it (T6). `detail` is safe text for the log;
    `retry_after_seconds` is what the server asked for (T5). `may_be_refusal`: it may pass by
    itself, and may as well be how a server refuses a certificate: another is worth a try (T12).
    """

    outcome: FailureOutcome
    is_permanent: bool = False
    detail: str | None = None
    retry_after_seconds: float | None = None
    may_be_refusal: bool = False


def _retry_after(value: str | None, wall: float) -> float | None:
    """Read `Retry-After` as seconds or as a date (RFC 9110 §10.2.3); None for neither."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        date = parsedate_to_datetime(value)
        # HTTP dates are in UTC, also where they do not say so (RFC 9110 §5.6.7).
        date = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, date.timestamp() - wall)
    except (ValueError, TypeError, OverflowError):
        return None


def _lifetime(value: object) -> float | None:
    """Read `expires_in` (T8): between 1 s and 24 h; None where it is no number."""
    if value is None:
        return _DEFAULT_LIFETIME_SECONDS
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and math.isnan(value):
        return None
    return float(max(_MIN_LIFETIME_SECONDS, min(value, _MAX_LIFETIME_SECONDS)))


def _parsed(body: bytes) -> Mapping[str, object] | None:
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def _token_error(token: object, kind: object) -> str | None:
    """Say what is wrong with a token as granted, None for nothing (T8)."""
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "token_type is not Bearer"
    if not isinstance(token, str) or not token:
        return "access_token is missing or empty"
    if len(token) > MAX_TOKEN_LENGTH:
        return "access_token is too long"
    return None if _TOKEN.fullmatch(token) else "access_token has characters of no token"


def _grant(body: bytes) -> Grant | Failure:
    members = _parsed(body)
    if members is None:
        return Failure("unusable_answer", detail="the response is no JSON object")
    token, scope = members.get("access_token"), members.get("scope")
    error = _token_error(token, members.get("token_type"))
    lifetime = _lifetime(members.get("expires_in"))
    if error is not None or lifetime is None:
        return Failure("unusable_answer", detail=error or "expires_in is no number")
    return Grant(str(token), lifetime, scope if isinstance(scope, str) else None)


def _oauth_error(body: bytes) -> str | None:
    members = _parsed(body)
    code = members.get("error") if members is not None else None
    return code if isinstance(code, str) and _ERROR_CODE.fullmatch(code) else None


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, *, wall: float
) -> Grant | Failure:
    """Read one response of the token endpoint; `wall` is now, for dates in `Retry-After`.

    Never raises, whatever came; no JWT claim is looked at.
    """
    if status == HTTPStatus.OK:
        return _grant(body)
    retry_after = _retry_after(headers.get("Retry-After"), wall)
    if status == HTTPStatus.REQUEST_TIMEOUT:
        return Failure("http_408", retry_after_seconds=retry_after)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Failure("http_429", retry_after_seconds=retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Failure("http_5xx", detail=f"status {status}", retry_after_seconds=retry_after)
    if status >= HTTPStatus.BAD_REQUEST:
        return _refusal(status, body, retry_after)
    is_redirect = status >= HTTPStatus.MULTIPLE_CHOICES
    return Failure("redirect" if is_redirect else "unusable_answer", detail=f"status {status}")


def _refusal(status: int, body: bytes, retry_after: float | None) -> Failure:
    code = _oauth_error(body)
    if code is not None and code in _PERMANENT:
        return Failure(_PERMANENT[code], is_permanent=True)
    detail = f"status {status}" if code is None else f"status {status}, error {code}"
    return Failure(
        "http_4xx" if code is None else "oauth_error",
        is_permanent=status in _PERMANENT_STATUS,
        detail=detail,
        retry_after_seconds=retry_after,
    )
