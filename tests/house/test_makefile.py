"""Each Python has an environment of its own."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.support.source_tree import ROOT
from tests.support.stand_in import stand_in

OWN: Final = f"{sys.version_info.major}.{sys.version_info.minor}"
SUITES: Final = ("test", "test-compiled", "test-deploy", "test-release")
# A `make` above the suite hands down what it was called with.
MAKES: Final = {"MAKEFLAGS", "MAKELEVEL", "PYTHON"}


def made(*arguments: str, folder: Path = ROOT, path: str = "") -> subprocess.CompletedProcess[str]:
    """Run `make` as a user does, with programs from `path` first."""
    environ = {name: value for name, value in os.environ.items() if name not in MAKES}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env={**environ, "PATH": f"{path}{os.pathsep}{environ['PATH']}".removeprefix(os.pathsep)},
        capture_output=True,
        text=True,
        check=False,
    )


def shown(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return what `make` would do if nothing were there yet."""
    return made("--dry-run", "--always-make", *arguments)


def environments(*arguments: str) -> set[str]:
    """Return which environments a command of `make` speaks of: "" is that of no `PYTHON=`."""
    done = shown(*SUITES, "release", "check", "interface", *arguments)
    assert done.returncode == 0, done.stderr
    commands = done.stdout.replace(sys.executable, "python")  # lies in one of them itself
    return {found.strip("/") for found in re.findall(r"\.venv\b(/\d[\d.]*t?|)", commands)}


def test_a_python_that_is_named_has_an_environment_of_its_own() -> None:
    """Suites of several Pythons share a working tree, and none installs into another's."""
    assert environments(f"PYTHON={sys.executable}") == {OWN}
    assert environments() == {""}


def test_one_of_another_abi_has_an_environment_of_its_own(tmp_path: Path) -> None:
    """A free-threaded Python loads no compiled module of the other."""
    as_another = f"exec {sys.executable} -c \"import sys; sys.abiflags = 't'; $2\""
    found = environments(f"PYTHON={stand_in(tmp_path / 'python', as_another)}")
    assert found == {f"{OWN}t"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Provide a project whose environment was made with Python 3.11.7, and is up to date."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "build.txt").touch()
    stand_in(tmp_path / ".venv" / "bin" / "python", "echo Python 3.11.7 of /usr/lib/python3.11")
    (tmp_path / ".venv" / "pyvenv.cfg").touch()
    (tmp_path / ".venv" / ".stamp-build").touch()
    return tmp_path


def set_up(project: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Let `make` see to the environment where python3 says that it is this one."""
    stand_in(project / "bin" / "python3", f"echo Python {python}")
    return made(".venv/.stamp-build", folder=project, path=str(project / "bin"))


def test_the_python_that_an_environment_was_made_with_is_taken_without_a_word(
    project: Path,
) -> None:
    """Nothing is made anew for it."""
    done = set_up(project, "3.11.7 of /usr/lib/python3.11")
    assert (done.returncode, done.stderr) == (0, "")
    assert "setting up" not in done.stdout


@pytest.mark.parametrize(
    "python", ["3.13.0 of /usr/lib/python3.13", "3.11.7 of /usr/local/lib/python3.11"]
)
def test_an_environment_of_another_python_is_noticed(project: Path, python: str) -> None:
    """One line names both, and what to do; else it would be tested on what nobody asked for."""
    done = set_up(project, python)
    line, of_make = done.stderr.splitlines()
    assert line == (
        ".venv was made with Python 3.11.7 of /usr/lib/python3.11, "
        f"but python3 is Python {python}: "
        "'rm -r .venv' to make it anew, or name the other with PYTHON="
    )
    assert of_make.startswith("make: ***")
    assert (done.returncode, done.stdout) == (2, "")


def test_an_environment_whose_python_is_gone_is_noticed(project: Path) -> None:
    """A new one in its place would find half of what it needs."""
    (project / ".venv" / "bin" / "python").unlink()
    (project / ".venv" / "bin" / "python").symlink_to(project / "gone")
    line = set_up(project, "3.12.1 of /usr/lib/python3.12").stderr.splitlines()[0]
    assert line.startswith(
        ".venv was made with a Python that is gone, but python3 is Python 3.12.1 of "
    )


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
