"""What is looked for in the files of a release before anybody gets them."""

import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from release.errors import ReleaseError
from release.examination import assert_names_no_machine, write_sums

HERE: Final = "/srv/builds/of/ann"
NAMING: Final = f"\0compiled in {HERE}/source\0".encode()


def plain(folder: Path, content: bytes) -> Path:
    """Write a file."""
    path = folder / "NOTES.md"
    path.write_bytes(content)
    return path


def wheel(folder: Path, content: bytes) -> Path:
    """Write a wheel with one file of machine code."""
    path = folder / "x-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/a.so", content)
    return path


def chart(folder: Path, content: bytes) -> Path:
    """Write a package of a chart."""
    path = folder / "x-1.tgz"
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("x/values.yaml")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return path


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (plain, "NOTES.md"),
        (wheel, "x-1-py3-none-any.whl: x/a.so"),
        (chart, "x-1.tgz: x/values.yaml"),
    ],
    ids=["plain", "wheel", "chart"],
)
def test_a_folder_of_the_machine_is_found(
    make: Callable[[Path, bytes], Path], name: str, tmp_path: Path
) -> None:
    """Compressed or not; the error names the file."""
    assert_names_no_machine([make(tmp_path, b"nothing")], [HERE])
    with pytest.raises(ReleaseError, match=f":\n{re.escape(name)}$"):
        assert_names_no_machine([make(tmp_path, NAMING)], [HERE])


def test_the_name_in_the_header_of_a_gzip_file_is_found(tmp_path: Path) -> None:
    """It stands beside what is compressed."""
    path = tmp_path / "x-1.tgz"
    with path.open("wb") as file, gzip.GzipFile(f"{HERE}.tar", "wb", fileobj=file) as zipped:
        tarfile.open(fileobj=zipped, mode="w").close()
    with pytest.raises(ReleaseError, match=r":\nx-1\.tgz$"):
        assert_names_no_machine([path], [Path(HERE).name])


def test_the_sums_leave_themselves_out(tmp_path: Path) -> None:
    """So that writing them again changes nothing."""
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()
    first = write_sums(tmp_path).read_text("utf-8")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert first == f"{empty}  a\n{empty}  b\n"
    assert write_sums(tmp_path).read_text("utf-8") == first
