"""Programs under measurement: started on one core, accounted for, and always stopped."""

import itertools
import os
import random
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from bench.failures import BenchError, Refused

__all__ = ["Process", "free_port", "on_core", "running"]

STOP_SECONDS = 5.0
LEAST_PORT = 20000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Process:
    """A started program; its figures are those of all its threads. Refused if it has ended."""

    def __init__(self, program: subprocess.Popen[bytes], output: Path) -> None:
        self._program = program
        self._output = output

    @property
    def pid(self) -> int:
        """The number by which the system knows it."""
        return self._program.pid

    @property
    def folder(self) -> Path:
        """Where it runs, and its output is."""
        return self._output.parent

    def is_alive(self) -> bool:
        """Whether the program still runs."""
        return self._program.poll() is None

    def cpu_seconds(self) -> float:
        """Return user and system time used so far, in nanosecond resolution."""
        # The id that clock_getcpuclockid(3) makes of a process id; /proc/PID/stat has the same
        # figure, but counts in hundredths of a second, which is too coarse for short runs.
        try:
            return time.clock_gettime((~self._program.pid << 3) | 2)
        except OSError:
            raise Refused(f"the program ended: {self.last_words()}") from None

    def rss_mib(self) -> float:
        """Return the resident memory now."""
        return self._status("VmRSS")

    def peak_mib(self) -> float:
        """Return the largest resident memory since the start."""
        return self._status("VmHWM")

    def last_words(self) -> str:
        """Return the last line that the program printed."""
        lines = self._output.read_text(encoding="utf-8", errors="replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "no output")

    def stop(self) -> None:
        """End the program: asked first, killed if it has not ended within five seconds."""
        self._program.terminate()
        try:
            self._program.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._program.kill()
            self._program.wait()

    def _status(self, field: str) -> float:
        text = Path(f"/proc/{self._program.pid}/status").read_text(encoding="ascii")
        for line in text.splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
        # A process that has ended has a status without memory until its parent collects it.
        raise Refused(f"the program ended: {self.last_words()}")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Run the block, and whatever it starts for good, on this core alone."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    core: int,
    output: Path,
    environ: Mapping[str, str] | None = None,
) -> Iterator[Process]:
    """Start a program on a core, its output going to a file; stop it at the end of the block.

    It has a session of its own, so that Ctrl-C reaches the bench alone, which stops it.
    """
    with output.open("wb") as sink, on_core(core):
        try:
            program = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=output.parent,
                env={"PATH": os.environ.get("PATH", os.defpath), **(environ or {})},
                start_new_session=True,
            )
        except OSError as error:
            raise BenchError(f"cannot start {Path(command[0]).name}: {error.strerror}") from None
    process = Process(program, output)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.stop()


def free_port() -> int:
    """Return a port of 127.0.0.1 that was free a moment ago; each is given out once.

    It is none that the system hands out: whoever asks it for any port could get this one before
    the program does, and would be asked what is meant for that.
    """
    for port in itertools.chain(_ports(), (0,)):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)) as listener:
            found: int = listener.getsockname()[1]
            return found
    raise BenchError("no port is free")


@cache
def _ports() -> Iterator[int]:
    first, _ = map(int, EPHEMERAL.read_text(encoding="ascii").split())
    ports = [*range(LEAST_PORT, first)]
    random.SystemRandom().shuffle(ports)
    return iter(ports)
