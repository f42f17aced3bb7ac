"""Runs the mock on a port."""

import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from proxy.mock.app import create_app
from proxy.mock.state import MockSignicat

__all__ = ["RunningMock", "serve_mock"]

# aiohttp logs requests that it cannot read as they are, credentials and all: nobody hears of it.
_SILENT: Final = logging.getLogger(__name__)
_SILENT.disabled = True


@dataclass(frozen=True, slots=True)
class RunningMock:
    """A mock that listens; `url` is where."""

    url: str
    port: int


@contextlib.asynccontextmanager
async def serve_mock(mock: MockSignicat, host: str, port: int) -> AsyncIterator[RunningMock]:
    """Listen until the block ends; port 0 picks a free one. Raises `OSError`."""
    # Bodies must come back as they were sent, so nothing is decompressed.
    runner = web.AppRunner(
        create_app(mock),
        access_log=None,
        logger=_SILENT,
        handle_signals=False,
        auto_decompress=False,
        shutdown_timeout=1.0,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, reuse_address=True).start()
        real_port = runner.addresses[0][1]
        shown = f"[{host}]" if ":" in host else host
        yield RunningMock(f"http://{shown}:{real_port}", real_port)
    finally:
        await runner.cleanup()
