"""What is released: the files of a clone, their version, and the time that they bear."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from release.errors import ReleaseError
from release.programs import run

__all__ = ["Source", "copy_of", "find_source", "folders_here", "warnings"]

_VERSION: Final = re.compile(r'^__version__ = "([^"]+)"$', re.MULTILINE)
_AT_THE_ROOT: Final = 2  # parts: the root, and a name
_FIRST_TIME: Final = 315532800  # 1980, before which no wheel can be dated


@dataclass(frozen=True)
class Source:
    """One state of the repository.

    `time` is in seconds since 1970. `programs` are those of the `files` that can be run. `changed`
    names what differs from `commit`. `tagged` is the commit that the version's tag names, "" while
    there is none.
    """

    folder: Path
    version: str
    commit: str
    time: int
    files: tuple[str, ...]
    programs: frozenset[str]
    changed: tuple[str, ...]
    tagged: str


def _git(folder: Path, *words: str) -> str:
    try:
        return run("git", *words, folder=folder)
    except ReleaseError as error:
        raise ReleaseError(f"a release is made in a clone of the repository: {error}") from error


def _programs(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Return those that git knows as programs: some file systems make one of every file."""
    known = {
        entry.partition("\t")[2]: entry.startswith("100755")
        for entry in _git(folder, "ls-files", "-z", "--stage").split("\0")
    }
    return frozenset(name for name in names if known.get(name, os.access(folder / name, os.X_OK)))


def _commit_of(folder: Path, tag: str) -> str:
    return _git(folder, "for-each-ref", "--format=%(*objectname)%(objectname)", f"refs/tags/{tag}")


def find_source(folder: Path, environ: Mapping[str, str] = os.environ) -> Source:
    """Read what the clone in `folder` holds.

    The files are those that git knows or would add. Their time is SOURCE_DATE_EPOCH, else that of
    the commit. Raises ReleaseError where `folder` is no clone.
    """
    listed = _git(folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = sorted(name for name in set(listed.split("\0")) if name and (folder / name).is_file())
    version = _VERSION.search((folder / "proxy" / "__init__.py").read_text("utf-8"))
    if version is None:
        raise ReleaseError("proxy/__init__.py has no line __version__ = …")
    commit = _git(folder, "rev-parse", "HEAD").strip()
    time = environ.get("SOURCE_DATE_EPOCH") or _git(folder, "log", "-1", "--format=%ct").strip()
    if not time.isdecimal() or int(time) < _FIRST_TIME:
        raise ReleaseError(f"SOURCE_DATE_EPOCH must be seconds from 1980 on, not {time!r}")
    status = _git(folder, "status", "--porcelain", "-z", "--no-renames").split("\0")
    return Source(
        folder,
        version[1],
        commit,
        int(time),
        tuple(names),
        _programs(folder, names),
        tuple(entry[3:] for entry in status if entry),
        _commit_of(folder, f"v{version[1]}")[:40].strip(),
    )


def warnings(source: Source) -> Iterator[str]:
    """Yield, in one line each, why dist/ will be no release of its version."""
    if source.changed:
        first, *others = source.changed
        more = f" and {len(others)} more" if others else ""
        yield f"not committed, but packed: {first}{more}; commit before you release"
    if source.tagged not in {"", source.commit}:
        yield (
            f"v{source.version} is the tag of another commit, {source.tagged[:10]}: "
            "set a new __version__ in proxy/__init__.py before you release"
        )


def copy_of(source: Source, folder: Path) -> Path:
    """Copy the files to a new `folder`, with the modes that git knows and the time of the source.

    So no umask, no time of a checkout and no stray file gets into a package. Returns `folder`.
    """
    for name in source.files:
        original, copy = source.folder / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(original, copy)
        copy.chmod(0o755 if name in source.programs else 0o644)
        os.utime(copy, (source.time, source.time))
    return folder


def folders_here(source: Source, work: Path) -> list[str]:
    """Return the folders that no file may name; Python's own only where it is not the system's.

    One at the root of the file system, `/data` for example, is a word of our texts, too.
    """
    python = [sys.base_prefix] if not sys.base_prefix.startswith("/usr") else []
    folders = [str(work), str(source.folder), sys.prefix, *python]
    return [folder for folder in folders if len(Path(folder).parts) > _AT_THE_ROOT]
