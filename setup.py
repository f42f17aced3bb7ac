"""Compiles the way of a request with mypyc, where COMPILE_FOR asks for it.

`COMPILE_FOR=PYTHON` names the interpreter whose environment holds the requirements of the
proxy: their types are read there. Without it the build is the sources, which run as well,
only slower (docs/performance.md).
"""

import os

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
    "engine",
    "exchange",
    "headers",
    "heads",
    "histogram",
    "inbox",
    "metrics",
    "paths",
    "policy",
    "pool",
    "replay",
    "request",
    "routing",
    "token",
    "token_cache",
    "upload",
    "upstream",
    "wire",
)


def extensions() -> list[Extension]:
    """Return what is to be compiled: nothing, unless COMPILE_FOR is set."""
    python = os.environ.get("COMPILE_FOR")
    if not python:
        return []
    from mypyc.build import mypycify

    sources = [f"proxy/{name}.py" for name in COMPILED]
    return mypycify(
        ["--python-executable", python, *sources], group_name="signicat_proxy", debug_level="0"
    )


if __name__ == "__main__":
    setup(ext_modules=extensions())
