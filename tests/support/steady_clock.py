"""A clock for a proxy of the test's own loop: a machine that stands still does not move it."""

import time
from typing import Final

from proxy.clock import Clock

__all__ = ["SteadyClock"]

_LONGEST_STEP_SECONDS: Final = 0.1


class SteadyClock:
    """Goes as time does, but for what passes between two looks: that counts as 0.1 s at most.

    The proxy looks twice in each of its shortest timeouts, so one of 0.3 s is over after
    several looks, between which the loop has turned, and never because it was held up.
    `put_forward` lets time pass at once.
    """

    def __init__(self) -> None:
        self.clock = Clock(self._monotonic)
        self._seen = self._now = time.monotonic()

    def put_forward(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self._now += seconds

    def _monotonic(self) -> float:
        seen = time.monotonic()
        self._now += min(seen - self._seen, _LONGEST_STEP_SECONDS)
        self._seen = seen
        return self._now
