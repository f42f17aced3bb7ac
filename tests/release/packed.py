"""A release packed twice: by `make release`, and again as unlike it as can be."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.source_tree import ROOT

__all__ = ["TOOLS", "Packed", "clone_of", "contents", "environment", "pack_twice"]

TOOLS: Final = Path(sys.prefix) / "release" / "bin"
"""The tools of `make release`."""

_NOT_OURS: Final = ("COVERAGE", "DIST", "GIT_", "MAKE", "MFLAGS", "PYTEST", "PYTHON", "VIRTUAL_ENV")
_TIME: Final = 1_800_000_000


@dataclass(frozen=True)
class Packed:
    """What was packed, in `folder`.

    `time`, in seconds since 1970, and what the packing said are known of what was packed here.
    """

    folder: Path
    time: int | None = None
    said: str = ""

    @property
    def names(self) -> list[str]:
        """Return the names of all files."""
        return sorted(path.name for path in self.folder.iterdir())

    def one(self, ending: str) -> Path:
        """Return the file whose name ends like this."""
        (path,) = self.folder.glob(f"*{ending}")
        return path

    @property
    def wheel(self) -> Path:
        """Return the wheel for everywhere."""
        return self.one("-none-any.whl")

    @property
    def compiled(self) -> Path:
        """Return the wheel for this platform."""
        (path,) = set(self.folder.glob("*.whl")) - {self.wheel}
        return path

    @property
    def sdist(self) -> Path:
        """Return the sdist."""
        return self.one(".tar.gz")


def environment(**changed: str) -> dict[str, str]:
    """Return our environment as a user has it: without what pytest and make brought."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    return {**kept, **changed}


def _run(command: list[str], folder: Path, environ: Mapping[str, str], umask: int) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environ, umask=umask, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _made(folder: Path) -> Packed:
    """Pack what is in the repository, as people do."""
    # The suite may run on a Python that was named, in an environment of its own.
    named = [] if Path(sys.prefix) == ROOT / ".venv" else [f"PYTHON={sys.executable}"]
    command = ["make", "--no-print-directory", "release", f"DIST={folder}", *named]
    environ = environment(SOURCE_DATE_EPOCH=str(_TIME))
    return Packed(folder, _TIME, _run(command, ROOT, environ, 0o022))


def clone_of(source: Path, target: Path) -> Path:
    """Copy what git knows or would add to `target`, as the first commit of a repository."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = _run(listing, source, environment(), 0o022).split("\0")
    for name in reversed([name for name in names if (source / name).is_file()]):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, target / name)
    who = ["-c", "user.name=Bernard", "-c", "user.email=bernard@example.com"]
    commit = ["commit", "--quiet", "--no-verify", "--message", "First"]
    for words in (["init", "--quiet"], ["add", "--all"], [*who, *commit]):
        _run(["git", *words], target, environment(), 0o077)
    return target


def _made_elsewhere(folder: Path) -> Packed:
    """Pack a copy in another folder, with another umask, time zone, language and home."""
    copy = clone_of(ROOT, folder / "a longer way" / "to the same sources")
    home = folder / "home of Bernard"
    home.mkdir()
    environ = environment(
        SOURCE_DATE_EPOCH=str(_TIME),
        HOME=str(home),
        TMPDIR=str(home),
        TZ="Pacific/Chatham",
        LC_ALL="C.UTF-8",
        PYTHONHASHSEED="7",
        CFLAGS="-O0 -g",
        CPPFLAGS="-DNDEBUG=2",
        AUDITWHEEL_PLAT="manylinux_2_31_x86_64",
    )
    command = [str(TOOLS / "python"), "-m", "release", "--dist", "made", sys.executable]
    return Packed(copy / "made", _TIME, _run(command, copy, environ, 0o077))


def pack_twice(folder: Path) -> tuple[Packed, Packed]:
    """Pack side by side, since most of it is one compiler on one core."""
    with ThreadPoolExecutor() as pool:
        first = pool.submit(_made, folder / "dist")
        second = pool.submit(_made_elsewhere, folder)
        return first.result(), second.result()


def contents(archive: Path) -> dict[str, bytes]:
    """Return all files of an archive by name, without the folder that a tar begins with."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as packed:
        return {
            member.name.partition("/")[2]: file.read()
            for member in packed
            if (file := packed.extractfile(member))
        }
