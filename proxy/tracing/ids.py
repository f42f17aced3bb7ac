"""Random ids of traces and spans, in the hexadecimal digits in which they travel."""

import random
import secrets

__all__ = ["RandomIds"]


class RandomIds:
    """Draws ids. They need to differ and not to be secret, so no system call is made for one."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        # Seeded by the system once: two processes share no sequence.
        self._bits = random.Random(secrets.randbits(256)).getrandbits  # noqa: S311 (see above)

    def trace_id(self) -> bytes:
        """Return 32 digits, which are never all 0."""
        return b"%032x" % (self._bits(128) or 1)

    def span_id(self) -> bytes:
        """Return 16 digits, which are never all 0."""
        return b"%016x" % (self._bits(64) or 1)
