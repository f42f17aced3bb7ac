"""The units of docs/service.md under a real systemd: what it sees, and an upgrade (C5)."""

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.messages import reply, request
from tests.support.own_systemd import OwnSystemd, own_systemd, systemd_version, why_no_systemd
from tests.support.peers import ByteServer, Channel
from tests.support.ports import port_for_later
from tests.support.running_proxy import CLIENT_SECRET, environment
from tests.support.source_tree import ROOT
from tests.support.systemd_units import for_older_systemd, units_of_the_page
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.skipif(bool(why_no_systemd()), reason=why_no_systemd())
SERVICE: Final = "signicat-proxy.service"
SOCKET: Final = "signicat-proxy.socket"
OF_THE_SYSTEM: Final = r"(?m)^(User|WantedBy|Also|Wants|After|Protect\w+|Private\w+)=.*\n"
"""What a user's manager does not have, and the mounts that it cannot make in a namespace."""


class Scene:
    """The service before an upstream, and the manager that runs it."""

    def __init__(self, manager: OwnSystemd, tokens: TokenServer, port: int) -> None:
        self.manager = manager
        self.tokens = tokens
        self.port = port
        self.ends: Counter[str] = Counter()
        self.are_enough = asyncio.Event()

    async def ask(self) -> int:
        """Ask over a new connection; return the status."""
        caller = await Channel.connect("127.0.0.1", self.port)
        try:
            return (await caller.ask(request("GET /"), 30)).status
        finally:
            caller.reset()

    async def keep_asking(self) -> None:
        """Ask again and again; nothing that may happen is excused."""
        while not self.are_enough.is_set():
            try:
                self.ends[str(await self.ask())] += 1
            except (OSError, AssertionError) as error:
                self.ends[repr(error)] += 1

    async def are_answered(self, more: int = 50) -> None:
        """Wait until that many more callers have been answered."""
        wanted = self.ends["200"] + more
        await eventually(partial(self._has_answered, wanted), "the load", 60)

    def _has_answered(self, wanted: int) -> bool:
        return self.ends["200"] >= wanted

    async def status(self) -> str:
        """Return the line that `systemctl status` shows."""
        return (await self.manager.facts(SERVICE))["StatusText"]

    async def has_status(self, line: str) -> None:
        """Wait for a line of status."""

        async def comes() -> None:
            for pause in itertools.repeat(0.05):
                if await self.status() == line:
                    return
                await asyncio.sleep(pause)

        await within(comes(), f"the status {line}: {self.manager.log}", 20)


@contextlib.asynccontextmanager
async def scene(tokens: TokenServer, folder: Path, **lines: str) -> AsyncIterator[Scene]:
    """Install the units of the page, on a free port; `lines` replace some of the service's."""
    port = port_for_later()
    async with ByteServer(reply(body=b"x")) as upstream:
        values = environment(
            upstream=upstream.url,
            token_url=tokens.token_url,
            listen="systemd",
            client_secret_file="",
        )
        del values["SIGNICAT_PROXY_CLIENT_SECRET_FILE"]
        settings = "".join(f"{name}={value}\n" for name, value in values.items())
        (folder / "proxy.env").write_text(f"{settings}PYTHONPATH={ROOT}\n")
        secret = folder / "secret"
        secret.write_text(f"{CLIENT_SECRET}\n")
        secret.chmod(0o400)
        units = {}
        for name, text in units_of_the_page().items():
            unit = text if systemd_version() >= 253 else for_older_systemd(text)
            unit = re.sub(OF_THE_SYSTEM, "", unit.replace("/etc/signicat-proxy/", f"{folder}/"))
            unit = unit.replace("ListenStream=[::1]:8080\n", "").replace("8080", str(port))
            for key, value in lines.items():
                unit = re.sub(rf"(?m)^{key}=.*$", f"{key}={value}", unit)
            # No journal runs here.
            log = f"[Service]\nStandardOutput=append:{folder}/log\nStandardError=inherit\n"
            units[name] = unit.replace("[Service]\n", log)
        async with own_systemd(folder, units) as manager:
            yield Scene(manager, tokens, port)


@pytest.mark.timeout(180)
async def test_the_units_of_the_page_work(tokens: TokenServer, tmp_path: Path) -> None:
    """Ready when the start returns; a status; a reload that waits; the secret as a credential."""
    tokens.gate.clear()
    async with scene(tokens, tmp_path) as here:
        manager = here.manager
        await manager.order("start", SERVICE)
        facts = await manager.facts(SERVICE)
        assert (facts["ActiveState"], facts["SubState"]) == ("active", "running"), manager.log
        assert facts["StatusText"] == "Not ready: default has no token yet"
        tokens.gate.set()
        await here.has_status("Ready: default")
        assert await here.ask() == 200
        copy = f"{tmp_path}/run/credentials/{SERVICE}/secret"
        assert await manager.run("stat", "--format", "%a", copy) == "400\n"
        tokens.failure = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
        await manager.order("reload", SERVICE)
        await here.has_status("Ready: default cannot renew its token (invalid_client)")
        await manager.order("stop", SOCKET)  # takes the service with it
        facts = await manager.facts(SERVICE)
        assert (facts["ActiveState"], facts["Result"]) == ("inactive", "success"), manager.log


@pytest.mark.timeout(180)
async def test_restarts_lose_nobody(tokens: TokenServer, tmp_path: Path) -> None:
    """Four callers at a time, a new connection for each request, three restarts (C5)."""
    async with scene(tokens, tmp_path) as here:
        await here.manager.order("start", SERVICE)
        before = (await here.manager.facts(SERVICE))["MainPID"]
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(here.keep_asking(), name="peer")
            try:
                for _ in range(3):
                    await here.are_answered()
                    await here.manager.order("restart", SERVICE)
                await here.are_answered()
            finally:
                here.are_enough.set()
        facts = await here.manager.facts(SERVICE)
        assert facts["MainPID"] != before
        assert facts["NRestarts"] == "0"
    assert set(here.ends) == {"200"}


@pytest.mark.timeout(180)
async def test_a_process_that_hangs_is_started_again(tokens: TokenServer, tmp_path: Path) -> None:
    """The watchdog ends it; whoever calls meanwhile is answered by the next one (C5)."""
    async with scene(tokens, tmp_path, WatchdogSec="6", RestartSec="0") as here:
        await here.manager.order("start", SERVICE)
        assert await here.ask() == 200
        hung = (await here.manager.facts(SERVICE))["MainPID"]
        await here.manager.run("kill", "-STOP", hung)
        assert await here.ask() == 200
        facts = await here.manager.facts(SERVICE)
        assert facts["MainPID"] != hung
        assert facts["NRestarts"] == "1", here.manager.log
