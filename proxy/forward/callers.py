"""The open connections of callers: counted, swept, drained (G6, C2)."""

import asyncio

from proxy.forward.interfaces import OpenConnection

__all__ = ["Callers"]


class Callers:
    """Owns the set of open connections, and whether they are being drained.

    `limit` is how many may be open. `all_gone` is set while there are none. `ends_idle`: those
    without a request end soon, and so do those still to come.
    """

    __slots__ = ("_open", "all_gone", "ends_idle", "is_draining", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.is_draining = False
        self.all_gone = asyncio.Event()
        self.all_gone.set()
        self.ends_idle = False
        self._open: set[OpenConnection] = set()

    def add(self, caller: OpenConnection) -> bool:
        """Count a new connection in; False where it is one too many."""
        self._open.add(caller)
        self.all_gone.clear()
        if self.ends_idle:  # it was accepted before the ports were closed, and is told after it
            caller.drain()
        return len(self._open) <= self.limit

    def remove(self, caller: OpenConnection) -> None:
        """Forget a closed connection."""
        self._open.discard(caller)
        if not self._open:
            self.all_gone.set()

    def __len__(self) -> int:
        """Count the open connections."""
        return len(self._open)

    def in_flight(self) -> int:
        """Count the requests that are running."""
        return sum(caller.is_running for caller in self._open)

    def sweep(self, now: float) -> None:
        """Enforce every deadline that has passed at `now`; look for those who have left (F7)."""
        for caller in [each for each in self._open if each.patience.deadline <= now]:
            caller.deadline_passed()
        for caller in [each for each in self._open if each.is_reading_paused]:
            caller.look_for()

    # --- the end (C2), in this order ---

    def begin_drain(self) -> None:
        """Keep no connection open after the request that runs on it."""
        self.is_draining = True

    def end_idle(self) -> None:
        """End the connections without a request, and those still to come, soon."""
        self.ends_idle = True
        for caller in self._open:
            caller.drain()

    def abandon(self) -> None:
        """End the requests that still run, with a word to their callers."""
        for caller in tuple(self._open):
            caller.abandon()

    def abort(self) -> None:
        """End whoever is left at once."""
        for caller in tuple(self._open):
            caller.abort()
