"""The heads that go out, as tables of bytes."""

import asyncio
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy import __version__
from proxy.errors import METHOD_NOT_ALLOWED, ProxyError
from proxy.http1.parser import RequestHeadParser
from proxy.http1.request import Request, RequestReader
from proxy.http1.request_id import id_line
from proxy.http1.response import ResponseReader
from proxy.http1.serializer import (
    UpstreamNames,
    interim_head,
    is_rechunked,
    request_head,
    response_head,
)

SIGNICAT = UpstreamNames.from_url("https://api.signicat.com")
WITH_BASE = UpstreamNames.from_url("http://up.test:8443/base/")
TOKEN = b"Authorization: Bearer t\r\n"


async def request_of(head: bytes) -> Request:
    return RequestReader(RequestHeadParser(asyncio.get_running_loop())).read(head)


async def answer_to(request: Request, names: UpstreamNames, head: bytes, *, close: bool) -> bytes:
    read = ResponseReader().read(request.method, head.removesuffix(b"\r\n\r\n"))
    is_chunked = is_rechunked(read, request)
    return response_head(
        read, request, names, id_line=id_line(b"id-1"), is_chunked=is_chunked, close=close
    )


async def test_request_head() -> None:
    """The head goes out with our Host, Via, token and User-Agent around the caller's lines."""
    request = await request_of(b"GET /a//b%2Fc?x=%7e HTTP/1.1\r\nHost: localhost:1\r\nA:1\r\n\r\n")
    assert request_head(request, SIGNICAT, TOKEN) == (
        b"GET /a//b%2Fc?x=%7e HTTP/1.1\r\nHost: api.signicat.com\r\nA:1\r\n"
        b"Via: 1.1 signicat-proxy\r\nAuthorization: Bearer t\r\n"
        b"User-Agent: signicat-proxy/" + __version__.encode() + b"\r\n\r\n"
    )


async def test_what_changes_with_each_request_stands_beside_the_token() -> None:
    """The rest is the same for every request with the same headers, and is remembered (O1)."""
    request = await request_of(b"GET /a HTTP/1.1\r\nHost: a\r\nX-Request-ID: no good\r\n\r\n")
    for number in (b"1", b"2"):
        line = id_line(number)
        assert line == b"X-Request-ID: " + number + b"\r\n"
        assert request_head(request, SIGNICAT, TOKEN, line) == (
            b"GET /a HTTP/1.1\r\nHost: api.signicat.com\r\nVia: 1.1 signicat-proxy\r\n"
            + TOKEN
            + line
            + b"User-Agent: signicat-proxy/"
            + __version__.encode()
            + b"\r\n\r\n"
        )


@pytest.mark.parametrize(
    "lines",
    [
        ["traceparent: a"],
        ["A: 1", "traceparent: a", "B: 2"],
        ["traceparent: a", "traceparent: a"],
        ["traceparent: a", "A: 1", "traceparent:"],
        ["traceparent:", "traceparent: a"],
        ["traceparent: a, b", "TRACEPARENT: c"],
        ["traceparent: a,", "traceparent:"],
        ["traceparent:a"],
        ["traceparent: a  "],
        ["Traceparent: traceparent: a", "traceparent: a"],
    ],
)
async def test_no_line_of_a_header_that_is_ours_goes_up(lines: list[str]) -> None:
    """However often it stands there, and however it is written; all others go up (O4)."""
    head = "\r\n".join(("GET /a HTTP/1.1", "Host: a", *lines, "traceparents: c", "\r\n"))
    request = await request_of(head.encode())
    names = UpstreamNames.from_url("https://api.signicat.com", has_traces=True)
    others = [line for line in (*lines, "traceparents: c") if line[:12].lower() != "traceparent:"]
    sent = request_head(request, names, TOKEN).decode().split("\r\n")
    assert sent[2 : sent.index("Via: 1.1 signicat-proxy")] == others


async def test_request_head_of_a_chunked_post() -> None:
    """A chunked body is announced by our own framing; a caller's User-Agent and Via stay."""
    request = await request_of(
        b"POST /? HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\nVia: 1.0 x\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    assert request_head(request, WITH_BASE, TOKEN, b"") == (
        b"POST /base/? HTTP/1.1\r\nHost: up.test:8443\r\nUser-Agent: u\r\nVia: 1.0 x\r\n"
        b"Via: 1.1 signicat-proxy\r\nAuthorization: Bearer t\r\nTransfer-Encoding: chunked\r\n\r\n"
    )


async def test_connection_cannot_remove_what_we_add() -> None:
    """`Connection: host, authorization, via` removes nothing of ours (F4)."""
    request = await request_of(
        b"GET / HTTP/1.0\r\n"
        b"Connection: host, authorization, via, user-agent\r\nUser-Agent: u\r\n\r\n"
    )
    head = request_head(request, SIGNICAT, TOKEN)
    assert head.startswith(
        b"GET / HTTP/1.1\r\nHost: api.signicat.com\r\nVia: 1.0 signicat-proxy\r\n" + TOKEN
    )


TARGETS = {
    "absolute": (b"http://api.signicat.com/a?b", b"api.signicat.com", b"/a?b"),
    "absolute, https, port": (b"HTTPS://X:1/a", b"X:1", b"/a"),
    "absolute without path": (b"http://x", b"x", b"/"),
    "absolute with query alone": (b"http://x?b", b"x", b"/?b"),
    "origin": (b"//x/y", b"localhost", b"//x/y"),
}


@pytest.mark.parametrize(("target", "authority", "origin"), TARGETS.values(), ids=TARGETS.keys())
async def test_target_forms(target: bytes, authority: bytes, origin: bytes) -> None:
    """The target's authority, where it has one, stands in for Host (RFC 9112 §3.2.2)."""
    request = await request_of(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert (request.authority, request.target) == (authority, origin)
    assert request.path == origin.split(b"?")[0]


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (b"OPTIONS * HTTP/1.1", "bad_request"),
        (b"GET http://u@x/ HTTP/1.1", "bad_request"),
        (b"GET ftp://x/ HTTP/1.1", "bad_request"),
        (b"GET /a#b HTTP/1.1", "bad_request"),
        (b"CONNECT x:1 HTTP/1.1", METHOD_NOT_ALLOWED.code),
        (b"CONNECT / HTTP/1.1", METHOD_NOT_ALLOWED.code),
        (b"TRACE / HTTP/1.1", METHOD_NOT_ALLOWED.code),
    ],
)
async def test_refused_targets(line: bytes, kind: str) -> None:
    """Targets that lead nowhere, and tunnels, are refused (F1, F3)."""
    with pytest.raises(ProxyError) as caught:
        await request_of(line + b"\r\nHost: a\r\n\r\n")
    assert caught.value.kind.code == kind


LOCATIONS = [
    (SIGNICAT, b"https://api.signicat.com/a?b#c", b"http://localhost:1/a?b#c"),
    (SIGNICAT, b"https://API.signicat.com:443/a", b"http://localhost:1/a"),
    (SIGNICAT, b"https://api.signicat.com", b"http://localhost:1/"),
    (SIGNICAT, b"https://api.signicat.com?x", b"http://localhost:1/?x"),
    (SIGNICAT, b"https://api.signicat.com.evil/a", b"https://api.signicat.com.evil/a"),
    (SIGNICAT, b"https://api.signicat.com:444/a", b"https://api.signicat.com:444/a"),
    (SIGNICAT, b"http://api.signicat.com/a", b"http://api.signicat.com/a"),
    (SIGNICAT, b"https://shop.example/ok", b"https://shop.example/ok"),
    (SIGNICAT, b"/a/b", b"/a/b"),
    (SIGNICAT, b"//other/a", b"//other/a"),
    (SIGNICAT, b"/\\other/a", b"/\\other/a"),
    (SIGNICAT, b"/\t/other/a", b"/\t/other/a"),
    (SIGNICAT, b"a/b", b"a/b"),
    (WITH_BASE, b"http://up.test:8443/base/a", b"http://localhost:1/a"),
    (WITH_BASE, b"http://up.test:8443/base", b"http://localhost:1/"),
    (WITH_BASE, b"http://up.test:8443/basement/a", b"http://up.test:8443/basement/a"),
    (WITH_BASE, b"/base/a", b"/a"),
    (WITH_BASE, b"/other", b"/other"),
    (SIGNICAT, b"https://api.signicat.com//evil.test", b"http://localhost:1//evil.test"),
    (WITH_BASE, b"http://up.test:8443/base//evil.test", b"http://localhost:1//evil.test"),
    (WITH_BASE, b"/base//evil.test", b"http://localhost:1//evil.test"),
    (WITH_BASE, b"/base/\\evil.test", b"http://localhost:1/\\evil.test"),
    (WITH_BASE, b"/base/\t/evil.test", b"http://localhost:1/\t/evil.test"),
    (WITH_BASE, b"/base/\t\t\\evil.test", b"http://localhost:1/\t\t\\evil.test"),
    (WITH_BASE, b"/base#a", b"/#a"),
    (WITH_BASE, b"http://up.test:8443/base#a", b"http://localhost:1/#a"),
]


@pytest.mark.parametrize(("names", "given", "expected"), LOCATIONS)
@pytest.mark.parametrize("header", [b"Location", b"content-location"])
async def test_location(names: UpstreamNames, header: bytes, given: bytes, expected: bytes) -> None:
    """A location on the upstream's origin leads back to the caller's address, others stay (F4)."""
    request = await request_of(b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n")
    head = b"HTTP/1.1 302 F\r\n" + header + b": " + given + b"\r\nContent-Length: 0\r\n\r\n"
    got = await answer_to(request, names, head, close=False)
    assert header + b": " + expected + b"\r\n" in got


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"http://up.test:8443/base/a", b"/a"),
        (b"http://up.test:8443/base/a \t", b"/a"),
        (b"http://up.test:8443/base\t", b"/"),
        (b"http://up.test:8443/base//evil.test", b"http://up.test:8443/base//evil.test"),
        (b"/base//evil.test", b"/base//evil.test"),
        (b"/base/\\evil.test", b"/base/\\evil.test"),
        (b"/base/\t/evil.test", b"/base/\t/evil.test"),
        (b"http://up.test:8443/base/\t/evil.test", b"http://up.test:8443/base/\t/evil.test"),
    ],
)
async def test_no_location_becomes_one_on_another_host(given: bytes, expected: bytes) -> None:
    """Where the caller's address is unknown, `//evil.test` is never what is left (F4)."""
    request = await request_of(b"GET / HTTP/1.0\r\n\r\n")
    head = b"HTTP/1.1 302 F\r\nLocation: " + given + b"\r\nContent-Length: 0\r\n\r\n"
    got = await answer_to(request, WITH_BASE, head, close=True)
    assert b"\r\nLocation: " + expected + b"\r\n" in got


SPECIAL = re.compile(rb"(https?|wss?|ftp):(.*)", re.IGNORECASE | re.DOTALL)
SCHEME = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*:")
AUTHORITY = re.compile(rb"[/\\]*(?:[^/\\?#]*@)?([^/\\?#]*)")


def host_in_browser(location: bytes, scheme: bytes, host: bytes) -> bytes:
    """Return where a browser goes from a page on `host` (WHATWG URL, basic URL parser)."""
    read = location.strip(bytes(range(0x21))).translate(None, b"\t\r\n")
    special = SPECIAL.fullmatch(read)
    if special is None and SCHEME.match(read):
        return b"an opaque URL"
    if special is not None:
        read = special[2]
        if special[1].lower() == scheme and not read.startswith(b"//"):
            special = None
    if special is not None or re.match(rb"[/\\]{2}", read):
        authority = AUTHORITY.match(read)
        assert authority
        return authority[1].lower()
    return host


PIECES = st.sampled_from(
    [
        *(b"/", b"/", b"\\", b"\t", b"\t", b" ", b"?", b"#", b"@", b":", b".", b"..", b";"),
        *(b"/base", b"/base/", b"base", b"evil.test", b"%2f", b"%09", b"http:", b"https:"),
        *(b"http://up.test:8443", b"http://up.test:8443/base", b"https://api.signicat.com"),
    ]
)
CALLERS = {
    b"localhost:1": b"GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n",
    b"": b"GET / HTTP/1.0\r\n\r\n",
}


@pytest.mark.parametrize("names", [SIGNICAT, WITH_BASE], ids=["no base", "base"])
@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("header", [b"Location", b"content-location"])
@given(pieces=st.lists(PIECES, max_size=8))
@example(pieces=[b"/base", b"/", b"\t", b"/", b"evil.test"])
@example(pieces=[b"http://up.test:8443/base", b"/", b"\t", b"\\", b"evil.test"])
def test_no_rewritten_location_leads_elsewhere(
    names: UpstreamNames, caller: bytes, header: bytes, pieces: list[bytes]
) -> None:
    """As a browser reads it, a location on the upstream leads here, any other where it did (F4)."""
    location = b"".join(pieces)
    head = b"HTTP/1.1 302 F\r\n%b: %b\r\nContent-Length: 0\r\n\r\n" % (header, location)

    async def relayed() -> bytes:
        return await answer_to(await request_of(CALLERS[caller]), names, head, close=True)

    got = asyncio.run(relayed()).split(b"\r\n")[1].partition(b":")[2]
    if got.strip(b" \t") == location.strip(b" \t"):
        return
    is_ours = names is SIGNICAT
    scheme, upstream = (b"https", b"api.signicat.com") if is_ours else (b"http", b"up.test:8443")
    assert host_in_browser(location, scheme, upstream) in (upstream, upstream + b":443")
    assert host_in_browser(got, b"http", caller) == caller


async def test_response_heads() -> None:
    """Via is appended; the caller's version and the end of the connection decide the rest."""
    new = await request_of(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    old = await request_of(b"GET / HTTP/1.0\r\n\r\n")
    chunked = b"HTTP/1.1 200 Fine\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
    assert await answer_to(new, SIGNICAT, chunked, close=False) == (
        b"HTTP/1.1 200 Fine\r\nX: y\r\nVia: 1.1 signicat-proxy\r\n"
        b"Transfer-Encoding: chunked\r\nX-Request-ID: id-1\r\n\r\n"
    )
    assert await answer_to(old, SIGNICAT, chunked, close=True) == (
        b"HTTP/1.1 200 Fine\r\nX: y\r\nVia: 1.1 signicat-proxy\r\n"
        b"Connection: close\r\nX-Request-ID: id-1\r\n\r\n"
    )
    fixed = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"
    assert await answer_to(old, SIGNICAT, fixed, close=False) == (
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nVia: 1.1 signicat-proxy\r\n"
        b"Connection: keep-alive\r\nX-Request-ID: id-1\r\n\r\n"
    )


def test_interim_head() -> None:
    """A 103 passes with its headers."""
    head = ResponseReader().read(b"GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>")
    assert interim_head(head) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


@pytest.mark.parametrize(("size", "is_kept"), [(100, True), (30_000, False)])
async def test_only_a_small_block_is_kept_as_it_goes_out(*, size: int, is_kept: bool) -> None:
    """An idle connection holds at most 2 KiB of headers (G11); what goes out is the same."""
    request = await request_of(b"GET / HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % (b"a" * size))
    sent = {request_head(request, SIGNICAT, TOKEN) for _ in range(2)}
    assert len(sent) == 1
    assert (request.known.upstream_parts is not None) == is_kept
