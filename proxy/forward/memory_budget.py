"""What callers cost in memory, bounded for the process and not only for each (G11).

Counted are the bytes that they have sent ahead. What TLS keeps for a connection shows nowhere,
so there the connections are bounded.
"""

from pathlib import Path
from typing import Final

__all__ = ["Ahead", "MemoryBudget", "budget_bytes", "most_tls_callers"]

_CGROUP: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = ("memory.max", "memory/memory.limit_in_bytes")  # version 2, version 1
_SHARE: Final = 4
_MOST: Final = 64 * 1024 * 1024
_BODIES: Final = 4
_TLS_BYTES: Final = 48 * 1024  # measured: 43 KiB in the middle of a handshake, fewer later
_MODEST_BYTES: Final = 4 * 1024  # who keeps no more than this is not to blame


def _container_limit(root: Path) -> int | None:
    """Return the memory limit of the container in bytes, None where there is none."""
    for name in _LIMITS:
        try:
            return int((root / name).read_text(encoding="ascii"))
        except (OSError, ValueError):  # not there; `max`
            continue
    return None


def budget_bytes(max_replay_bytes: int, root: Path = _CGROUP) -> int:
    """Return how many bytes all callers together may have sent ahead.

    A quarter of the container's memory, 64 MiB at most; and always enough for
    four bodies of `max_replay_bytes` (MAX_REPLAY_BYTES).
    """
    limit = _container_limit(root)
    share = _MOST if limit is None else min(_MOST, limit // _SHARE)
    return max(share, _BODIES * max_replay_bytes)


def most_tls_callers(most: int, root: Path = _CGROUP) -> int:
    """Return how many of at most `most` callers may have TLS: a quarter of the container's memory.

    All of them where there is no limit.
    """
    limit = _container_limit(root)
    return most if limit is None else max(1, min(most, limit // _SHARE // _TLS_BYTES))


class MemoryBudget:
    """Counts the bytes that callers have sent and that nobody has taken yet."""

    __slots__ = ("_limit", "held")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def change(self, amount: int) -> bool:
        """Count `amount` bytes more, or fewer; say whether all is still within the budget."""
        self.held += amount
        return amount <= 0 or self.held <= self._limit


class Ahead:
    """What one caller has sent ahead, as it counts in the budget of all."""

    __slots__ = ("_budget", "bytes")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self.bytes = 0

    def count(self, size: int) -> bool:
        """Note that it is `size` bytes now; say whether that is within the budget."""
        more, self.bytes = size - self.bytes, size
        return not more or self._budget.change(more) or size <= _MODEST_BYTES
