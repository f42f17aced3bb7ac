"""What `make release` may remove: what it has made itself, and nothing else."""

from pathlib import Path

import pytest

from release.destination import assert_replaceable
from release.errors import ReleaseError
from release.examination import write_sums
from release.source import Source, folders_here


@pytest.fixture
def dist(tmp_path: Path) -> Path:
    """Provide what a release has left."""
    folder = tmp_path / "dist"
    folder.mkdir()
    (folder / "x-1.tar.gz").touch()
    write_sums(folder)
    return folder


def test_a_release_takes_the_place_of_another(dist: Path, tmp_path: Path) -> None:
    """As it does of nothing."""
    assert_replaceable(dist)
    assert_replaceable(tmp_path / "not there")
    (tmp_path / "empty").mkdir()
    assert_replaceable(tmp_path / "empty")


def test_what_no_release_made_is_kept(dist: Path) -> None:
    """A file SHA256SUMS alone makes no release: a downloaded image brings one."""
    (dist / "thesis.odt").touch()
    with pytest.raises(ReleaseError, match=r"holds what no release made, thesis\.odt for one"):
        assert_replaceable(dist)


def test_a_folder_is_kept_that_has_the_name_of_a_file(dist: Path) -> None:
    """It may hold anything."""
    (dist / "x-1.tar.gz").unlink()
    (dist / "x-1.tar.gz").mkdir()
    with pytest.raises(ReleaseError, match=r"x-1\.tar\.gz for one"):
        assert_replaceable(dist)


def test_what_is_no_folder_is_told_before_anything_is_made(dist: Path, tmp_path: Path) -> None:
    """A file, and a link, behind which something else may lie."""
    (tmp_path / "link").symlink_to(dist)
    for path in (dist / "x-1.tar.gz", tmp_path / "link", tmp_path / "link" / "x-1.tar.gz"):
        with pytest.raises(ReleaseError, match=r"is no folder: move it away"):
            assert_replaceable(path)


def test_a_clone_at_the_root_can_be_packed() -> None:
    """Texts speak of /data; a folder further down is nobody else's."""
    source = Source(Path("/data"), "1", "", 0, (), frozenset(), (), "")
    found = folders_here(source, Path("/srv/work"))
    assert "/data" not in found
    assert "/srv/work" in found
