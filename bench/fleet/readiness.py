"""Who has no token, from when to when."""

import math
from dataclasses import dataclass

__all__ = ["Gap", "Readiness"]


@dataclass(frozen=True, slots=True)
class Gap:
    """Time in which one sidecar ran and had no token that it could send."""

    sidecar: int
    begin: float
    end: float


class Readiness:
    """What each sidecar's process has; sidecars have numbers, from 0."""

    def __init__(self, size: int) -> None:
        self._until = [math.inf] * size  # the end of its token; inf: no process needs one
        self.gaps: list[Gap] = []

    def started(self, sidecar: int, now: float) -> None:
        """Learn that a process has started, without a token."""
        self._until[sidecar] = now

    def granted(self, sidecar: int, now: float, until: float) -> None:
        """Learn that a sidecar has a token that it can send until then."""
        self._note(sidecar, now)
        self._until[sidecar] = until

    def stopped(self, sidecar: int, now: float) -> None:
        """Learn that a process has ended, and its token with it."""
        self._note(sidecar, now)
        self._until[sidecar] = math.inf

    def end(self, now: float) -> None:
        """Close what is still open at the end of the simulation."""
        for sidecar in range(len(self._until)):
            self.stopped(sidecar, now)

    def _note(self, sidecar: int, now: float) -> None:
        if self._until[sidecar] < now:
            self.gaps.append(Gap(sidecar, self._until[sidecar], now))
