"""What commands import: each module costs every start, and its memory is held to the end."""

import importlib.metadata
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import UNMEASURED, proxy_process
from tests.support.running_proxy import environment
from tests.support.source_tree import read
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS

pytestmark = pytest.mark.usefixtures("no_leaks")

PACKAGES_OF_RUN: Final = {
    "aiohappyeyeballs",
    "aiohttp",
    "aiosignal",
    "annotated_types",
    "attr",
    "dotenv",
    "frozenlist",
    "idna",
    "multidict",
    "prometheus_client",
    "propcache",
    "pydantic",
    "pydantic_core",
    "pydantic_settings",
    "structlog",
    "typing_extensions",
    "typing_inspection",
    "uvloop",
    "yarl",
}
NOT_FOR_RUN: Final = (
    "proxy.admin.probe",
    "proxy.check",
    "proxy.commands.demo",
    "proxy.commands.token",
    "proxy.mock",
    "proxy.oauth.assertion",
    "proxy.tracing.export",
)
MODULES_OF_HEALTH: Final = {
    "proxy",
    "proxy.admin",
    "proxy.admin.probe",
    "proxy.admin.probe_connection",
    "proxy.build",
    "proxy.commands",
    "proxy.commands.cli",
    "proxy.net",
    "proxy.net.addresses",
    "proxy.settings",
    "proxy.settings.errors",
    "proxy.settings.names",
}
# Of the standard library, with a twentieth to spare for other versions of it.
MOST_OF_RUN: Final = 280
MOST_OF_HEALTH: Final = 140
TRACED: Final = {"PYTHONPROFILEIMPORTTIME": "1"}
_IMPORT: Final = re.compile(r"import time: +\d+ \| +\d+ \| +([\w.]+)")


def imported(lines: Sequence[str]) -> list[str]:
    """Return the modules that a traced process has imported, or tried to."""
    return [match[1] for match in map(_IMPORT.fullmatch, lines) if match]


def top(module: str) -> str:
    """Return the package that a module belongs to."""
    return module.partition(".")[0]


def packages_of_users() -> set[str]:
    """Return what can be imported of the packages that the proxy runs with."""
    locked = set(re.findall(r"^([a-z0-9-]+)==", read("requirements/runtime.txt"), re.MULTILINE))
    return {
        package
        for package, names in importlib.metadata.packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", name).lower() for name in names} & locked
    }


def of_the_library(modules: Sequence[str]) -> set[str]:
    """Return those that come with Python."""
    return {name for name in modules if top(name) in sys.stdlib_module_names}


async def test_run_imports_what_it_needs_alone(tokens: TokenServer, tmp_path: Path) -> None:
    """Nothing of other commands, of the mock or for them; and no more once it serves."""
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | TRACED
        async with proxy_process(environ, "run", directory=tmp_path, prefix=UNMEASURED) as process:
            port, admin_port = await process.ports()
            await process.event("token_request")
            caller = await Channel.connect("127.0.0.1", port)
            assert (await caller.ask(request("GET /"))).status == 200
            caller.close()
            admin = await Channel.connect("127.0.0.1", admin_port)
            for target in ("/readyz", "/metrics", "/status", "/"):
                assert (await admin.ask(request(f"GET {target}"))).status == 200
            admin.close()
            process.interrupt()
            assert await process.ended() == 0
    modules = imported(process.lines)
    assert set(map(top, modules)) & packages_of_users() <= PACKAGES_OF_RUN
    assert not [name for name in modules if name.startswith(NOT_FOR_RUN)]
    assert len(of_the_library(modules)) <= MOST_OF_RUN
    serves = process.lines.index(process.line('"event": "listening"'))
    assert imported(process.lines[serves:]) == []


async def test_health_imports_next_to_nothing(tmp_path: Path) -> None:
    """It runs every few seconds, beside each proxy."""
    async with proxy_process(
        TRACED, "health", "--admin-listen", "127.0.0.1:1", directory=tmp_path, prefix=UNMEASURED
    ) as process:
        assert await process.ended(START_SECONDS) == 1
    modules = imported(process.lines)
    own = {name for name in modules if top(name) == "proxy"}
    assert own - {"proxy.request_path__mypyc"} == MODULES_OF_HEALTH
    assert not set(map(top, modules)) & packages_of_users()
    assert len(of_the_library(modules)) <= MOST_OF_HEALTH
