"""When to renew, when to stop using, when to try again: T2, T3, T5, T6 and T10 as plain functions.

L is the granted lifetime. All results are seconds; `draw` is a random number
in [0, 1) that the caller provides.
"""

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ForcedRenewals",
    "hard_stop",
    "is_on_demand",
    "permanent_delay",
    "soft_point",
    "transient_delay",
]

_SOFT_FROM: Final = 0.60
_SOFT_SPREAD: Final = 0.10
_ON_DEMAND_BELOW_SECONDS: Final = 5.0
_MARGIN_SECONDS: Final = 30.0
_MARGIN_SHARE: Final = 0.1

_FIRST_DELAY_SECONDS: Final = 1.0
_MIN_DELAY_SECONDS: Final = 0.25
_CAP_WITH_TOKEN_SECONDS: Final = 30.0
_CAP_WITHOUT_TOKEN_SECONDS: Final = 15.0
_RETRY_AFTER_CAP_SECONDS: Final = 300.0
_RETRY_AFTER_SPREAD: Final = 0.1
_SPREAD_WITH_TOKEN_SECONDS: Final = 60.0
_FIRST_PERMANENT_SECONDS: Final = 60.0
_CAP_PERMANENT_SECONDS: Final = 300.0
_PERMANENT_JITTER: Final = 0.2
_MAX_DOUBLINGS: Final = 10

_FORCED_INTERVAL_SECONDS: Final = 10.0
_REFUSED_IN_A_ROW: Final = 3
_FORCED_PAUSE_SECONDS: Final = 60.0


def soft_point(lifetime: float, draw: float) -> float:
    """Return when to renew, counted from the grant: 60 to 70 % of L (T2)."""
    return (_SOFT_FROM + _SOFT_SPREAD * draw) * lifetime


def is_on_demand(lifetime: float) -> bool:
    """Say whether traffic drives renewal, so that an idle proxy does not spin (T2)."""
    return _SOFT_FROM * lifetime < _ON_DEMAND_BELOW_SECONDS


def hard_stop(lifetime: float) -> float:
    """Return how long the token may be sent, counted from the grant (T3)."""
    return lifetime - min(_MARGIN_SECONDS, _MARGIN_SHARE * lifetime)


def transient_delay(
    failures: int, draw: float, *, usable_seconds: float, retry_after: float | None
) -> float:
    """Return the wait after the `failures`-th failure in a row that may pass by itself (T5).

    Full jitter, so that many proxies do not come back together; the server's
    `Retry-After` is a lower bound, with some time more, since it may have told a
    whole fleet the same moment. `usable_seconds` is how long the token may still be
    sent, 0 without one: the wait ends soon after the token does.
    """
    cap = min(_CAP_WITH_TOKEN_SECONDS, usable_seconds + _CAP_WITHOUT_TOKEN_SECONDS)
    bound = min(cap, _FIRST_DELAY_SECONDS * 2.0 ** min(failures - 1, _MAX_DOUBLINGS))
    delay = max(_MIN_DELAY_SECONDS, draw * bound)
    if retry_after is not None:
        asked = min(retry_after, _RETRY_AFTER_CAP_SECONDS)
        delay = max(delay, asked + draw * _spread(asked, usable_seconds))
    return delay


def _spread(asked: float, usable_seconds: float) -> float:
    """Return over how long after `asked` seconds a fleet comes that was told to wait for them.

    Who can still send a token by then leaves the others room: up to a minute, and up to half the
    time that the token has left, so that another attempt fits in. Who cannot comes within as much
    time again, or the longest back-off that there is without a token.
    """
    left = usable_seconds - asked
    if left > 0:
        room = min(left / 2, _SPREAD_WITH_TOKEN_SECONDS)
    else:
        room = min(asked, _CAP_WITHOUT_TOKEN_SECONDS)
    return max(_RETRY_AFTER_SPREAD * asked, room)


def permanent_delay(failures: int, draw: float) -> float:
    """Return the wait after the `failures`-th refusal in a row that only a person can fix (T6)."""
    doubled = _FIRST_PERMANENT_SECONDS * 2.0 ** min(failures - 1, _MAX_DOUBLINGS)
    jitter = 1 - _PERMANENT_JITTER * draw
    return min(_CAP_PERMANENT_SECONDS, doubled) * jitter


@dataclass(slots=True)
class ForcedRenewals:
    """Limits renewals that a 401 of the upstream forces (T10); instants are monotonic.

    At most one in 10 s; after three fresh tokens in a row were refused as
    well, none for 60 s, since a fresh token evidently does not help.
    """

    _not_before: float = float("-inf")
    _refused: int = 0

    def allow(self, now: float) -> bool:
        """Say whether a renewal may be forced now; if so, it counts."""
        if now < self._not_before:
            return False
        self._not_before = now + _FORCED_INTERVAL_SECONDS
        return True

    def fresh_token_refused(self, now: float) -> None:
        """Count a token that was refused although it had just been granted."""
        self._refused += 1
        if self._refused >= _REFUSED_IN_A_ROW:
            self._refused = 0
            self._not_before = now + _FORCED_PAUSE_SECONDS

    def fresh_token_accepted(self) -> None:
        """End the row."""
        self._refused = 0
