"""Virtual time: what is due happens in order, and nothing waits."""

import heapq
import math
from collections.abc import Callable

__all__ = ["Timeline"]


class Timeline:
    """The one clock of a simulation, in seconds since its start.

    What is due at the same moment happens in the order in which it was asked for, so that a run
    depends on its seed and on nothing else.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, moment: float, do: Callable[[], None]) -> None:
        """Call `do` at that moment; at once if it is over."""
        self._asked += 1
        heapq.heappush(self._due, (max(moment, self.now), self._asked, do))

    def run(self, until: float = math.inf) -> None:
        """Let time pass to `until`; what is due at that moment does not happen any more."""
        due = self._due
        while due and due[0][0] < until:
            self.now, _, do = heapq.heappop(due)
            do()
        if until < math.inf:
            self.now = until
