"""CONTRIBUTING.md says of each direct dependency what it is for, and who keeps it up."""

import re
import tomllib
from typing import Any, Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.source_tree import read

ROW: Final = re.compile(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
PROJECT: Final[dict[str, Any]] = tomllib.loads(read("pyproject.toml"))
SECTION: Final = read("CONTRIBUTING.md").partition("## Dependencies")[2].partition("\n## ")[0]
ROWS: Final = {name: (reason, upkeep) for name, reason, upkeep in ROW.findall(SECTION)}


def direct() -> set[str]:
    """Return the name of everything that pyproject.toml asks for, whatever for."""
    groups = [
        PROJECT["build-system"]["requires"],
        PROJECT["project"]["dependencies"],
        *PROJECT["project"]["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ]
    lines = [line for group in groups for line in group if isinstance(line, str)]
    return {Requirement(line).name for line in lines}


def test_each_dependency_has_its_reason() -> None:
    """A row for each, and none for one that is gone; spelled as in pyproject.toml."""
    assert set(ROWS) == direct()


def test_each_row_says_who_keeps_it_up() -> None:
    """With the month of the newest release, so that one that nobody keeps up is seen."""
    silent = [
        name for name, (_, upkeep) in ROWS.items() if not re.search(r"\b20\d\d-[01]\d\b", upkeep)
    ]
    assert silent == []


def test_aiohttp_is_held_to_one_minor_version() -> None:
    """Its parsers are no promised API: what is allowed is what the tests have seen."""
    (aiohttp,) = [
        requirement
        for line in PROJECT["project"]["dependencies"]
        if canonicalize_name((requirement := Requirement(line)).name) == "aiohttp"
    ]
    bounds = {spec.operator: spec.version.split(".")[:2] for spec in aiohttp.specifier}
    (major, least), (top, most) = bounds[">="], bounds["<"]
    assert (top, int(most)) == (major, int(least) + 1)
