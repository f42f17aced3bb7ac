"""The release notes: what CHANGELOG.md says of a version."""

import re
from typing import Final

from release.errors import ReleaseError
from release.links import named_links

__all__ = ["is_dated", "notes_of"]

_HEADING: Final = r"^## (?:Unreleased — )?{version}(?: — (\d{{4}}-\d\d-\d\d))?$"


def _heading(changelog: str, version: str) -> re.Match[str]:
    found = re.search(_HEADING.format(version=re.escape(version)), changelog, re.MULTILINE)
    if found is None:
        raise ReleaseError(
            f"CHANGELOG.md has no section of {version}: give it a heading '## {version} — DATE'"
        )
    return found


def is_dated(changelog: str, version: str) -> bool:
    """Say whether the section has a date, as that of a released version has.

    Raises ReleaseError if there is no such section.
    """
    return _heading(changelog, version)[1] is not None


def notes_of(changelog: str, version: str) -> str:
    """Return the section of a version, without its heading.

    Raises ReleaseError if there is none, or if it is empty.
    """
    section = changelog[_heading(changelog, version).end() :].partition("\n## ")[0].strip()
    if not section:
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}: write down what has changed")
    return f"{named_links(section)}\n"
