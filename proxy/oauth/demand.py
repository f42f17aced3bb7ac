"""Who asks for a new token before its time: requests (T2, T4) and operators (T6).

Compiled: a request past the soft point of a short-lived token says so here.
"""

import asyncio
from collections.abc import Awaitable, Callable

__all__ = ["Demand", "Sleep"]

Sleep = Callable[[asyncio.Event, float], Awaitable[None]]
"""Waits for an event, at most so many seconds."""


async def _sleep_on_loop(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return


class Demand:
    """What one client's refresher waits for while no attempt is due.

    `is_wanted`: since the last attempt ended, a request has needed a token that there is not, or
    soon will not be. `is_ordered`: since the last attempt began, an operator has asked for a new
    token. `sleep` is an argument so that tests can hold it.
    """

    def __init__(self, sleep: Sleep = _sleep_on_loop) -> None:
        self.is_wanted = False
        self.is_ordered = False
        self._is_attempting = False
        self._wake = asyncio.Event()
        self._sleep = sleep

    def want(self) -> None:
        """Ask for a token on behalf of a request; it may have to wait for the back-off (T5)."""
        if not self.is_wanted:
            self.is_wanted = True
            self._wake.set()

    def order(self) -> None:
        """Ask for a new token at once, whatever the schedule says."""
        self.is_ordered = True
        self._wake.set()

    def begin_attempt(self) -> None:
        """Take the orders: one that comes during the attempt is for another."""
        self.is_ordered = False
        self._is_attempting = True

    def end_attempt(self) -> None:
        """Drop the wishes: whoever had one was told how the attempt ended (T4)."""
        self.is_wanted = False
        self._is_attempting = False

    @property
    def is_open(self) -> bool:
        """Whether an operator's order, or an attempt, is still under way."""
        return self.is_ordered or self._is_attempting

    async def wait(self, seconds: float) -> None:
        """Return as soon as anybody asks from now on, or after so many seconds."""
        self._wake.clear()
        await self._sleep(self._wake, seconds)
