"""`.ci/run` finds each Python, and says which one is missing."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.source_tree import ROOT
from tests.support.stand_in import stand_in


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """Provide a machine that has Python 3.11 alone, and nobody there may install anything."""
    for needed in ("cat", "dirname", "mktemp", "rm"):
        (tmp_path / needed).symlink_to(str(shutil.which(needed)))
    stand_in(tmp_path / "id", "echo 1000")
    stand_in(tmp_path / "make", 'echo "made $*${PYTHON:+ by $PYTHON}"')
    stand_in(tmp_path / "python3", "echo 3.11")
    return tmp_path


def made(machine: Path, **environ: str) -> tuple[int, list[str]]:
    """Run the gate there; return its exit code, and what it made or said of Pythons."""
    done = subprocess.run(
        [str(shutil.which("bash")), ".ci/run"],
        cwd=ROOT,
        env={"PATH": str(machine), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    lines = done.stdout.splitlines()
    return done.returncode, [line for line in lines if "made" in line or "is missing" in line]


def test_a_python_that_is_missing_is_skipped(machine: Path) -> None:
    """And the log says so, beside all else that is done."""
    code, lines = made(machine)
    assert code == 0
    assert lines[:2] == ["made check", "made test"]
    assert "== Python 3.13 is missing: no make test-compiled" in lines
    assert "made test-deploy" in lines


@pytest.mark.parametrize("missing", ["3.11", "3.13"])
def test_where_changes_are_accepted_two_pythons_must_be_there(machine: Path, missing: str) -> None:
    """Before anything else is done."""
    other = {"3.11": "3.13", "3.13": "3.11"}[missing]
    stand_in(machine / "python3", f"echo {other}")
    assert made(machine, CI="true") == (1, [f"== Python {missing} is missing"])


def test_pythons_are_found_by_name_and_by_pyenv(machine: Path) -> None:
    """Those of pyenv refuse to run, but it knows where; what `make` takes anyway is not named."""
    stand_in(machine / "python3.11", "echo 3.11")
    stand_in(machine / "python3.12", "echo 3.12")
    stand_in(machine / "python3.13", "exit 127")
    stand_in(machine / "pyenv", f'[ "$*" = "prefix 3.13" ] && echo "{machine}/prefix"')
    stand_in(machine / "prefix/bin/python3.13", "echo 3.13")
    code, lines = made(machine, CI="true")
    assert code == 0
    assert "made test" in lines
    assert f"made test-compiled PYTHON={machine}/prefix/bin/python3.13" in lines
    assert "made test-quick PYTHON=python3.12" in lines


def test_no_other_python_is_taken_for_the_one_that_is_named(machine: Path) -> None:
    """Whatever the environment says to make."""
    code, lines = made(machine, PYTHON="python3.13")
    assert code == 0
    assert lines[:2] == ["made check", "made test"]


@pytest.mark.parametrize("failures", [1, 9])
def test_lists_of_packages_are_asked_for_again(machine: Path, failures: int) -> None:
    """Another apt may be at work. Without them, tests say what they miss: no gate ends there."""
    asked = machine / "asked"
    asked.touch()
    stand_in(machine / "id", "echo 0")
    stand_in(machine / "sleep", "")
    stand_in(
        machine / "apt-get",
        f"[[ $1 == update ]] || exit 0; echo >>{asked}; mapfile -t all <{asked}; "
        f"((${{#all[@]}} > {failures})) || exit 100",
    )
    code, lines = made(machine)
    assert code == 0
    assert lines[:2] == ["made check", "made test"]
    assert len(asked.read_text("utf-8")) > min(failures, 3)


@pytest.mark.parametrize("target", ["check", "test", "test-compiled", "test-others", "test-quick"])
def test_the_gate_ends_at_the_first_failure(machine: Path, target: str) -> None:
    """No later step hides it."""
    stand_in(machine / "python3.12", "echo 3.12")
    stand_in(machine / "python3.13", "echo 3.13")
    stand_in(machine / "make", f'echo "made $1"; [[ $1 != {target} ]]')
    code, lines = made(machine)
    assert code != 0
    assert lines[-1] == f"made {target}"


@pytest.mark.parametrize("target", ["check-instructions", "test-release", "test-deploy"])
def test_the_last_steps_run_at_once_and_each_is_told_of(machine: Path, target: str) -> None:
    """A failure of one does not hide what the other found, and is none the less one."""
    stand_in(machine / "python3.13", "echo 3.13")
    stand_in(machine / "make", f'echo "made $1"; [[ $1 != {target} ]] || exit 7')
    code, lines = made(machine)
    assert code == 7
    assert "made test-deploy" in lines
    assert "made check-instructions" in lines
    assert ("made test-release" in lines) == (target != "check-instructions")
