"""What of a request is still there when it, or its connection, has ended: nothing (G11).

The garbage collector is off meanwhile: what waits for it may wait for hours in a proxy that has
little to do.
"""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.tls_callers import ServerFiles, caller_context, tls_caller
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture(autouse=True)
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def count(*names: str) -> int:
    """Return how many objects of these classes are alive."""
    return sum(type(each).__name__ in names for each in gc.get_objects())


async def test_a_closed_tls_connection_leaves_nothing(tokens: TokenServer, tmp_path: Path) -> None:
    """Its headers, and whose key they held, go with it."""
    files = ServerFiles(tmp_path)
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        for _ in range(3):
            caller = await tls_caller(proxy, caller_context(files.ca))
            answer = await caller.ask(request("GET /a", "Cookie: a=b", host="localhost:8443"))
            assert answer.status == 200
            assert count("TlsCallerConnection") == 1
            caller.reset()
            await eventually(lambda: count("TlsCallerConnection") == 0, "nothing is left")


async def test_a_request_without_a_token_leaves_nothing(tokens: TokenServer) -> None:
    """Its 503 is no reason to keep its headers and its body."""
    tokens.failure = reply("500 Internal Server Error")
    async with proxied(tokens, reply()) as (proxy, _):
        for _ in range(3):
            message = request("POST /a", "Content-Length: 5", body=b"hello")
            assert_problem(await proxy.ask(message), 503, "token_unavailable")
        await eventually(lambda: count("Exchange") == 0, "nothing is left")


async def test_what_came_behind_a_chunked_body_is_not_kept(tokens: TokenServer) -> None:
    """The next request does not stay with the decoder of the body before it."""
    async with proxied(tokens, reply()) as (proxy, _):
        caller = await proxy.connect()
        chunked = request("POST /a", "Transfer-Encoding: chunked", body=b"5\r\nhello\r\n0\r\n\r\n")
        await caller.send(chunked + request("GET /b"))
        for _ in range(2):
            assert (await caller.read_answer()).status == 200
        await eventually(lambda: count("ChunkedDecoder") == 0, "nothing is left")
