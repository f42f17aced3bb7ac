"""What a caller has sent, cut into heads and bodies: a state machine without a socket (G5, G6)."""

from typing import Final

from proxy.http1 import failures
from proxy.http1.chunks import CHUNKED_PIECE, ChunkedDecoder
from proxy.http1.framing import CHUNKED
from proxy.http1.grammar import CRLF, HEAD_END
from proxy.http1.message_faults import request_fault
from proxy.http1.parser import MalformedMessageError, cannot_become_a_request

__all__ = ["MAX_PIPELINED", "MAX_REQUEST_HEAD", "ReceiveBuffer"]

MAX_REQUEST_HEAD: Final = 32 * 1024
"""Bytes of request line and headers (G6)."""
MAX_PIPELINED: Final = 64 * 1024
"""Bytes of further requests that are read while one is running."""
_HEAD: Final = b"HEAD "


class ReceiveBuffer:
    """Holds received bytes until they are taken as a head or as part of a body."""

    __slots__ = ("_buffer", "_checked", "_decoder", "_remaining")

    def __init__(self) -> None:
        self._buffer = b""
        self._checked = 0  # bytes of an unfinished head that have been looked at
        self._decoder: ChunkedDecoder | None = None
        self._remaining = 0

    def __bool__(self) -> bool:
        return bool(self._buffer)

    @property
    def size(self) -> int:
        """How many bytes wait."""
        return len(self._buffer)

    @property
    def is_full(self) -> bool:
        """Is there more than may wait behind a running request."""
        return len(self._buffer) > MAX_PIPELINED

    @property
    def begins_with_head(self) -> bool:
        """Does what waits begin as a HEAD request does: its reply has no body."""
        return self._buffer.startswith(_HEAD)

    def add(self, data: bytes) -> None:
        """Take in what was received."""
        self._buffer = self._buffer + data if self._buffer else data

    def clear(self) -> None:
        """Throw everything away."""
        self._buffer = b""

    def take_head(self) -> bytes | None:
        """Return the next whole head, None while it is incomplete.

        Raises `ProxyError` for one that is too large or can no longer become
        a good one.
        """
        buffer = self._buffer
        if buffer.startswith(CRLF):  # RFC 9112 §2.2: an empty line before a request is skipped
            buffer = self._buffer = buffer[2:]
            self._checked = 0
        end = buffer.find(HEAD_END)
        # An unfinished head may hold all but the last byte of its end already.
        if end > MAX_REQUEST_HEAD or (end < 0 and len(buffer) > MAX_REQUEST_HEAD + 3):
            raise failures.head_too_large(MAX_REQUEST_HEAD)
        if end >= 0:
            self._buffer = buffer[end + 4 :]
            self._checked = 0
            return buffer[: end + 4]
        if cannot_become_a_request(buffer, self._checked):
            raise failures.ambiguous_message(request_fault(buffer))
        self._checked = len(buffer)
        return None

    def begin_body(self, length: int) -> None:
        """Expect a body of `length` bytes, or `CHUNKED`, behind the head just taken."""
        self._remaining = length
        self._decoder = ChunkedDecoder() if length == CHUNKED else None

    def take_body(self) -> tuple[bytes, bool]:
        """Return what there is of the body, without framing, and whether that is its end.

        Of a chunked body it is what one piece holds (`CHUNKED_PIECE`, G11); there may be
        more, then. Raises `ProxyError` for chunks with two readings.
        """
        decoder = self._decoder
        if decoder is not None:
            data, self._buffer = self._buffer[:CHUNKED_PIECE], self._buffer[CHUNKED_PIECE:]
            try:
                data = decoder.feed(data)
            except MalformedMessageError as error:
                raise failures.ambiguous_message(str(error)) from error
            if decoder.rest:
                self._buffer = decoder.rest + self._buffer
            is_complete = decoder.is_complete
            if is_complete:  # nothing of what came behind the body stays with it
                self._decoder, self._remaining = None, 0
            return data, is_complete
        data, self._buffer = self._buffer, b""
        if len(data) > self._remaining:
            self._buffer = data[self._remaining :]
            data = data[: self._remaining]
        self._remaining -= len(data)
        return data, not self._remaining
