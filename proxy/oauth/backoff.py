"""When a client's next attempt is due, and why the last one failed (T5, T6, T9)."""

from dataclasses import dataclass
from typing import Final

from proxy.clock import Instant
from proxy.oauth import schedule
from proxy.oauth.response import Failure, FailureOutcome
from proxy.oauth.token import Token

__all__ = ["Backoff"]

_AT_ONCE: Final = Instant(float("-inf"), float("-inf"))


@dataclass(slots=True)
class Backoff:
    """What became of the last attempts, and so the moment of the next one.

    The client's refresher reports the end of each attempt; everybody else only reads.
    `failures` are those in a row, `last_error` is the outcome of the last of them.
    """

    failures: int = 0
    last_error: FailureOutcome | None = None
    _permanent: int = 0  # of the failures, those of this kind in a row
    _due: Instant | None = _AT_ONCE  # None: traffic decides

    @property
    def is_active(self) -> bool:
        """Whether the last attempt failed, so that no request may hasten the next one (T5)."""
        return self.failures > 0

    def granted(self, token: Token) -> None:
        """Learn that `token` was granted: the next attempt is due at its soft point (T2)."""
        self.failures = self._permanent = 0
        self.last_error = None
        self._due = None if token.on_demand else token.soft

    def failed(self, failure: Failure, now: Instant, draw: float, *, usable_seconds: float) -> None:
        """Learn that an attempt failed; the kind of failure decides how long to wait.

        `draw` is a random number in [0, 1). `usable_seconds` is how long the current token may
        still be sent, 0 without one.
        """
        self.failures += 1
        self.last_error = failure.outcome
        if failure.is_permanent:
            self._permanent += 1
            delay = schedule.permanent_delay(self._permanent, draw)
        else:
            self._permanent = 0
            delay = schedule.transient_delay(
                self.failures,
                draw,
                usable_seconds=usable_seconds,
                retry_after=failure.retry_after_seconds,
            )
        self._due = now + delay

    def seconds_left(self, now: Instant) -> float | None:
        """Return the time to the next attempt by the clock that says less (T9).

        0: it is due. None: it has no time of its own, since traffic renews this token (T2).
        """
        if self._due is None:
            return None
        return max(0.0, self._due.seconds_left(now))
