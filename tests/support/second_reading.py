"""Response heads and chunks as aiohttp's C parser reads them: the second reader (G5, F9).

The parser is lenient with responses, so what two readers could read differently is refused here
first. It knows nothing of the proxy's own reading.
"""

import asyncio
import re
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import http_exceptions, http_parser

__all__ = ["Reading", "SecondDecoder", "SecondReader"]

_LIMIT: Final = 1 << 20
_VISIBLE: Final = bytes(sorted({*range(0x20, 0x100), 0x09} - {0x7F}))
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: [^\r\n]*)?")
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_STAYS: Final = re.compile(
    rb"connection|keep-alive|te|trailer|transfer-encoding|upgrade|alt-svc|authorization"
    rb"|strict-transport-security|x-request-id|proxy-.*"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read; a length of -1 is that of chunks, of -2 that of a body that ends by a close.

    `facts` are the values by lower-case name, repeated ones joined by a comma.
    """

    status: int
    is_http_10: bool
    lines: list[bytes]
    facts: dict[bytes, bytes]
    length: int
    options: frozenset[bytes]


class _Sink:
    """Stands where aiohttp expects the connection."""

    def pause_reading(self) -> None:
        """Do nothing: what is fed is read out at once."""

    def resume_reading(self, *, resume_parser: bool = True) -> None:
        """Do nothing, see `pause_reading`."""


class SecondReader:
    """Reads heads one after the other, each by a parser that holds nothing of the one before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._parser = self._new_parser()

    def _new_parser(self) -> Any:
        return http_parser.HttpResponseParser(
            _Sink(),  # type: ignore[arg-type]  # nothing of it is asked for
            self._loop,
            _LIMIT,
            max_line_size=_LIMIT,
            max_headers=_LIMIT,
            max_field_size=_LIMIT,
            response_with_body=False,
            auto_decompress=False,
        )

    def read(self, method: bytes, head: bytes) -> Reading | None:
        """Return what is read of a head without its empty line, None where it is refused."""
        lines = head.split(b"\r\n")
        if head.translate(None, _VISIBLE) != b"\r\n" * (len(lines) - 1):
            return None
        start = _STATUS_LINE.fullmatch(lines.pop(0))
        if start is None or (lines and lines[0].startswith((b" ", b"\t"))):
            return None
        fields = self._fields(head + b"\r\n\r\n")
        if fields is None or len(fields) != len(lines):
            return None
        for line, (name, value) in zip(lines, fields, strict=True):
            if not line.startswith(name + b":") or not _TOKEN.fullmatch(name):
                return None
            assert line[len(name) + 1 :].strip(b" \t") == value
        return _reading(method, int(start[2]), lines, fields, is_http_10=start[1] == b"0")

    def _fields(self, head: bytes) -> list[tuple[bytes, bytes]] | None:
        try:
            ((message, _),) = self._parser.feed_data(head)[0]
        except http_exceptions.HttpProcessingError:
            self._parser = self._new_parser()
            return None
        if message.should_close or message.upgrade:
            self._parser = self._new_parser()
        return list(message.raw_headers)


def _reading(
    method: bytes,
    status: int,
    lines: list[bytes],
    fields: list[tuple[bytes, bytes]],
    *,
    is_http_10: bool,
) -> Reading | None:
    facts: dict[bytes, bytes] = {}
    for name, value in fields:
        key = name.lower()
        facts[key] = facts[key] + b", " + value if key in facts else value
    length = _framing(facts, is_http_10=is_http_10)
    if length is None:
        return None
    without: set[bytes] = set()
    if status < 200 and length not in {-2, 0}:
        return None
    if status == 204 or status < 200:
        length, without = 0, {b"content-length"}
    elif status == 304 or method == b"HEAD":
        length = 0
    connection = facts.get(b"connection")
    options = frozenset[bytes]()
    if connection is not None:
        options = frozenset(option.strip(b" \t") for option in connection.lower().split(b","))
        without |= options - {b"close", b"keep-alive", b"content-length"}
    names = [name.lower() for name, _ in fields]
    crossing = [
        line
        for line, name in zip(lines, names, strict=True)
        if not _STAYS.fullmatch(name) and name not in without
    ]
    return Reading(status, is_http_10, crossing, facts, length, options)


def _framing(facts: dict[bytes, bytes], *, is_http_10: bool) -> int | None:
    """Return where the body ends by the headers alone, None where that has two readings."""
    length, coding = facts.get(b"content-length"), facts.get(b"transfer-encoding")
    if coding is not None:
        is_good = length is None and not is_http_10 and coding.lower() == b"chunked"
        return -1 if is_good else None
    if length is None:
        return -2
    return int(length) if _LENGTH.fullmatch(length) else None


_CHUNKED_HEAD: Final = (
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    # An upgrade makes the parser stop at the end of the body and give back the
    # bytes after it, which it otherwise takes for the next request.
    b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
)


class SecondDecoder:
    """Takes the chunked framing off one body, with the strictness of requests."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._parser: Any = http_parser.HttpRequestParser(
            _Sink(),  # type: ignore[arg-type]  # nothing of it is asked for
            loop,
            _LIMIT,
            max_line_size=_LIMIT,
            max_field_size=_LIMIT,
            auto_decompress=False,
        )

    def read(self, wire: bytes) -> tuple[bytes, bytes, bool] | None:
        """Return the body, what follows it, and whether it is complete; None if it is refused."""
        ((_, body),) = self._parser.feed_data(_CHUNKED_HEAD)[0]
        try:
            _, is_complete, rest = self._parser.feed_data(wire)
        except http_exceptions.HttpProcessingError:
            return None
        return body.read_nowait(-1), rest, is_complete
