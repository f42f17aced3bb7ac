"""Random ids of traces and spans, in the hexadecimal digits in which they travel."""

import os
from binascii import hexlify
from typing import Final

__all__ = ["RandomIds"]

_SPAN: Final = 16  # digits
_TRACE: Final = 32
_STOCK_BYTES: Final = 4096
_STOCK: Final = 2 * _STOCK_BYTES


class RandomIds:
    """Draws ids from the system's random bytes: nobody foretells one from those that were seen.

    Digits are made many at a time, since one by one they would cost more than all else that a
    request without a span needs. That all digits of an id are 0, which nobody would read,
    happens once in 2 to the power of 64.
    """

    __slots__ = ("_stock", "_used")

    def __init__(self) -> None:
        self._stock = b""
        self._used = _STOCK

    def trace_id(self) -> bytes:
        """Return 32 digits."""
        return self._digits(_TRACE)

    def span_id(self) -> bytes:
        """Return 16 digits."""
        return self._digits(_SPAN)

    def _digits(self, count: int) -> bytes:
        begin = self._used
        end = begin + count
        if end > _STOCK:
            self._stock = hexlify(os.urandom(_STOCK_BYTES))
            begin, end = 0, count
        self._used = end
        return self._stock[begin:end]
