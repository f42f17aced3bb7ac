"""What the figures were taken on, and whether it can take them."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.failures import BenchError
from bench.interpreter import Interpreter
from proxy import __version__

__all__ = ["cores", "describe_machine", "describe_versions", "missing_packages", "require_programs"]

PACKAGES = {
    "nginx": "nginx-light",
    "wrk": "wrk",
    "haproxy": "haproxy",
    "npm": "nodejs npm",
    "gcc": "gcc",
}
OF_PEERS = {"haproxy": "haproxy", "npm": "undici"}
"""Programs that only one peer needs."""


def cores() -> tuple[int, int]:
    """Return the core of the proxies, and that of load and upstream."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed, one for the proxy and one for load and upstream")
    return usable[0], usable[-1]


def require_programs(peers: Sequence[str]) -> None:
    """See that what does not come with pip is installed, as far as these peers need it."""
    if missing := missing_packages(peers, shutil.which):
        raise BenchError(f"install what is missing: apt-get install {' '.join(missing)}")


def missing_packages(peers: Sequence[str], which: Callable[[str], str | None]) -> list[str]:
    """Return the Debian packages of programs that are not there."""
    return [
        package
        for name, package in PACKAGES.items()
        if (name not in OF_PEERS or OF_PEERS[name] in peers) and which(name) is None
    ]


def describe_machine() -> str:
    """Return processor, cores, kernel, and how busy the machine was with other things."""
    busy = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"load average {busy:.2f} before the start"
    )


def describe_versions(interpreter: Interpreter) -> str:
    """Return the versions of the proxy, its upstream and the load."""
    python = interpreter.versions
    versions = [
        f"signicat-proxy {__version__}",
        *(f"{name} {python[name]}" for name in ("aiohttp", "uvloop")),
        f"nginx {_word('/', 'nginx', '-v')}",
        f"wrk {_word('/', 'wrk', '-v')}",
    ]
    return ", ".join(versions)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _output(*command: str) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout


def _word(separator: str, *command: str) -> str:
    """Return what follows the first separator on the first line, up to a space."""
    line = _output(*command).strip().splitlines()[0]
    return line.split(separator, 1)[1].split()[0]
