"""What all exchanges of the process share: the parts, the limits and the gate."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Final

from structlog.typing import FilteringBoundLogger

from proxy.books import Books
from proxy.errors import NO_ROUTE, ProxyError
from proxy.heads import UpstreamNames
from proxy.metrics import Metrics
from proxy.policy import Policy
from proxy.pool import Pool
from proxy.request import Request
from proxy.roles import OpenConnection
from proxy.routing import Route, Router
from proxy.token_cache import TokenCache
from proxy.wire import RequestHeadParser

__all__ = ["Engine", "Limits"]

_LINGER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one connection and one exchange: seconds, bytes, connections."""

    head_timeout_seconds: float
    caller_idle_seconds: float
    connect_timeout_seconds: float
    read_timeout_seconds: float
    max_replay_bytes: int
    max_callers: int


@dataclass(slots=True)
class Engine:
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
    books: Books
    loop: asyncio.AbstractEventLoop
    monotonic: Callable[[], float]
    spawn: Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]
    log: FilteringBoundLogger
    is_draining: bool = False
    callers: set[OpenConnection] = field(default_factory=set)
    all_gone: asyncio.Event = field(default_factory=asyncio.Event)

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

    def leave_by(self, *, has_unsent: bool) -> float:
        """Return until when a connection may last whose last answer is given.

        For the end of an answer its caller has the time of any other part of it.
        """
        limit = self.limits.read_timeout_seconds if has_unsent else _LINGER_SECONDS
        return self.monotonic() + limit

    def in_flight(self) -> int:
        """Count the requests that are running."""
        return sum(caller.is_running for caller in self.callers)

    def sweep(self) -> None:
        """Enforce every deadline that has passed; called about twice a second."""
        now = self.monotonic()
        for caller in [caller for caller in self.callers if caller.deadline <= now]:
            caller.deadline_passed()
        self.pool.expire(now)
