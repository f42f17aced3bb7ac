"""What crosses and what stays (F4, F5), as tables of header lines."""

import tracemalloc

import pytest

from proxy.http1.framing import CHUNKED, UNTIL_CLOSE
from proxy.http1.headers import MessageHeaders, read_request_headers
from proxy.http1.parser import MalformedMessageError
from proxy.http1.response import ResponseHead, ResponseReader

RESPONSES = ResponseReader()


def _split(lines: list[bytes]) -> tuple[tuple[bytes, bytes], ...]:
    pairs = (line.partition(b":") for line in lines)
    return tuple((name, value.strip(b" \t")) for name, _, value in pairs)


def request_headers(
    *lines: bytes, method: bytes = b"GET", is_http_10: bool = False
) -> MessageHeaders:
    return read_request_headers(
        method, [b"GET / HTTP/1.1", *lines], _split(list(lines)), is_http_10=is_http_10
    )


def response_headers(
    *lines: bytes, method: bytes = b"GET", status: int = 200, is_http_10: bool = False
) -> ResponseHead:
    start = b"HTTP/1.%d %d OK" % (not is_http_10, status)
    return RESPONSES.read(method, b"\r\n".join((start, *lines)))


def test_order_case_and_repetition() -> None:
    """Headers that cross do so in order, repeated, with case and blanks as received (F4)."""
    lines = (b"accept: */*", b"X-A:1", b"Cookie: a=b", b"X-A:  2 ", b"X-B: \xfe")
    assert request_headers(*lines).lines == list(lines)


STAYS = [
    b"Connection: close",
    b"Keep-Alive: timeout=5",
    b"TE: trailers",
    b"Trailer: X",
    b"Upgrade: websocket",
    b"Proxy-Connection: keep-alive",
    b"Proxy-Authorization: Basic eA==",
    b"Proxy-Anything: x",
    b"Authorization: Bearer theirs",
    b"AUTHORIZATION: Bearer theirs",
    b"Expect: 100-continue",
    b"Host: localhost",
    b"Forwarded: for=1.2.3.4",
    b"X-Forwarded-For: 1.2.3.4",
    b"X-Forwarded-Anything: x",
    b"X-Real-IP: 1.2.3.4",
    b"X_Forwarded_For: 1.2.3.4",
    b"X-Forwarded_Host: x",
    b"x_real_ip: 1.2.3.4",
    b"Proxy_Authorization: x",
    b"Transfer_Encoding: chunked",
    b"Content_Length: 5",
    b"X.Forwarded.For: 1.2.3.4",
    b"X~Real+IP: 1.2.3.4",
    b"Transfer.Encoding: chunked",
    b"Content|Length: 5",
    b"Proxy!Authorization: x",
    b"X_Request-ID: order-17",
]


def test_names_of_a_peers_own_are_not_hoarded() -> None:
    """A peer that sends ever new or huge names makes the proxy hold no more than a little."""
    tracemalloc.start()
    try:
        for number in range(3000):
            request_headers(b"X-%d-" % number + b"a" * 20_000 + b": 1")
            response_headers(b"Y-%d-" % number + b"a" * 20_000 + b": 1")
            request_headers(b"Z-%d: 1" % number)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2_000_000
    assert request_headers(b"A: 1", STAYS[0]).lines == [b"A: 1"]


@pytest.mark.parametrize("line", STAYS)
def test_request_header_that_stays(line: bytes) -> None:
    """Hop-by-hop headers, credentials and claims about the origin do not cross (F4)."""
    headers = request_headers(b"A: 1", line, b"B: 2")
    assert headers.lines == [b"A: 1", b"B: 2"]
    assert headers.length == 0


@pytest.mark.parametrize(
    "line",
    [b"User-Agent: x", b"X_Request_Name: 1", b"Forwarded-By: x", b"Via: 1.0 x", b"Origin: x"],
)
def test_request_header_that_crosses(line: bytes) -> None:
    """What only resembles a removed header crosses."""
    assert request_headers(line).lines == [line]


def test_connection_names_headers() -> None:
    """What `Connection` names stays, except the framing (F4)."""
    headers = request_headers(
        b"Connection: close, X-Secret ,Content-Length",
        b"x-secret: 1",
        b"Content-Length: 3",
        b"X-Other: 2",
        method=b"POST",
    )
    assert headers.lines == [b"Content-Length: 3", b"X-Other: 2"]
    assert headers.length == 3
    assert b"close" in headers.options


REQUEST_FRAMING: dict[str, tuple[bytes, tuple[bytes, ...], int, list[bytes]]] = {
    "GET without body": (b"GET", (), 0, []),
    "GET with length 0": (b"GET", (b"Content-Length: 0",), 0, []),
    "DELETE with length 0": (b"DELETE", (b"Content-Length: 00",), 0, []),
    "GET with body": (b"GET", (b"Content-Length: 2",), 2, [b"Content-Length: 2"]),
    "POST without framing": (b"POST", (), 0, [b"Content-Length: 0"]),
    "PUT without framing": (b"PUT", (), 0, [b"Content-Length: 0"]),
    "PATCH without framing": (b"PATCH", (), 0, [b"Content-Length: 0"]),
    "POST with length 0": (b"POST", (b"Content-Length: 0",), 0, [b"Content-Length: 0"]),
    "chunked": (b"POST", (b"Transfer-Encoding: Chunked",), CHUNKED, []),
}


@pytest.mark.parametrize(
    ("method", "lines", "length", "kept"), REQUEST_FRAMING.values(), ids=REQUEST_FRAMING.keys()
)
def test_request_framing(
    method: bytes, lines: tuple[bytes, ...], length: int, kept: list[bytes]
) -> None:
    """No body goes out without framing, except what Signicat answers 411 to (F5)."""
    headers = request_headers(*lines, method=method)
    assert (headers.length, headers.lines) == (length, kept)


BAD_FRAMING = [
    (b"Content-Length: 1", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: gzip, chunked",),
    (b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"),
    (b"Transfer-Encoding: identity",),
    (b"Transfer-Encoding: xchunked",),
    (b"Transfer-Encoding:",),
    (b"Content-Length: 1", b"Content-Length: 1"),
    (b"Content-Length: 1,1",),
    (b"Content-Length: -1",),
    (b"Content-Length: 0x1",),
    (b"Content-Length: \xb2",),
    (b"Content-Length: 1234567890123456789",),
]


@pytest.mark.parametrize("lines", BAD_FRAMING)
def test_framing_with_two_readings(lines: tuple[bytes, ...]) -> None:
    """Framing that two readers could read differently is refused both ways (G5, F9)."""
    with pytest.raises(MalformedMessageError):
        request_headers(*lines, method=b"POST")
    with pytest.raises(MalformedMessageError):
        response_headers(*lines)


def test_chunked_http_10() -> None:
    """HTTP/1.0 knows no chunks: whoever says so is refused."""
    with pytest.raises(MalformedMessageError):
        request_headers(b"Transfer-Encoding: chunked", method=b"POST", is_http_10=True)
    with pytest.raises(MalformedMessageError):
        response_headers(b"Transfer-Encoding: chunked", is_http_10=True)


def test_repeated_facts_are_joined() -> None:
    """A special header that stands twice is one list, so that a guard sees both."""
    assert request_headers(b"Origin: a", b"Origin: b").facts[b"origin"] == b"a, b"


@pytest.mark.parametrize("status", [102, 103, 199, 204])
def test_what_has_no_body_has_no_length(status: int) -> None:
    """A caller that believed it would take the next answer for a body (RFC 9110 §8.6)."""
    headers = response_headers(b"A: 1", b"Content-Length: 0", status=status)
    assert (headers.length, headers.lines) == (0, [b"A: 1"])


def test_a_204_that_declares_a_body_has_none() -> None:
    """Nor does the caller hear of one (RFC 9110 §8.6)."""
    headers = response_headers(b"A: 1", b"Content-Length: 5", status=204)
    assert (headers.length, headers.lines) == (0, [b"A: 1"])


@pytest.mark.parametrize("status", [102, 103, 199])
def test_an_interim_response_that_declares_a_body_is_refused(status: int) -> None:
    """What follows it could be its body or the final response (F9)."""
    with pytest.raises(MalformedMessageError, match="an interim response declares a body"):
        response_headers(b"A: 1", b"Content-Length: 5", status=status)


@pytest.mark.parametrize(
    "line",
    [
        b"Connection: keep-alive",
        b"Keep-Alive: timeout=5",
        b"Alt-Svc: h3",
        b"Strict-Transport-Security: max-age=1",
        b"Proxy-Status: x; error=y",
        b"Proxy-Authenticate: Basic",
        b"Authorization: Bearer echoed",
        b"Upgrade: h2c",
        b"Trailer: X",
    ],
)
def test_response_header_that_stays(line: bytes) -> None:
    """What speaks of this hop or of Signicat's own host does not reach the caller (F4)."""
    lines = [b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Via: 1.1 google"]
    assert response_headers(lines[0], line, *lines[1:]).lines == lines


RESPONSE_FRAMING: dict[str, tuple[bytes, int, tuple[bytes, ...], int, list[bytes]]] = {
    "length": (b"GET", 200, (b"Content-Length: 7",), 7, [b"Content-Length: 7"]),
    "chunked": (b"GET", 200, (b"Transfer-Encoding: chunked",), CHUNKED, []),
    "until close": (b"GET", 200, (), UNTIL_CLOSE, []),
    "HEAD": (b"HEAD", 200, (b"Content-Length: 7",), 0, [b"Content-Length: 7"]),
    "HEAD chunked": (b"HEAD", 200, (b"Transfer-Encoding: chunked",), 0, []),
    "204 with length": (b"GET", 204, (b"Content-Length: 7",), 0, []),
    "304": (b"GET", 304, (b"Content-Length: 7",), 0, [b"Content-Length: 7"]),
    "interim": (b"GET", 103, (), 0, []),
}


@pytest.mark.parametrize(
    ("method", "status", "lines", "length", "kept"),
    RESPONSE_FRAMING.values(),
    ids=RESPONSE_FRAMING.keys(),
)
def test_response_framing(
    method: bytes, status: int, lines: tuple[bytes, ...], length: int, kept: list[bytes]
) -> None:
    """The length of an answer depends on method and status (RFC 9112 §6.3)."""
    headers = response_headers(*lines, method=method, status=status)
    assert (headers.length, headers.lines) == (length, kept)
