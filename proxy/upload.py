"""The body of one request on its way up, kept while it may be needed again (T10, F5)."""

from typing import Final

from proxy.headers import CHUNKED

__all__ = ["LAST_CHUNK", "NO_BODY", "Upload", "chunk"]

LAST_CHUNK: Final = b"0\r\n\r\n"
_LEAST_PROGRESS: Final = 1024  # body bytes, or the body's end, in each READ_TIMEOUT (G6)


def chunk(data: bytes) -> bytes:
    """Frame `data`, which is not empty, as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upload:
    """Owns what was received of one body.

    Everything is kept until it has been sent once; from then on only bodies
    of up to `max_kept_bytes` (MAX_REPLAY_BYTES) are. `is_whole` says that
    nothing has been let go, `is_ended` that the caller has sent all of it.
    """

    __slots__ = (
        "_kept",
        "_length",
        "_max_kept_bytes",
        "_next_progress",
        "is_ended",
        "is_whole",
        "size",
    )

    def __init__(self, length: int, max_kept_bytes: int) -> None:
        self._length = length
        self._max_kept_bytes = max_kept_bytes
        self._kept: list[bytes] = []
        self._next_progress = 0
        self.is_whole = True
        self.is_ended = False
        self.size = 0

    def add(self, data: bytes) -> None:
        """Take in bytes from the caller, without their framing."""
        self.size += len(data)
        if self.is_whole:
            self._kept.append(data)

    def has_progressed(self) -> bool:
        """Say whether enough came, since this last said so, for its caller not to be late (G6)."""
        if self.size < self._next_progress:
            return False
        self._next_progress = self.size + _LEAST_PROGRESS
        return True

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
            self._kept.clear()
            self.is_whole = False

    @property
    def will_be_whole(self) -> bool:
        """Will all of the body be at hand once the caller has sent it."""
        return self.is_whole and (self.is_ended or 0 < self._length <= self._max_kept_bytes)


NO_BODY: Final = Upload(0, 0)
"""The upload of every request without a body: whole, ended, and never added to."""
NO_BODY.is_ended = True
