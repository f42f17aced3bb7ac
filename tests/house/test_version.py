"""The version stands in `proxy/__init__.py`; what else names it follows."""

import re
import tomllib
from typing import Final

from proxy import __version__
from tests.support.source_tree import kept_files, read, relative

# An image by its tag, a package, an installation: all that a reader would copy.
NAMED: Final = re.compile(r"\bsignicat[-_]proxy[:-](\d+\.\d+\.\d+\w*)")
DEPENDENCY: Final = re.compile(r"^  - name: signicat-proxy\n    version: (\S+)$", re.MULTILINE)
HEADING: Final = re.compile(r"^## (?:Unreleased — )?(\S+)(?: — (\d{4}-\d\d-\d\d))?$", re.MULTILINE)


def test_the_package_has_it_from_the_code() -> None:
    """pyproject.toml holds no second one."""
    project = tomllib.loads(read("pyproject.toml"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["setuptools"]["dynamic"] == {"version": {"attr": "proxy.__version__"}}
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)


def test_image_and_chart_have_it() -> None:
    """They are released together, under one version."""
    chart = read("helm/signicat-proxy/Chart.yaml")
    assert f"\nARG VERSION={__version__}\n" in read("Dockerfile")
    assert f"\nversion: {__version__}\n" in chart
    assert f'\nappVersion: "{__version__}"\n' in chart
    for name in ("helm/signicat-proxy/examples/application/Chart.yaml", "docs/kubernetes.md"):
        assert DEPENDENCY.findall(read(name)) == [__version__], name
    assert f"| `VERSION`, `REVISION` | `{__version__}`, `unknown` |" in read("docs/image.md")


def test_pages_and_examples_name_it() -> None:
    """Whoever copies a line gets what the repository makes."""
    found = [
        (f"{relative(path)}: {match[0]}", match[1])
        for path in kept_files()
        if path.suffix in {".json", ".md", ".yaml", ".yml"} and path.name != "CHANGELOG.md"
        for match in NAMED.finditer(path.read_text(encoding="utf-8"))
    ]
    assert len(found) > 8
    assert [place for place, version in found if version != __version__] == []


def test_the_changelog_begins_with_it() -> None:
    """Its newest section is for this version, dated once it is released."""
    newest = HEADING.search(read("CHANGELOG.md"))
    assert newest is not None
    assert newest[1] == __version__
