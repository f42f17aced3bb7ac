"""Connections of callers: keep-alive, pipelining, old versions, interim answers (F6)."""

import pytest

from tests.support.messages import Message, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

CHUNKED_ANSWER = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


async def echo_target(message: Message) -> bytes:
    """Answer with the request's target and body."""
    return reply(body=message.target.encode() + message.body)


async def test_one_connection_serves_many_requests(tokens: TokenServer) -> None:
    """Callers and upstream connections are kept alive; one of each is enough."""
    async with proxied(tokens, echo_target) as (proxy, upstream):
        caller = await proxy.connect()
        for number in range(20):
            answer = await caller.ask(request(f"GET /{number}"))
            assert answer.body == b"/%d" % number
            assert answer.head.value("Connection") is None
        assert len(upstream.connections) == 1


@pytest.mark.parametrize("count", [2, 20])
async def test_pipelined_requests_are_answered_in_order(tokens: TokenServer, count: int) -> None:
    """Requests in one segment get one answer each, in their order."""
    async with proxied(tokens, echo_target) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(b"".join(request(f"GET /{number}") for number in range(count)))
        for number in range(count):
            assert (await caller.read_answer()).body == b"/%d" % number
        assert [message.target for message in upstream.requests] == [f"/{n}" for n in range(count)]


async def test_pipelined_bodies_stay_with_their_requests(tokens: TokenServer) -> None:
    """The end of a body is the beginning of the next request, whatever the framing."""
    posts = request("POST /a", "Content-Length: 3", body=b"one")
    posts += request("POST /b", "Transfer-Encoding: chunked", body=b"3\r\ntwo\r\n0\r\n\r\n")
    posts += request("POST /c") + request("GET /d")
    async with proxied(tokens, echo_target) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(posts)
        bodies = [(await caller.read_answer()).body for _ in range(4)]
        assert bodies == [b"/aone", b"/btwo", b"/c", b"/d"]


async def test_what_follows_a_body_in_chunks_is_read_however_much(tokens: TokenServer) -> None:
    """A whole row of requests behind it, more than a piece of chunks may be (F6, G11)."""
    count = 600
    row = b"".join(request(f"GET /{number}") for number in range(count))
    post = request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n0\r\n\r\n")
    async with proxied(tokens, echo_target) as (proxy, _):
        caller = await proxy.connect()
        assert len(row) > 16 << 10
        await caller.send(post + row)
        assert (await caller.read_answer()).body == b"/abc"
        for number in range(count):
            assert (await caller.read_answer()).body == b"/%d" % number


async def test_a_pipeline_ends_with_close(tokens: TokenServer) -> None:
    """What follows a request with `Connection: close` is never read (RFC 9112 §9.6)."""
    async with proxied(tokens, echo_target) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /1", "Connection: close") + request("GET /2"))
        answer = await caller.read_answer()
        assert (answer.body, answer.head.value("Connection")) == (b"/1", "close")
        assert await caller.read_to_end() == b""
        assert len(upstream.requests) == 1


async def test_empty_lines_before_a_request_are_skipped(tokens: TokenServer) -> None:
    """Old clients send an extra CRLF after a body (RFC 9112 §2.2)."""
    async with proxied(tokens, echo_target) as (proxy, _):
        assert (await proxy.ask(b"\r\n" + request("GET /x"))).body == b"/x"


async def test_a_request_may_come_byte_by_byte(tokens: TokenServer) -> None:
    """Segments of the network are not messages."""
    async with proxied(tokens, echo_target) as (proxy, _):
        caller = await proxy.connect()
        for byte in request("POST /x", "Content-Length: 2", body=b"hi"):
            await caller.send(bytes((byte,)))
        assert (await caller.read_answer()).body == b"/xhi"


async def test_close_of_the_upstream_stays_between_us(tokens: TokenServer) -> None:
    """`Connection: close` of the upstream ends its connection, not the caller's."""
    async with proxied(tokens, reply("200 OK", "Connection: close", body=b"x")) as (proxy, server):
        caller = await proxy.connect()
        for _ in range(3):
            answer = await caller.ask(request("GET /"))
            assert (answer.body, answer.head.value("Connection")) == (b"x", None)
        assert len(server.connections) == 3


@pytest.mark.parametrize("raw", [reply(body=b"abc"), CHUNKED_ANSWER], ids=["length", "chunked"])
async def test_old_callers_get_an_answer_that_ends_with_the_connection(
    tokens: TokenServer, raw: bytes
) -> None:
    """HTTP/1.0 knows no chunks, and without keep-alive the connection is closed."""
    async with proxied(tokens, raw) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET / HTTP/1.0", host=None))
        answer = await caller.read_answer()
        assert answer.body == b"abc"
        assert answer.head.value("Transfer-Encoding") is None
        assert await caller.read_to_end() == b""
        assert upstream.requests[0].head.start == b"GET / HTTP/1.1"


async def test_old_callers_may_keep_the_connection(tokens: TokenServer) -> None:
    """HTTP/1.0 with keep-alive is told so, where the answer has a length."""
    async with proxied(tokens, echo_target) as (proxy, _):
        caller = await proxy.connect()
        for target in ("/1", "/2"):
            answer = await caller.ask(request(f"GET {target} HTTP/1.0", "Connection: Keep-Alive"))
            assert answer.body == target.encode()
            assert (answer.head.value("Connection") or "").lower() == "keep-alive"


async def test_old_callers_cannot_keep_a_connection_without_length(tokens: TokenServer) -> None:
    """A chunked answer ends with the connection for HTTP/1.0, keep-alive or not."""
    async with proxied(tokens, CHUNKED_ANSWER) as (proxy, _):
        caller = await proxy.connect()
        answer = await caller.ask(request("GET / HTTP/1.0", "Connection: keep-alive"))
        assert (answer.body, answer.head.value("Transfer-Encoding")) == (b"abc", None)
        assert answer.head.value("Connection") in {None, "close"}


NO_BODY = [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "1000"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", None),
    ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n", None),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", None),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 1000\r\n\r\n", "1000"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\n\r\n", None),
    ("DELETE", b"HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", None),
]


@pytest.mark.parametrize(("method", "raw", "length"), NO_BODY)
async def test_answers_without_body(
    tokens: TokenServer, method: str, raw: bytes, length: str | None
) -> None:
    """HEAD, 204 and 304 end with their head, keep their `Content-Length`, and the next follows."""

    async def answer(message: Message) -> bytes:
        return raw if message.target == "/first" else reply(body=b"next")

    async with proxied(tokens, answer) as (proxy, upstream):
        caller = await proxy.connect()
        got = await caller.ask(request(f"{method} /first"))
        assert got.head.value("Content-Length") == length
        assert (await caller.ask(request("GET /next"))).body == b"next"
        assert len(upstream.connections) == 1


@pytest.mark.parametrize(("body", "stays"), [(b"", True), (b"HTTP/1.1 200 OK\r\n\r\n", False)])
async def test_no_answer_follows_a_205_with_a_body(
    tokens: TokenServer, body: bytes, *, stays: bool
) -> None:
    """Some callers read none of it, and would take it for the next answer (RFC 9110 §15.3.6)."""
    async with proxied(tokens, reply("205 Reset Content", body=body)) as (proxy, _):
        caller = await proxy.connect()
        answer = await caller.ask(request("POST /"))
        assert (answer.status, answer.body) == (205, body)
        assert (answer.head.value("Connection") == "close") is not stays
        if not stays:
            assert await caller.read_to_end() == b""


async def test_continue_is_answered_and_never_forwarded(tokens: TokenServer) -> None:
    """A caller that expects 100 gets it at once and from us (F6)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Expect: 100-continue", "Content-Length: 2"))
        assert (await caller.read_answer()).status == 100
        await caller.send(b"hi")
        server = await upstream.accepted()
        message = await server.read_request()
        assert (message.head.value("Expect"), message.body) == (None, b"hi")
        await server.send(b"HTTP/1.1 100 Continue\r\n\r\n" + reply())
        assert (await caller.read_answer()).status == 200


async def test_an_old_caller_is_not_told_to_continue(tokens: TokenServer) -> None:
    """HTTP/1.0 knows no interim answers, whatever it says to expect (RFC 9110 §10.1.1)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        lines = ("Expect: 100-continue", "Content-Length: 2")
        await caller.send(request("POST / HTTP/1.0", *lines))
        assert await caller.stays_silent()
        await caller.send(b"hi")
        assert (await caller.read_answer()).status == 200
        assert upstream.requests[0].body == b"hi"


async def test_a_refused_request_is_not_told_to_continue(tokens: TokenServer) -> None:
    """The final answer comes instead of 100 (RFC 9110 §10.1.1)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        sent = request("POST /", "Expect: 100-Continue", "Content-Length: 2", host="evil.example")
        assert (await proxy.ask(sent)).status == 421
        assert not upstream.connections


async def test_early_hints_are_relayed(tokens: TokenServer) -> None:
    """Interim answers cross, but 100, which we have already given."""
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with proxied(tokens, raw + reply(body=b"x")) as (proxy, _):
        caller = await proxy.connect()
        hints = await caller.ask(request("GET /"))
        assert (hints.status, hints.head.value("Link")) == (103, "</a>")
        final = await caller.read_answer()
        assert (final.status, final.body) == (200, b"x")


async def test_old_callers_get_no_interim_answers(tokens: TokenServer) -> None:
    """HTTP/1.0 has none (RFC 9110 §15.2)."""
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + reply(body=b"x")
    async with proxied(tokens, raw) as (proxy, _):
        assert (await proxy.ask(request("GET / HTTP/1.0"))).status == 200


async def test_a_resting_caller_is_closed_after_a_while(tokens: TokenServer) -> None:
    """CALLER_IDLE_SECONDS ends kept-alive connections, those without any request too."""
    async with proxied(tokens, reply(), caller_idle_seconds=20) as (proxy, _):
        silent, resting = await proxy.connect(), await proxy.connect()
        await resting.ask(request("GET /"))
        proxy.put_forward(11)
        assert await silent.stays_silent(1.2)  # the sweep looks twice a second
        assert await resting.stays_silent()
        proxy.put_forward(9)
        assert await silent.read_to_end() == b""
        assert await resting.read_to_end() == b""


async def test_a_resting_upstream_connection_is_closed_after_a_while(tokens: TokenServer) -> None:
    """UPSTREAM_IDLE_SECONDS ends pooled connections."""
    async with proxied(tokens, upstream_idle_seconds=0.4) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(reply())
        await caller.read_answer()
        assert await server.read_whatever() == bytes(server.received)
        await proxy.metric_becomes(0, "upstream_connections", state="idle")
