"""What zizmor and actionlint do not know of the workflows: what is ours in them."""

import json
import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.support.source_tree import ROOT, read, relative

FOLDER: Final = ROOT / ".github" / "workflows"
WORKFLOWS: Final = sorted(FOLDER.glob("*.yml"))
USES: Final = re.compile(r"uses: ([\w./-]+)(?:@(\S+)(?: # (\S+))?)?")
JOB: Final = re.compile(r"^  [\w-]+:\n(?:^    .*\n|^\n)+", re.MULTILINE)
HOST: Final = re.compile(r"\b[\w-]+(?:\.[\w-]+)*\.(?:com|dev|io|net|org)\b")


def jobs(path: Path) -> dict[str, str]:
    """Return the text of each job, by its name."""
    text = path.read_text(encoding="utf-8").partition("\njobs:\n")[2]
    return {job.partition(":")[0].strip(): job for job in JOB.findall(text)}


@pytest.mark.parametrize("path", WORKFLOWS, ids=relative)
def test_actions_are_pinned(path: Path) -> None:
    """By the commit, with the version beside it, and everywhere in the same one."""
    everywhere = [
        match
        for workflow in WORKFLOWS
        for match in USES.findall(workflow.read_text(encoding="utf-8"))
    ]
    pins = {name: (commit, version) for name, commit, version in everywhere if commit}
    for name, commit, version in USES.findall(path.read_text(encoding="utf-8")):
        if not name.startswith("./"):
            assert re.fullmatch(r"[0-9a-f]{40}", commit), name
            assert re.fullmatch(r"v\d+\.\d+\.\d+", version), name
            assert pins[name] == (commit, version)


@pytest.mark.parametrize("path", WORKFLOWS, ids=relative)
def test_jobs_may_do_what_they_say_and_end(path: Path) -> None:
    """Nothing is allowed for all of them; each says what it needs, and how long it may take."""
    assert "\npermissions: {}\n" in path.read_text(encoding="utf-8")
    found = jobs(path)
    assert found
    for name, text in found.items():
        assert "\n    permissions:\n" in text, name
        assert ("\n    timeout-minutes: " in text) != ("\n    uses: ./" in text), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=relative)
def test_no_host_is_named(path: Path) -> None:
    """Where image and chart go is a variable of the repository."""
    assert HOST.findall(path.read_text(encoding="utf-8")) == []


def test_the_workflow_does_what_the_gate_does() -> None:
    """Each command of .ci/run is one of ci.yml, which begins by installing the same programs."""
    gate = set(re.findall(r"^ *(?:make|on [\d.]+) ([\w-]+)", read(".ci/run"), re.MULTILINE))
    workflow = read(".github/workflows/ci.yml")
    assert {"check", "test", "test-compiled", "test-deploy", "test-release"} <= gate
    gate -= {"test-others"}  # a part of `make test`, which ci.yml runs on every Python
    assert [name for name in gate if not re.search(rf"\bmake {name}(?![\w-])", workflow)] == []
    for name, text in jobs(FOLDER / "ci.yml").items():
        assert ("sudo .ci/run install" in text) == (name != "check"), name


def test_the_pythons_that_are_named_are_tested() -> None:
    """By ci.yml all of them, by .ci/run as well; compiled is tested what the image has."""
    project = tomllib.loads(read("pyproject.toml"))["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if "Python ::" in text]
    assert project["requires-python"] == f">={named[0]}"
    workflow = read(".github/workflows/ci.yml")
    (matrix,) = re.findall(r"^ *python: (\[.+\])$", workflow, re.MULTILINE)
    assert json.loads(matrix) == named
    parts: dict[str, list[str]] = {}
    for version, part in re.findall(r"^on ([\d.]+) (\S+)$", read(".ci/run"), re.MULTILINE):
        parts.setdefault(version, []).append(part)
    assert set(named) <= set(parts)
    (image,) = re.findall(r"^ARG BASE=python:(\d+\.\d+)", read("Dockerfile"), re.MULTILINE)
    assert {"test-compiled", "test-others"} <= set(parts[image])
    assert "test" in parts[named[0]]
    assert f"if: matrix.python == '{image}'" in workflow


def test_a_release_waits_for_everything() -> None:
    """Nothing leaves the repository before all that a change must pass has passed."""
    found = jobs(FOLDER / "release.yml")
    assert "uses: ./.github/workflows/ci.yml" in found["ci"]
    assert "needs: ci\n" in found["package"]
    for name, text in found.items():
        if ": write" in text:
            assert re.search(r"needs: .*package", text), name
            assert "environment: release\n" in text, name


def test_updates_are_offered_for_all_but_python() -> None:
    """Each folder with a lock file of npm is among those that Dependabot looks at."""
    offered = re.findall(r"/tests/[\w-]+", read(".github/dependabot.yml"))
    assert offered == sorted(
        f"/{relative(path.parent)}" for path in ROOT.glob("tests/*/package-lock.json")
    )
