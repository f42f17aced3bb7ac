"""The folder that a release is put into, in place of the last one."""

from collections.abc import Container
from pathlib import Path

from release.errors import ReleaseError
from release.examination import SUMS

__all__ = ["assert_replaceable"]


def assert_replaceable(dist: Path) -> None:
    """Raise ReleaseError unless all in `dist` is of a release, since it will be emptied.

    That is what its SHA256SUMS names: other downloads have such a file, too.
    """
    if dist.is_symlink() or (dist.exists() and not dist.is_dir()):
        raise ReleaseError(f"{dist} is no folder: move it away, or choose another with DIST=")
    if not dist.exists() or not any(dist.iterdir()):
        return
    sums = dist / SUMS
    lines = sums.read_text("utf-8", "replace").splitlines() if sums.is_file() else []
    made = {SUMS, *(line.partition("  ")[2] for line in lines)}
    if foreign := sorted(path.name for path in dist.iterdir() if not _is_one_of(path, made)):
        raise ReleaseError(
            f"{dist} holds what no release made, {foreign[0]} for one: "
            "move it away, or choose another folder with DIST="
        )


def _is_one_of(path: Path, made: Container[str]) -> bool:
    return path.name in made and path.is_file() and not path.is_symlink()
