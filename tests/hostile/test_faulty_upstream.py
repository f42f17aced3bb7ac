"""What a broken, hostile or absent upstream does to callers (F7, F8, F9)."""

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

OK = b"HTTP/1.1 200 OK\r\n"
EMPTY = b"Content-Length: 0\r\n\r\n"

INVALID = {
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "one length twice": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    "list of lengths": OK + b"Content-Length: 2, 2\r\n\r\nab",
    "length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "signed length": OK + b"Content-Length: +2\r\n\r\nab",
    "negative length": OK + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": OK + b"Content-Length: 0x2\r\n\r\nab",
    "empty length": OK + b"Content-Length:\r\n\r\n",
    "huge length": OK + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: gzip\r\n\r\nab",
    "chunked not last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunked twice": OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "chunked in two lines": OK + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "coding in disguise": OK + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare LF between headers": OK + b"A: 1\nB: 2\r\n" + EMPTY,
    "bare CR": OK + b"A: 1\rB: 2\r\n" + EMPTY,
    "folded line": OK + b"A: 1\r\n folded\r\n" + EMPTY,
    "folded status": b"HTTP/1.1 200 OK\r\n folded: 1\r\n" + EMPTY,
    "space before colon": OK + b"A : 1\r\n" + EMPTY,
    "space before colon of a length": OK + b"Content-Length : 5\r\n\r\nhello",
    "tab before colon of a length": OK + b"Content-Length\t: 5\r\n\r\nhello",
    "space before colon of a coding": OK + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "space in a name": OK + b"A B: 1\r\n" + EMPTY,
    "sign in a name": OK + b"A(b): 1\r\n" + EMPTY,
    "letter outside ASCII in a name": OK + b"A\xe9: 1\r\n" + EMPTY,
    "no colon": OK + b"A\r\n" + EMPTY,
    "no name": OK + b": 1\r\n" + EMPTY,
    "NUL in value": OK + b"A: 1\x002\r\n" + EMPTY,
    "NUL in name": OK + b"A\x00: 1\r\n" + EMPTY,
    "control in value": OK + b"A: \x07\x1b[31m\r\n" + EMPTY,
    "DEL in value": OK + b"A: \x7f\r\n" + EMPTY,
    "control in reason": b"HTTP/1.1 200 O\x08K\r\n" + EMPTY,
    "status 99": b"HTTP/1.1 99 X\r\n" + EMPTY,
    "status 099": b"HTTP/1.1 099 X\r\n" + EMPTY,
    "status 600": b"HTTP/1.1 600 X\r\n" + EMPTY,
    "status 999": b"HTTP/1.1 999 X\r\n" + EMPTY,
    "status 99999": b"HTTP/1.1 99999 X\r\n" + EMPTY,
    "status abc": b"HTTP/1.1 abc X\r\n" + EMPTY,
    "status +20": b"HTTP/1.1 +20 X\r\n" + EMPTY,
    "two spaces": b"HTTP/1.1  200 OK\r\n" + EMPTY,
    "unasked 101": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "HTTP/2.0": b"HTTP/2.0 200 OK\r\n" + EMPTY,
    "HTTP/1.2": b"HTTP/1.2 200 OK\r\n" + EMPTY,
    "lower-case version": b"http/1.1 200 OK\r\n" + EMPTY,
    "HTML without a head": b"<html>\r\n<body>hello</body>\r\n\r\n",
    "empty line first": b"\r\n\r\n" + OK + EMPTY,
    "endless head": OK + b"A: b\r\n" * 200_000,
    "endless line": OK + b"A: " + b"b" * 1_000_000,
    "flood of interim answers": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000,
    "interim with body": b"HTTP/1.1 103 X\r\nContent-Length: 5\r\n\r\nhello" + OK + EMPTY,
    "interim with response as body": b"HTTP/1.1 103 X\r\nContent-Length: 36\r\n\r\n"
    + (OK + EMPTY) * 2,
    "interim in chunks": b"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n" + OK + EMPTY,
}


async def final_answer(caller: Channel) -> Message:
    """Return the first answer that is not an interim one."""
    while (answer := await caller.read_answer()).status < 200:
        pass
    return answer


@pytest.mark.parametrize("raw", INVALID.values(), ids=INVALID.keys())
async def test_invalid_answers_are_not_relayed(tokens: TokenServer, raw: bytes) -> None:
    """They become 502, their connection is closed, and the next request gets a fresh one (F9)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send_until_stuck(raw, 1)
        answer = await final_answer(caller)
        assert_problem(answer, 502, "upstream_invalid_response")
        assert answer.head.value("Proxy-Status") == "signicat-proxy; error=http_protocol_error"
        await server.read_whatever()
        await assert_next_request_works(proxy, upstream)


async def assert_next_request_works(proxy: RunningProxy, upstream: ByteServer) -> None:
    """See that a request gets its own answer, over a connection that was not used before."""
    caller = await proxy.connect()
    await caller.send(request("GET /next"))
    server = await upstream.accepted()
    assert (await server.read_request()).target == "/next"
    await server.send(reply(body=b"next"))
    assert (await caller.read_answer()).body == b"next"


CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

CUT_SHORT = {
    "length, some bytes": OK + b"Content-Length: 10\r\n\r\nabc",
    "length, no byte": OK + b"Content-Length: 10\r\n\r\n",
    "chunks, no byte": CHUNKED,
    "within a chunk": CHUNKED + b"5\r\nab",
    "between chunks": CHUNKED + b"2\r\nab\r\n",
    "before the last line": CHUNKED + b"2\r\nab\r\n0\r\n",
    "within trailers": CHUNKED + b"2\r\nab\r\n0\r\nX-T: 1\r\n",
}
GARBAGE = {
    "no size": CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "letters": CHUNKED + b"2\r\nab\r\nxyz\r\n",
    "negative size": CHUNKED + b"-1\r\na\r\n0\r\n\r\n",
    "0x size": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "huge size": CHUNKED + b"f" * 17 + b"\r\nab",
    "bare LF": CHUNKED + b"2\nab\n0\n\n",
    "longer than its size": CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
    "endless extension": CHUNKED + b"2;" + b"x" * 1_000_000,
    "endless trailers": CHUNKED + b"0\r\n" + b"X-T: 1\r\n" * 100_000,
}


async def cut_after(tokens: TokenServer, raw: bytes, ending: str, version: str) -> None:
    """See that the caller of an answer that begins with `raw` cannot take it for complete."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request(f"GET / HTTP/{version}"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send_until_stuck(raw, 1)
        if ending == "close":
            server.close()
        elif ending == "reset":
            server.reset()
        with pytest.raises(ClosedEarlyError):
            await caller.read_answer()
        await server.read_whatever()
        await assert_next_request_works(proxy, upstream)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize("ending", ["close", "reset"])
@pytest.mark.parametrize("raw", CUT_SHORT.values(), ids=CUT_SHORT.keys())
async def test_a_body_cut_short_never_looks_complete(
    tokens: TokenServer, raw: bytes, ending: str, version: str
) -> None:
    """The caller's connection is cut too, for HTTP/1.0 by a reset (F7)."""
    await cut_after(tokens, raw, ending, version)


@pytest.mark.parametrize("version", ["1.1", "1.0"])
async def test_a_reset_is_no_end_of_a_body(tokens: TokenServer, version: str) -> None:
    """A body that ends with the connection needs an end in good order (F7)."""
    await cut_after(tokens, OK + b"Connection: close\r\n\r\nabc", "reset", version)


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
async def test_garbage_in_chunks_never_looks_complete(tokens: TokenServer, raw: bytes) -> None:
    """The caller's connection is cut, the upstream's is closed (F9)."""
    await cut_after(tokens, raw, "nothing", "1.1")
