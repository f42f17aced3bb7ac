"""One sidecar: the product's own `TokenRefresher`, driven by hand through virtual time.

Its coroutine stops at two places: while it waits for the token endpoint, and while it sleeps. What
it awaits there says how it is to go on; no event loop is needed, and no line of the refresher, the
cache, the back-off or the schedule is written a second time.
"""

import asyncio
import logging
import math
import types
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, cast

import structlog
from structlog.typing import FilteringBoundLogger

from bench.fleet.endpoint import SCOPE, TokenEndpoint
from bench.fleet.readiness import Readiness
from bench.fleet.timeline import Timeline
from proxy.clock import Clock
from proxy.oauth.backoff import Backoff
from proxy.oauth.cache import TokenCache
from proxy.oauth.credential import Credential
from proxy.oauth.demand import Demand
from proxy.oauth.endpoint import Attempt
from proxy.oauth.refresher import TokenRefresher
from proxy.oauth.response import Grant, Outcome
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.secret import SecretSource

__all__ = ["SecretFile", "Sidecar", "World"]

_TOKEN_WAIT_SECONDS: Final = 5.0  # nobody waits here: there are no requests
_SILENT: Final[FilteringBoundLogger] = structlog.wrap_logger(
    None, wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL)
)

Resume = Callable[[Attempt | None], None]
_Step = Callable[[Resume], None]
"""What a coroutine waits for: it is told whom to call then."""


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A secret file, and when its content changes: nobody is told."""

    path: Path
    changes_at: float

    def write(self, secret: str) -> None:
        """Put a secret into the file."""
        self.path.write_text(secret, "utf-8")


@dataclass(frozen=True, slots=True)
class World:
    """What all sidecars share; `secrets` has a file for each of them, or none at all."""

    timeline: Timeline
    endpoint: TokenEndpoint
    readiness: Readiness
    draw: Callable[[], float]
    secrets: Sequence[SecretFile] = ()


@types.coroutine
def _until(step: _Step) -> Generator[_Step, Attempt | None, Attempt | None]:
    return (yield step)


class Sidecar:
    """A process that runs the real refresher; `start` and `stop` are its container's."""

    def __init__(self, world: World, number: int) -> None:
        self.scope = SCOPE
        self._world = world
        self._number = number
        self._clock = Clock(lambda: world.timeline.now, lambda: world.timeline.now)
        self._secret = world.secrets[number] if world.secrets else None
        self._running: Coroutine[_Step, Attempt | None, None] | None = None

    def start(self) -> None:
        """Start a process: it knows nothing of the one before."""
        world = self._world
        self._backoff, demand = Backoff(), Demand(self._sleep)
        self._cache = TokenCache(
            "main",
            backoff=self._backoff,
            demand=demand,
            clock=self._clock,
            log=_SILENT,
            wait_seconds=_TOKEN_WAIT_SECONDS,
        )
        refresher = TokenRefresher(
            self._cache,
            backoff=self._backoff,
            demand=demand,
            endpoint=self,
            secrets=SecretRotation(self._source()),
            clock=self._clock,
            draw=world.draw,
            metrics=self,
            log=_SILENT,
        )
        world.readiness.started(self._number, world.timeline.now)
        # What `run` awaits is only ever made by `_until`.
        self._running = cast("Coroutine[_Step, Attempt | None, None]", refresher.run())
        self._go_on(self._running, None)

    def stop(self) -> None:
        """Kill the process; whatever it waits for comes to nobody."""
        self._world.readiness.stopped(self._number, self._world.timeline.now)
        if self._running is not None:
            self._running.close()
        self._running = None

    def _go_on(
        self, running: Coroutine[_Step, Attempt | None, None], result: Attempt | None
    ) -> None:
        if running is not self._running:
            return
        step = running.send(result)
        token = self._cache.token
        if result is not None and isinstance(result.result, Grant) and token is not None:
            now = self._world.timeline.now
            self._world.readiness.granted(self._number, now, token.hard.monotonic)
        step(partial(self._go_on, running))

    # --- what the refresher awaits ---

    async def request(self, secret: Credential) -> Attempt:
        """Make one call, as `TokenEndpoint` of the product does."""
        del secret  # each is valid
        result = await _until(self._call)
        assert result is not None
        return result

    def _call(self, resume: Resume) -> None:
        self._world.endpoint.call(resume)

    async def _sleep(self, event: asyncio.Event, seconds: float) -> None:
        del event  # nobody sets it: there are no requests and no signals
        await _until(partial(self._wake_after, seconds))

    def _wake_after(self, seconds: float, resume: Resume) -> None:
        """Wake the refresher, but not for a look at clocks and files that have not changed."""
        timeline = self._world.timeline
        due = self._backoff.seconds_left(self._clock.now())
        assert due is not None  # tokens that live as briefly as that would need traffic
        until = min(due, self._seconds_to_change())
        if seconds < until:
            seconds = min(due, math.ceil(until / seconds) * seconds)
        timeline.at(timeline.now + seconds, partial(resume, None))

    def _seconds_to_change(self) -> float:
        if self._secret is None:
            return math.inf
        left = self._secret.changes_at - self._world.timeline.now
        return left if left > 0 else math.inf

    def _source(self) -> SecretSource:
        if self._secret is None:
            return SecretSource(value="the only secret")
        return SecretSource(path=self._secret.path)

    # --- what it tells ---

    def token_request(self, client: str, outcome: Outcome, seconds: float) -> None:
        """Count nothing: the endpoint does."""

    def secret_fallback(self, client: str) -> None:
        """Count nothing."""
