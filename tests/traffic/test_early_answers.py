"""Answers that come while the body still goes up, and words before it (F6, F11)."""

import asyncio
from pathlib import Path

import pytest
import trustme

from tests.support.certificates import context_for
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer
from tests.support.running_proxy import RunningProxy, proxied, running_proxy
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1 << 20
SIZE = 5 * MIB
LARGE = 64 * MIB  # more than the systems take before the refusal is read
TRIES = 20
REFUSAL = reply("413 Content Too Large", "Connection: close", body=b"too much")


async def upload(proxy: RunningProxy) -> Message:
    """Send a large body as clients do: all of it, and then look for an answer."""
    caller = await proxy.connect()
    await caller.send(request("POST /", f"Content-Length: {LARGE}"))
    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(caller.send_until_stuck(bytes(MIB // 4), LARGE, seconds=30))
        answer = await caller.read_answer()
        sending.cancel()
    caller.reset()
    return answer


async def refuse_and_close(upstream: ByteServer) -> None:
    """Answer each request right behind its head, take nothing more, and hang up."""
    for _ in range(TRIES):
        server = await upstream.accepted()
        await server.read_head()
        await server.send(REFUSAL)
        server.close()


async def refused_in_all_tries(proxy: RunningProxy, upstream: ByteServer) -> None:
    """See that the upstream's word reaches the caller every time."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(refuse_and_close(upstream))
        for _ in range(TRIES):
            answer = await upload(proxy)
            assert (answer.status, answer.body) == (413, b"too much"), answer
            assert answer.head.value("Connection") == "close"
    await eventually(
        lambda: sum(event.get("status") == 413 for event in proxy.logs) == TRIES, "the log"
    )


async def test_a_refusal_of_an_upload_reaches_the_caller(tokens: TokenServer) -> None:
    """Whatever had arrived when the upstream hung up is read first (F11)."""
    async with proxied(tokens) as (proxy, upstream):
        await refused_in_all_tries(proxy, upstream)


async def test_a_refusal_of_an_upload_reaches_the_caller_over_tls(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Also where it has to be deciphered first (F11)."""
    ca, ca_file = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    async with (
        ByteServer(tls=context_for(ca, "127.0.0.1")) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file) as proxy,
    ):
        await refused_in_all_tries(proxy, upstream)


async def test_a_connection_that_took_an_upload_over_tls_serves_again(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Watching for last words leaves no trace: upload, download and upload on one connection."""
    ca, ca_file = trustme.CA(), tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))

    async def answer(message: Message) -> bytes:
        return reply(body=message.body or b"x" * SIZE)

    async with (
        ByteServer(answer, tls=context_for(ca, "127.0.0.1")) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file) as proxy,
    ):
        body = bytes(range(256)) * (MIB // 256)
        for _ in range(3):
            caller = await proxy.connect()
            await caller.send(request("POST /", f"Content-Length: {len(body)}", body=body))
            assert (await caller.read_answer()).body == body
            assert len((await caller.ask(request("GET /"))).body) == SIZE
            caller.close()
        assert len(upstream.connections) == 1


async def test_the_rest_of_a_refused_upload_goes_nowhere(tokens: TokenServer) -> None:
    """The upload stops, and a caller that sends all before it reads gets its answer (F11)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {SIZE}", body=bytes(1000)))
        server = await upstream.accepted()
        await server.read_head()
        await server.read(1000)
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nabc")
        await caller.read_head()
        await caller.send(bytes(SIZE - 1000))
        await server.send(b"def")
        assert await caller.read(6) == b"abcdef"
        assert await server.read_whatever() == bytes(server.received)
        assert server.received.count(0) < SIZE


async def test_an_answer_to_go_with_a_body_goes_on(tokens: TokenServer) -> None:
    """One that is no refusal may come while the upload runs, and both go on to their ends (F5)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        await caller.read_head()
        await caller.send(b"3\r\ndef\r\n0\r\n\r\n")
        assert await server.read(21) == b"3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n"
        await server.send(b"1\r\nb\r\n0\r\n\r\n")
        assert await caller.read(17) == b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"


EXPECT = ("Expect: 100-continue", f"Content-Length: {SIZE}")
EXPECT_SMALL = ("Expect: 100-continue", "Content-Length: 3")


@pytest.mark.parametrize("lines", [EXPECT, EXPECT_SMALL], ids=["large", "small"])
async def test_without_a_token_nobody_is_told_to_continue(
    tokens: TokenServer, lines: tuple[str, ...]
) -> None:
    """The refusal comes at once, before the body (F6)."""
    tokens.failure = reply("500 Oops")
    async with proxied(tokens, reply(), token_wait_seconds=0.3) as (proxy, upstream):
        caller = await proxy.connect()
        assert_problem(await caller.ask(request("POST /", *lines)), 503, "token_unavailable")
        assert not upstream.connections


async def test_without_a_connection_nobody_is_told_to_send_much(tokens: TokenServer) -> None:
    """A body that streams waits for the upstream; a small one is taken (F6, F12)."""
    settings = {"max_upstream_connections": 1, "connect_timeout_seconds": 8}
    async with proxied(tokens, None, **settings) as (proxy, upstream):
        first = await proxy.connect()
        await first.send(request("GET /first"))
        server = await upstream.accepted()
        await server.read_request()
        large, small = await proxy.connect(), await proxy.connect()
        assert (await small.ask(request("POST /", *EXPECT_SMALL))).status == 100
        await large.send(request("POST /", *EXPECT))
        await proxy.metric_becomes(1, "upstream_connections", state="waiting")
        proxy.put_forward(8)
        assert_problem(await large.read_answer(), 503, "overloaded")
        await server.send(reply())
        assert (await first.read_answer()).status == 200


async def test_continue_comes_when_the_head_has_gone_up(tokens: TokenServer) -> None:
    """And is given once, whatever comes of it (F6)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", *EXPECT))
        server = await upstream.accepted()
        assert (await server.read_head()).value("Content-Length") == str(SIZE)
        assert (await caller.read_answer()).status == 100
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSAL)
        assert (await caller.read_answer()).status == 413


async def test_continue_waits_for_the_first_token(tokens: TokenServer) -> None:
    """A caller that expects it waits as its request would (F6)."""
    tokens.gate.clear()
    async with proxied(tokens, None, token_wait_seconds=30) as (proxy, upstream):
        callers = [await proxy.connect() for _ in range(2)]
        for caller, lines in zip(callers, (EXPECT, EXPECT_SMALL), strict=True):
            await caller.send(request("POST /", *lines))
        for caller in callers:
            assert await caller.stays_silent()
        tokens.gate.set()
        for caller in callers:
            assert (await caller.read_answer()).status == 100
        await callers[1].send(b"abc")
        servers = [await upstream.accepted() for _ in range(2)]
        assert [(await server.read_head()).start for server in servers] == [b"POST / HTTP/1.1"] * 2


async def test_a_caller_that_does_not_wait_for_our_word_is_not_told(tokens: TokenServer) -> None:
    """Its body may come before the token, and goes up when there is one (F6)."""
    tokens.gate.clear()
    async with proxied(tokens, reply(body=b"x"), token_wait_seconds=30) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", *EXPECT_SMALL))
        assert await caller.stays_silent()
        await caller.send(b"abc")
        assert await caller.stays_silent()
        tokens.gate.set()
        assert (await caller.read_answer()).body == b"x"
        assert upstream.requests[0].body == b"abc"


async def test_a_body_that_is_there_is_not_late_while_a_token_is_awaited(
    tokens: TokenServer,
) -> None:
    """It waits as long as TOKEN_WAIT_SECONDS say, however soon a body would be late (F6, T4)."""
    tokens.gate.clear()
    async with proxied(tokens, reply(body=b"x"), token_wait_seconds=30) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("POST /", *EXPECT_SMALL))
        for part in (b"a", b"bc"):
            assert await caller.stays_silent()
            await caller.send(part)
        proxy.put_forward(100)
        assert await caller.stays_silent(1.2)  # the sweep looks twice a second
        tokens.gate.set()
        assert (await caller.read_answer()).body == b"x"


async def test_a_steady_upload_of_some_seconds_gets_its_refusal(tokens: TokenServer) -> None:
    """A caller that sends all before it looks is waited for as long as it goes on (F11)."""
    pieces, piece = 70, bytes(100_000)
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {pieces * len(piece)}"))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(REFUSAL)
        server.close()
        for _ in range(pieces):
            await caller.send(piece)
            await asyncio.sleep(0.1)
        assert (await caller.read_answer()).status == 413


async def test_a_refused_upload_in_chunks_gets_no_end(tokens: TokenServer) -> None:
    """What the upstream has of it never looks like all, although its caller sends the end (F11)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        assert await server.read(8) == b"3\r\nabc\r\n"
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nabc")
        await caller.read_head()
        await caller.send(b"3\r\ndef\r\n0\r\n\r\n")
        assert await server.stays_silent()
        await server.send(b"def")
        assert await caller.read(6) == b"abcdef"
        assert (await server.read_whatever()).endswith(b"\r\n\r\n3\r\nabc\r\n")
        await eventually(lambda: proxy.logs[-1]["event"] == "request", "the log")
        assert proxy.logs[-1]["bytes_in"] == 6


async def test_who_was_held_may_send_the_rest_of_a_refused_upload(tokens: TokenServer) -> None:
    """A caller that sends all before it reads gets its answer, though it was not read (F11)."""
    size = 32 * MIB
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {size}"))
        server = await upstream.accepted()
        await server.read_head()
        sent = await caller.send_until_stuck(bytes(MIB), size, seconds=0.5)
        assert sent < size
        await server.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\n\r\nabc")
        await caller.send(bytes(size - sent))
        await caller.read_head()
        await server.send(b"def")
        assert await caller.read(6) == b"abcdef"
