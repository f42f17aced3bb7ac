"""Writes archives anew, so that they hold nothing of the machine or the hour.

Entries come in the order of their names. Each has the time of the release, no owner, and one of
two modes: a program, or a file.
"""

import gzip
import stat
import tarfile
import time
import zipfile
from pathlib import Path
from typing import Final

__all__ = ["repack_tar", "repack_wheel"]

_PROGRAM: Final = 0o755
_FILE: Final = 0o644


def _mode(mode: int) -> int:
    return _PROGRAM if mode & stat.S_IXUSR else _FILE


def repack_tar(archive: Path, target: Path, seconds: int) -> Path:
    """Write the `.tar.gz` archive anew as `target`; return `target`."""
    with (
        tarfile.open(archive) as old,
        target.open("wb") as file,
        # The header of gzip has a name and a time, too.
        gzip.GzipFile("", "wb", 9, file, mtime=seconds) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, member.size, seconds
            entry.mode = _PROGRAM if member.isdir() else _mode(member.mode)
            new.addfile(entry, old.extractfile(member) if member.isfile() else None)
    return target


def _wheel_order(name: str) -> tuple[bool, bool, str]:
    """Return the place of a file: those about the wheel last, and RECORD last of all."""
    return ".dist-info/" in name, name.endswith(".dist-info/RECORD"), name


def _in_order(record: bytes) -> bytes:
    return b"".join(sorted(record.splitlines(keepends=True)))


def repack_wheel(wheel: Path, target: Path, seconds: int) -> Path:
    """Write the wheel anew as `target`; return `target`."""
    date = time.gmtime(seconds)[:6]
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w") as new:
        for name in sorted(old.namelist(), key=_wheel_order):
            if name.endswith("/"):
                continue
            mode = _mode(old.getinfo(name).external_attr >> 16)
            entry = zipfile.ZipInfo(name, date)
            entry.create_system = 3  # Unix, so that the mode means something
            entry.external_attr = (stat.S_IFREG | mode) << 16
            content = old.read(name)
            if name.endswith(".dist-info/RECORD"):
                content = _in_order(content)
            new.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return target
