"""What operators, scripts and alerts rely on, as it stands in `docs/interface`.

`tests.house.interface` writes the lists. What the proxies of the suite really tell is compared
with them at the end of each run (`tests.support.suite_output`).
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from tests.support.source_tree import ROOT

__all__ = ["FOLDER", "OPEN_LABELS", "members", "recorded", "unrecorded_in"]

FOLDER: Final = ROOT / "docs" / "interface"
OPEN_LABELS: Final = frozenset(
    ("build", "caller", "client", "code", "file", "method", "python", "route", "version")
)
"""Labels whose values are not recorded: names that operators give, and what others define."""
_TABLES_BY_NAME: Final = frozenset(("callers", "certificates", "clients"))
_SAMPLE: Final = re.compile(r"(signicat_proxy_\w+?)(?:_bucket|_sum|_count)?(?:\{(.*)\})? \S+")
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_EVENT: Final = '{"timestamp": '
_STATUS: Final = '{"version": '


@functools.cache
def recorded(name: str) -> frozenset[str]:
    """Return the lines of a list."""
    return frozenset((FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines())


def members(document: object, path: str = "") -> Iterator[str]:
    """Yield the path of each member of a JSON document; `NAME` is what an operator has named."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            name = "NAME" if path.rpartition(".")[2] in _TABLES_BY_NAME else str(key)
            here = f"{path}.{name}".removeprefix(".")
            yield here
            yield from members(value, here)
    elif isinstance(document, list):
        for value in document:
            yield from members(value, f"{path}[]")


def _of_event(line: str) -> Iterator[tuple[str, str]]:
    event = json.loads(line)
    name = event["event"]
    yield "log-events", name
    for member in event:
        if f"(every event) {member}" not in recorded("log-events"):
            yield "log-events", f"{name} {member}"


def _of_sample(name: str, labels: str) -> Iterator[tuple[str, str]]:
    for label, value in _LABEL.findall(labels):
        yield "metrics", f"{name}{{{label}}}"
        if label not in OPEN_LABELS:
            yield "metrics", f'{name}{{{label}="{value}"}}'


def _names_in(line: str) -> Iterator[tuple[str, str]]:
    """Yield what a line of a proxy tells by name, each with the list that must have it."""
    if line.startswith(_EVENT):
        if line.endswith("}"):  # else its process was killed amid the line
            yield from _of_event(line)
    elif line.startswith(_STATUS):
        status = json.loads(line)
        yield from (("admin", f"GET /status {name}") for name in members({**status, "settings": 0}))
    elif line.startswith("# TYPE signicat_proxy_"):
        yield "metrics", line.removeprefix("# TYPE ")
    elif sample := _SAMPLE.fullmatch(line):
        yield from _of_sample(sample[1], sample[2] or "")


def unrecorded_in(text: str) -> set[str]:
    """Return what a proxy has told under a name that no list has: the name, with its list."""
    return {
        f"{name} in docs/interface/{of}.txt"
        for line in text.splitlines()
        for of, name in _names_in(line)
        if name not in recorded(of)
    }
