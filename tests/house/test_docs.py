"""The documentation names what there is, and nothing that there is not."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from proxy.check.result import CHECKS
from proxy.errors import ERROR_KINDS
from proxy.oauth.response import OUTCOMES
from proxy.settings.loader import setting_names
from proxy.settings.names import CONFIG_FILE, PREFIX
from tests.support.source_tree import PACKAGE_MODULES, ROOT, kept_files, read, relative

PAGES = [path for path in kept_files() if path.suffix == ".md"]
MODULES = [path for path in kept_files() if path.suffix == ".py"]
ENDPOINT = re.compile(r'web\.(get|post)\("([^"]+)"')
SERVICE_LINKS = {"SERVICE_HOST", "PORT"}  # of Kubernetes, and no settings
SETTING = re.compile(r"SIGNICAT_PROXY_([A-Z_]+[A-Z])\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
ROW = re.compile(r"^\| ((?:`[^`|]+`(?:, )?)+) \|(?: (\d{3}) \|)?", re.MULTILINE)
COMMANDS = ("run", "demo", "mock", "check", "token", "config", "health")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def is_test(module: str, name: str) -> bool:
    """Say whether a module of the suite has a test of that name."""
    return bool(re.search(rf"^(?:async )?def {name}\(", read(module), re.MULTILINE))


def first_cells(page: str) -> dict[str, str | None]:
    """Return each name in the first cells of a page's tables, with the status beside it."""
    return {
        name: match[2]
        for match in ROW.finditer(page)
        for name in re.findall(r"`([^`]+)`", match[1])
    }


def anchor(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of every page has a target in the repository."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if target.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, fragment = target.partition("#")
        goal = (page.parent / name).resolve() if name else page
        assert goal.exists(), target
        if fragment:
            headings = HEADING.findall(goal.read_text(encoding="utf-8"))
            assert fragment in map(anchor, headings), target


def test_every_page_is_reachable_from_the_readme() -> None:
    """A page that nobody finds helps nobody."""
    linked = {
        (ROOT / target.partition("#")[0]).resolve() for target in LINK.findall(read("README.md"))
    }
    assert {page for page in PAGES if page.name != "README.md"} <= linked


def test_every_promise_of_the_threat_model_has_its_tests() -> None:
    """Each row of promises names tests, and all of them exist."""
    page = read("docs/threat-model.md")
    promises = page.partition("## Promises")[2].partition("## What it does not promise")[0]
    rows = [row for row in re.findall(r"^\| (.*) \|$", promises, re.MULTILINE) if "---" not in row]
    silent = [row for row in rows if not row.startswith("promise |") and not TEST.search(row)]
    assert len(rows) > 30
    assert silent == []
    assert [named for named in TEST.findall(page) if not is_test(*named)] == []


def test_every_error_code_is_explained() -> None:
    """Table E and the page on troubles agree on codes and statuses."""
    page = read("docs/troubleshoot.md")
    rows = first_cells(page)
    explained = {name: int(status) for name, status in rows.items() if status}
    assert explained == {kind.code: kind.status for kind in ERROR_KINDS}
    refused, failed = (
        {name for name, status in first_cells(part.partition("\n## ")[0]).items() if status}
        for part in re.split(r"^## Codes of \w+ requests$", page, flags=re.MULTILINE)[1:]
    )
    assert refused == {kind.code for kind in ERROR_KINDS if kind.is_refusal}
    assert failed == {kind.code for kind in ERROR_KINDS if not kind.is_refusal}


def test_every_cause_of_a_missing_token_is_explained() -> None:
    """Each outcome of a token request but `ok` has its row."""
    assert set(OUTCOMES) - {"ok"} <= set(first_cells(read("docs/troubleshoot.md")))


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_is_explained(check: str) -> None:
    """Each check has its row, with what is tried and what to do."""
    assert re.search(
        rf"^\| `{check}` \| [A-Z][^|]+ \| [^|]+ \|$", read("docs/troubleshoot.md"), re.MULTILINE
    )


def test_every_endpoint_is_named() -> None:
    """The README names the admin port's endpoints, and no other."""
    served = {
        f"{method.upper()} {path}" for method, path in ENDPOINT.findall(read("proxy/admin/app.py"))
    }
    assert served
    assert set(re.findall(r"`((?:GET|POST) /\S*)`", read("README.md"))) == served


def help_of(*command: str) -> str:
    """Return what a command says of itself."""
    return subprocess.run(
        [sys.executable, "-m", "proxy", *command, "--help"],
        cwd=ROOT,
        env={"COLUMNS": "200", "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def test_every_command_is_named() -> None:
    """The README names the commands that there are, and no other."""
    commands = re.findall(r"^    (\w+) ", help_of(), re.MULTILINE)
    assert commands == list(COMMANDS)
    assert re.findall(r"^\| `signicat-proxy (\w+)", read("README.md"), re.MULTILINE) == commands


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_is_named(command: str) -> None:
    """The README names each command's own flags, docs/mock.md the mock's, and no other."""
    settings = {name.replace("_", "-") for name in setting_names()}
    flags = set(re.findall(r"^  (?:-h, )?--([a-z-]+)", help_of(command), re.MULTILINE)) - {"help"}
    if command == "mock":
        rows = re.findall(r"^\| (`--.*?) \|", read("docs/mock.md"), re.MULTILINE)
    else:
        rows = re.findall(
            rf"^\| `signicat-proxy {command}\b([^|]*)", read("README.md"), re.MULTILINE
        )
    if "scope" in flags:
        # A flag for each setting, and --config: one sentence speaks of them all.
        flags -= settings | {"config"}
        with_settings = read("README.md").partition(" also take `--config FILE`")[0]
        assert f"`{command}`" in with_settings.rpartition("\n\n")[2]
    assert set(re.findall(r"--([a-z-]+)", " ".join(rows))) == flags


def test_every_command_of_make_is_named() -> None:
    """CONTRIBUTING.md has a row for what `make` lists, but for the parts of `check`."""
    listed = set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z-]+)", read("CONTRIBUTING.md")))
    assert named <= listed
    assert {name for name in listed - named if not name.startswith("check-")} == {"help", "clean"}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_settings_that_pages_name_exist(page: Path) -> None:
    """A page never sends its reader to a setting that there is not."""
    named = set(SETTING.findall(page.read_text(encoding="utf-8")))
    known = {CONFIG_FILE.removeprefix(PREFIX), *(name.upper() for name in setting_names())}
    assert named - SERVICE_LINKS <= known


@pytest.mark.parametrize("code", [0, 1, 2])
def test_every_exit_code_is_explained(code: int) -> None:
    """The exit codes stand in their page."""
    assert re.search(rf"^\| {code} \| \w", read("docs/stop.md"), re.MULTILINE)


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_every_signal_is_explained(signal: str) -> None:
    """The signals stand in the page about stopping."""
    assert re.search(rf"^\| .*{signal}.* \| \w", read("docs/stop.md"), re.MULTILINE)


OWN_MODULES = [
    ".".join(path.relative_to(ROOT / "proxy").with_suffix("").parts)
    for path in PACKAGE_MODULES
    if path.stem not in {"__init__", "__main__"} and path.parent.name != "mock"
]


def test_architecture_lists_every_module() -> None:
    """The list of modules is complete and names none that is gone."""
    listed = re.findall(r"^\| `([\w.]+)` \|", read("docs/architecture.md"), re.MULTILINE)
    assert sorted(listed) == sorted(OWN_MODULES)


def test_the_picture_shows_modules() -> None:
    """Each box inside the process is called as its module, and the arrows lead to boxes."""
    picture = read("docs/architecture.md").partition("```mermaid\n")[2].partition("```")[0]
    inside = picture.partition("subgraph")[2].partition("    end\n")[0]
    boxes = dict(re.findall(r"\b(\w+)(?:\[\(|\[|\(\[)\"?([\w.]+)", picture))
    shown = set(re.findall(r"\[\(?\"([\w.]+)<br>", inside))
    assert shown <= set(OWN_MODULES)
    assert len(shown) > 5
    ends = re.findall(r"^ +(\w+)\b.*> (\w+)", picture, re.MULTILINE)
    assert {end for pair in ends for end in pair} <= set(boxes)


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_modules_say_what_they_are_for(path: Path) -> None:
    """Every module begins with a docstring."""
    if path.stat().st_size:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), relative(path)
