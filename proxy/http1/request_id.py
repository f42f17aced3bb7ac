"""The id of a request: the caller's `X-Request-ID` where it is usable, else one of ours (O1).

It travels as the header line that carries it, complete with CRLF: the same bytes go up and down.
"""

import re
import secrets
from typing import Final

from proxy.http1.grammar import CRLF
from proxy.http1.headers import MessageHeaders

__all__ = ["REQUEST_ID", "RequestIds", "given_id_line", "id_in", "id_line", "visible"]

REQUEST_ID: Final = b"x-request-id"
"""The header's name, in lower case."""
_BEGIN: Final = b"X-Request-ID: "
_BEGINS: Final = len(_BEGIN)
_VISIBLE: Final = re.compile(rb"[!-~]{1,128}")
_PROCESS_BYTES: Final = 16
_ENDS: Final = [b"%02d\r\n" % number for number in range(100)]


def visible(value: bytes | None) -> bytes | None:
    """Return an identifier that a peer gave, None unless it is 1 to 128 visible ASCII characters.

    A repeated header, which reaches us joined by comma and space, is none.
    """
    return value if value is not None and _VISIBLE.fullmatch(value) else None


def id_line(request_id: bytes) -> bytes:
    """Return the line that carries an id."""
    return _BEGIN + request_id + CRLF


def id_in(line: bytes) -> str:
    """Return the id that a line of `id_line` carries."""
    return line[_BEGINS:-2].decode("ascii")


def given_id_line(headers: MessageHeaders) -> bytes | None:
    """Return the line of the caller's id, None where it gave none that is usable.

    One that its `Connection` names was not meant for us alone.
    """
    if REQUEST_ID in headers.options:
        return None
    given = visible(headers.facts.get(REQUEST_ID))
    return None if given is None else id_line(given)


class RequestIds:
    """Gives ids of our own: 128 random bits for the process, and a count of two digits or more.

    Ids of two processes never meet, and those of one are in order. All but the last two digits
    stand ready for a hundred requests.
    """

    __slots__ = ("_begin", "_count", "_hundreds", "_process")

    def __init__(self) -> None:
        self._process = _BEGIN + secrets.token_hex(_PROCESS_BYTES).encode() + b"-"
        self._begin = self._process
        self._hundreds = 0
        self._count = 0

    def new_line(self) -> bytes:
        """Return the line of an id that no other request has."""
        count = self._count + 1
        if count == len(_ENDS):
            count = 0
            self._hundreds += 1
            self._begin = self._process + str(self._hundreds).encode("ascii")
        self._count = count
        return self._begin + _ENDS[count]
