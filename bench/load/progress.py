"""How far the bench is, and how long the rest will take."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence

from bench.load.scenarios import Scenario
from bench.peers.peer import Peer

__all__ = ["WARM_UP_SECONDS", "Progress", "expected_seconds", "round_seconds"]

WARM_UP_SECONDS = 1
# What one sample takes beside its load, and all of one that has no length.
BESIDE = {"load": 0.3, "log": 0.3, "growth": 0.5, "idle": 1.5, "roll": 2.0, "clients": 2.0}
WHOLE = {"transfer": 0.5, "memory": 1.5, "start": 1.0}


def expected_seconds(
    scenario: Scenario, peers: Sequence[Peer], *, rounds: int, seconds: int
) -> float:
    """Return about how long a scenario takes with all its peers, where the machine is calm."""
    warm_up = WARM_UP_SECONDS + BESIDE.get(scenario.effort, 0.0) if scenario.has_warm_up else 0.0
    one_round = round_seconds(scenario, peers, seconds=seconds)
    return rounds * one_round + _taking_part(scenario, peers) * warm_up


def round_seconds(scenario: Scenario, peers: Sequence[Peer], *, seconds: int) -> float:
    """Return about how long one round takes with all its peers."""
    kind = scenario.effort
    length = max(seconds, scenario.least_seconds)
    sample = WHOLE[kind] if kind in WHOLE else length + BESIDE[kind]
    return _taking_part(scenario, peers) * sample


def _taking_part(scenario: Scenario, peers: Sequence[Peer]) -> int:
    return sum(scenario.concerns(peer.name) for peer in peers)


class Progress:
    """Compares the time that has gone with what was expected, and says so on standard error."""

    def __init__(
        self, expected: Iterable[float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._whole = sum(expected)
        self._done = 0.0
        self._clock = clock
        self._began = clock()

    def say(self, text: str) -> None:
        """Print one line behind how much is done."""
        share = self._done / self._whole if self._whole else 1.0
        line = f"[{share:4.0%}, {self._left() / 60:.0f} min left] {text}"
        print(line, file=sys.stderr, flush=True)

    def more(self, expected: float) -> None:
        """Expect so many seconds more."""
        self._whole += expected

    def done(self, expected: float) -> None:
        """Count a part as done."""
        self._done += expected

    def _left(self) -> float:
        """Return the seconds to come, at the pace so far; as expected before there is one."""
        spent = self._clock() - self._began
        pace = spent / self._done if self._done else 1.0
        return max(0.0, (self._whole - self._done) * pace)
