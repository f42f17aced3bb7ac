"""Random ids of traces and spans, in the hexadecimal digits in which they travel."""

import random
import secrets
from typing import Final

__all__ = ["RandomIds"]

_SPAN: Final = 16  # digits
_TRACE: Final = 32
_STOCK_BYTES: Final = 4096


class RandomIds:
    """Draws ids. They need to differ and not to be secret, so no system call is made for one.

    Digits are made many at a time, since one by one they would cost more than all else that a
    request without a span needs. That all digits of an id are 0, which nobody would read,
    happens once in 2 to the power of 64.
    """

    __slots__ = ("_draw", "_stock", "_used")

    def __init__(self) -> None:
        # Seeded by the system once: two processes share no sequence.
        self._draw = random.Random(secrets.randbits(256)).randbytes  # noqa: S311 (see above)
        self._stock = b""
        self._used = 0

    def trace_id(self) -> bytes:
        """Return 32 digits."""
        return self._digits(_TRACE)

    def span_id(self) -> bytes:
        """Return 16 digits."""
        return self._digits(_SPAN)

    def _digits(self, count: int) -> bytes:
        begin = self._used
        end = begin + count
        if end > len(self._stock):
            self._stock = self._draw(_STOCK_BYTES).hex().encode()
            begin, end = 0, count
        self._used = end
        return self._stock[begin:end]
