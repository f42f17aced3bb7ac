"""Starts `python -m proxy` as a process of its own, for signals, output and exit codes."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.support.running_proxy import CLIENT_SECRET, assert_no_secret
from tests.support.suite_output import keep
from tests.support.waiting import START_SECONDS, task_group, within

__all__ = ["UNMEASURED", "ProxyProcess", "command", "proxy_process"]

UNMEASURED: Final = ("env", "-u", "COVERAGE_PROCESS_CONFIG", "-u", "COVERAGE_PROCESS_START")
"""What to put before a command whose process no coverage is measured of."""

_ROOT: Final = Path(__file__).parent.parent.parent


def _kept(*beginnings: str) -> dict[str, str]:
    """Return what a process keeps of our environment: those names, and where `proxy` is found."""
    kept = {name: value for name, value in os.environ.items() if name.startswith(beginnings)}
    return {"PYTHONPATH": str(_ROOT), **kept}


class ProxyProcess:
    """A running process; `lines` holds what it has written to stdout and stderr."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._is_silent = asyncio.Event()
        self.lines: list[str] = []

    async def read_output(self) -> None:
        """Collect lines until there are no more."""
        assert self._process.stdout
        async for line in self._process.stdout:
            self.lines.append(line.decode().rstrip("\n"))
        self._is_silent.set()

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    @property
    def output(self) -> str:
        """All output so far."""
        return "\n".join(self.lines)

    def line(self, part: str) -> str:
        """Return the first line that holds `part`."""
        return next(line for line in self.lines if part in line)

    async def event(self, name: str) -> dict[str, Any]:
        """Wait for a log event and return it."""
        seen = 0

        async def search() -> dict[str, Any]:
            nonlocal seen
            is_over = False
            while not is_over:
                is_over = self._is_silent.is_set()  # what it wrote before its end counts too
                for line in self.lines[seen:]:
                    seen += 1
                    if f'"event": "{name}"' in line:
                        event: dict[str, Any] = json.loads(line)
                        return event
                await asyncio.sleep(0.005)
            raise AssertionError(f"ended without {name}: {self.output}")

        return await within(search(), f"the event {name}", START_SECONDS)

    async def ports(self) -> tuple[int, int]:
        """Wait until the ports are open; return those for callers and for operators."""
        event = await self.event("listening")
        return int(event["listen"][0].rpartition(":")[2]), int(event["admin"].rpartition(":")[2])

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.send(signal.SIGINT)

    async def ended(self, seconds: float = 10.0) -> int:
        """Return the exit code; by then everything that it wrote has been read."""
        code = await within(self._process.wait(), "the process to end", seconds)
        await within(self._is_silent.wait(), "its last words", seconds)
        return code


@contextlib.asynccontextmanager
async def proxy_process(
    environ: Mapping[str, str],
    *arguments: str,
    directory: Path,
    prefix: Sequence[str] = (),
    descriptors: Sequence[int] = (),
) -> AsyncIterator[ProxyProcess]:
    """Run `python -m proxy` with these arguments in `directory`; kill it at the end.

    `prefix` is a command that becomes the one it is given, as `nsenter` does. It gets
    `descriptors`, too.
    Nothing secret may have been written, but by the command whose output is a token.
    """
    process = await asyncio.create_subprocess_exec(
        *prefix,
        sys.executable,
        *("-m", "proxy", *arguments),
        cwd=directory,
        env={**_kept("PATH", "COVERAGE", "PYTHON"), **environ},
        stdout=PIPE,
        stderr=STDOUT,
        pass_fds=descriptors,
    )
    running = ProxyProcess(process)
    async with task_group() as tasks:
        tasks.create_task(running.read_output(), name="peer")
        try:
            yield running
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if arguments[:1] != ("token",):
        keep(running.output)
        assert_no_secret(running.output)


async def command(
    *arguments: str, directory: Path, environ: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Run `python -m proxy` to its end; return exit code, stdout and stderr."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "proxy", *arguments],
            cwd=directory,
            env={**_kept("COVERAGE", "PYTHON"), "PATH": "/usr/bin:/bin", **(environ or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    done = await asyncio.to_thread(run)
    assert "Traceback" not in done.stderr
    assert CLIENT_SECRET not in done.stdout + done.stderr
    return done.returncode, done.stdout, done.stderr
