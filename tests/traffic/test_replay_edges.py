"""Where a 401 meets what cannot be replayed, and a replay what goes wrong (T10)."""

from pathlib import Path

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer, number_of

pytestmark = pytest.mark.usefixtures("no_leaks")

REFUSED = reply("401 Unauthorized", body=b"no")
TWO_CLIENTS = """
[clients.a]
client_id = "dev-a-1"

[clients.b]
client_id = "dev-b-1"

[[routes]]
path = "/a"
client = "a"

[[routes]]
path = "/b"
client = "b"
"""


async def refusing_first(message: Message) -> bytes:
    """Refuse the first token, welcome every other."""
    return REFUSED if number_of(message) == 1 else reply(body=b"welcome")


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
async def test_a_refusal_that_is_passed_on_renews_the_token_too(
    tokens: TokenServer, *, is_chunked: bool
) -> None:
    """The next request has the new token at once, and not only in a replay of its own (T10)."""
    body = b"x" * 1001
    sent = request("POST /large", "Content-Length: 1001", body=body)
    if is_chunked:
        framed = b"3e9\r\n" + body + b"\r\n0\r\n\r\n"
        sent = request("POST /large", "Transfer-Encoding: chunked", body=framed)
    async with proxied(tokens, refusing_first, max_replay_bytes=1000) as (proxy, upstream):
        assert (await proxy.ask(sent)).status == 401
        assert (await proxy.ask(request("GET /next"))).body == b"welcome"
        asked = [(message.target, number_of(message)) for message in upstream.requests]
        assert asked == [("/large", 1), ("/next", 2)]
        assert await proxy.metric("replays_total", outcome="not_possible") == 1
        assert await proxy.metric("replays_total") == 1


async def test_a_replay_that_fails_is_counted(tokens: TokenServer) -> None:
    """A replay without an answer of the upstream is one that failed (T10, M)."""

    async def answer(message: Message) -> bytes | None:
        return REFUSED if number_of(message) == 1 else None

    async with proxied(tokens, answer) as (proxy, _):
        assert_problem(await proxy.ask(request("GET /")), 502, "upstream_closed")
        assert await proxy.metric("replays_total", outcome="failed") == 1
        assert await proxy.metric("replays_total") == 1


async def test_tokens_without_a_lifetime_are_replaced_no_oftener_than_others(
    tokens: TokenServer,
) -> None:
    """An upstream that refuses them all gets one replay for now, not one a request (T8, T10)."""
    tokens.expires_in = 0
    async with proxied(tokens, REFUSED) as (proxy, upstream):
        for _ in range(2):
            assert (await proxy.ask(request("GET /"))).status == 401
        assert len(upstream.requests) == 3
        assert await proxy.metric("replays_total", outcome="refused") == 1
        assert await proxy.metric("replays_total", outcome="not_possible") == 1


async def test_a_late_refusal_of_a_token_without_a_lifetime_costs_no_other(
    tokens: TokenServer,
) -> None:
    """The token that came after it serves on, and the replay first of all (T8, T10)."""
    tokens.expires_in = 0
    async with proxied(tokens) as (proxy, upstream):
        early, late = await proxy.connect(), await proxy.connect()
        await early.send(request("GET /early"))
        first = await upstream.accepted()
        refused = number_of(await first.read_request())
        tokens.expires_in = 600
        await late.send(request("GET /late"))
        second = await upstream.accepted()
        while (kept := number_of(await second.read_request())) == refused:  # for a second at most
            await second.send(reply())
            await late.read_answer()
            await late.send(request("GET /late"))
        await second.send(reply())
        assert (await late.read_answer()).status == 200
        tokens.gate.clear()
        await first.send(REFUSED)
        serving = second if await first.stays_silent() else first
        assert number_of(await serving.read_request()) == kept
        await serving.send(reply(body=b"welcome"))
        assert (await early.read_answer()).body == b"welcome"
        tokens.gate.set()


async def test_a_refusal_that_comes_in_pieces_is_nobodys_answer(tokens: TokenServer) -> None:
    """The replay does not go where the rest of the refusal is still to come (T10, F9)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        first = await upstream.accepted()
        assert number_of(await first.read_request()) == 1
        await first.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nn")
        second = await upstream.accepted()
        assert number_of(await second.read_request()) == 2
        await second.send(reply(body=b"welcome"))
        assert (await caller.read_answer()).body == b"welcome"


async def test_who_leaves_before_its_replay_takes_nothing_along(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """The connection that brought the 401 serves others by then, and goes on to (T10, F7)."""
    config = tmp_path / "config.toml"
    config.write_text(TWO_CLIENTS)
    async with proxied(tokens, config_file=config) as (proxy, upstream):
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        tokens.gate.clear()
        leaving, other = await proxy.connect(), await proxy.connect()
        await leaving.send(request("GET /a"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(REFUSED)
        await proxy.metric_becomes(1, "upstream_connections", state="idle")
        await other.send(request("GET /b"))
        assert (await server.read_request()).target == "/b"
        leaving.close()
        await proxy.metric_becomes(1, "requests_in_flight")
        await server.send(reply(body=b"other"))
        assert (await other.read_answer()).body == b"other"
        assert len(upstream.connections) == 1
        tokens.gate.set()
