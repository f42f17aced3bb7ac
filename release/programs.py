"""Runs the programs that build, pack and examine."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from release.errors import ReleaseError

__all__ = ["run", "run_tool"]

_TOOLS: Final = Path(sys.executable).parent
"""Where the tools of this environment lie, whatever PATH says."""

# What decides how files are made, and differs from user to user.
_NOT_INHERITED: Final = frozenset(
    (
        "AUDITWHEEL_PLAT",
        "CC",
        "CFLAGS",
        "COMPILE_FOR",
        "CPPFLAGS",
        "DIST_EXTRA_CONFIG",
        "GIT_DIR",
        "GIT_INDEX_FILE",
        "GIT_WORK_TREE",
        "LDFLAGS",
        "LDSHARED",
        "MAKEFLAGS",
        "MYPYPATH",
        "PYTHONPATH",
    )
)


def run(*command: str | Path, folder: Path, environ: Mapping[str, str] | None = None) -> str:
    """Run a command in `folder`; return what it prints.

    Raises ReleaseError with all that it printed if it fails or is not installed.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    inherited["PATH"] = f"{_TOOLS}{os.pathsep}{inherited.get('PATH', os.defpath)}"
    name = command[2] if command[1] == "-m" else Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={**inherited, "LC_ALL": "C", **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ReleaseError(f"{name} is not installed") from error
    if done.returncode:
        said = f"{done.stdout}{done.stderr}".strip()
        raise ReleaseError(f"{name} failed with {done.returncode}:\n{said}")
    return done.stdout


def run_tool(
    module: str, *words: str | Path, folder: Path, environ: Mapping[str, str] | None = None
) -> str:
    """Run a module of the locked tools, as `run` does."""
    return run(sys.executable, "-m", module, *words, folder=folder, environ=environ)
