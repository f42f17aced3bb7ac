"""Fixtures of the whole suite: the event loop of the product, no leaks, a browser."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, settings

from tests.support.browser import Browser
from tests.support.suite_output import SuiteOutput, keep_files
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

# They look at the sources, at pages and pictures, or at what never meets a compiled module; or
# they take long and see what the others see (roll-overs as the soak, faults of the network).
_NOT_OF_THE_BUILD = (
    "bench",
    "deploy",
    "house",
    "mock",
    "release",
    "test_browser.py",
    "test_end_to_end.py",
    "test_name_server_faults.py",
    "test_rollover.py",
    "test_settings*.py",
    "test_status_page_browser.py",
    "test_strict_reading.py",
    "test_token_faults.py",
    "test_under_systemd.py",
    "test_wire_faults.py",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Know `--compiled` and `--not-compiled`: two parts of the suite, which share no file."""
    parser.addoption("--compiled", action="store_true", help="what a request passes, compiled")
    parser.addoption("--not-compiled", action="store_true", help="what --compiled leaves out")


def _is_not_of_the_build(path: Path) -> bool:
    return any(map(path.match, _NOT_OF_THE_BUILD))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what no compiler can break, or all else; without one, what compares two builds."""
    if config.getoption("compiled"):
        return True if _is_not_of_the_build(collection_path) else None
    if collection_path.match("test_same_readings.py"):
        return True
    if config.getoption("not_compiled") and collection_path.is_file():
        above = (collection_path, *collection_path.relative_to(config.rootpath).parents)
        return None if any(map(_is_not_of_the_build, above)) else True
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Lay the net that catches secrets; the process that gathers the reports holds it (G7).

    Properties are judged by what they find, not by the time that a busy machine needs.
    """
    slow = [HealthCheck.too_slow]
    settings.register_profile("suite", deadline=None, suppress_health_check=slow)
    settings.load_profile("suite")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(SuiteOutput())


@pytest.fixture(scope="session", autouse=True)
def _files_are_searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Put the files that tests leave into the net too."""
    yield
    keep_files(tmp_path_factory.getbasetemp())


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run asynchronous tests on the loop that the product runs on."""
    del config, item
    return {"uvloop": uvloop.new_event_loop}


def _open_sockets() -> set[str]:
    """Return the TCP sockets of this process; event loops hold others for themselves."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            name = str(descriptor.readlink())
            if not name.startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(descriptor.name))) as copy:
                if copy.family in {socket.AF_INET, socket.AF_INET6}:
                    found.add(name)
    return found


@pytest.fixture
async def no_leaks() -> AsyncIterator[None]:
    """See that the test leaves no TCP socket open."""
    before = _open_sockets()
    yield
    await eventually(lambda: not _open_sockets() - before, "all sockets to be closed")


@pytest.fixture
async def tokens(no_leaks: None) -> AsyncIterator[TokenServer]:
    """Provide a token endpoint with tokens of 600 seconds."""
    del no_leaks
    async with TokenServer() as server:
        yield server


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Provide one browser for all tests of a file: to start it takes longer than a test."""
    started = Browser(tmp_path_factory.mktemp("browser"))
    yield started
    started.stop()
