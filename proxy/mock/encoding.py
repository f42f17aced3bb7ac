"""Base64url without padding, as JWT and JWK use it (RFC 7515 §2)."""

import base64
import json
from collections.abc import Mapping

__all__ = ["as_jwt_part"]


def as_jwt_part(part: Mapping[str, object] | bytes) -> str:
    """Return bytes, or an object as JSON, in base64url.

    >>> as_jwt_part({"a": 1})
    'eyJhIjoxfQ'
    """
    data = part if isinstance(part, bytes) else json.dumps(part, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
