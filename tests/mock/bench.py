"""A running mock of its own for each test, and the token call to it."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import aiohttp

from proxy.mock import MockClient, MockSignicat, RunningMock, serve_mock

__all__ = [
    "BASIC",
    "CLIENT",
    "FORM",
    "JSON",
    "POST",
    "SECRET",
    "TOKEN_PATH",
    "Api",
    "Bench",
    "running_api",
]

TOKEN_PATH: Final = "/auth/open/connect/token"
CLIENT: Final = "dev-a b-1"
SECRET: Final = "p+q/r=%s:t"
BASIC: Final = "Basic ZGV2LWErYi0xOnAlMkJxJTJGciUzRCUyNXMlM0F0"
FORM: Final = {"grant_type": "client_credentials", "scope": "signicat-api"}
POST: Final = FORM | {"client_id": CLIENT, "client_secret": SECRET}
JSON: Final = {"Content-Type": "application/json"}


class Bench:
    """A running mock whose clock the test holds."""

    def __init__(self) -> None:
        self.now = 0.0
        self.lines: list[str] = []
        self.mock = MockSignicat(
            clients=[MockClient(CLIENT, [SECRET])],
            clock=lambda: self.now,
            wall=lambda: 1_800_000_000 + self.now,
            log=self.lines.append,
        )
        self.running: RunningMock
        self.session: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        """Return status, headers and body (parsed where it is JSON)."""
        async with self.session.request(
            method, self.running.url + path, allow_redirects=False, **how
        ) as answer:
            body = await answer.read()
            is_json = answer.content_type == "application/json" and method != "HEAD"
            return answer.status, answer.headers, json.loads(body) if is_json else body

    async def token(self) -> dict[str, str]:
        """Return headers with a good token."""
        _, _, body = await self.ask("POST", TOKEN_PATH, data=POST)
        return {"Authorization": f"Bearer {body['access_token']}"}


class Api(Bench):
    """A running mock that is called with a good token."""

    headers: dict[str, str]

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """Return status and body."""
        status, _, body = await self.exchange(method, path, **how)
        return status, body

    async def exchange(self, method: str, path: str, **how: Any) -> tuple[int, Any, Any]:
        """Return status, headers and body."""
        headers = self.headers | how.pop("headers", {})
        return await self.ask(method, path, headers=headers, **how)


@contextlib.asynccontextmanager
async def running_api() -> AsyncIterator[Api]:
    """Run a mock that is called with a good token."""
    api = Api()
    async with (
        serve_mock(api.mock, "127.0.0.1", 0) as api.running,
        aiohttp.ClientSession() as api.session,
    ):
        api.headers = await api.token()
        yield api
