"""The process around the server: signals, limits, and what it refuses to run without (C2, G7)."""

import asyncio
import os
import resource
import signal
import sys

import uvloop

from proxy.logs import open_logs
from proxy.server import Control, serve
from proxy.settings import Loaded
from proxy.settings_report import settings_report
from proxy.wire import require_c_parsers

__all__ = ["harden", "listen_to_signals", "run_proxy"]


def harden() -> None:
    """Allow no core files, which would hold tokens, and as many open files as we may (G7, G6)."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen_to_signals(control: Control) -> None:
    """Let SIGTERM and SIGINT drain (again: stop at once), and SIGHUP renew (C2)."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.stop)
    loop.add_signal_handler(signal.SIGHUP, control.reload)


def run_proxy(loaded: Loaded) -> int:
    """Serve until a signal; return the exit code.

    Raises `MissingCParsersError` and `CannotListenError`.
    """
    require_c_parsers()
    harden()
    settings = loaded.settings
    logs = open_logs(level=settings.log_level, log_format=settings.log_format, stream=sys.stderr)

    async def run() -> int:
        control = Control()
        listen_to_signals(control)
        return await serve(
            settings, control=control, logs=logs, settings_report=settings_report(loaded)
        )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(run())
    if code != 0:
        # A look-up of a name that hangs in a thread must not keep a dead process alive.
        sys.stderr.flush()
        os._exit(code)
    return code
