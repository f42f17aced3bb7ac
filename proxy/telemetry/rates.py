"""Rates and latency of the last minute, from the counters that there are anyway (A).

A request does nothing for it: every few seconds the counters are noted. The
rates are the difference between now and the oldest note that is kept.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from proxy.telemetry.counters import Counters, RouteCounters
from proxy.telemetry.histogram import BOUNDS

__all__ = ["Rates", "Traffic", "quantile"]

_SPACING_SECONDS: Final = 5.0
_NOTES: Final = 13  # 12 spaces between them: the oldest is a minute old
_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class _Totals:
    """What has been counted so far: requests, 4xx and 5xx responses, 5xx, durations by bucket."""

    requests: int = 0
    unsuccessful: int = 0
    errors: int = 0
    durations: tuple[int, ...] = (0,) * (len(BOUNDS) + 1)

    def __add__(self, other: "_Totals") -> "_Totals":
        return _Totals(
            self.requests + other.requests,
            self.unsuccessful + other.unsuccessful,
            self.errors + other.errors,
            tuple(a + b for a, b in zip(self.durations, other.durations, strict=True)),
        )

    def __sub__(self, other: "_Totals") -> "_Totals":
        return _Totals(
            self.requests - other.requests,
            self.unsuccessful - other.unsuccessful,
            self.errors - other.errors,
            tuple(a - b for a, b in zip(self.durations, other.durations, strict=True)),
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """What happened in `seconds`; shares and quantiles are None where there was no request.

    `unsuccessful` are 4xx and 5xx responses, `errors` the 5xx among them.
    """

    seconds: float
    requests: int
    unsuccessful: int
    errors: int
    p50_seconds: float | None
    p95_seconds: float | None

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds > 0 else 0.0

    @property
    def error_share(self) -> float | None:
        """The share of requests that got a 5xx response."""
        return self.errors / self.requests if self.requests else None


def _totals_of(counters: Counters) -> dict[str, _Totals]:
    """Sum what is counted by route, method, status code and caller to one row for each client."""
    found: dict[str, _Totals] = {}
    for counted in counters.routes.values():
        found[counted.client] = found.get(counted.client, _Totals()) + _totals_of_route(counted)
    return found


def _totals_of_route(counted: RouteCounters) -> _Totals:
    ended = unsuccessful = errors = 0
    for (_, code, _), amount in counted.requests.items():
        ended += amount
        if code >= _FIRST_ERROR:
            unsuccessful += amount
        if code >= _FIRST_SERVER_ERROR:
            errors += amount
    return _Totals(ended, unsuccessful, errors, counted.request_seconds.counts())


def _sum_of(totals: Mapping[str, _Totals]) -> _Totals:
    """Return the sum of all rows."""
    return sum(totals.values(), start=_Totals())


def quantile(share: float, counts: tuple[int, ...]) -> float | None:
    """Estimate a quantile; what lies beyond the last bound counts as that bound."""
    rank = share * sum(counts)
    if not rank:
        return None
    lower, below = 0.0, 0
    for upper, amount in zip(BOUNDS, counts, strict=False):
        if below + amount >= rank:
            return lower + (upper - lower) * (rank - below) / amount
        lower, below = upper, below + amount
    return lower


def _rates(seconds: float, spell: _Totals) -> Rates:
    return Rates(
        seconds=seconds,
        requests=spell.requests,
        unsuccessful=spell.unsuccessful,
        errors=spell.errors,
        p50_seconds=quantile(0.50, spell.durations),
        p95_seconds=quantile(0.95, spell.durations),
    )


class Traffic:
    """Owns the notes of the last minute, a row for each client."""

    def __init__(self, counters: Counters, monotonic: Callable[[], float]) -> None:
        self._counters = counters
        self._monotonic = monotonic
        self._notes: deque[tuple[float, Mapping[str, _Totals]]] = deque(maxlen=_NOTES)
        self.note()

    async def run(self) -> None:
        """Note for ever; ends by cancellation only."""
        while True:
            await asyncio.sleep(_SPACING_SECONDS)
            self.note()

    def note(self) -> None:
        """Keep what has been counted so far, and forget what is older than a minute."""
        self._notes.append((self._monotonic(), _totals_of(self._counters)))

    def rates(self) -> dict[str, Rates]:
        """Return those of the last minute, or since the start if that is later, by client."""
        began, before = self._notes[0]
        seconds = self._monotonic() - began
        return {
            client: _rates(seconds, now - before[client])
            for client, now in _totals_of(self._counters).items()
        }

    def total(self) -> Rates:
        """Return the same for all clients together."""
        began, before = self._notes[0]
        spell = _sum_of(_totals_of(self._counters)) - _sum_of(before)
        return _rates(self._monotonic() - began, spell)
