"""The release notes are the changelog's section of the version."""

from typing import Final

import pytest

from release.errors import ReleaseError
from release.notes import is_dated, notes_of

CHANGELOG: Final = """# Changelog

## Unreleased — 1.2.0

- New.

## 1.1.0 — 2027-01-31

### Added

- [Callers](docs/callers.md#keys) of [docs/tls.md](docs/tls.md), [below](#fixed), as in
  [RFC 9110](https://example.com/rfc).

### Fixed

- `a[0](b)` stays.

## 1.0.1 — 2027-01-02

## 1.0.0 — 2027-01-01

- The first.
"""


def test_they_end_where_the_version_before_begins() -> None:
    """With their headings; what leads into the repository is named, since no link gets there."""
    assert notes_of(CHANGELOG, "1.1.0") == (
        "### Added\n\n- Callers (docs/callers.md) of docs/tls.md, below, as in\n"
        "  [RFC 9110](https://example.com/rfc).\n\n### Fixed\n\n- `a[0](b)` stays.\n"
    )
    assert notes_of(CHANGELOG, "1.0.0") == "- The first.\n"


def test_a_version_is_dated_once_it_is_released() -> None:
    """Notes of one that is not are there, too."""
    assert notes_of(CHANGELOG, "1.2.0") == "- New.\n"
    assert not is_dated(CHANGELOG, "1.2.0")
    assert is_dated(CHANGELOG, "1.1.0")


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.0", "has no section of 1.0: give it a heading '## 1.0 — DATE'"),
        ("1.3.0", "has no section of 1.3.0"),
        ("1x1x0", "has no section of 1x1x0"),
        ("1.0.1", "says nothing of 1.0.1"),
    ],
)
def test_without_them_there_is_no_release(version: str, said: str) -> None:
    """The error says what is missing in CHANGELOG.md."""
    with pytest.raises(ReleaseError, match=f"^CHANGELOG.md {said}"):
        notes_of(CHANGELOG, version)
