"""Chunked bodies, both ways: their framing taken off by a strict grammar (RFC 9112 §7.1; G5, F9).

aiohttp's C parser, which did this before, calls into Python several times for each chunk. In the
tests it is the second reader: what is let through here, it must read in the same way.
"""

import re
from typing import Final

from proxy.http1.grammar import CRLF
from proxy.http1.message_faults import CHUNKED_BODY, CHUNKS_WITHOUT_DATA
from proxy.http1.parser import MalformedMessageError

__all__ = ["CHUNKED_PIECE", "ChunkedDecoder"]

CHUNKED_PIECE: Final = 16 * 1024
"""Bytes of a chunked body that are decoded in one go: 3 ms at most, in chunks of one byte (G11)."""

# Bytes of chunk sizes, extensions and trailers tolerated between two bytes of data.
_MAX_OVERHEAD: Final = 16 * 1024
_MAX_TRAILERS: Final = 128
_MAX_LINE: Final = 8 * 1024

_TOKEN: Final = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PLAIN: Final = rb"[\t !#-\[\]-~\x80-\xff]*"
_QUOTED: Final = rb'"%b(?:\\[\t -~\x80-\xff]%b)*"' % (_PLAIN, _PLAIN)
_EXTENSION: Final = rb";%b(?:=(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED)
_BEGUN_EXTENSION: Final = rb";(?:%b(?:=(?:%b|%b\\?)?)?)?" % (_TOKEN, _TOKEN, _QUOTED[:-1])
_SIZE: Final = rb"0*[0-9A-Fa-f]{1,15}"
_SIZE_LINE: Final = re.compile(rb"(%b)(?:%b)*" % (_SIZE, _EXTENSION))
# What would say of the framing is no trailer (RFC 9110 §6.5.1), even where nobody gets it.
_TRAILER: Final = rb"(?!(?i:content-length|transfer-encoding):)%b" % _TOKEN
_TRAILER_LINE: Final = re.compile(rb"%b:[\t -~\x80-\xff]*" % _TRAILER)

_AT_SIZE: Final = 0
_AT_DATA_END: Final = 1
_AT_TRAILER: Final = 2
# What a line of each kind may be as long as its end has not come: an endless wait helps nobody.
_UNFINISHED: Final = (
    re.compile(rb"(?:%b(?:%b)*(?:%b|\r)?)?" % (_SIZE, _EXTENSION, _BEGUN_EXTENSION)),
    re.compile(rb"\r?"),
    re.compile(rb"\r|(?:%b(?::[\t -~\x80-\xff]*\r?)?)?" % _TRAILER),
)
# One of which more was known is not read again from its start with each byte that comes (G11).
_SHORT_LINE: Final = 256
_ODD: Final = re.compile(rb"[^\t\r -~\x80-\xff]|\r.", re.DOTALL)


class ChunkedDecoder:
    """Takes the chunked framing off one body.

    Trailers are read and dropped. `is_complete` and `rest` (the bytes after the body) are set
    once the last chunk and the trailers have been read; nothing may be fed then.
    """

    __slots__ = ("_left", "_line", "_overhead", "_state", "_trailers", "is_complete", "rest")

    def __init__(self) -> None:
        self._left = 0  # bytes of data that the running chunk still has
        self._line = b""  # of which the end has not come
        self._overhead = 0
        self._state = _AT_SIZE
        self._trailers = 0
        self.is_complete = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes that `data` holds; raise `MalformedMessageError`."""
        decoded = self._decode(self._line + data if self._line else data)
        if decoded:
            self._overhead = 0
        else:
            self._overhead += len(data)
            if self._overhead > _MAX_OVERHEAD:
                raise MalformedMessageError(CHUNKS_WITHOUT_DATA)
        return decoded

    def _decode(self, data: bytes) -> bytes:
        pieces: list[bytes] = []
        start, size = 0, len(data)
        while not self.is_complete:
            if self._left:
                end = min(start + self._left, size)
                pieces.append(data[start:end])
                self._left -= end - start
                start = end
            end = data.find(CRLF, start)
            if end < 0:
                self._keep(data[start:], 0 if start else len(self._line))
                break
            self._take_line(data[start:end])
            start = end + 2
        else:
            self._line, self.rest = b"", data[start:]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _keep(self, line: bytes, known: int) -> None:
        """Keep a line whose end has not come; so many of its bytes were kept before."""
        if known <= _SHORT_LINE:
            is_bad = _UNFINISHED[self._state].fullmatch(line) is None
        else:
            is_bad = _ODD.search(line, known - 1) is not None
        if is_bad or len(line) > _MAX_LINE + 1:  # with the first byte of its end
            raise MalformedMessageError(CHUNKED_BODY)
        self._line = line

    def _take_line(self, line: bytes) -> None:
        """Take a whole line: what it may be depends on what came before it."""
        if len(line) > _MAX_LINE:
            raise MalformedMessageError(CHUNKED_BODY)
        if self._state == _AT_SIZE:
            found = _SIZE_LINE.fullmatch(line)
            if found is None:
                raise MalformedMessageError(CHUNKED_BODY)
            self._left = int(found[1], 16)
            self._state = _AT_DATA_END if self._left else _AT_TRAILER
        elif self._state == _AT_DATA_END:
            if line:
                raise MalformedMessageError(CHUNKED_BODY)
            self._state = _AT_SIZE
        elif line:
            self._trailers += 1
            if self._trailers > _MAX_TRAILERS or _TRAILER_LINE.fullmatch(line) is None:
                raise MalformedMessageError(CHUNKED_BODY)
        else:
            self.is_complete = True
