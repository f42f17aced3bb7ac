"""From settings to parts: the one place where objects are wired to each other."""

import asyncio
import contextlib
import random
import resource
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from proxy.admin.app import create_admin_app
from proxy.admin.report import Reporter
from proxy.clock import Clock
from proxy.files import UnusableFileError
from proxy.forward.context import Context, Limits
from proxy.forward.memory_budget import budget_bytes, most_tls_callers
from proxy.forward.pool import Pool
from proxy.forward.turns import Turns
from proxy.http1.parser import RequestHeadParser
from proxy.http1.serializer import UpstreamNames
from proxy.net.dialer import Dialer
from proxy.net.egress import secrets_in
from proxy.net.name_cache import NameCache
from proxy.oauth.backoff import Backoff
from proxy.oauth.cache import TokenCache
from proxy.oauth.demand import Demand
from proxy.oauth.endpoint import TokenEndpoint
from proxy.oauth.refresher import TokenRefresher
from proxy.oauth.token import ClientStatus
from proxy.server.credentials import Credentials, hints_for
from proxy.server.file_watch import FileWatch
from proxy.server.guard import Guard, counted_routes
from proxy.server.outgoing import Outgoing
from proxy.server.tracing import Traces
from proxy.settings.loader import Settings
from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.counters import Counters, OutboundCounters
from proxy.telemetry.exposition import Exposition, Gauges
from proxy.telemetry.logs import Logs
from proxy.telemetry.rates import Traffic
from proxy.telemetry.recent_errors import RecentErrors
from proxy.telemetry.request_log import RequestLog
from proxy.telemetry.request_spans import TracedRequests
from proxy.telemetry.token_request_log import TokenRequestLog
from proxy.tracing.settings import TraceSettings
from proxy.tracing.tracer import Tracer

__all__ = [
    "Parts",
    "Spawn",
    "assemble",
    "configured_secrets",
    "new_admin_app",
]

Spawn = Callable[[Coroutine[None, None, None]], "asyncio.Task[None]"]
"""Starts a task that has a parent."""

_MAX_CALLERS: Final = 10_000
_SPARE_FILES: Final = 64  # listeners, token endpoint, admin port


@dataclass(frozen=True, slots=True)
class Parts:
    """What the server runs: the engine, what keeps the tokens fresh, and what people look at."""

    context: Context
    guard: Guard
    refreshers: tuple[TokenRefresher, ...]
    outgoing: Outgoing
    outbound: OutboundCounters
    watch: FileWatch
    traffic: Traffic
    recent: RecentErrors
    clock: Clock
    traces: Traces

    def reload(self) -> None:
        """Look at all files now, and renew all tokens (SIGHUP)."""
        self.watch.look_now()
        self.renew_tokens()

    def is_reloading(self) -> bool:
        """Say whether what a reload asks for is not over yet, well or not."""
        return self.watch.is_due or any(each.is_renewing for each in self.refreshers)

    def renew_tokens(self) -> None:
        """Read all secrets again and renew all tokens now."""
        for refresher in self.refreshers:
            refresher.renew()

    def client_statuses(self) -> list[ClientStatus]:
        """Return the state of every client's token."""
        return [refresher.snapshot() for refresher in self.refreshers]

    async def close(self, hurry: asyncio.Event) -> None:
        """Close every outgoing connection; send the spans that are left, until `hurry` is set."""
        self.context.pool.close()
        await self.outgoing.close()
        await self.traces.close(hurry)


def configured_secrets(settings: Settings) -> tuple[str, ...]:
    """Return the secrets in the settings themselves, and in the URL of the egress proxy (G7)."""
    secrets = [client.client_secret for client in settings.clients]
    found = [secret.get_secret_value() for secret in secrets if secret is not None]
    with contextlib.suppress(UnusableFileError):
        found += secrets_in(settings.egress_url() or "")
    return tuple(found)


def _limits(settings: Settings) -> Limits:
    """Bound the callers by the open files that are left for them, and TLS by memory (G6, G11)."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    left = files - settings.max_upstream_connections - _SPARE_FILES
    most = max(1, min(_MAX_CALLERS, left))
    return Limits(
        head_timeout_seconds=settings.head_timeout_seconds,
        caller_idle_seconds=settings.caller_idle_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        read_timeout_seconds=settings.read_timeout_seconds,
        max_replay_bytes=settings.max_replay_bytes,
        max_callers=most if settings.tls_files is None else most_tls_callers(most),
        max_ahead_bytes=budget_bytes(settings.max_replay_bytes),
    )


def _new_refreshers(
    settings: Settings,
    endpoints: Iterable[TokenEndpoint],
    watch: FileWatch,
    request_log: TokenRequestLog,
    clock: Clock,
    log: FilteringBoundLogger,
) -> Iterator[tuple[TokenCache, TokenRefresher]]:
    credentials = Credentials(settings, clock, watch)
    draw = random.SystemRandom().random
    for client, endpoint in zip(settings.clients, endpoints, strict=True):
        backoff, demand = Backoff(), Demand()
        cache = TokenCache(
            client.name,
            backoff=backoff,
            demand=demand,
            clock=clock,
            log=log,
            wait_seconds=settings.token_wait_seconds,
        )
        refresher = TokenRefresher(
            cache,
            backoff=backoff,
            demand=demand,
            endpoint=endpoint,
            secrets=credentials.rotation(client, demand.order),
            clock=clock,
            draw=draw,
            metrics=request_log,
            log=log,
            hints=hints_for(client, settings),
        )
        yield cache, refresher


def _new_pool(
    settings: Settings,
    dialer: Dialer,
    spawn: Spawn,
    turns: Turns,
    clock: Clock,
    log: FilteringBoundLogger,
) -> Pool:
    return Pool(
        dialer,
        limit=settings.max_upstream_connections,
        idle_seconds=settings.upstream_idle_seconds,
        spawn=spawn,
        loop=asyncio.get_running_loop(),
        turns=turns,
        monotonic=clock.monotonic,
        log=log,
    )


def _new_request_log(
    settings: Settings,
    logs: Logs,
    counters: Counters,
    recent: RecentErrors,
    clock: Clock,
    tracer: Tracer | None,
) -> RequestLog:
    access_log = AccessLog(
        settings.access_log,
        log=logs.access,
        write_line=logs.write_line,
        flush=logs.flush,
        later=asyncio.get_running_loop().call_later,
        wall=clock.wall,
    )
    spans = None if tracer is None else TracedRequests(tracer, counters, clock)
    return RequestLog(counters, access_log, recent, clock.monotonic, spans)


def assemble(
    settings: Settings, *, spawn: Spawn, clock: Clock, logs: Logs, traces: TraceSettings | None
) -> Parts:
    """Build everything; opens no port and no connection. Raises `UnusableFileError`."""
    log = logs.log
    counters = Counters(counted_routes(settings))
    outbound = OutboundCounters([client.name for client in settings.clients])
    recent = RecentErrors(clock.wall)
    names = NameCache(clock=clock, count=outbound.name_lookup, log=log)
    watch = FileWatch(log)
    outgoing = Outgoing(settings, names, clock, watch)
    tracing = Traces(traces, settings, clock, log)
    tracer = tracing.tracer
    token_log = TokenRequestLog(outbound, recent, tracer, clock.wall)
    tokens = tuple(_new_refreshers(settings, outgoing.endpoints, watch, token_log, clock, log))
    guard = Guard.of(settings, watch)
    loop = asyncio.get_running_loop()
    turns = Turns(loop, clock.monotonic)
    context = Context(
        limits=_limits(settings),
        parser=RequestHeadParser(loop),
        admission=guard.admission,
        tokens={cache.client: cache for cache, _ in tokens},
        pool=_new_pool(settings, outgoing.dialer, spawn, turns, clock, log),
        names=UpstreamNames.from_url(settings.upstream_url, has_traces=tracer is not None),
        counters=counters,
        request_log=_new_request_log(settings, logs, counters, recent, clock, tracer),
        loop=loop,
        monotonic=clock.monotonic,
        wall=clock.wall,
        spawn=spawn,
        log=log,
        turns=turns,
        tracer=tracer,
    )
    refreshers = tuple(each for _, each in tokens)
    traffic = Traffic(counters, clock.monotonic)
    return Parts(
        context, guard, refreshers, outgoing, outbound, watch, traffic, recent, clock, tracing
    )


def _new_exposition(parts: Parts, settings: Settings) -> Exposition:
    context = parts.context
    gauges = Gauges(
        in_flight=context.callers.in_flight,
        callers=lambda: len(context.callers),
        connections=context.pool.states,
        clients=parts.client_statuses,
        known_callers=parts.guard.callers.statuses,
        max_callers=context.limits.max_callers,
        max_upstream_connections=settings.max_upstream_connections,
    )
    return Exposition(
        context.counters, parts.outbound, parts.watch.counters, parts.traces.counters, gauges
    )


def new_admin_app(
    parts: Parts,
    settings: Settings,
    *,
    settings_report: Mapping[str, object],
    quit_: Callable[[], None],
) -> web.Application:
    """Return the application of the admin port (A)."""
    context = parts.context
    reporter = Reporter(
        clients=parts.client_statuses,
        is_draining=lambda: context.callers.is_draining,
        in_flight=context.callers.in_flight,
        connections=context.pool.states,
        known_callers=parts.guard.callers.statuses,
        counters=context.counters,
        files=parts.watch.counters,
        traffic=parts.traffic,
        recent=parts.recent,
        gives_placeholders=settings.placeholder_token,
        settings_report=settings_report,
        clock=parts.clock,
    )
    return create_admin_app(
        reporter=reporter,
        exposition=_new_exposition(parts, settings),
        counters=context.counters,
        recent=parts.recent,
        renew=parts.renew_tokens,
        quit_=quit_ if settings.admin_quit else None,
        start_needs_tokens=settings.startup_deadline_seconds is not None,
        policy=parts.guard.policy,
        log=context.log,
        monotonic=parts.clock.monotonic,
    )
