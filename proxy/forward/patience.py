"""How long a caller's connection waits, and for what: one owner of its deadline (G6, G9, G12).

A deadline is set with what it waits for, and that alone decides what its passing means. Where
bytes are owed, it is moved on as long as they flow: what counts is how many bytes the peer
has sent or taken, not what the event loop happens to report.
"""

import math
from collections.abc import Callable
from typing import Final

__all__ = [
    "BODY",
    "CLOSING",
    "CONNECTION",
    "FLOW_BYTES_PER_SECOND",
    "FLOW_SECONDS",
    "HEAD",
    "IDLE",
    "READER",
    "RESPONSE",
    "TOKEN",
    "UPLOAD",
    "Patience",
    "Periods",
]

IDLE: Final = 0
"""The next request."""
HEAD: Final = 1
"""The rest of a request's head."""
TOKEN: Final = 2
"""A token; its own time limit is the cache's (TOKEN_WAIT_SECONDS)."""
CONNECTION: Final = 3
"""A connection to the upstream."""
RESPONSE: Final = 4
"""The upstream, to say something."""
UPLOAD: Final = 5
"""The upstream, to take more of the body."""
BODY: Final = 6
"""The caller, to send more of the body."""
READER: Final = 7
"""The caller, to take more of what is written to it."""
CLOSING: Final = 8
"""The caller, to take the end and go."""

FLOW_SECONDS: Final = 10.0
FLOW_BYTES_PER_SECOND: Final = 240
"""Whoever owes bytes and brings or takes fewer, over `FLOW_SECONDS`, is late (G9)."""
_LINGER_SECONDS: Final = 5.0
_LONGEST_GOODBYE_SECONDS: Final = 30.0
_SLOW_READER_BYTES_PER_SECOND: Final = 8 * 1024
_MOST_BURSTS: Final = 3
_LAST_IDLE_SECONDS: Final = 1.0


class Periods:
    """How long each wait may last, in seconds, by what is waited for."""

    __slots__ = ("flow_bytes", "idle_seconds", "seconds")

    def __init__(
        self,
        *,
        head_seconds: float,
        idle_seconds: float,
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        flow = min(FLOW_SECONDS, read_seconds)
        self.idle_seconds = idle_seconds
        self.flow_bytes = flow * FLOW_BYTES_PER_SECOND
        self.seconds: Final = (
            min(flow, idle_seconds),
            head_seconds,
            math.inf,
            connect_seconds,
            read_seconds,
            read_seconds,
            flow,
            flow,
            _LINGER_SECONDS,
        )


class Patience:
    """Owns the deadline of one caller's connection, a monotonic instant, and its reason."""

    __slots__ = (
        "_digests_until",
        "_goodbye_until",
        "_idle_until",
        "_monotonic",
        "_periods",
        "_progress",
        "awaited",
        "deadline",
    )

    def __init__(self, periods: Periods, monotonic: Callable[[], float]) -> None:
        self._periods = periods
        self._monotonic = monotonic
        self._progress = 0
        self._digests_until = 0.0
        self._goodbye_until = 0.0
        self._idle_until = 0.0
        self.awaited = IDLE
        self.deadline = 0.0

    def expect(self, awaited: int) -> None:
        """Wait for `awaited` from now on."""
        self.awaited = awaited
        self.deadline = self._monotonic() + self._periods.seconds[awaited]

    def expect_flow(self, awaited: int, progress: int, burst: int = 0) -> None:
        """Wait for bytes from now on; `progress` is how many have flowed so far.

        `burst` is how many of them a reader has taken of what it still has to take.
        """
        now = self._monotonic()
        self._progress = progress
        self.awaited = awaited
        self.deadline = now + self._periods.seconds[awaited]
        self._digests_until = now + self._burst_seconds(burst)

    def expect_goodbye(self, progress: int, *, has_unsent: bool) -> None:
        """Wait for the caller to go; it takes what is still unsent as any other bytes (G9).

        What it still sends is thrown away, and for a while it may go on with that. A reader
        keeps the time that it has for what it took before.
        """
        digests_until = self._digests_until if has_unsent and self.awaited == READER else 0.0
        self.expect_flow(CLOSING, progress)
        self._digests_until = max(self._digests_until, digests_until)
        now = self._monotonic()
        self._goodbye_until = math.inf if has_unsent else now + _LONGEST_GOODBYE_SECONDS
        if has_unsent:
            self.deadline = now + self._periods.seconds[READER]

    def expect_idle(self) -> None:
        """Wait for the next request; a first look comes where unread responses would be late."""
        now = self._monotonic()
        self.awaited = IDLE
        self.deadline = now + self._periods.seconds[IDLE]
        self._idle_until = now + self._periods.idle_seconds

    def may_stay_idle(self) -> bool:
        """Say whether it may go on being idle, up to CALLER_IDLE_SECONDS; then it waits on."""
        if self._monotonic() >= self._idle_until:
            return False
        self.deadline = self._idle_until
        return True

    def has_flowed(self, progress: int, *, is_urgent: bool) -> bool:
        """Say whether enough has flowed since the last look; then the wait goes on.

        A reader takes bytes in bursts, as large as the buffers on its way, and needs time for
        each, which shows nowhere. It has that, up to three times as long as others, unless
        it `is_urgent`: somebody waits for what it holds.
        """
        now = self._monotonic()
        moved = progress - self._progress
        least = 1 if self.awaited == UPLOAD else self._periods.flow_bytes
        is_reader = self.awaited >= READER
        period = self._periods.seconds[READER if is_reader else self.awaited]
        if self.awaited == CLOSING and now >= self._goodbye_until:
            return False
        if moved >= least:
            self._progress = progress
            self._digests_until = now + self._burst_seconds(moved) if is_reader else 0.0
        elif is_urgent or now >= self._digests_until:
            return False
        self.deadline = now + period
        return True

    def _burst_seconds(self, size: int) -> float:
        most = _MOST_BURSTS * self._periods.seconds[READER]
        return min(most, size / _SLOW_READER_BYTES_PER_SECOND)

    def end_soon(self) -> None:
        """Let an idle wait, or one for a handshake, last for a second in all; asked once.

        Who has just connected, or has just read a response, may be about to send a request.
        """
        periods = self._periods
        if self.awaited == IDLE:
            self._idle_until -= max(0.0, periods.idle_seconds - _LAST_IDLE_SECONDS)
            self.deadline = self._idle_until
        elif self.awaited == HEAD:
            self.deadline -= max(0.0, periods.seconds[HEAD] - _LAST_IDLE_SECONDS)
        else:
            self.hasten()

    def hasten(self) -> None:
        """Let the deadline pass at the next look."""
        self._idle_until = self.deadline = 0.0
