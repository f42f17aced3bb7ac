"""Compiles the way of a request with mypyc, where COMPILE_FOR asks for it.

`COMPILE_FOR=PYTHON` names the interpreter whose environment holds the requirements of the
proxy: their types are read there. Without it the build is the sources, which run as well,
only slower (docs/performance.md).
"""

import os
import sys

from setuptools import Extension, setup

# What a request passes. Everything else starts the process, waits, or speaks to people.
COMPILED = (
    "access_log",
    "acquisition",
    "books",
    "build",
    "caller",
    "clock",
    "connection",
    "ending",
    "engine",
    "exchange",
    "headers",
    "heads",
    "histogram",
    "inbox",
    "memory_budget",
    "metrics",
    "paths",
    "patience",
    "policy",
    "pool",
    "replay",
    "request",
    "request_relay",
    "response_relay",
    "routing",
    "token",
    "token_cache",
    "turns",
    "upload",
    "upstream",
    "wire",
)


def extensions() -> list[Extension]:
    """Return what is to be compiled: nothing, unless COMPILE_FOR is set and a wheel is built."""
    python = os.environ.get("COMPILE_FOR")
    if not python or "bdist_wheel" not in sys.argv:
        return []
    from mypyc.build import mypycify

    # A folder with an `__init__.py` above this one is no package that this one belongs to.
    options = ["--explicit-package-bases", "--python-executable", python]
    sources = [f"proxy/{name}.py" for name in COMPILED]
    return mypycify([*options, *sources], group_name="signicat_proxy", debug_level="0")


if __name__ == "__main__":
    setup(ext_modules=extensions())
