"""Compiles the request path with mypyc, where COMPILE_FOR asks for it.

`COMPILE_FOR=PYTHON` names the interpreter whose environment holds the requirements of the
proxy: their types are read there. Without it the build is the sources, which run as well,
only slower (docs/performance.md).
"""

import os
import sys
from pathlib import Path

from setuptools import Extension, setup

# What a request passes. Everything else starts the process, waits, or speaks to people.
COMPILED = (
    "build",
    "clock",
    "forward/*",
    "guard/*",
    "http1/*",
    "net/stream",
    "net/tls_faults",
    "net/tls_records",
    "net/tls_stream",
    "oauth/cache",
    "oauth/demand",
    "oauth/token",
    "telemetry/access_log",
    "telemetry/counters",
    "telemetry/histogram",
    "telemetry/request_log",
    "telemetry/request_spans",
    "tracing/ended_span",
    "tracing/ids",
    "tracing/sampling",
    "tracing/tracer",
)


def sources() -> list[str]:
    """Return the files that are compiled; a package's `__init__.py` holds nothing to compile."""
    found = (path for name in COMPILED for path in Path("proxy").glob(f"{name}.py"))
    return sorted(path.as_posix() for path in found if path.name != "__init__.py")


def extensions() -> list[Extension]:
    """Return what is to be compiled: nothing, unless COMPILE_FOR is set and a wheel is built."""
    python = os.environ.get("COMPILE_FOR")
    if not python or "bdist_wheel" not in sys.argv:
        return []
    from mypyc.build import mypycify

    # A folder with an `__init__.py` above this one is no package that this one belongs to.
    options = ["--explicit-package-bases", "--python-executable", python]
    return mypycify([*options, *sources()], group_name="proxy.request_path", debug_level="0")


if __name__ == "__main__":
    setup(ext_modules=extensions())
