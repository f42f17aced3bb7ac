"""Bodies and their framing, in both directions (F5, F6)."""

import random

import pytest

from tests.support.messages import reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

MIB = 1 << 20
CHUNKED = "Transfer-Encoding: chunked"


def chunked(body: bytes, size: int = 30_000) -> bytes:
    """Return `body` in chunks, without trailers."""
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%X\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


FRAMINGS = [
    # method, headers, body as sent → Content-Length, Transfer-Encoding, body at the upstream
    ("GET", "", b"", None, None, b""),
    ("HEAD", "", b"", None, None, b""),
    ("OPTIONS", "", b"", None, None, b""),
    ("DELETE", "", b"", None, None, b""),
    ("GET", "Content-Length: 0", b"", None, None, b""),
    ("POST", "", b"", "0", None, b""),
    ("PUT", "", b"", "0", None, b""),
    ("PATCH", "", b"", "0", None, b""),
    ("POST", "Content-Length: 0", b"", "0", None, b""),
    ("POST", "Content-Length: 3", b"abc", "3", None, b"abc"),
    ("DELETE", "Content-Length: 3", b"abc", "3", None, b"abc"),
    ("GET", "Content-Length: 3", b"abc", "3", None, b"abc"),
    ("POST", CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", None, "chunked", b"abc"),
    ("PUT", CHUNKED, b"0\r\n\r\n", None, "chunked", b""),
    ("GET", CHUNKED, b"3\r\nabc\r\n0\r\n\r\n", None, "chunked", b"abc"),
    ("POST", "transfer-encoding: Chunked", b"1\r\na\r\n0\r\n\r\n", None, "chunked", b"a"),
    ("POST", CHUNKED, b"0003;ext=1;x\r\nabc\r\n000\r\n\r\n", None, "chunked", b"abc"),
]


@pytest.mark.parametrize(("method", "line", "body", "length", "coding", "received"), FRAMINGS)
async def test_framing_of_requests(
    tokens: TokenServer,
    method: str,
    line: str,
    body: bytes,
    length: str | None,
    coding: str | None,
    received: bytes,
) -> None:
    """Signicat answers 411 to an unframed POST and 400 to a framed GET without body (F5)."""
    lines = (line,) if line else ()
    async with proxied(tokens, reply()) as (proxy, upstream):
        assert (await proxy.ask(request(f"{method} /", *lines, body=body))).status == 200
        (message,) = upstream.requests
    assert message.head.value("Content-Length") == length
    assert message.head.value("Transfer-Encoding") == coding
    assert message.body == received


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 65_536, 5 * MIB])
async def test_bodies_go_up_byte_for_byte(
    tokens: TokenServer, size: int, *, is_chunked: bool
) -> None:
    """Nothing is changed on the way, whatever the size (F1, F5)."""
    body = random.Random(size).randbytes(size)
    line = CHUNKED if is_chunked else f"Content-Length: {size}"
    async with proxied(tokens, reply()) as (proxy, upstream):
        sent = request("POST /", line, body=chunked(body) if is_chunked else body)
        assert (await proxy.ask(sent)).status == 200
        (message,) = upstream.requests
    assert message.body == body


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("size", [0, 1, 65_536, 5 * MIB])
async def test_bodies_come_down_byte_for_byte(
    tokens: TokenServer, size: int, *, is_chunked: bool
) -> None:
    """Nothing is changed on the way, and the framing stays of its kind (F1, F5)."""
    body = random.Random(size).randbytes(size)
    answer = reply(body=body)
    if is_chunked:
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body)
    async with proxied(tokens, answer) as (proxy, _):
        message = await proxy.ask(request("GET /"))
    assert message.body == body
    assert message.head.value("Content-Length") == (None if is_chunked else str(size))


async def test_chunks_are_read_however_they_are_cut(tokens: TokenServer) -> None:
    """A body that comes byte by byte, both ways, is the same body."""
    body = b"4\r\nWiki\r\n6\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\n\r\n"
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", CHUNKED))
        server = await upstream.accepted()
        for byte in body:
            await caller.send(bytes((byte,)))
        assert (await server.read_request()).body == b"Wikipedia in \r\n\r\nchunks."
        for byte in b"HTTP/1.1 200 OK\r\n" + CHUNKED.encode() + b"\r\n\r\n" + body:
            await server.send(bytes((byte,)))
        assert (await caller.read_answer()).body == b"Wikipedia in \r\n\r\nchunks."


async def test_trailers_never_become_headers(tokens: TokenServer) -> None:
    """Trailers may be dropped; the message before and after them is unharmed (F6)."""
    trailed = b"3\r\nabc\r\n0\r\nX-Trailer: 1\r\nAuthorization: Bearer x\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + trailed
    async with proxied(tokens, answer) as (proxy, upstream):
        caller = await proxy.connect()
        for _ in range(2):
            got = await caller.ask(request("POST /", CHUNKED, "Trailer: X-Trailer", body=trailed))
            assert got.body == b"abc"
            assert got.head.value("X-Trailer") is None
        assert [message.body for message in upstream.requests] == [b"abc", b"abc"]
        assert upstream.requests[1].head.value("X-Trailer") is None
        assert len(upstream.requests[1].head.values("Authorization")) == 1


LIMIT = 96 * MIB


async def test_early_answer_to_a_running_upload(tokens: TokenServer) -> None:
    """An upstream that refuses a large body early is heard, and its connection is not used on."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {LIMIT}", body=b"x" * 1000))
        server = await upstream.accepted()
        await server.read_head()
        await server.send(reply("413 Content Too Large", body=b"no"))
        answer = await caller.read_answer()
        assert (answer.status, answer.body) == (413, b"no")
        assert await caller.read_whatever()
        await server.read_whatever()
