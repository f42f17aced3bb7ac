"""The process around the server: signals, limits, and what it refuses to run without (C2, G7)."""

import asyncio
import ctypes
import gc
import os
import resource
import signal
import sys
from typing import Final, NoReturn

import uvloop
from structlog.typing import FilteringBoundLogger

from proxy.http1.parser import require_c_parsers
from proxy.net.inherited import NO_SOCKETS, Inherited
from proxy.net.notify_socket import NotifySocket
from proxy.server.lifecycle import Control, serve
from proxy.settings.loader import Loaded
from proxy.settings.report import settings_report
from proxy.telemetry.logs import open_logs
from proxy.tracing.settings import TraceSettings, read_trace_settings

__all__ = ["harden", "listen_to_signals", "run_proxy"]


_PR_SET_DUMPABLE: Final = 4


def harden() -> None:
    """Allow no core files, which would hold tokens, and as many open files as we may (G7, G6).

    On Linux the process is not dumpable either: a core_pattern that is a pipe
    ignores the limit, and others of the same user could read memory and
    environment in /proc.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen_to_signals(control: Control) -> None:
    """Let SIGTERM and SIGINT drain (again: stop at once), and SIGHUP renew (C2)."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.stop)
    loop.add_signal_handler(signal.SIGHUP, control.reload)


def _trace_settings(log: FilteringBoundLogger) -> TraceSettings | None:
    """Read the OTEL_* variables, and warn of those whose value is of no use."""
    settings, warnings = read_trace_settings(os.environ)
    for warning in warnings:
        log.warning("trace_variable", variable=warning.variable, hint=warning.hint)
    return settings


def run_proxy(
    loaded: Loaded, notify: NotifySocket | None = None, inherited: Inherited = NO_SOCKETS
) -> NoReturn:
    """Serve until a signal; end the process with the exit code.

    `notify` is where systemd listens, None where it does not; `inherited` are its sockets, with
    which the settings were checked. Raises `MissingCParsersError` and `CannotListenError`.
    """
    require_c_parsers()
    harden()
    settings = loaded.settings
    logs = open_logs(level=settings.log_level, log_format=settings.log_format, stream=sys.stderr)

    async def run() -> int:
        # What is there by now stays: it need not be looked at again, at whatever load.
        gc.freeze()
        gc.enable()
        control = Control()
        listen_to_signals(control)
        return await serve(
            settings,
            control=control,
            logs=logs,
            settings_report=settings_report(loaded),
            traces=_trace_settings(logs.log),
            notify=notify,
            inherited=inherited,
        )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run())
        # All is closed. What is left is a lookup of a name that hangs in a thread: closing
        # the loop would wait for it, which no deadline of ours bounds. And from here to the
        # end of the interpreter a late signal would change the exit code.
        logs.flush()
        sys.stderr.flush()
        os._exit(code)
