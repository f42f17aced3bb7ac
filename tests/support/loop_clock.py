"""The time of a proxy that shares its process with its peers: the test's loop must live it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Final

from proxy.clock import Clock

__all__ = ["LoopClock"]

_MOST_SECONDS: Final = 0.1
_LOOKS_SECONDS: Final = 0.05


class LoopClock:
    """Both clocks, of which a test may put forward what it does not want to wait for.

    Where the machine stops this process, the proxy and all its peers stop: whoever looks first
    when it goes on would find the others late before they had a turn to say anything. So the
    monotonic time of a stop is `_MOST_SECONDS`; otherwise it goes as the system's does.
    """

    def __init__(self) -> None:
        self.clock = Clock(self._read, lambda: time.time() + self._ahead)
        self._seen = self._monotonic = time.monotonic()
        self._ahead = 0.0

    def put_forward(self, seconds: float) -> None:
        """Let time have passed."""
        self._monotonic += seconds
        self._ahead += seconds

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look at the system's clock all the time, so that what passes unseen is a stop."""
        loop = asyncio.get_running_loop()
        next_look: asyncio.TimerHandle

        def look() -> None:
            nonlocal next_look
            self._read()
            next_look = loop.call_later(_LOOKS_SECONDS, look)

        next_look = loop.call_later(_LOOKS_SECONDS, look)
        try:
            yield
        finally:
            next_look.cancel()

    def _read(self) -> float:
        now = time.monotonic()
        self._monotonic += min(now - self._seen, _MOST_SECONDS)
        self._seen = now
        return self._monotonic
