"""Looks at what was packed, before anybody gets it."""

import hashlib
import os
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from release.errors import ReleaseError
from release.programs import run_tool

__all__ = ["SUMS", "assert_names_no_machine", "examine_packages", "write_sums"]

SUMS: Final = "SHA256SUMS"
"""The file that names all others."""


def examine_packages(packages: Sequence[Path]) -> None:
    """See that a package index takes the packages, and that the wheels hold what they should.

    Raises ReleaseError with what twine and check-wheel-contents find.
    """
    folder = packages[0].parent
    run_tool("twine", "check", "--strict", *packages, folder=folder)
    wheels = [package for package in packages if package.suffix == ".whl"]
    run_tool("check_wheel_contents", *wheels, folder=folder)


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a file and, where it is an archive, all that is in it, by name."""
    content = path.read_bytes()
    yield path.name, content
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                yield f"{path.name}: {name}", wheel.read(name)
    elif path.suffix in {".gz", ".tgz"}:
        with tarfile.open(path) as archive:
            for member in archive:
                if file := archive.extractfile(member):
                    yield f"{path.name}: {member.name}", file.read()


def assert_names_no_machine(paths: Sequence[Path], folders: Sequence[str]) -> None:
    """Search every byte, also inside archives, for folders of this machine.

    Raises ReleaseError with the files that name one.
    """
    wanted = [os.fsencode(folder) for folder in folders]
    found = [
        name
        for path in paths
        for name, content in _contents(path)
        if any(folder in content for folder in wanted)
    ]
    if found:
        raise ReleaseError("\n".join(("folders of this machine are named in:", *found)))


def write_sums(dist: Path) -> Path:
    """Write the SHA-256 of each file, in the order of names, as `sha256sum --check` reads it."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(dist.iterdir())
        if path.name != SUMS
    ]
    target = dist / SUMS
    target.write_text("".join(lines), "utf-8")
    return target
