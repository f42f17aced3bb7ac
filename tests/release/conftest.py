"""The release under test, packed once in a session."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.release.installation import User
from tests.release.packed import Packed, pack_twice


@contextmanager
def _folder() -> Iterator[Path]:
    """Have a folder that is not pytest's, whose every file is searched for secrets at the end."""
    folder = Path(tempfile.mkdtemp(prefix="release-test-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Provide a folder for a clone, or for what users install."""
    with _folder() as found:
        yield found


@pytest.fixture
def user(packed: Packed, folder: Path) -> User:
    """Provide somebody who has been given the wheels."""
    for wheel in (packed.wheel, packed.compiled):
        shutil.copy(wheel, folder)
    return User(folder)


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[Packed, Packed]]:
    """Pack twice."""
    with _folder() as found:
        yield pack_twice(found)


@pytest.fixture(scope="session")
def packed(request: pytest.FixtureRequest) -> Packed:
    """Provide what `make release` makes, or has made in the folder that RELEASE_DIST names."""
    if kept := os.environ.get("RELEASE_DIST"):
        return Packed(Path(kept).resolve())
    first: Packed
    first, _ = request.getfixturevalue("both")
    return first
