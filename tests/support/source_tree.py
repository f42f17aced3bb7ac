"""The files of the repository, for the tests that read them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["PACKAGE_MODULES", "ROOT", "kept_files", "read", "relative"]

ROOT: Final = Path(__file__).parent.parent.parent
PACKAGE_MODULES: Final = tuple(sorted((ROOT / "proxy").rglob("*.py")))
_MADE: Final = frozenset(("__pycache__", "node_modules", "build", "dist", "work"))
_KEPT_HIDDEN: Final = frozenset((".ci", ".editorconfig", ".gitattributes", ".github", ".gitignore"))


def kept_files(folder: Path = ROOT) -> Iterator[Path]:
    """Yield the files that belong to the repository: nothing made, nothing hidden but ours."""
    for path in sorted(folder.iterdir()):
        is_made = path.name in _MADE or path.suffix == ".egg-info"
        if is_made or (path.name.startswith(".") and path.name not in _KEPT_HIDDEN):
            continue
        if path.is_dir():
            yield from kept_files(path)
        else:
            yield path


def read(name: str) -> str:
    """Return the text of one file."""
    return (ROOT / name).read_text(encoding="utf-8")


def relative(path: Path) -> str:
    """Return the path as messages and parameter ids show it."""
    return path.relative_to(ROOT).as_posix()
