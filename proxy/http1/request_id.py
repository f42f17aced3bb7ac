"""The id of a request: the caller's `X-Request-ID` where it is usable, else one of ours (O1)."""

import re
import secrets
from typing import Final

from proxy.http1.headers import MessageHeaders

__all__ = ["REQUEST_ID", "RequestIds", "given_request_id", "visible"]

REQUEST_ID: Final = b"x-request-id"
"""The header's name, in lower case."""
_VISIBLE: Final = re.compile(rb"[!-~]{1,128}")
_PROCESS_BYTES: Final = 16


def visible(value: bytes | None) -> bytes | None:
    """Return an identifier that a peer gave, None unless it is 1 to 128 visible ASCII characters.

    A repeated header, which reaches us joined by comma and space, is none.
    """
    return value if value is not None and _VISIBLE.fullmatch(value) else None


def given_request_id(headers: MessageHeaders) -> bytes | None:
    """Return the caller's id; one that its `Connection` names was not meant for us alone."""
    if REQUEST_ID in headers.options:
        return None
    return visible(headers.facts.get(REQUEST_ID))


class RequestIds:
    """Gives ids of our own: 128 random bits for the process, and a count.

    Ids of two processes never meet, and those of one are in order.
    """

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(_PROCESS_BYTES).encode() + b"-"
        self._count = 0

    def new(self) -> bytes:
        """Return an id that no other request has."""
        self._count += 1
        return self._prefix + str(self._count).encode("ascii")
