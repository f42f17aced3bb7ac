"""What a run comes to: calls a second, time without a token, time until all have one again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil

from bench.fleet.simulation import Run

__all__ = ["Figures", "at_most", "figures", "without_token"]


@dataclass(frozen=True, slots=True)
class Figures:
    """One run in figures; of a span of time, all but `…ready_seconds` are of what is told.

    Calls a second are counted in whole seconds. `longest_without_seconds` is the longest gap of
    any sidecar; `p99_…`: 99 % have none that is longer. `ready_seconds` counts from the end of the
    cause until each sidecar has had a token since; `p99_…`: until 99 % have.
    """

    calls: int
    grants: int
    peak: int
    mean: float
    median: float
    p99: float
    longest_without_seconds: float
    p99_without_seconds: float
    ready_seconds: float
    p99_ready_seconds: float

    @property
    def refused(self) -> float:
        """The share of the calls that got no token."""
        return 1 - self.grants / self.calls if self.calls else 0.0


def figures(run: Run) -> Figures:
    """Return what the run comes to."""
    first, end = int(run.scenario.since), ceil(run.scenario.end)
    calls, grants = run.calls[first:end], run.grants[first:end]
    longest = [0.0] * run.size
    for gap in run.gaps:
        seconds = gap.end - max(gap.begin, run.scenario.since)
        longest[gap.sidecar] = max(longest[gap.sidecar], seconds)
    ready = [0.0] * run.size
    for sidecar, seconds in _waits(run):
        ready[sidecar] = seconds
    return Figures(
        calls=sum(calls),
        grants=sum(grants),
        peak=max(calls),
        mean=sum(calls) / len(calls),
        median=at_most(0.5, calls),
        p99=at_most(0.99, calls),
        longest_without_seconds=max(longest),
        p99_without_seconds=at_most(0.99, longest),
        ready_seconds=max(ready),
        p99_ready_seconds=at_most(0.99, ready),
    )


def _waits(run: Run) -> Iterator[tuple[int, float]]:
    """Yield who was without a token when the cause was over, and how long still."""
    over_at = run.scenario.over_at
    for gap in run.gaps:
        if gap.begin <= over_at < gap.end:
            yield gap.sidecar, gap.end - over_at


def at_most(share: float, values: Sequence[float]) -> float:
    """Return the least of the values that at least that share of them does not exceed."""
    return sorted(values)[ceil(share * len(values)) - 1]


def without_token(run: Run) -> list[int]:
    """Return how many are without a token at the end of each second, from the first one on."""
    changes = [0] * (ceil(run.scenario.end) + 2)
    for gap in run.gaps:
        changes[ceil(gap.begin)] += 1
        changes[ceil(gap.end)] -= 1
    return list(accumulate(changes))[1:-1]
