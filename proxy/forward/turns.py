"""The time of each turn of the event loop, shared out among those who bring much work (G11).

A loop reads a connection many times before it looks at the next one, and what one read
brings can take longer than everybody else should wait. So whoever has more to do than an
ordinary request asks here before each piece of it, and goes on in a later turn, behind the
others who wait for theirs.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

__all__ = ["Turns"]

_SHARE_SECONDS: Final = 0.005
"""How long such work may take in one turn, all connections together, and one piece more."""


class Turns:
    """Owns the share of the running turn, and the queue of those who wait for a later one."""

    __slots__ = ("_deadline", "_is_counting", "_loop", "_monotonic", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float]) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._deadline = 0.0
        self._is_counting = False
        self._waiting: deque[Callable[[], None]] = deque()

    def has_time(self) -> bool:
        """Say whether one more piece of work may be done in this turn; the first one always."""
        if self._is_counting:
            return not self._waiting and self._monotonic() < self._deadline
        self._count()
        return True

    def later(self, work: Callable[[], None]) -> None:
        """Have `work` called in a later turn, once, in order of arrival."""
        self._waiting.append(work)
        if not self._is_counting:
            self._count()

    def _count(self) -> None:
        self._is_counting = True
        self._deadline = self._monotonic() + _SHARE_SECONDS
        self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        """Begin a new turn with those who wait; who has more to do then queues up again."""
        self._is_counting = False
        waiting, self._waiting = self._waiting, deque()
        if not waiting:
            return
        self._count()
        try:
            while waiting:
                waiting.popleft()()
                if self._monotonic() >= self._deadline:
                    break
        finally:
            waiting.extend(self._waiting)
            self._waiting = waiting
