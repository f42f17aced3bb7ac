"""Drives one tab of a real browser over its DevTools protocol."""

import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from tests.support.browser import Browser
from tests.support.waiting import within

__all__ = ["Tab", "driven_tab"]

_SHOW_SECONDS: Final = 20.0


class NavigatedError(Exception):
    """The page that was asked gave way to the next one before it answered."""


class Tab:
    """A tab; `complaints` holds what the browser has said against the pages in it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self._socket = socket
        self._numbers = itertools.count(1)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol; return its result."""
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})

        async def answer() -> dict[str, Any]:
            while True:
                message = await self._socket.receive_json()
                if message.get("id") == number:
                    if "navigated" in message.get("error", {}).get("message", ""):
                        raise NavigatedError(method)
                    assert "error" not in message, f"{method}: {message}"
                    result: dict[str, Any] = message["result"]
                    return result
                if message["method"] in {"Log.entryAdded", "Runtime.exceptionThrown"}:
                    self.complaints.append(json.dumps(message["params"]))

        return await within(answer(), f"the browser's answer to {method}", _SHOW_SECONDS)

    async def open(self, url: str) -> None:
        """Go to a page, and wait until it is there."""
        await self.call("Page.navigate", url=url)
        await self.shows("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def shows(self, expression: str) -> None:
        """Wait until an expression in the page is true."""

        async def holds() -> None:
            # While a page gives way to the next one there may be none to ask.
            shown = False
            while not shown:
                with contextlib.suppress(NavigatedError):
                    shown = await self.evaluate(f"Boolean(document.body && ({expression}))")

        await within(holds(), expression, _SHOW_SECONDS)

    async def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key where the focus is."""
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    async def look(self, width: int, height: int, scheme: str) -> None:
        """Make the tab so big, in pixels, and prefer the colour scheme `light` or `dark`."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < height,
        )
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await self.call("Emulation.setEmulatedMedia", features=features)

    async def screenshot(self) -> bytes:
        """Return what a person sees, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        return base64.b64decode(answer["data"])


@contextlib.asynccontextmanager
async def driven_tab(browser: Browser) -> AsyncIterator[Tab]:
    """Open an empty tab and drive it."""
    async with (
        browser.tab() as url,
        aiohttp.ClientSession() as session,
        session.ws_connect(url, max_msg_size=0) as socket,
    ):
        tab = Tab(socket)
        for domain in ("Page", "Log", "Runtime"):
            await tab.call(f"{domain}.enable")
        # Only the tab in front polls.
        await tab.call("Page.bringToFront")
        yield tab
