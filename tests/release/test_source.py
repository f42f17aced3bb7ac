"""What is released: the files of a clone, its version and its time; and what is told about it."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from release.errors import ReleaseError
from release.source import copy_of, find_source, warnings

TIME: Final = 1_800_000_000
_AUTHOR: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.com"), ("DATE", f"{TIME} +0900"))
}


def git(folder: Path, *words: str) -> str:
    """Run git as somebody, far from Greenwich."""
    return subprocess.run(
        ["git", *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **_AUTHOR},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Provide a repository with one commit."""
    folder = tmp_path / "clone"
    (folder / "proxy").mkdir(parents=True)
    (folder / "proxy" / "__init__.py").write_text('__version__ = "1.2.3"\n', "utf-8")
    (folder / ".gitignore").write_text("*.log\n", "utf-8")
    program = folder / "run"
    program.write_text("#!/bin/sh\n", "utf-8")
    program.chmod(0o700)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


def told(folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the warnings about a clone."""
    return list(warnings(find_source(folder, environ or {})))


def test_a_clean_clone_is_what_is_released(clone: Path) -> None:
    """Its files, version and commit; the time is the commit's."""
    source = find_source(clone, {})
    assert source.files == (".gitignore", "proxy/__init__.py", "run")
    assert (source.version, source.time) == ("1.2.3", TIME)
    assert source.commit == git(clone, "rev-parse", "HEAD")
    assert told(clone) == []


def test_what_is_not_committed_is_packed_and_told_in_one_line(clone: Path) -> None:
    """Changed, new and removed files; not those that git ignores."""
    (clone / "run").unlink()
    (clone / "new file.py").touch()
    (clone / "a.log").touch()
    assert find_source(clone, {}).files == (".gitignore", "new file.py", "proxy/__init__.py")
    (line,) = told(clone)
    assert line.startswith("not committed, but packed: run and 1 more")


@pytest.mark.parametrize("kind", [(), ("--annotate", "--message=1.2.3")])
def test_a_version_that_is_tagged_elsewhere_is_told_in_one_line(
    clone: Path, kind: tuple[str, ...]
) -> None:
    """The commit with the tag is the release itself."""
    git(clone, "tag", *kind, "v1.2.3")
    first = git(clone, "rev-parse", "HEAD")
    assert told(clone) == []
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "Second")
    (line,) = told(clone)
    assert line.startswith(f"v1.2.3 is the tag of another commit, {first[:10]}: set a new")


def test_the_time_can_be_given(clone: Path) -> None:
    """As those who build for a distribution give it."""
    assert find_source(clone, {"SOURCE_DATE_EPOCH": "1700000000"}).time == 1_700_000_000


@pytest.mark.parametrize("wrong", ["yesterday", "-1", "1.5", "100"])
def test_a_time_that_is_none_is_refused(clone: Path, wrong: str) -> None:
    """A wheel can be of 1980 at the earliest."""
    with pytest.raises(ReleaseError, match=r"^SOURCE_DATE_EPOCH must be seconds from 1980 on"):
        find_source(clone, {"SOURCE_DATE_EPOCH": wrong})


def test_there_is_no_release_outside_of_a_clone(tmp_path: Path) -> None:
    """Without git nobody knows which files are of the project."""
    with pytest.raises(ReleaseError, match=r"^a release is made in a clone of the repository"):
        find_source(tmp_path, {})


def test_a_copy_has_two_modes_and_one_time(clone: Path, tmp_path: Path) -> None:
    """Whatever the umask of the checkout was."""
    copy = copy_of(find_source(clone, {}), tmp_path / "copy")
    facts = {path.name: path.stat() for path in (copy / "run", copy / "proxy" / "__init__.py")}
    assert [oct(fact.st_mode & 0o777) for fact in facts.values()] == ["0o755", "0o644"]
    assert {int(fact.st_mtime) for fact in facts.values()} == {TIME}


def test_a_file_system_that_makes_a_program_of_each_file_changes_nothing(
    clone: Path, tmp_path: Path
) -> None:
    """What git knows counts, as of folders that Windows shares."""
    git(clone, "config", "core.fileMode", "false")
    for name in (".gitignore", "proxy/__init__.py", "run"):
        (clone / name).chmod(0o777)
    assert told(clone) == []
    copy = copy_of(find_source(clone, {}), tmp_path / "copy")
    modes = [(copy / name).stat().st_mode & 0o777 for name in ("run", "proxy/__init__.py")]
    assert modes == [0o755, 0o644]
