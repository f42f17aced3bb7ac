"""What of an answer reaches the caller, in which form and when (F4, F6, F10)."""

import gzip

import pytest

from tests.support.messages import Message, reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")


async def relayed(
    tokens: TokenServer, answer: bytes, message: bytes | None = None, **settings: object
) -> Message:
    """Return what the caller gets of the upstream's `answer`."""
    async with proxied(tokens, answer, **settings) as (proxy, _):
        return await proxy.ask(message or request("GET /"))


def foreign_headers(message: Message) -> list[tuple[str, str]]:
    """Return the headers without `Via` and the id, which the proxy writes itself."""
    pairs = [(name.decode(), value.decode("latin-1")) for name, value in message.head.headers]
    return [pair for pair in pairs if pair[0] not in {"Via", "X-Request-ID"}]


@pytest.mark.parametrize(
    "status", ["200 OK", "201 ", "299 Odd caf\xe9", "404 Not Found", "500 Oops", "599 X"]
)
async def test_status_line_is_relayed(tokens: TokenServer, status: str) -> None:
    """Status and reason cross as they came, errors of Signicat included."""
    answer = await relayed(tokens, reply(status, body=b"x"))
    assert answer.head.start == f"HTTP/1.1 {status}".encode("latin-1")
    assert answer.head.value("Proxy-Status") is None
    assert answer.body == b"x"


async def test_a_status_line_without_a_reason_gets_its_space(tokens: TokenServer) -> None:
    """Servers leave it out; RFC 9112 §4 wants it, and what leaves here is clean."""
    answer = await relayed(tokens, b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx")
    assert (answer.head.start, answer.body) == (b"HTTP/1.1 200 ", b"x")


async def test_headers_keep_order_case_and_repetition(tokens: TokenServer) -> None:
    """Headers cross as they came, values that are not UTF-8 included (F4)."""
    lines = [
        ("date", "Tue, 24 Nov 2026 10:00:00 GMT"),
        ("Set-Cookie", "a=1; Secure; Domain=signicat.com"),
        ("X-TRACE-id", "0af7651916cd43dd8448eb211c80319c"),
        ("Set-Cookie", "b=2; expires=Tue, 24 Nov 2026 10:00:00 GMT"),
        ("X-Latin", "caf\xe9 \xff"),
        ("X-Empty", ""),
        ("WWW-Authenticate", 'Bearer realm="IdentityServer",error="invalid_token"'),
        ("Content-Length", "0"),
    ]
    sent = reply("200 OK", *(f"{name}: {value}" for name, value in lines[:-1]))
    assert foreign_headers(await relayed(tokens, sent)) == lines


@pytest.mark.parametrize(
    "line",
    [
        "Connection: keep-alive",
        "Connection: x-gone\r\nX-Gone: 1\r\nX-GONE: 2",
        "Keep-Alive: timeout=5",
        "Proxy-Authenticate: Basic",
        "Proxy-Connection: keep-alive",
        "Proxy-Status: signicat-proxy; error=dns_error",
        "TE: trailers",
        "Trailer: X-T",
        "Upgrade: h2c",
        'Alt-Svc: h3=":443"; ma=2592000',
        "alt-SVC: clear",
        "Strict-Transport-Security: max-age=31536000; includeSubDomains; preload",
    ],
)
async def test_headers_that_stay_here(tokens: TokenServer, line: str) -> None:
    """Hop-by-hop headers, and those that speak of Signicat's own host, never cross (F4)."""
    answer = await relayed(tokens, reply("200 OK", "X-Before: 1", *line.split("\r\n"), "A: 2"))
    assert foreign_headers(answer) == [("X-Before", "1"), ("A", "2"), ("Content-Length", "0")]


async def test_connection_cannot_remove_the_framing(tokens: TokenServer) -> None:
    """An upstream that names `Content-Length` in `Connection` still frames its body."""
    answer = await relayed(tokens, reply("200 OK", "Connection: content-length", body=b"abc"))
    assert answer.body == b"abc"


async def test_via_is_appended(tokens: TokenServer) -> None:
    """`Via` says that the answer came through here, behind what others wrote."""
    answer = await relayed(tokens, reply("200 OK", "Via: 1.1 google"))
    assert ", ".join(answer.head.values("Via")) == "1.1 google, 1.1 signicat-proxy"


async def test_no_cors_header_is_added(tokens: TokenServer) -> None:
    """An allowed origin gets what the upstream says and no more (G2)."""
    message = request("GET /", "Origin: http://app.test")
    answer = await relayed(tokens, reply(), message, allowed_origins="http://app.test")
    assert answer.status == 200
    assert not [name for name in answer.head.names if name.lower().startswith("access-control")]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "br, gzip", "x-other", ""])
async def test_bodies_are_not_decompressed(tokens: TokenServer, coding: str) -> None:
    """`Content-Encoding` is between the caller and Signicat, whatever it is (F1)."""
    body = gzip.compress(b"x" * 10_000)
    answer = await relayed(tokens, reply("200 OK", f"Content-Encoding: {coding}", body=body))
    assert (answer.status, answer.body) == (200, body)
    assert answer.head.value("Content-Encoding") == coding


ME = "http://localhost:1234"  # what the caller calls the proxy

LOCATIONS = [
    # UPSTREAM_URL's path, Location (U stands for the upstream's origin), what the caller gets
    ("", "U/a?b=%2F#c", f"{ME}/a?b=%2F#c"),
    ("", "U", f"{ME}/"),
    ("", "U/", f"{ME}/"),
    ("", "U?x", f"{ME}/?x"),
    ("", "/a", "/a"),
    ("", "a/b", "a/b"),
    ("", "?x", "?x"),
    ("", "//evil.example/x", "//evil.example/x"),
    ("", "https://demo.sandbox.signicat.com/x", "https://demo.sandbox.signicat.com/x"),
    ("", "U0/a", "U0/a"),
    ("", "U@evil.example/a", "U@evil.example/a"),
    ("", "U.evil.example/a", "U.evil.example/a"),
    ("", "http://127.0.0.1/a", "http://127.0.0.1/a"),
    ("/base", "U/base/a", f"{ME}/a"),
    ("/base", "U/base", f"{ME}/"),
    ("/base", "/base/a", "/a"),
    ("/base", "U/basement/a", "U/basement/a"),
    ("/base", "U/other", "U/other"),
]


@pytest.mark.parametrize("header", ["Location", "content-location"])
@pytest.mark.parametrize(("base", "location", "expected"), LOCATIONS)
async def test_location_on_the_upstream_is_rewritten(
    tokens: TokenServer, header: str, base: str, location: str, expected: str
) -> None:
    """A redirect to the upstream leads back here, one to anywhere else stays; none is followed."""

    async def answer(message: Message) -> bytes:
        own = f"http://{message.head.value('Host')}"
        return reply("303 See Other", f"{header}: {location.replace('U', own)}")

    async with proxied(tokens, answer) as (_, upstream):
        url = upstream.url + base
        async with proxied(tokens, upstream=url) as (proxy, _):
            got = await proxy.ask(request("GET /x", host="localhost:1234"))
        assert got.head.value(header) == expected.replace("U", upstream.url)
        assert len(upstream.requests) == 1


async def test_events_are_relayed_one_by_one(tokens: TokenServer) -> None:
    """Every event is with the caller before the upstream sends the next (F10)."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /events", "Accept: text/event-stream"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
        assert (await caller.read_head(seconds=1)).value("Transfer-Encoding") == "chunked"
        for number in range(5):
            event = b"data: %d\n\n" % number
            await server.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert await caller.read(len(event) + 5, seconds=1) == b"9\r\n" + event + b"\r\n"
        await server.send(b"0\r\n\r\n")
        assert await caller.read(5) == b"0\r\n\r\n"


async def test_a_slow_body_with_a_length_is_relayed_byte_by_byte(tokens: TokenServer) -> None:
    """Nothing waits for more to come (F10)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
        await caller.read_head(seconds=1)
        for byte in (b"a", b"b", b"c"):
            await server.send(byte)
            assert await caller.read(1, seconds=1) == byte


async def test_an_answer_that_ends_with_the_connection_has_an_end(tokens: TokenServer) -> None:
    """HTTP/1.1 callers get it in chunks and keep their connection (F6)."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        server.close()
        answer = await caller.read_answer()
        assert answer.body == b"abc"
        assert answer.head.value("Transfer-Encoding") == "chunked"
        await caller.send(request("GET /again"))
        await (await upstream.accepted()).read_request()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_answers_of_either_version_are_relayed_as_ours(
    tokens: TokenServer, version: str
) -> None:
    """The version of an answer is that of the proxy (RFC 9110 §2.5)."""
    raw = f"HTTP/{version} 200 OK\r\nContent-Length: 2\r\n\r\nhi".encode()
    answer = await within(relayed(tokens, raw), "an answer")
    assert (answer.head.start, answer.body) == (b"HTTP/1.1 200 OK", b"hi")
