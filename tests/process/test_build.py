"""What is compiled is the way of a request, all of it, and the proxy says whether it is."""

import importlib
import runpy
from pathlib import Path
from typing import Any

import pytest

from proxy.build import build
from tests.support.proxy_process import command
from tests.support.source_tree import ROOT


@pytest.fixture
def is_compiled(pytestconfig: pytest.Config) -> bool:
    """Say whether the suite is meant to run on the compiled proxy."""
    return bool(pytestconfig.getoption("compiled"))


@pytest.fixture
def compiled_modules(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Read the list of `setup.py`."""
    monkeypatch.delenv("COMPILE_FOR", raising=False)
    monkeypatch.chdir(ROOT)
    said: dict[str, Any] = runpy.run_path(str(ROOT / "setup.py"), run_name="setup")
    paths: list[str] = said["sources"]()
    return tuple(
        path.removeprefix("proxy/").removesuffix(".py").replace("/", ".") for path in paths
    )


async def test_the_suite_runs_on_the_build_that_it_was_asked_for(
    is_compiled: bool,  # noqa: FBT001 - a fixture
    tmp_path: Path,
) -> None:
    """In this process and in those that tests start; `--version` says it."""
    wanted = "compiled" if is_compiled else "interpreted"
    assert build() == wanted
    code, out, _ = await command("--version", directory=tmp_path)
    assert (code, out.endswith(f" ({wanted})\n")) == (0, True)


def test_every_module_of_the_list_is_compiled_or_none(
    is_compiled: bool,  # noqa: FBT001 - a fixture
    compiled_modules: tuple[str, ...],
) -> None:
    """A module that is left behind in a compiled build would be slow, and nobody would see it."""
    for name in compiled_modules:
        file = importlib.import_module(f"proxy.{name}").__file__
        assert (file is not None and not file.endswith(".py")) == is_compiled


def test_the_way_of_a_request_is_compiled(compiled_modules: tuple[str, ...]) -> None:
    """From the bytes of a caller to the books: connections, exchange, and what they are made of."""
    way = {
        "forward.caller",
        "forward.context",
        "forward.exchange",
        "forward.upstream",
        "http1.parser",
        "http1.request",
        "http1.serializer",
        "telemetry.counters",
        "telemetry.request_log",
    }
    assert way <= set(compiled_modules)
