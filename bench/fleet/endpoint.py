"""A token endpoint with a capacity, as a fleet sees it: it grants, it is busy, it is away."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.fleet.timeline import Timeline
from proxy.oauth.endpoint import Attempt
from proxy.oauth.response import Failure, Grant

__all__ = ["LATENCY_SECONDS", "SCOPE", "Respond", "Service", "TokenEndpoint", "Window"]

LATENCY_SECONDS: Final = 0.05
"""What every call takes, be it refused, beside its wait in the queue."""
SCOPE: Final = "signicat-api"
_LONGEST_QUEUE_SECONDS: Final = 2.0  # whoever would wait longer is turned away at once
_DOWN: Final = Attempt(Failure("connect_failed"))
_BUSY: Final = Attempt(Failure("http_5xx"))

Respond = Callable[[Attempt], None]
"""Gets what one call brought."""


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the simulation, in seconds; `end` is no part of it."""

    begin: float
    end: float

    def holds(self, moment: float) -> bool:
        """Say whether a moment lies in it."""
        return self.begin <= moment < self.end


@dataclass(frozen=True, slots=True)
class Service:
    """What the endpoint can do, and when it cannot.

    `capacity`: calls a second. `down`: nobody listens. `closed`: every call gets 429, and a
    `Retry-After` that names the end of the window. `retry_after_seconds`: what a call too many
    gets with its 429; None: it gets 503 without any.
    """

    capacity: float
    lifetime_seconds: float
    down: Window | None = None
    closed: Window | None = None
    retry_after_seconds: float | None = None


class TokenEndpoint:
    """Handles calls one after the other; counts those that come and those that get a token.

    To turn a call away costs it nothing. A real one pays for each connection and each TLS
    handshake, so this one is kinder to the impatient than any that there is.
    """

    def __init__(self, timeline: Timeline, service: Service, seconds: float) -> None:
        self._timeline = timeline
        self._service = service
        self._free_at = 0.0  # when the last call that was let in is done
        self._granted = Attempt(Grant("a-token", service.lifetime_seconds, SCOPE))
        last = math.ceil(seconds) + 1
        self._calls = [0] * last
        self._grants = [0] * last

    @property
    def calls(self) -> Sequence[int]:
        """How many came in each second."""
        return self._calls

    @property
    def grants(self) -> Sequence[int]:
        """How many of those got a token."""
        return self._grants

    def call(self, respond: Respond) -> None:
        """Take a call now, and respond when it is done."""
        now = self._timeline.now
        self._calls[int(now)] += 1
        result = self._refusal(now)
        done = now
        if result is None:
            result = self._granted
            self._grants[int(now)] += 1
            self._free_at = done = max(self._free_at, now) + 1 / self._service.capacity
        self._timeline.at(done + LATENCY_SECONDS, partial(respond, result))

    def _refusal(self, now: float) -> Attempt | None:
        service = self._service
        if service.down is not None and service.down.holds(now):
            return _DOWN
        if service.closed is not None and service.closed.holds(now):
            return _told_to_wait(math.ceil(service.closed.end - now))  # whole seconds (RFC 9110)
        if self._free_at - now <= _LONGEST_QUEUE_SECONDS:
            return None
        wait = service.retry_after_seconds
        return _BUSY if wait is None else _told_to_wait(wait)


def _told_to_wait(seconds: float) -> Attempt:
    return Attempt(Failure("http_429", retry_after_seconds=seconds))
