"""The response to an application that fetches tokens itself: a token that is worth nothing (P1)."""

import base64
import json
from collections.abc import Mapping
from typing import Final

from proxy.http1.error_response import own_response
from proxy.http1.request import Request

__all__ = ["PLACEHOLDER_TOKEN", "placeholder_response"]

_EXPIRES_IN: Final = 600


def _part(text: str) -> str:
    """Return one part of a JWT: base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _json(members: Mapping[str, object]) -> str:
    return json.dumps(members, separators=(",", ":"))


PLACEHOLDER_TOKEN: Final = ".".join(
    (
        # As Signicat's own, since some readers give up on `none`. No key has this id.
        _part(_json({"alg": "RS256", "kid": "signicat-proxy-placeholder", "typ": "JWT"})),
        _part(
            _json(
                {
                    "iss": "signicat-proxy",
                    "sub": "placeholder",
                    "note": "worth nothing; signicat-proxy adds the access token",
                    # The year 2100, for readers that want one: it is the same token every day.
                    "exp": 4_102_444_800,
                }
            )
        ),
        _part("placeholder, not a signature"),
    )
)
"""The same for everybody. No `account_id`, which Signicat's .NET SDK would put into every query."""

# No `scope`: then it is the one that was asked for (RFC 6749 §5.1), whatever that was.
_BODY: Final = _json(
    {"access_token": PLACEHOLDER_TOKEN, "token_type": "Bearer", "expires_in": _EXPIRES_IN}
).encode()
_HEADERS: Final = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("Pragma", "no-cache"),
    ("X-Content-Type-Options", "nosniff"),
    # As every response of our own, so that nobody takes it for Signicat's (RFC 9209).
    ("Proxy-Status", 'signicat-proxy; details="placeholder token"'),
)


def placeholder_response(request: Request, request_id: str, *, close: bool) -> bytes:
    """Return the whole response to a token call (RFC 6749 §5.1)."""
    headers = (*_HEADERS, ("X-Request-ID", request_id))
    return own_response(200, headers, _BODY, request, is_head=False, close=close)
