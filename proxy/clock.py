"""The two clocks that the proxy reads, as one argument that tests replace."""

import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SYSTEM_CLOCK", "Clock", "Instant"]


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks, in seconds.

    `monotonic` never jumps but may stand still while the machine sleeps;
    `wall` (Unix time) goes on but may be set. A life measured on both ends
    when either says so (T9).
    """

    monotonic: float
    wall: float

    def __add__(self, seconds: float) -> "Instant":
        return Instant(self.monotonic + seconds, self.wall + seconds)

    def seconds_left(self, now: "Instant") -> float:
        """Return the time from `now` to this moment, by the clock that says less (T9).

        Negative: it is over.
        """
        return min(self.monotonic - now.monotonic, self.wall - now.wall)


@dataclass(frozen=True, slots=True)
class Clock:
    """Where time comes from: two functions without arguments, in seconds."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time

    def now(self) -> Instant:
        """Return this moment on both clocks."""
        return Instant(self.monotonic(), self.wall())


SYSTEM_CLOCK = Clock()
