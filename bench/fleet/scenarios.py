"""What happens to a fleet; times are seconds since the start of the simulation."""

from dataclasses import dataclass, replace
from typing import Final

from bench.fleet.endpoint import Service, Window

__all__ = ["CAPACITY", "FLEET", "LIFETIME_SECONDS", "SCENARIOS", "Change", "CrashLoop", "Scenario"]

FLEET: Final = 10_000
CAPACITY: Final = 200.0  # calls a second, for a fleet of that size
LIFETIME_SECONDS: Final = 600.0  # Signicat's default
_MINUTE: Final = 60.0
_SETTLED: Final = 1200.0  # two lifetimes: renewals are spread as they stay
_PLAIN: Final = Service(CAPACITY, LIFETIME_SECONDS)
_CLOSED: Final = Window(_SETTLED, _SETTLED + 5 * _MINUTE)
_DOWN: Final = Window(_SETTLED, _SETTLED + 10 * _MINUTE)


@dataclass(frozen=True, slots=True)
class CrashLoop:
    """Some processes end again and again; Kubernetes starts them anew.

    It waits 10 s, then twice as long each time, up to 300 s. `first`: when each of them ends for
    the first time.
    """

    share: float
    first: Window
    lives_seconds: float


@dataclass(frozen=True, slots=True)
class Change:
    """Everybody's secret changes: in which time, and how many sidecars share a file."""

    window: Window
    sidecars_of_a_file: int


@dataclass(frozen=True, slots=True)
class Scenario:
    """One story; what is told of it begins at `since` and ends at `end`.

    All processes start within the first `starts_within` seconds, uniformly. `over_at` is when the
    cause of trouble is over: from there the time counts until all have a token.
    """

    name: str
    title: str
    end: float
    since: float = _SETTLED
    over_at: float = _SETTLED
    starts_within: float = LIFETIME_SECONDS
    service: Service = _PLAIN
    change: Change | None = None
    crashes: CrashLoop | None = None


def _rollout(
    name: str, title: str, seconds: float, *, end: float, retry_after: float | None = None
) -> Scenario:
    service = replace(_PLAIN, retry_after_seconds=retry_after)
    return Scenario(
        name,
        title,
        end=end,
        since=0.0,
        over_at=seconds,
        starts_within=seconds,
        service=service,
    )


SCENARIOS: Final = (
    _rollout("rollout", "A rollout of all within a minute", _MINUTE, end=30 * _MINUTE),
    _rollout("day", "Eight hours, which begin with such a rollout", _MINUTE, end=8 * 3600.0),
    _rollout("cold-start", "All start within a second", 1.0, end=20 * _MINUTE),
    _rollout(
        "rate-limit",
        "All start within a second; 429 with `Retry-After: 10` beyond the capacity",
        1.0,
        end=20 * _MINUTE,
        retry_after=10.0,
    ),
    Scenario(
        "outage",
        "The endpoint is down for 10 minutes",
        end=_DOWN.end + 10 * _MINUTE,
        over_at=_DOWN.end,
        service=replace(_PLAIN, down=_DOWN),
    ),
    Scenario(
        "retry-after",
        "429 for 5 minutes, with a `Retry-After` that names their end",
        end=_CLOSED.end + 10 * _MINUTE,
        over_at=_CLOSED.end,
        service=replace(_PLAIN, closed=_CLOSED, retry_after_seconds=10.0),
    ),
    Scenario(
        "rotation",
        "Everybody's secret changes at the same moment",
        end=_SETTLED + 10 * _MINUTE,
        change=Change(Window(_SETTLED, _SETTLED), sidecars_of_a_file=FLEET),
    ),
    Scenario(
        "rotation-by-node",
        "Everybody's secret changes, node by node, within 90 seconds",
        end=_SETTLED + 10 * _MINUTE,
        change=Change(Window(_SETTLED, _SETTLED + 90.0), sidecars_of_a_file=50),
    ),
    Scenario(
        "crash-loop",
        "A tenth crashes again and again",
        end=_SETTLED + 30 * _MINUTE,
        crashes=CrashLoop(0.1, Window(_SETTLED, _SETTLED + _MINUTE), lives_seconds=20.0),
    ),
)
"""In the order of the page; names are for `--scenario` and pictures."""
