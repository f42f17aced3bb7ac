"""What the figures were taken on, and whether it can take them."""

import importlib.metadata
import os
import platform
import shutil
import ssl
import subprocess
from pathlib import Path

from bench.faults import BenchError

__all__ = ["cores", "describe_machine", "describe_versions", "require_programs"]

PACKAGES = {"nginx": "nginx-light", "wrk": "wrk"}


def cores() -> tuple[int, int]:
    """Return the core of the proxies, and that of load and upstream."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise BenchError("two cores are needed, one for the proxy and one for load and upstream")
    return usable[0], usable[-1]


def require_programs() -> None:
    """See that what does not come with pip is installed."""
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if missing:
        raise BenchError(f"install what is missing: apt-get install {' '.join(missing)}")


def describe_machine() -> str:
    """Return processor, cores, kernel, and how busy the machine was with other things."""
    busy = os.getloadavg()[0]
    return (
        f"{_processor()}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"load average {busy:.2f} before the start"
    )


def describe_versions(envoy: Path | None) -> str:
    """Return the versions of everything that takes part."""
    python = (platform.python_version(), ssl.OPENSSL_VERSION.split()[1])
    versions = [
        f"signicat-proxy {_package('signicat-proxy')}",
        f"Python {python[0]} with OpenSSL {python[1]}",
        *(f"{name} {_package(name)}" for name in ("aiohttp", "uvloop")),
        f"nginx {_word('/', 'nginx', '-v')}",
        f"wrk {_word('/', 'wrk', '-v')}",
    ]
    if envoy:
        versions.append(f"Envoy {_output(str(envoy), '--version').split('/')[-4]}")
    return ", ".join(versions)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "of the working tree"


def _output(*command: str) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout


def _word(separator: str, *command: str) -> str:
    """Return what follows the first separator on the first line, up to a space."""
    line = _output(*command).strip().splitlines()[0]
    return line.split(separator, 1)[1].split()[0]
