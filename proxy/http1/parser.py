"""HTTP/1 on the wire: the only module that touches aiohttp's C parsers.

They get one whole head of a request at a time (`response_with_body=False`) and say whether
it is one; which bytes are the head, and what follows it, is decided by the
connections. Heads of responses (`proxy.http1.response`) and chunked bodies (`proxy.http1.chunks`)
are read without them.

`aiohttp.http_parser` is not promised API: the minor version is pinned in
`pyproject.toml` and `tests/decisions/test_parser.py` drives this class with a corpus.
"""

import asyncio
import re
from typing import Any, Final

from aiohttp import http_parser

from proxy.http1.grammar import (
    CRLF,
    METHODS,
    RESPONSE_START,
    TOKEN,
    VERSIONS,
)
from proxy.http1.message_faults import (
    request_fault,
)

__all__ = [
    "MalformedMessageError",
    "MissingCParsersError",
    "RawHeaders",
    "RequestHeadParser",
    "cannot_become_a_request",
    "cannot_become_a_response",
    "require_c_parsers",
]

RawHeaders = tuple[tuple[bytes, bytes], ...]

# Larger than any head that the connections let through, so that their limit
# is the one that counts.
_PARSER_LIMIT: Final = 1 << 20
# The C parser knows a fixed list of methods; any other token is read under the
# name of one that it knows, since nothing but the head is asked of it.
_KNOWN_METHODS: Final = frozenset(METHODS)
_LINE_ENDS_WITH: Final = tuple(b" " + version for version in VERSIONS)
# yarl, which the C parser calls for each target, remembers the last 128: so it gets none (G11).
# Of which form one is, and what may stand in it, is looked at by `proxy.http1.request`.
_TARGET: Final = re.compile(rb"[!-~]+")
_EMPTY_HEAD: Final = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class MalformedMessageError(ValueError):
    """The bytes are not an HTTP/1 message that has only one reading.

    The text is one of `proxy.http1.message_faults`.
    """


class MissingCParsersError(Exception):
    """aiohttp was installed without its C parsers (G7)."""


def require_c_parsers() -> None:
    """Raise `MissingCParsersError` where aiohttp has only its pure-Python parsers."""
    if not http_parser.HttpRequestParser.__module__.endswith("_http_parser"):
        raise MissingCParsersError(
            "aiohttp's C parsers are missing and the pure-Python ones are weaker: "
            "unset AIOHTTP_NO_EXTENSIONS and install aiohttp from a binary wheel"
        )


def cannot_become_a_request(data: bytes, checked: int = 0) -> bool:
    """Say whether an unfinished head can no longer become a good one (G5).

    So another protocol on the port, or lines that end in a bare LF, are
    refused at once and not after the head's deadline. The first `checked`
    bytes were found good before, which keeps a head that comes byte by byte
    from costing the square of its length.
    """
    if _has_bad_bytes(data, checked):
        return True
    end = data.find(CRLF)
    return end >= 0 and not data[:end].endswith(_LINE_ENDS_WITH)


def cannot_become_a_response(data: bytes, checked: int = 0) -> bool:
    """Say whether an unfinished head of a response can no longer become a good one (F9).

    The first `checked` bytes were found good before, as for `cannot_become_a_request`.
    """
    return not data.startswith(RESPONSE_START[: len(data)]) or _has_bad_bytes(data, checked)


def _has_bad_bytes(data: bytes, checked: int) -> bool:
    """Say whether what follows `checked` holds a control character or a bare LF."""
    new = data[max(0, checked - 1) :]
    if checked and new.startswith(b"\n"):  # its CR was seen the time before
        new = new[1:]
    return _CONTROL.search(new) is not None or new.count(b"\n") != new.count(CRLF)


class _BodySink:
    """Stands where aiohttp expects the connection; the connection itself decides on pauses."""

    __slots__ = ()

    def pause_reading(self) -> None:
        """Do nothing: what one read brought is taken out at once."""

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """Do nothing, see `pause_reading`."""


_SINK: Final = _BodySink()


class RequestHeadParser:
    """Reads request heads, strictly (RFC 9112 §3, §5); one serves all callers of a process.

    Of the last one it holds the headers until it is told to `forget` them; never path and query.
    """

    __slots__ = ("_holds_headers", "_loop", "_parser")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = self._new_parser()
        self._holds_headers = False

    def _new_parser(self) -> Any:  # what it says of its results is true of the Python parsers only
        return http_parser.HttpRequestParser(
            _SINK,  # type: ignore[arg-type]  # stands in for aiohttp's connection
            self._loop,
            _PARSER_LIMIT,
            max_line_size=_PARSER_LIMIT,
            max_headers=_PARSER_LIMIT,
            max_field_size=_PARSER_LIMIT,
            response_with_body=False,
            auto_decompress=False,  # else it refuses each coding that it has no library for
        )

    def parse(self, head: bytes) -> tuple[list[bytes], list[bytes], RawHeaders]:
        """Return the parts of the request line, all lines of `head`, and its headers.

        There is one header for each line but the first. `head` ends with its
        empty line. The request line has exactly three parts and the version is
        1.0 or 1.1. Raises `MalformedMessageError`.
        """
        lines = head[:-4].split(CRLF)
        parts = lines[0].split(b" ")
        if len(parts) != 3 or parts[2] not in VERSIONS:  # noqa: PLR2004 (method, target, version)
            raise MalformedMessageError(request_fault(head))
        self._holds_headers = True
        method, target, version = parts
        if method not in _KNOWN_METHODS:
            if not TOKEN.fullmatch(method):
                raise MalformedMessageError(request_fault(head))
            method = b"GET"
        read = b"/" if _TARGET.fullmatch(target) else target
        first = b"%b %b %b" % (method, read, version)
        return parts, lines, self._headers(head, first + head[len(lines[0]) :], lines)

    def forget(self) -> None:
        """Let go of the last head: called now and then, whether there was one or not."""
        if self._holds_headers:
            self._parser.feed_data(_EMPTY_HEAD)
            self._holds_headers = False

    def _headers(self, head: bytes, read: bytes, lines: list[bytes]) -> RawHeaders:
        """Return one header for each line but the first; raise `MalformedMessageError`.

        `read` is what the parser gets of `head`.
        """
        try:
            messages = self._parser.feed_data(read)[0]
            message = messages[0][0]
        except Exception as error:
            # Whatever it was, nothing of the refused head may stay in the parser.
            self._parser = self._new_parser()
            raise MalformedMessageError(request_fault(head)) from error
        if message.should_close or message.upgrade:
            self._parser = self._new_parser()
        headers: RawHeaders = message.raw_headers
        if len(messages) != 1 or len(headers) != len(lines) - 1:
            raise MalformedMessageError(request_fault(head))
        return headers
