"""What all exchanges of the process share: the parts and the limits, and nothing else."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from proxy.forward.callers import Callers
from proxy.forward.memory_budget import MemoryBudget
from proxy.forward.patience import Periods
from proxy.forward.pool import Pool
from proxy.forward.turns import Turns
from proxy.guard.admission import Admission
from proxy.http1.parser import RequestHeadParser
from proxy.http1.serializer import UpstreamNames
from proxy.oauth.cache import TokenCache
from proxy.telemetry.counters import Counters
from proxy.telemetry.request_log import RequestLog
from proxy.tracing.tracer import Tracer

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
    """The parts that a request meets on its way, each built and owned by the server."""

    limits: Limits
    parser: RequestHeadParser
    admission: Admission
    tokens: Mapping[str, TokenCache]
    pool: Pool
    names: UpstreamNames
    counters: Counters
    request_log: RequestLog
    loop: asyncio.AbstractEventLoop
    monotonic: Callable[[], float]
    wall: Callable[[], float]
    spawn: Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]
    log: FilteringBoundLogger
    turns: Turns
    tracer: Tracer | None = None
    periods: Periods = field(init=False)
    budget: MemoryBudget = field(init=False)
    callers: Callers = field(init=False)

    def __post_init__(self) -> None:
        self.periods = self.limits.periods()
        self.budget = MemoryBudget(self.limits.max_ahead_bytes)
        self.callers = Callers(self.limits.max_callers)
