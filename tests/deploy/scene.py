"""A real proxy between steady callers and the mock, for whoever watches it."""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from proxy.mock import MockClient, serve_mock
from proxy.mock.command import new_mock
from tests.support.callers import SHOP_KEY, key_file
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment
from tests.support.tls_callers import ServerFiles
from tests.support.waiting import task_group, within

__all__ = ["Fault", "Scene", "scene"]

CLIENT: Final = "dev-tester-1"
Fault = Mapping[str, object]
"""One entry of `PUT /__mock__/faults`."""


@dataclass(frozen=True)
class Scene:
    """What runs: a mock of its own, a proxy before it, and callers."""

    mock_url: str
    admin: int
    process: ProxyProcess
    secret: Path
    session: aiohttp.ClientSession

    async def break_it(self, *faults: Fault) -> None:
        """Have the mock fail so, from now on; without faults: no more."""
        url = f"{self.mock_url}/__mock__/faults"
        async with self.session.put(url, json=list(faults)) as answer:
            assert answer.ok

    async def renew_for(self, seconds: float) -> None:
        """Have the proxy's next tokens live so long, and wait for the first of them."""
        url = f"{self.mock_url}/__mock__/lifetime"
        async with self.session.put(url, json={"seconds": seconds}) as answer:
            assert answer.ok
        await self.refresh()

        async def is_renewed() -> None:
            for pause in itertools.repeat(0.02):
                async with self.session.get(f"http://127.0.0.1:{self.admin}/readyz") as answer:
                    (client,) = (await answer.json())["clients"].values()
                if 0 < (client["seconds_to_expiry"] or 0) <= seconds:
                    return
                await asyncio.sleep(pause)

        await within(is_renewed(), "a token of that life")

    async def refresh(self) -> None:
        """Have the proxy renew its token now."""
        async with self.session.post(f"http://127.0.0.1:{self.admin}/-/refresh") as answer:
            assert answer.status == 202


async def send_for_ever(
    session: aiohttp.ClientSession,
    url: str,
    trusted: ssl.SSLContext | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Send about twenty requests a second, whatever becomes of them."""
    for pause in itertools.repeat(0.05):
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get(url, headers=headers, ssl=trusted or True) as answer:
                await answer.read()
        await asyncio.sleep(pause)


@contextlib.asynccontextmanager
async def scene(
    folder: Path,
    *paths: str,
    has_tls: bool = False,
    knows_callers: bool = False,
    collector: str | None = None,
    **settings: Any,
) -> AsyncIterator[Scene]:
    """Run a mock, a proxy with these settings, and a steady caller of each path.

    `knows_callers`: they prove by a key who they are, and may have 40 requests at a time.
    With the URL of a `collector`, every request is traced.
    """
    folder.mkdir()  # noqa: ASYNC240 (a folder of the test, in memory)
    secret = folder / "secret"
    secret.write_text(CLIENT_SECRET, "utf-8")
    trusted, headers = None, {}
    if knows_callers:
        settings["config_file"] = folder / "callers.toml"
        table = f'[callers.shop]\nkey_file = "{key_file(folder, SHOP_KEY)}"\nmax_in_flight = 40\n'
        settings["config_file"].write_text(table)
        headers["Authorization"] = f"Bearer {SHOP_KEY}"
    if has_tls:
        tls = ServerFiles(folder)
        settings |= tls.settings
        trusted = ssl.create_default_context()
        tls.ca.configure_trust(trusted)
    mock = new_mock([MockClient(CLIENT, [CLIENT_SECRET])])
    async with (
        serve_mock(mock, "127.0.0.1", 0) as running,
        aiohttp.ClientSession() as session,
        task_group() as tasks,
    ):
        environ = environment(
            upstream=running.url,
            token_url=f"{running.url}/auth/open/connect/token",
            client_id=CLIENT,
            client_secret_file=secret,
            access_log="off",
            **settings,
        )
        if collector is not None:
            environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
            environ["OTEL_BSP_SCHEDULE_DELAY"] = "50"
        async with proxy_process(environ, "run", directory=folder) as process:
            port, admin = await process.ports()
            base = f"{'https' if has_tls else 'http'}://127.0.0.1:{port}"
            traffic = [
                tasks.create_task(
                    send_for_ever(session, base + path, trusted, headers), name="peer"
                )
                for path in paths
            ]
            try:
                yield Scene(running.url, admin, process, secret, session)
            finally:
                for task in traffic:
                    task.cancel()
