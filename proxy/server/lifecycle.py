"""The life of the process: ports open last, stop in order, and die loudly (C1 to C3)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from structlog.typing import FilteringBoundLogger

from proxy.clock import SYSTEM_CLOCK, Clock
from proxy.events import first_of
from proxy.forward.callers import Callers
from proxy.forward.context import Context
from proxy.net.binding import CannotListenError
from proxy.net.inherited import NO_SOCKETS, Inherited
from proxy.net.listeners import AdminPort
from proxy.net.notify_socket import NotifySocket
from proxy.server.assembly import (
    Parts,
    Spawn,
    assemble,
    configured_secrets,
    new_admin_app,
)
from proxy.server.ports import Ports
from proxy.server.service_manager import ServiceManager
from proxy.server.traffic import new_traffic_ports
from proxy.settings.loader import ListenAddress, Settings
from proxy.telemetry.logs import Logs, route_library_logs
from proxy.tracing.settings import TraceSettings

__all__ = ["CannotListenError", "Control", "serve"]

_SWEEP_SECONDS: Final = 0.5
_ABANDON_SECONDS: Final = 1.0  # for the last words to callers
_HURRIED_SECONDS: Final = 0.1


@dataclass(slots=True)
class Control:
    """How signals, tests and `POST /-/quit` steer a running server.

    `started` is set once all ports are open; then the addresses hold the real
    ports. `stop` asks for a drain; called again it ends the drain at once.
    """

    started: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    listen_addresses: list[ListenAddress] = field(default_factory=list)
    admin_address: ListenAddress | None = None
    on_reload: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Begin to drain (C2); a second call skips the rest of it."""
        if self.stopping.is_set():
            self.hurry.set()
        self.stopping.set()

    def reload(self) -> None:
        """Read secrets and other files again and renew every token (SIGHUP, C2, C4)."""
        self.on_reload()


class _StartupDeadlineError(Exception):
    """A client had no token within STARTUP_DEADLINE_SECONDS."""


async def serve(
    settings: Settings,
    *,
    control: Control,
    logs: Logs,
    settings_report: Mapping[str, object] | None = None,
    clock: Clock = SYSTEM_CLOCK,
    traces: TraceSettings | None = None,
    notify: NotifySocket | None = None,
    inherited: Inherited = NO_SOCKETS,
) -> int:
    """Run the proxy until it is told to stop; return the exit code.

    0 after a stop; 1 when an inner task died (C3) or the start-up deadline passed. Raises
    `CannotListenError` and `UnusableFileError`. `settings_report` is what the admin port shows
    of the settings, redacted. Without `traces` nothing is traced. `notify` is where systemd
    listens, if it does, and `inherited` are its sockets: the settings were checked with them (C5).
    """
    log = logs.log
    unroute = route_library_logs(log)
    try:
        async with asyncio.TaskGroup() as tasks:
            spawn = tasks.create_task
            parts = assemble(settings, spawn=spawn, clock=clock, logs=logs, traces=traces)
            traffic = new_traffic_ports(settings, parts.context, clock, parts.watch)
            _watch_secrets(logs, settings, parts)
            manager = _new_service_manager(parts, notify)
            control.on_reload = partial(_reload, parts, manager)
            report = settings_report or {}
            admin_app = new_admin_app(parts, settings, settings_report=report, quit_=control.stop)
            ports = Ports(settings, traffic, AdminPort(admin_app), inherited, log)
            async with _background(settings, parts, manager, spawn, control.hurry):
                await _open_serve_and_drain(settings, control, ports, parts.context, manager)
    except BaseExceptionGroup as group:
        return _exit_code(group, log)
    finally:
        unroute()
        logs.flush()
    log.info("stopped")
    return 0


def _new_service_manager(parts: Parts, socket: NotifySocket | None) -> ServiceManager:
    """Return what tells systemd of this process, on the socket that it has named (C5)."""
    return ServiceManager(
        socket,
        clients=parts.client_statuses,
        in_flight=parts.context.callers.in_flight,
        is_reloading=parts.is_reloading,
        monotonic=parts.clock.monotonic,
        log=parts.context.log,
    )


def _reload(parts: Parts, manager: ServiceManager) -> None:
    parts.reload()
    manager.reloading()


def _watch_secrets(logs: Logs, settings: Settings, parts: Parts) -> None:
    """Have the redaction filter look for the settings' secrets and for those in use (G7)."""
    logs.redact.watch(partial(tuple, configured_secrets(settings)))
    logs.redact.watch(parts.outgoing.secrets_in_use)
    logs.redact.watch(parts.traces.secrets)
    for refresher in parts.refreshers:
        logs.redact.watch(refresher.secrets_in_use)
    for file in parts.guard.key_files:
        logs.redact.watch(file.keys_in_use)


@contextlib.asynccontextmanager
async def _background(
    settings: Settings, parts: Parts, manager: ServiceManager, spawn: Spawn, hurry: asyncio.Event
) -> AsyncIterator[None]:
    """Run what goes on beside the requests; if one of them dies, the process does (C3)."""
    works = [spawn(work) for work in _works(settings, parts, manager)]
    try:
        yield
    finally:
        for work in works:
            work.cancel()
        await parts.close(hurry)


def _works(
    settings: Settings, parts: Parts, manager: ServiceManager
) -> Iterator[Coroutine[None, None, None]]:
    for refresher in parts.refreshers:
        yield refresher.run()
    yield _sweep(parts.context, settings)
    yield parts.traffic.run()
    yield parts.watch.run()
    yield manager.run()
    if settings.startup_deadline_seconds is not None:
        yield _enforce_startup_deadline(parts, settings.startup_deadline_seconds)


def _exit_code(group: BaseExceptionGroup[BaseException], log: FilteringBoundLogger) -> int:
    """Say which end it was; C3: an inner task that dies ends the process, loudly."""
    cannot_listen, rest = group.split(CannotListenError)
    if cannot_listen is not None and rest is None:
        raise cannot_listen.exceptions[0]
    if group.split(_StartupDeadlineError)[1] is not None:
        log.critical("inner_task_died", exc_info=group)
    return 1


async def _open_serve_and_drain(
    settings: Settings, control: Control, ports: Ports, context: Context, manager: ServiceManager
) -> None:
    try:
        await ports.open()
        control.listen_addresses[:] = ports.traffic_addresses
        control.admin_address = ports.admin_addresses[0]
        control.started.set()
        manager.started()
        await control.stopping.wait()
        context.log.info("draining", in_flight=context.callers.in_flight())
        context.callers.begin_drain()
        manager.stopping(settings.shutdown_delay_seconds + settings.drain_seconds)
        await first_of(settings.shutdown_delay_seconds, control.hurry)
        ports.close_traffic()
        await _drain(context.callers, control.hurry, settings.drain_seconds)
    finally:
        await ports.close()


async def _drain(callers: Callers, hurry: asyncio.Event, seconds: float) -> None:
    """Let running requests finish within `seconds`, then end the others."""
    callers.end_idle()
    await first_of(seconds, callers.all_gone, hurry)
    callers.abandon()
    await first_of(_HURRIED_SECONDS if hurry.is_set() else _ABANDON_SECONDS, callers.all_gone)
    callers.abort()


async def _sweep(context: Context, settings: Settings) -> None:
    """Enforce the deadlines of callers and idle upstream connections, about twice a second.

    As often, the parser forgets the headers of the last request (G11).
    """
    shortest = min(
        settings.head_timeout_seconds,
        settings.read_timeout_seconds,
        settings.connect_timeout_seconds,
        settings.caller_idle_seconds,
        settings.upstream_idle_seconds,
    )
    while True:
        await asyncio.sleep(min(_SWEEP_SECONDS, shortest / 2))
        context.pool.expire(context.monotonic())
        # Timers come before sockets: where the process had no turn for long, what came meanwhile
        # is read, and what that frees is handed on, before anybody is called late.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        context.callers.sweep(context.monotonic())
        context.parser.forget()


async def _enforce_startup_deadline(parts: Parts, seconds: float) -> None:
    """End the process if a client has had no token by then (for Jobs)."""
    await asyncio.sleep(seconds)
    late = [s.client for s in parts.client_statuses() if not s.has_had_token]
    if late:
        parts.context.log.critical(
            "startup_deadline_passed",
            clients=late,
            hint="no token within SIGNICAT_PROXY_STARTUP_DEADLINE_SECONDS",
        )
        raise _StartupDeadlineError
