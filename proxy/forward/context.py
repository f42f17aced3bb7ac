"""What all exchanges of the process share: the parts, the limits and the gate."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from proxy.errors import NO_ROUTE, ProxyError
from proxy.forward.interfaces import OpenConnection
from proxy.forward.memory_budget import MemoryBudget
from proxy.forward.patience import Periods
from proxy.forward.pool import Pool
from proxy.forward.turns import Turns
from proxy.guard.policy import Policy
from proxy.guard.routing import Route, Router
from proxy.http1.parser import RequestHeadParser
from proxy.http1.request import Request
from proxy.http1.serializer import UpstreamNames
from proxy.oauth.cache import TokenCache
from proxy.telemetry.metrics import Metrics
from proxy.telemetry.request_log import RequestLog

__all__ = ["Context", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection and one exchange, and of all together: seconds, bytes, connections.

    `max_ahead_bytes` is for what all callers together have sent ahead (G11).
    """

    head_timeout_seconds: float
    caller_idle_seconds: float
    connect_timeout_seconds: float
    read_timeout_seconds: float
    max_replay_bytes: int
    max_callers: int
    max_ahead_bytes: int

    def periods(self) -> Periods:
        """Return how long each wait of a caller's connection may last."""
        return Periods(
            head_seconds=self.head_timeout_seconds,
            idle_seconds=self.caller_idle_seconds,
            connect_seconds=self.connect_timeout_seconds,
            read_seconds=self.read_timeout_seconds,
        )


@dataclass(slots=True)
class Context:
    """The parts that a request meets on its way, each built and owned by the server.

    `callers` are the open connections; `all_gone` is set while there are none.
    """

    limits: Limits
    parser: RequestHeadParser
    policy: Policy
    router: Router
    tokens: Mapping[str, TokenCache]
    pool: Pool
    names: UpstreamNames
    metrics: Metrics
    request_log: RequestLog
    loop: asyncio.AbstractEventLoop
    monotonic: Callable[[], float]
    spawn: Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]
    log: FilteringBoundLogger
    turns: Turns
    periods: Periods = field(init=False)
    budget: MemoryBudget = field(init=False)
    is_draining: bool = False
    callers: set[OpenConnection] = field(default_factory=set)
    all_gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.periods = self.limits.periods()
        self.budget = MemoryBudget(self.limits.max_ahead_bytes)

    # --- the gate ---

    def admit(self, request: Request) -> Route:
        """Return the route of an allowed request; raise `ProxyError` for any other (G2 to G4)."""
        policy = self.policy
        if not request.headers.is_admitted:
            self._admit_headers(request)
        policy.check_path(request.path)
        route = self.router.match(request.path)
        if route is None:
            raise ProxyError(NO_ROUTE, "No [[routes]] entry of the configuration covers this path.")
        policy.check_method(request.method, route)
        return route

    def _admit_headers(self, request: Request) -> None:
        """Check what does not depend on the request line: once for headers that are sent again."""
        policy = self.policy
        facts = request.headers.facts
        authority = request.authority
        if request.names_target and authority is not None:
            policy.check_target_authority(authority)
        elif authority is not None:
            policy.check_host(authority)
        origin = facts.get(b"origin")
        fetch_site = facts.get(b"sec-fetch-site")
        if origin is not None or fetch_site is not None:
            policy.check_browser(origin, fetch_site)
        request.headers.is_admitted = True

    # --- callers ---

    def caller_gone(self, caller: OpenConnection) -> None:
        """Forget a closed connection."""
        self.callers.discard(caller)
        if not self.callers:
            self.all_gone.set()

    def in_flight(self) -> int:
        """Count the requests that are running."""
        return sum(caller.is_running for caller in self.callers)

    def sweep(self) -> None:
        """Enforce every deadline that has passed; called about twice a second."""
        now = self.monotonic()
        for caller in [each for each in self.callers if each.patience.deadline <= now]:
            caller.deadline_passed()
        for caller in [each for each in self.callers if each.is_reading_paused]:
            caller.look_for()
        self.pool.expire(now)
