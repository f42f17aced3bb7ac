"""The records of TLS, before they are decrypted: kept until they are whole, taken one by one.

OpenSSL reads on until it finds data, through any number of records that hold none, and its
buffers stay as large as they have once been. Given one record at a time, it does neither (G11).
"""

from typing import Final

__all__ = ["MOST_WITHOUT_DATA", "Records"]

MOST_WITHOUT_DATA: Final = 100
"""Records without data, as for new keys, that one connection may send: a TB needs no ten."""

_HEADER_BYTES: Final = 5  # type, version, length (RFC 8446 §5.1)
_MAJOR_VERSION: Final = 3
_LONGEST: Final = 16 * 1024 + 2048  # RFC 5246 §6.2.3


class Records:
    """What has come on a connection and is not taken yet. `size`: how many bytes."""

    __slots__ = ("_at", "_held")

    def __init__(self) -> None:
        self._held = b""
        self._at = 0

    @property
    def size(self) -> int:
        """How many bytes are held."""
        return len(self._held) - self._at

    def add(self, data: bytes) -> None:
        """Keep what has come behind what is held."""
        self._held = self._held[self._at :] + data if self.size else data
        self._at = 0

    def take(self) -> bytes:
        """Return the next record; empty where it is not whole yet.

        What is no record is returned as it is, for OpenSSL to say what is wrong with it.
        """
        held, start = self._held, self._at
        if len(held) - start < _HEADER_BYTES:
            return b""
        length = held[start + 3] << 8 | held[start + 4]
        end = start + _HEADER_BYTES + length
        if held[start + 1] != _MAJOR_VERSION or length > _LONGEST:
            end = len(held)
        if end > len(held):
            return b""
        if end < len(held):
            self._at = end
        else:
            self.clear()
        return held[start:end]

    def clear(self) -> None:
        """Keep nothing."""
        self._held = b""
        self._at = 0
