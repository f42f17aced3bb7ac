"""Each Python has an environment of its own."""

import os
import re
import subprocess
import sys
from typing import Final

from tests.support.source_tree import ROOT

OWN: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
SUITES: Final = ("test", "test-compiled", "test-deploy", "test-release")
# A `make` above the suite hands down what it was called with.
MAKES: Final = {"MAKEFLAGS", "MAKELEVEL", "PYTHON"}


def shown(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what `make` would do if nothing were there yet."""
    return subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "--always-make", *arguments],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name not in MAKES},
        capture_output=True,
        text=True,
        check=False,
    )


def environments(*arguments: str) -> set[str]:
    """Return which environments a command of `make` speaks of: "" is that of no `PYTHON=`."""
    done = shown(*SUITES, "release", "check", "interface", *arguments)
    assert done.returncode == 0, done.stderr
    commands = done.stdout.replace(sys.executable, "python")  # lies in one of them itself
    return {found.strip("/") for found in re.findall(r"\.venv\b(/\d[\d.]*|)", commands)}


def test_a_python_that_is_named_has_an_environment_of_its_own() -> None:
    """Suites of several Pythons share a working tree, and none installs into another's."""
    assert environments(f"PYTHON={sys.executable}") == {OWN}
    assert environments() == {""}


def test_a_python_that_does_not_run_is_named() -> None:
    """Those of pyenv for instance are there for every version, and most of them refuse to run."""
    done = shown("test", "PYTHON=python9.99")
    assert done.returncode != 0
    assert "python9.99 does not run" in done.stderr
    assert ".venv" not in done.stdout


def test_cleaning_removes_them_all() -> None:
    """Whichever Python is named: they all lie in `.venv`."""
    for arguments in ((), (f"PYTHON={sys.executable}",)):
        assert "rm -rf .venv " in shown("clean", *arguments).stdout
