"""The body of one request on its way up, kept while it may be needed again (T10, F5, F12)."""

from typing import Final

from proxy.http1.framing import CHUNKED

__all__ = [
    "CHUNK_END",
    "LAST_CHUNK",
    "LAST_OF_CHUNKS",
    "NO_BODY",
    "RequestBody",
    "chunk",
    "chunk_size",
]

CHUNK_END: Final = b"\r\n"
LAST_CHUNK: Final = b"0\r\n\r\n"
LAST_OF_CHUNKS: Final = b"\r\n0\r\n\r\n"
"""The end of a chunk behind which comes the last one, which is empty."""
_PIECE: Final = 4 * 1024


def chunk_size(data: bytes) -> bytes:
    """Return what goes before `data`, which is not empty, in a chunk of it (RFC 9112 §7.1)."""
    return b"%x\r\n" % len(data)


def chunk(data: bytes) -> bytes:
    """Frame `data`, which is not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class RequestBody:
    """Owns what was received of one body.

    Everything is kept until it has been sent once; from then on only bodies
    of up to `max_kept_bytes` (MAX_REPLAY_BYTES) are. `comes_first` says that the
    body is to be had whole before anything is sent (F12), `is_whole` that
    nothing has been let go, `is_ended` that the caller has sent all of it, `is_given_up`
    that nobody wants the rest.
    """

    __slots__ = (
        "_kept",
        "_length",
        "_max_kept_bytes",
        "comes_first",
        "is_ended",
        "is_given_up",
        "is_whole",
        "size",
    )

    def __init__(self, length: int, max_kept_bytes: int) -> None:
        self._length = length
        self._max_kept_bytes = max_kept_bytes
        self._kept: list[bytes] = []
        self.comes_first = 0 < length <= max_kept_bytes
        self.is_whole = True
        self.is_ended = False
        self.is_given_up = False
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take in bytes from the caller, without their framing."""
        self.size += len(data)
        if not self.is_whole:
            return
        kept = self._kept
        # In pieces of a byte each, a body would take forty times its size.
        if kept and len(kept[-1]) < _PIECE:
            kept[-1] += data
        else:
            kept.append(data)

    @property
    def kept_bytes(self) -> int:
        """How many bytes are kept."""
        return self.size if self.is_whole else 0

    def frame(self, data: bytes) -> bytes:
        """Return `data` as it goes out: chunked stays chunked."""
        return chunk(data) if self._length == CHUNKED else data

    def end_mark(self) -> bytes:
        """Return what ends the body on the wire."""
        return LAST_CHUNK if self._length == CHUNKED else b""

    def backlog(self) -> bytes:
        """Return everything so far as it goes out; `is_whole` must hold."""
        data = b"".join(self._kept)
        framed = self.frame(data) if data else b""
        return framed + self.end_mark() if self.is_ended else framed

    def sent(self) -> None:
        """Note that all so far has been sent: what is too large for a replay is let go."""
        if self.size > self._max_kept_bytes:
            self._let_go()

    def give_up(self) -> None:
        """Send no more of it, and keep nothing (F11)."""
        self.is_given_up = True
        self._let_go()

    def _let_go(self) -> None:
        self._kept.clear()
        self.is_whole = False

    @property
    def can_be_replayed(self) -> bool:
        """Is all of the body at hand."""
        return self.is_whole and self.is_ended


NO_BODY: Final = RequestBody(0, 0)
"""The upload of every request without a body: whole, ended, and never added to."""
NO_BODY.is_ended = True
