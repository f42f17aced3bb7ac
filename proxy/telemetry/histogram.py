"""A histogram that costs a request one search and one addition."""

from typing import Final

__all__ = ["BOUNDS", "Exemplar", "Histogram"]

# From what the proxy adds by itself, about a millisecond, to READ_TIMEOUT_SECONDS.
BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
"""Upper bounds of the buckets, in seconds; what is longer goes into one more."""
_LIMITS: Final = [float(bound) for bound in BOUNDS]


def _bucket(seconds: float) -> int:
    """Return the index of the bucket; compiled, a walk costs less than the library's search."""
    index = 0
    for limit in _LIMITS:
        if seconds <= limit:
            break
        index += 1
    return index


class Exemplar:
    """One value of a bucket, in seconds, with its trace's id in hex; `wall` is Unix time."""

    __slots__ = ("seconds", "trace_id", "wall")

    def __init__(self, seconds: float, trace_id: bytes, wall: float) -> None:
        self.seconds = seconds
        self.trace_id = trace_id
        self.wall = wall


class Histogram:
    """Counts seconds in fixed buckets; one addition and one search per value.

    Each bucket keeps the last value that was traced, so what is kept does not grow.
    """

    __slots__ = ("_counts", "_exemplars", "_sum")

    def __init__(self) -> None:
        buckets = len(BOUNDS) + 1
        self._counts = [0] * buckets
        self._exemplars: list[Exemplar | None] = [None] * buckets
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one value."""
        self._counts[_bucket(seconds)] += 1
        self._sum += seconds

    def traced(self, seconds: float, trace_id: bytes, wall: float) -> None:
        """Keep a value that was counted as its bucket's exemplar (O5)."""
        self._exemplars[_bucket(seconds)] = Exemplar(seconds, trace_id, wall)

    def exemplars(self) -> tuple[Exemplar | None, ...]:
        """Return that of each bucket, None where no value was traced."""
        return tuple(self._exemplars)

    def samples(self) -> tuple[list[tuple[str, float]], float]:
        """Return cumulative buckets and the sum, as the exposition format wants them."""
        buckets, total = [], 0
        names = [*(str(float(bound)) for bound in BOUNDS), "+Inf"]
        for bound, amount in zip(names, self._counts, strict=True):
            total += amount
            buckets.append((bound, float(total)))
        return buckets, self._sum

    def counts(self) -> tuple[int, ...]:
        """Return how many values lie in each bucket, those beyond the last bound at the end."""
        return tuple(self._counts)
