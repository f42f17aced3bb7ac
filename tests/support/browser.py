"""A real browser, the pages it is given, and a tap that shows what it sends and hears."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, quote, urlsplit

from tests.support.messages import Message, reply, request
from tests.support.oidc_server import required_program
from tests.support.peers import ByteServer, Channel
from tests.support.waiting import eventually, within

__all__ = ["Browser", "Exchange", "PageServer", "Tap"]

# Names under .test are this machine, and so nothing of a test can leave it.
_RESOLVER_RULES: Final = (
    "MAP *.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"
)
_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-popup-blocking",
    "--no-proxy-server",
    # Tabs behind others must load as fast as the one in front.
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--host-resolver-rules=" + _RESOLVER_RULES,
)
_STOP_SECONDS: Final = 30.0
_LOAD_SECONDS: Final = 30.0


class Browser:
    """One Chromium for many tests; tabs are opened and closed over its DevTools port."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile
        self._process = subprocess.Popen(
            [
                required_program("chromium"),
                *_FLAGS,
                "--remote-debugging-port=0",
                f"--user-data-dir={profile}",
            ],
            env={"PATH": os.environ["PATH"], "HOME": str(profile)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self) -> None:
        """End the browser and all its processes: they are one group."""
        try:
            self._process.terminate()
            self._process.wait(_STOP_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    @contextlib.asynccontextmanager
    async def showing(self, *urls: str) -> AsyncIterator[None]:
        """Open a tab for each URL, as if a person had typed it; close all tabs in the end."""
        earlier = await self._tabs()
        try:
            for url in urls:
                await self._ask(f"PUT /json/new?{quote(url, safe=':/?=&')}")
            yield
        finally:
            for tab in await self._tabs() - earlier:
                await self._ask(f"GET /json/close/{tab}")
        assert self._process.poll() is None, "the browser ended by itself"

    @contextlib.asynccontextmanager
    async def tab(self) -> AsyncIterator[str]:
        """Open an empty tab; yield the URL of its DevTools; close it in the end."""
        tab = json.loads((await self._ask("PUT /json/new?about:blank")).body)
        try:
            yield tab["webSocketDebuggerUrl"]
        finally:
            await self._ask(f"GET /json/close/{tab['id']}")

    async def _tabs(self) -> set[str]:
        tabs = json.loads((await self._ask("GET /json/list")).body)
        return {tab["id"] for tab in tabs if tab["type"] == "page"}

    async def _ask(self, start: str) -> Message:
        file = self._profile / "DevToolsActivePort"
        await eventually(
            lambda: file.exists() and b"\n" in file.read_bytes(), "the browser", _LOAD_SECONDS
        )
        port = int(file.read_bytes().split()[0])
        channel = await Channel.connect("127.0.0.1", port)
        with contextlib.closing(channel):
            answer = await channel.ask(request(start, host=f"127.0.0.1:{port}"), _LOAD_SECONDS)
        assert answer.status == 200, answer.body
        return answer


class PageServer(ByteServer):
    """Serves one page at every path; takes its reports at `/report`.

    `/redirect?to=URL` sends the browser on. The page knows its own server only
    by the name it was loaded from, so it is of whatever origin the URL says.
    """

    def __init__(self, page: str = "", *headers: str) -> None:
        super().__init__(self._serve_page)
        self.page = page
        self._headers = headers
        self._reports: asyncio.Queue[Any] = asyncio.Queue()

    def origin(self, host: str) -> str:
        """Return the origin of pages loaded under that name."""
        return f"http://{host}:{self.port}"

    async def report(self) -> Any:
        """Return the next report of a page."""
        return await within(self._reports.get(), "the page's report", _LOAD_SECONDS)

    async def _serve_page(self, message: Message) -> bytes:
        path, query = urlsplit(message.target).path, urlsplit(message.target).query
        if path == "/report":
            self._reports.put_nowait(json.loads(message.body))
            return reply("204 No Content")
        if path == "/redirect":
            (target,) = parse_qs(query)["to"]
            return reply("302 Found", f"Location: {target}")
        lines = ("Content-Type: text/html; charset=utf-8", *self._headers)
        return reply("200 OK", *lines, body=self.page.encode())


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request of the browser and its answer, both as they went over the wire."""

    request: Message
    answer: Message

    @property
    def name(self) -> str:
        """The query of the target, by which tests name their requests; forms append to it."""
        return urlsplit(self.request.target).query.rstrip("=")

    @property
    def origin(self) -> str | None:
        """What the browser said of the page's origin."""
        return self.request.head.value("Origin")

    @property
    def site(self) -> str | None:
        """What the browser said of how foreign the page is."""
        return self.request.head.value("Sec-Fetch-Site")


class Tap(PageServer):
    """Stands before a port and passes every request on to it, one connection for each.

    `exchanges` holds what went over it. What is asked at `/page`, `/report` and
    `/redirect` is answered as `PageServer` does, which makes the page same-origin
    with the port: so it looks to a browser whose DNS was rebound.
    """

    def __init__(self, port: int, page: str = "") -> None:
        super().__init__(page)
        self.exchanges: list[Exchange] = []
        self._port = port
        self._asked = 0

    async def _serve_page(self, message: Message) -> bytes:
        if urlsplit(message.target).path in {"/page", "/report", "/redirect"}:
            return await super()._serve_page(message)
        self._asked += 1
        channel = await Channel.connect("127.0.0.1", self._port)
        lines = [f"{n.decode()}: {v.decode('latin-1')}" for n, v in message.head.headers]
        start = message.head.start.decode("latin-1")
        raw = request(start, *lines, body=message.body, host=None)
        with contextlib.closing(channel):  # also where the test ends amid this
            answer = await channel.ask(raw)
        self.exchanges.append(Exchange(message, answer))
        return bytes(channel.received)

    def named(self, *names: str) -> list[Exchange]:
        """Return all exchanges that the tests named so."""
        return [exchange for exchange in self.exchanges if exchange.name in names]

    async def has_seen(self, *names: str) -> None:
        """Wait until all requests so named, and whatever else was asked, are answered."""
        missing = set(names)

        def is_complete() -> bool:
            missing.difference_update(exchange.name for exchange in self.exchanges)
            return not missing and len(self.exchanges) == self._asked

        try:
            await eventually(is_complete, "all requests", _LOAD_SECONDS)
        except AssertionError as error:
            error.add_note(f"missing: {sorted(missing)}")
            raise
