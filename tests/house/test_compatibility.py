"""docs/interface holds the names that are promised to stay (docs/compatibility.md)."""

import json
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from tests.house.interface import LISTS, changes, current
from tests.support.recorded_interface import FOLDER, recorded, unrecorded_in
from tests.support.source_tree import ROOT, read

BY_FIRST_WORD: Final = frozenset(("alerts", "errors", "log-events", "metrics", "settings"))
WORD: Final = re.compile(r"[\w-]+")
LINK: Final = re.compile(r"\]\(interface/([\w-]+)\.txt\)")


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_are_those_of_the_code(name: str) -> None:
    """A change is on purpose: `make interface` records it, the changelog tells operators of it."""
    found = changes(recorded(name), current(name))
    advice = (
        "If that is meant: `make interface`, and a line in CHANGELOG.md (docs/compatibility.md)"
    )
    assert not found, "\n".join([f"docs/interface/{name}.txt and the code differ.", *found, advice])


@pytest.mark.parametrize("name", LISTS)
def test_the_lists_can_be_merged(name: str) -> None:
    """One name a line, sorted, none twice, so that two branches seldom touch the same line."""
    lines = (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    assert lines == sorted(set(lines))
    assert len(lines) > 20


def test_the_page_has_a_row_for_each_list() -> None:
    """And there is no list that the page does not speak of."""
    named = LINK.findall(read("docs/compatibility.md"))
    assert sorted(named) == sorted(LISTS) == sorted(path.stem for path in FOLDER.iterdir())


def test_changes_are_shown_as_lines() -> None:
    """What is gone comes first."""
    assert changes(["a", "b = 1"], ["a", "b = 2", "c"]) == ["- b = 1", "+ b = 2", "+ c"]


def event(name: str, **members: object) -> str:
    """Return a line of the log."""
    return json.dumps({"timestamp": "", "level": "info", "event": name, **members})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (event("stopped"), set()),
        (event("stopped", colour=1), {"stopped colour in docs/interface/log-events.txt"}),
        (event("vanished"), {"vanished in docs/interface/log-events.txt"}),
        (event("vanished")[:-9], set()),  # a process was killed as it wrote
        ("a traceback\n  of something", set()),
        ("# TYPE signicat_proxy_token_waiters gauge\nsignicat_proxy_token_waiters 0.0", set()),
        (
            "# TYPE signicat_proxy_token_waiters counter",
            {"signicat_proxy_token_waiters counter in docs/interface/metrics.txt"},
        ),
        (
            'signicat_proxy_replays_total{outcome="odd"} 1.0',
            {'signicat_proxy_replays_total{outcome="odd"} in docs/interface/metrics.txt'},
        ),
        ('signicat_proxy_client_ready{client="shop"} 1.0', set()),
        ('signicat_proxy_request_duration_seconds_bucket{client="a",le="60.0"} 1.0', set()),
        (
            '{"version": "1", "clients": {"shop": {"mood": 1}}}',
            {"GET /status clients.NAME.mood in docs/interface/admin.txt"},
        ),
    ],
)
def test_names_that_no_list_has_are_found(text: str, found: set[str]) -> None:
    """In what the proxies of the suite log and tell, whatever their operator has named."""
    assert unrecorded_in(text) == found


def subject(of: str, line: str) -> str:
    """Return what the changelog must name when a line of a list has changed."""
    words: list[str] = WORD.findall(line.partition(" = ")[0])
    first = of in BY_FIRST_WORD and not line.startswith(("(", "["))
    return words[0 if first else -1].removeprefix("SIGNICAT_PROXY_")


@pytest.mark.parametrize(
    ("of", "line", "expected"),
    [
        ("settings", "SIGNICAT_PROXY_DRAIN_SECONDS = 25", "DRAIN_SECONDS"),
        ("settings", "SIGNICAT_PROXY_LOG_FORMAT: json", "LOG_FORMAT"),
        ("settings", "[clients.NAME] token_url", "token_url"),
        ("metrics", 'signicat_proxy_replays_total{outcome="ok"}', "signicat_proxy_replays_total"),
        ("log-events", "request peer", "request"),
        ("log-events", "(every event) level", "level"),
        ("errors", "no_route Proxy-Status: destination_not_found", "no_route"),
        ("admin", "GET /status recent[].code", "code"),
        ("chart", "gateway.replicaCount = 2", "replicaCount"),
        ("commands", "check --no-call", "--no-call"),
    ],
)
def test_what_the_changelog_must_name(of: str, line: str, expected: str) -> None:
    """The setting, metric, event or code; of a path the last part."""
    assert subject(of, line) == expected


def git(folder: Path, *words: str) -> str | None:
    """Return what git says, None where it has nothing to say."""
    command = ["git", "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def untold(folder: Path) -> list[str]:
    """Return what has changed since the last release and is not named at the changelog's top."""
    tag = (git(folder, "describe", "--tags", "--abbrev=0", "--match", "v[0-9]*") or "").strip()
    if not tag:
        pytest.skip("no version has been released yet, or this is no clone with its tags")
    text = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = text.partition("\n## ")[2].partition("\n## ")[0]
    found: list[str] = []
    for path in sorted((folder / "docs" / "interface").iterdir()):
        before = git(folder, "show", f"{tag}:docs/interface/{path.name}") or ""
        found += [
            f"{path.name}: {change}"
            for change in changes(before.splitlines(), path.read_text("utf-8").splitlines())
            if subject(path.stem, change[2:]) not in newest
        ]
    return found


def test_the_changelog_names_what_has_changed_since_the_last_release() -> None:
    """Whoever upgrades reads it there, whether a name is new, gone, or has another default."""
    assert untold(ROOT) == []


def test_a_change_that_is_not_told_is_found(tmp_path: Path) -> None:
    """In a repository with a release: by what the newest section of the changelog lacks."""
    (tmp_path / "docs" / "interface").mkdir(parents=True)
    names = tmp_path / "docs" / "interface" / "settings.txt"
    names.write_text("SIGNICAT_PROXY_A = 1\nSIGNICAT_PROXY_B\n")
    (tmp_path / "CHANGELOG.md").write_text("# Changelog\n\n## 1.0.0\n\n- `B`, `C`\n")
    as_somebody = ("-c", "user.name=a", "-c", "user.email=a@b.test")
    for command in (
        ("init", "-q"),
        ("add", "."),
        (*as_somebody, "commit", "-q", "-m", "one"),
        (*as_somebody, "tag", "-m", "one", "v1.0.0"),
    ):
        assert git(tmp_path, *command) is not None
    assert untold(tmp_path) == []
    names.write_text("SIGNICAT_PROXY_A = 2\nSIGNICAT_PROXY_C\n")
    changelog = "# Changelog\n\n## Unreleased\n\n- `A` is 2.\n\n## 1.0.0\n\n- `B`, `C`\n"
    (tmp_path / "CHANGELOG.md").write_text(changelog)
    assert untold(tmp_path) == [
        "settings.txt: - SIGNICAT_PROXY_B",
        "settings.txt: + SIGNICAT_PROXY_C",
    ]
