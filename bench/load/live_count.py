"""The instructions that a running process needs, counted by the valgrind that it runs under."""

import re
import shutil
import subprocess
from collections.abc import Callable

from bench.failures import BenchError, Refused
from bench.processes import Process

__all__ = ["UNDER_VALGRIND", "LiveCount"]

DUMPS = "instructions"
UNDER_VALGRIND = (
    "valgrind",
    "--tool=callgrind",
    "--instr-atstart=no",
    f"--callgrind-out-file={DUMPS}",
)
"""What the command line of the process begins with."""
CONTROL = "callgrind_control"
SUMMARY = re.compile(r"^summary: ([0-9]+)$", re.MULTILINE)


class LiveCount:
    """Counts what one process does while something is done with it.

    Between the counts it runs many times faster than while it is counted. BenchError where
    valgrind is not installed.
    """

    def __init__(self, process: Process) -> None:
        if shutil.which(CONTROL) is None:
            raise BenchError("valgrind, which counts, is missing: apt-get install valgrind")
        self._process = process

    def during(self, work: Callable[[], None]) -> int:
        """Return how many instructions it needs, of all its threads, while `work` runs."""
        self._tell("--instr=on")
        work()
        dump = self._dumped()
        self._tell("--instr=off")
        self._dumped()  # what was counted since, so that the next count begins at nothing
        if (found := SUMMARY.search(dump)) is None:
            raise Refused("valgrind counted nothing")
        return int(found[1])

    def _tell(self, what: str) -> None:
        done = subprocess.run(
            (CONTROL, what, str(self._process.pid)), capture_output=True, text=True, check=False
        )
        if done.returncode or "OK" not in done.stdout:
            raise Refused(f"valgrind does not listen: {done.stderr.strip() or done.stdout.strip()}")

    def _dumped(self) -> str:
        self._tell("--dump")
        (path,) = self._process.folder.glob(f"{DUMPS}.*")
        text = path.read_text(encoding="ascii", errors="replace")
        path.unlink()
        return text
