"""A mock for each test: `bench` to ask anything of it, `api` to call it with a good token."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from proxy.mock import serve_mock
from tests.mock.bench import Api, Bench, running_api


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """Provide a running mock."""
    bench = Bench()
    async with (
        serve_mock(bench.mock, "127.0.0.1", 0) as bench.running,
        aiohttp.ClientSession() as bench.session,
    ):
        yield bench


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    """Provide a running mock, and a good token for it."""
    async with running_api() as api:
        yield api
