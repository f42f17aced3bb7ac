"""The assertions that a server may still accept: none of them may be logged (G7, T12)."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from proxy.oauth.credential import ASSERTION_SECONDS

__all__ = ["SentAssertions"]

_MOST: Final = ASSERTION_SECONDS
"""One a second for as long as each is valid: more come only where an operator orders them."""


class SentAssertions:
    """Owns the assertions of one client, which has one request under way at a time."""

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self._sent: deque[tuple[float, str]] = deque(maxlen=_MOST)

    def add(self, assertion: str) -> None:
        """Keep one that is about to be sent."""
        self._forget_ended()
        self._sent.append((self._wall() + ASSERTION_SECONDS, assertion))

    def __iter__(self) -> Iterator[str]:
        """Yield those that are valid, and the last one, whose request may still be under way."""
        if len(self._sent) > 1:
            self._forget_ended(left=1)
        for _, assertion in tuple(self._sent):
            yield assertion

    def _forget_ended(self, left: int = 0) -> None:
        now = self._wall()
        while len(self._sent) > left and self._sent[0][0] <= now:
            self._sent.popleft()
