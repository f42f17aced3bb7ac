"""What the status of the one authorised call says of the proxy's settings.

Nothing is known that every API client may read, so only 401 is taken for a
refused token; any other response shows that the call has reached the upstream.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from proxy.check.result import State

__all__ = ["Meaning", "meaning_of"]

_API_HOST = "api.signicat.com"
_UPSTREAM = "SIGNICAT_PROXY_UPSTREAM_URL"


@dataclass(frozen=True, slots=True)
class Meaning:
    """How the check ends, what that means, and what to do about it."""

    state: State
    detail: str
    fix: str | None = None


_REDIRECTED = Meaning(
    "warning",
    "reached, and redirected elsewhere, which no API does unasked",
    f"Check that {_UPSTREAM} names the API and not a web page; this may be a login page of the "
    "network.",
)
_TOKEN_REFUSED = Meaning(
    "failed",
    "the upstream refuses the token that was granted a moment ago",
    f"Check that {_UPSTREAM} and SIGNICAT_PROXY_TOKEN_URL belong together, and SIGNICAT_PROXY_SCOPE"
    "; then look at the API client in the Signicat Dashboard.",
)
_NO_PERMISSION = Meaning(
    "warning",
    "reached; the token is known, but this API client may not use this path",
    "Give the API client of SIGNICAT_PROXY_CLIENT_ID the product's permission in the Signicat "
    "Dashboard, unless the application never asks for this path.",
)
_OTHER_HOST = Meaning(
    "warning",
    "there is nothing at this path; the APIs of sandbox and production are both on another host",
    f"Set {_UPSTREAM} to https://{_API_HOST}.",
)
_NOTHING_THERE = Meaning(
    "ok",
    "reached; there is nothing at this very path, which does not show that the token is accepted, "
    "but it was not refused",
)
_TOO_MANY = Meaning(
    "warning",
    "reached, but too many requests are being made",
    "Wait, and have the application send fewer requests; no setting is wrong.",
)
_FAILING = Meaning(
    "warning",
    "reached, but the upstream or a middlebox in front of it is failing",
    f"Check again in a while; if it lasts, check {_UPSTREAM} and ask Signicat, naming the "
    "x-trace-id.",
)
_OTHER_OBJECTION = Meaning("ok", "reached; the token was not refused, only this request")
_ACCEPTED = Meaning("ok", "reached, and the token was not refused")


_OF_STATUS: Final[Mapping[int, Meaning]] = {
    HTTPStatus.UNAUTHORIZED: _TOKEN_REFUSED,
    HTTPStatus.FORBIDDEN: _NO_PERMISSION,
    HTTPStatus.NOT_FOUND: _NOTHING_THERE,
    HTTPStatus.TOO_MANY_REQUESTS: _TOO_MANY,
}
_OF_CLASS: Final = {2: _ACCEPTED, 3: _REDIRECTED, 4: _OTHER_OBJECTION}


def meaning_of(status: int, host: str) -> Meaning:
    """Return what a response with `status` (200 to 599) of the upstream on `host` means."""
    if status == HTTPStatus.NOT_FOUND and host != _API_HOST and host.endswith(".signicat.com"):
        return _OTHER_HOST
    return _OF_STATUS.get(status) or _OF_CLASS.get(status // 100, _FAILING)
