"""Requests with more than one reading are refused, and nothing of them goes on (G5, G6)."""

import pytest

from proxy.http1.message_faults import UNCLEAR
from tests.support.messages import assert_problem, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

HOST = b"Host: localhost\r\n"
POST = b"POST /x HTTP/1.1\r\n" + HOST
GET = b"GET /x HTTP/1.1\r\n" + HOST
TE = b"Transfer-Encoding: chunked\r\n"

AMBIGUOUS = {
    "length and chunks": POST + b"Content-Length: 5\r\n" + TE + b"\r\n0\r\n\r\n",
    "chunks and length": POST + TE + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": POST + b"Content-Length: 1, 2\r\n\r\nab",
    "signed length": POST + b"Content-Length: +2\r\n\r\nab",
    "negative length": POST + b"Content-Length: -2\r\n\r\nab",
    "hexadecimal length": POST + b"Content-Length: 0x2\r\n\r\nab",
    "length with underscore": POST + b"Content-Length: 1_0\r\n\r\nab",
    "length with space": POST + b"Content-Length: 1 0\r\n\r\nab",
    "empty length": POST + b"Content-Length: \r\n\r\nab",
    "huge length": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nab",
    "unknown coding": POST + b"Transfer-Encoding: gzip\r\n\r\n",
    "chunked not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked behind another": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + TE + TE + b"\r\n0\r\n\r\n",
    "chunked in quotes": POST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n',
    "chunked with parameter": POST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    "chunked misspelt": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding behind a tab": POST + b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    "coding with space before colon": POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /x HTTP/1.0\r\n" + HOST + TE + b"\r\n0\r\n\r\n",
    "chunk size in letters": POST + TE + b"\r\nxyz\r\nab\r\n0\r\n\r\n",
    "chunk size empty": POST + TE + b"\r\n\r\nab\r\n0\r\n\r\n",
    "chunk size signed": POST + TE + b"\r\n+2\r\nab\r\n0\r\n\r\n",
    "chunk size with 0x": POST + TE + b"\r\n0x2\r\nab\r\n0\r\n\r\n",
    "chunk size with underscore": POST + TE + b"\r\n0_2\r\nab\r\n0\r\n\r\n",
    "chunk size behind space": POST + TE + b"\r\n 2\r\nab\r\n0\r\n\r\n",
    "chunk size huge": POST + TE + b"\r\n" + b"f" * 17 + b"\r\nab",
    "chunk longer than its size": POST + TE + b"\r\n1\r\nab\r\n0\r\n\r\n",
    "chunk ends in LF": POST + TE + b"\r\n2\nab\n0\n\n",
    "bare LF": b"GET /x HTTP/1.1\nHost: localhost\n\n",
    "bare LF between headers": GET + b"A: 1\nB: 2\r\n\r\n",
    "bare LF at the end": GET + b"A: 1\n\r\n",
    "bare CR in a value": GET + b"A: 1\rB: 2\r\n\r\n",
    "bare CR in the target": b"GET /x\r HTTP/1.1\r\n" + HOST + b"\r\n",
    "space before colon": GET + b"A : 1\r\n\r\n",
    "tab before colon": GET + b"A\t: 1\r\n\r\n",
    "space before name": b"GET /x HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "folded line": GET + b"A: 1\r\n 2\r\n\r\n",
    "folded with tab": GET + b"A: 1\r\n\t2\r\n\r\n",
    "no colon": GET + b"A\r\n\r\n",
    "no name": GET + b": 1\r\n\r\n",
    "space in name": GET + b"A B: 1\r\n\r\n",
    "parenthesis in name": GET + b"A(B): 1\r\n\r\n",
    "name not ASCII": GET + b"A\xc3\xa9: 1\r\n\r\n",
    "NUL in value": GET + b"A: 1\x002\r\n\r\n",
    "NUL in name": GET + b"A\x00: 1\r\n\r\n",
    "control in value": GET + b"A: \x07\r\n\r\n",
    "escape in value": GET + b"A: \x1b[31m\r\n\r\n",
    "DEL in value": GET + b"A: \x7f\r\n\r\n",
    "NUL in target": b"GET /\x00x HTTP/1.1\r\n" + HOST + b"\r\n",
    "control in target": b"GET /\x01x HTTP/1.1\r\n" + HOST + b"\r\n",
    "tab in target": b"GET /\tx HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in target": b"GET /x y HTTP/1.1\r\n" + HOST + b"\r\n",
    "two spaces": b"GET  /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "space at the end": b"GET /x HTTP/1.1 \r\n" + HOST + b"\r\n",
    "fragment": b"GET /x#y HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /x\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET /x HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/1.2": b"GET /x HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/1.10": b"GET /x HTTP/1.10\r\n" + HOST + b"\r\n",
    "lower-case version": b"GET /x http/1.1\r\n" + HOST + b"\r\n",
    "prior knowledge of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "method no token": b"GE(T /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "method not ASCII": b"G\xc3\x89T /x HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "no Host": b"GET /x HTTP/1.1\r\n\r\n",
    "Host twice": GET + HOST + b"\r\n",
    "two hosts": GET + b"Host: evil.example\r\n\r\n",
    "Host twice, absolute form": b"GET http://localhost/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n",
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
async def test_ambiguous_requests_are_refused(tokens: TokenServer, raw: bytes) -> None:
    """They get 400, their connection is closed, and the upstream hears nothing whole (G5)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(raw + request("GET /smuggled"))
        answer = await caller.read_answer()
        assert UNCLEAR not in assert_problem(answer, 400, "bad_request")["detail"]
        assert answer.head.value("Connection") == "close"
        assert await caller.read_to_end() == b""
        assert upstream.received == b""


@pytest.mark.parametrize(
    "value", ["localhost, localhost", "localhost/evil", "a@localhost", "localhost:x", "[::1", "a b"]
)
async def test_a_malformed_host_is_refused(tokens: TokenServer, value: str) -> None:
    """`Host` is one name or address with or without a port (RFC 9112 §3.2)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        assert (await proxy.ask(request("GET /", host=value))).status == 400
        assert upstream.received == b""


async def test_an_old_caller_needs_no_host(tokens: TokenServer) -> None:
    """HTTP/1.0 came before `Host`."""
    async with proxied(tokens, reply()) as (proxy, _):
        assert (await proxy.ask(request("GET / HTTP/1.0", host=None))).status == 200


LATE_GARBAGE = [b"zz\r\n", b"2\r\nabc\r\n", b"0\r\nX-T: \x00\r\n\r\n", b"0\r\nbare: 1\n\r\n"]


@pytest.mark.parametrize("raw", LATE_GARBAGE)
async def test_garbage_late_in_a_body_ends_the_request(tokens: TokenServer, raw: bytes) -> None:
    """The upstream, which has the first half, never sees an end of the body (G5)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n"))
        server = await upstream.accepted()
        await server.read_head()
        assert await server.read(8) == b"3\r\nabc\r\n"
        await caller.send(raw + request("GET /smuggled"))
        assert (await caller.read_answer()).status == 400
        assert await caller.read_to_end() == b""
        received = await server.read_whatever()
        assert received.endswith(b"3\r\nabc\r\n")


async def test_an_unknown_expectation_is_not_forwarded(tokens: TokenServer) -> None:
    """It may be ignored or refused (RFC 9110 §10.1.1), never passed on (F4)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        answer = await proxy.ask(request("GET /", "Expect: 200-ok"))
        assert answer.status in {200, 417}
        assert b"200-ok" not in upstream.received


async def test_a_bad_beginning_is_refused_at_once_behind_a_good_head(tokens: TokenServer) -> None:
    """However the head before it came: nobody waits for the rest of what cannot be one (G5)."""
    good, bad = request("GET /", "A: " + "b" * 100), b"GET / HTTP/1.1\nHost: localhost\n"
    async with proxied(tokens, reply(), head_timeout_seconds=60) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(good[:-2])
        assert (await proxy.admin("GET /livez")).status == 200
        assert (await caller.ask(good[-2:])).status == 200
        assert_problem(await caller.ask(bad), 400, "bad_request")
