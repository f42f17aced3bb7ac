"""A clock that tests set, and a token refresher that lives by it."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from proxy.clock import Clock
from proxy.oauth.backoff import Backoff
from proxy.oauth.cache import TokenCache
from proxy.oauth.credential import Credential
from proxy.oauth.demand import Demand
from proxy.oauth.endpoint import Attempt
from proxy.oauth.refresher import TokenRefresher
from proxy.oauth.response import Failure, Grant
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.secret import SecretSource

__all__ = ["FakeClock", "RecordingLog", "RefresherRig", "ScriptedEndpoint", "settle"]

_ROUNDS: Final = 25  # more than any chain of wake-ups between two waits has


async def settle() -> None:
    """Let every task run until it waits for the clock or for the test; no time passes."""
    for _ in range(_ROUNDS):
        await asyncio.sleep(0)


class FakeClock:
    """Both clocks, and timers that only `advance` moves.

    `sleep` is for `Demand`; `slept` holds the seconds that were
    wanted. A jump of one clock alone releases no sleeper, which is how a
    machine behaves that was suspended or whose time was set.
    """

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = 1_700_000_000.0
        self.clock = Clock(lambda: self.monotonic, lambda: self.wall)
        self.slept: list[float] = []
        self._elapsed = 0.0
        self._sleepers: dict[asyncio.Timeout, float] = {}

    async def sleep(self, event: asyncio.Event, seconds: float) -> None:
        """Wait for `event`, or until the clock was advanced by `seconds`."""
        self.slept.append(seconds)
        timer = asyncio.timeout(None)
        with contextlib.suppress(TimeoutError):
            async with timer:
                self._sleepers[timer] = self._elapsed + seconds
                try:
                    await event.wait()
                finally:
                    del self._sleepers[timer]

    def jump(self, *, monotonic: float = 0.0, wall: float = 0.0) -> None:
        """Set the clocks forward or back without anybody noticing."""
        self.monotonic += monotonic
        self.wall += wall

    async def advance(self, seconds: float) -> None:
        """Let time pass; every sleeper wakes at its own moment, in order."""
        await settle()
        end = self._elapsed + seconds
        while due := [timer for timer, at in self._sleepers.items() if at <= end]:
            first = min(due, key=self._sleepers.__getitem__)
            self._move_to(self._sleepers[first])
            first.reschedule(0.0)
            await settle()
        self._move_to(end)

    def _move_to(self, elapsed: float) -> None:
        step = max(0.0, elapsed - self._elapsed)
        self._elapsed += step
        self.jump(monotonic=step, wall=step)


class RecordingLog:
    """Keeps events instead of writing them; `log` is what the product gets."""

    def __init__(self) -> None:
        self.events: list[EventDict] = []
        self.log: FilteringBoundLogger = structlog.wrap_logger(
            None,
            processors=[structlog.processors.add_log_level, self._keep],
            wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        )

    def _keep(self, _: object, __: str, event: EventDict) -> EventDict:
        self.events.append(dict(event))
        raise structlog.DropEvent

    def named(self, name: str) -> list[EventDict]:
        """Return the events with that name."""
        return [event for event in self.events if event["event"] == name]


class ScriptedEndpoint:
    """Grants `s3cr3t-token-1`, `s3cr3t-token-2` and so on, to known secrets only.

    `failure` is the result while it is set; `gate` holds results back while
    it is cleared. `asked` holds the secret and the monotonic time of each call.
    """

    def __init__(self, fake: FakeClock, lifetime: float) -> None:
        self.scope = "signicat-api"
        self.lifetime = lifetime
        self.granted_scope: str | None = None
        self.failure: Failure | None = None
        self.refused: set[str] = set()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked: list[tuple[Credential, float]] = []
        self.grants = 0
        self._fake = fake

    async def request(self, secret: Credential) -> Attempt:
        """Answer one call."""
        self.asked.append((secret, self._fake.monotonic))
        await self.gate.wait()
        if secret in self.refused:
            return Attempt(Failure("invalid_client", is_permanent=True))
        if self.failure is not None:
            return Attempt(self.failure, "trace-1")
        self.grants += 1
        token = f"s3cr3t-token-{self.grants}"
        return Attempt(Grant(token, self.lifetime, self.granted_scope))


class RefresherRig:
    """A refresher with its cache, clock, endpoint, log and counts (`counted`)."""

    def __init__(
        self,
        *,
        lifetime: float = 600,
        secret_file: Path | None = None,
        previous_file: Path | None = None,
        wait_seconds: float = 60,
    ) -> None:
        self.fake = FakeClock()
        self.endpoint = ScriptedEndpoint(self.fake, lifetime)
        self.recorded = RecordingLog()
        self.counted: Counter[str] = Counter()
        self.draw = 0.5
        value = "s3cr3t-1" if secret_file is None else None
        previous = None if previous_file is None else SecretSource(path=previous_file)
        self.secrets = SecretRotation(SecretSource(value=value, path=secret_file), previous)
        self.backoff = Backoff()
        self.demand = Demand(self.fake.sleep)
        self.cache = TokenCache(
            "main",
            backoff=self.backoff,
            demand=self.demand,
            clock=self.fake.clock,
            log=self.recorded.log,
            wait_seconds=wait_seconds,
        )
        self.refresher = TokenRefresher(
            self.cache,
            backoff=self.backoff,
            demand=self.demand,
            endpoint=self.endpoint,
            secrets=self.secrets,
            clock=self.fake.clock,
            draw=lambda: self.draw,
            metrics=self,
            log=self.recorded.log,
        )

    def token_request(self, client: str, outcome: str, seconds: float) -> None:
        """Count one call."""
        assert (client, seconds >= 0) == ("main", True)
        self.counted[outcome] += 1

    def secret_fallback(self, client: str) -> None:
        """Count one return to the last good secret."""
        self.counted[f"fallback of {client}"] += 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the refresher; its first attempt is over, unless the gate holds it back."""
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(self.refresher.run())
            await settle()
            yield
            assert not task.done()
            task.cancel()

    @property
    def calls(self) -> int:
        """How often the endpoint was asked."""
        return len(self.endpoint.asked)

    def value(self) -> str | None:
        """Return the token that may be sent now, as every request does."""
        token = self.cache.current()
        return None if token is None else token.value

    def shown(self) -> str:
        """Return all that objects and events show of themselves."""
        parts: list[Any] = [self.cache, self.refresher, self.secrets, self.cache.token]
        return repr([*parts, self.refresher.snapshot(), self.recorded.events])
