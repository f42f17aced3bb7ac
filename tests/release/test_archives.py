"""What is packed says nothing of who packed it, where, when and in which order."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from release.archives import repack_tar, repack_wheel

TIME: Final = 1_800_000_000
FILES: Final = {"x-1/b/run": b"#!/bin/sh\n", "x-1/a.py": b"a = 1\n"}
WHEEL: Final = {
    "x-1.dist-info/RECORD": b"x/b.py,,\nx/a.py,,\n",
    "x-1.dist-info/METADATA": b"Name: x\n",
    "x/b.py": b"",
    "x/a.py": b"a = 1\n",
}


def tar(path: Path, names: list[str], owner: str, time: float, umask: int) -> Path:
    """Pack FILES as a user with this name and umask does."""
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uname = len(FILES[name]), time, owner
            entry.uid = len(owner)
            entry.mode = (0o777 if name.endswith("run") else 0o666) & ~umask
            archive.addfile(entry, io.BytesIO(FILES[name]))
    return path


def wheel(path: Path, names: list[str], mode: int, hour: int) -> Path:
    """Pack WHEEL with this mode, at this hour."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, (2027, 1, 1, hour, 0, 0))
            entry.external_attr = mode << 16
            content = WHEEL[name]
            lines = content.splitlines(keepends=True)
            archive.writestr(entry, b"".join(reversed(lines)) if hour > 6 else content)
    return path


def test_two_users_pack_the_same_tar(tmp_path: Path) -> None:
    """Order, owner, times and umask are gone; contents and programs stay."""
    names = list(FILES)
    first = tar(tmp_path / "one.tar.gz", names, "ann", 1.5e9, 0o022)
    second = tar(tmp_path / "two.tar.gz", names[::-1], "bernard", 1.6e9, 0o077)
    assert first.read_bytes() != second.read_bytes()
    made = [repack_tar(path, tmp_path / f"new-{path.name}", TIME) for path in (first, second)]
    assert made[0].read_bytes() == made[1].read_bytes()
    with tarfile.open(made[0]) as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == sorted(FILES)
        assert [member.mode for member in members] == [0o644, 0o755]
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in members} == {
            (0, 0, "", TIME)
        }
        for member in members:
            file = archive.extractfile(member)
            assert file
            assert file.read() == FILES[member.name]


def test_two_users_pack_the_same_wheel(tmp_path: Path) -> None:
    """What is about the wheel comes last, as the format wants it; RECORD lists by name."""
    names = list(WHEEL)
    first = wheel(tmp_path / "one.whl", names, 0o100644, 5)
    second = wheel(tmp_path / "two.whl", names[::-1], 0o100600, 15)
    assert first.read_bytes() != second.read_bytes()
    made = [repack_wheel(path, tmp_path / f"new-{path.name}", TIME) for path in (first, second)]
    assert made[0].read_bytes() == made[1].read_bytes()
    with zipfile.ZipFile(made[0]) as archive:
        assert archive.namelist() == ["x/a.py", "x/b.py", *list(WHEEL)[1::-1]]
        assert archive.read("x-1.dist-info/RECORD") == b"x/a.py,,\nx/b.py,,\n"
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}
