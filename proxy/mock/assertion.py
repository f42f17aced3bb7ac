"""What the mock asks of a client's assertion (RFC 7523 §3): all but the signature."""

import base64
import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from proxy.mock.state import MockClient, MockSignicat

__all__ = ["ASSERTION_TYPE", "asserted"]

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ALGORITHMS: Final = ("RS256", "PS256", "ES256")
_PARTS: Final = 3
_LONGEST_SECONDS: Final = 3600.0
"""A server may refuse an assertion that is valid for unreasonably long (RFC 7523 §3)."""


def asserted(
    mock: MockSignicat, form: Mapping[str, str], urls: Collection[str]
) -> MockClient | None:
    """Return the client that an assertion in a form is of; None for one that is refused.

    `urls` are those of the token endpoint, for one of which it must be meant. The mock knows no
    keys, so whoever knows the id of a client can make one.
    """
    header, claims = _read(form.get("client_assertion", ""))
    client_id, identity = claims.get("iss"), claims.get("jti")
    left = _seconds_left(claims.get("exp"), mock.wall())
    is_right = (
        form.get("client_assertion_type") == ASSERTION_TYPE
        and "client_secret" not in form
        and form.get("client_id", client_id) == client_id == claims.get("sub")
        and header.get("alg") in _ALGORITHMS
        and _is_for(claims.get("aud"), urls)
        and bool(identity)
    )
    if (
        not is_right
        or left is None
        or not (isinstance(client_id, str) and isinstance(identity, str))
    ):
        return None
    client = mock.client(client_id)
    return client if mock.is_first(f"{client_id} {identity}", left) else None


def _seconds_left(end: object, now: float) -> float | None:
    if not isinstance(end, int | float) or not now < end <= now + _LONGEST_SECONDS:
        return None
    return end - now


def _is_for(audience: object, urls: Collection[str]) -> bool:
    audiences = audience if isinstance(audience, list) else [audience]
    return any(each in urls for each in audiences)


def _read(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Return header and claims, empty ones for what is no signed JWT."""
    parts = assertion.split(".")
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2]) if len(parts) == _PARTS else b""
    except (ValueError, RecursionError):
        return {}, {}
    if not signature or not isinstance(header, dict) or not isinstance(claims, dict):
        return {}, {}
    return header, claims


def _decoded(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
