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
    """Owns the share of the running turn, and the queues of those who wait for a later one.

    Who waits for the first time comes before those who have had a turn, so that an ordinary
    request is not behind many floods.
    """

    __slots__ = ("_again", "_deadline", "_first", "_is_counting", "_loop", "_monotonic")

    def __init__(self, loop: asyncio.AbstractEventLoop, monotonic: Callable[[], float]) -> None:
        self._loop = loop
        self._monotonic = monotonic
        self._deadline = 0.0
        self._is_counting = False
        self._first: deque[Callable[[], None]] = deque()
        self._again: deque[Callable[[], None]] = deque()

    def has_time(self) -> bool:
        """Say whether one more piece of work may be done in this turn."""
        if self._first:
            return False
        if self._is_counting:
            return self._monotonic() < self._deadline
        self._count()
        return True

    def later(self, work: Callable[[], None], *, again: bool) -> None:
        """Have `work` called in a later turn, once; `again` says that it has had one before."""
        (self._again if again else self._first).append(work)
        if not self._is_counting:
            self._count()

    def _count(self) -> None:
        self._is_counting = True
        self._deadline = self._monotonic() + _SHARE_SECONDS
        self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        """Begin a new turn with those who wait; who has more to do then queues up again."""
        self._is_counting = False
        if not (self._first or self._again):
            return
        self._count()
        while self._first or self._again:
            (self._first or self._again).popleft()()
            if self._monotonic() >= self._deadline:
                return
