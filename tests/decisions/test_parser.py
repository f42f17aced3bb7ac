"""The C parsers as this project uses them: an upgrade that changes a reading shows here."""

import asyncio

import pytest

from proxy.http1.parser import (
    MalformedMessageError,
    RequestHeadParser,
    cannot_become_a_request,
    cannot_become_a_response,
    require_c_parsers,
)

HOST = b"Host: a\r\n"


@pytest.fixture
async def requests() -> RequestHeadParser:
    return RequestHeadParser(asyncio.get_running_loop())


def test_c_parsers_are_there() -> None:
    """The installed aiohttp has its C parsers (G7)."""
    require_c_parsers()


GOOD_REQUESTS = {
    "plain": b"GET / HTTP/1.1\r\n" + HOST,
    "http 1.0 without host": b"GET / HTTP/1.0\r\n",
    "unregistered method": b"PURGE /a HTTP/1.1\r\n" + HOST,
    "method of another protocol": b"DESCRIBE /a HTTP/1.1\r\n" + HOST,
    "raw brackets": b"GET /a[1]|^ HTTP/1.1\r\n" + HOST,
    "double slash": b"GET //b/c HTTP/1.1\r\n" + HOST,
    "absolute": b"GET http://a:1/x HTTP/1.1\r\n" + HOST,
    "value that is not UTF-8": b"GET / HTTP/1.1\r\n" + HOST + b"X: \xff\xfe\r\n",
    "upgrade": b"GET / HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n",
    "chunked": b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("head", GOOD_REQUESTS.values(), ids=GOOD_REQUESTS.keys())
async def test_good_request_head(requests: RequestHeadParser, head: bytes) -> None:
    """A good head gives one line per header, and the parser reads the next head as well."""
    for _ in range(2):
        parts, lines, headers = requests.parse(head + b"\r\n")
        assert b" ".join(parts) == lines[0]
        assert b"\r\n".join(lines) + b"\r\n" == head
        assert len(lines) == len(headers) + 1


BAD_REQUESTS = {
    "two spaces": b"GET  / HTTP/1.1\r\n" + HOST,
    "space at the end": b"GET / HTTP/1.1 \r\n" + HOST,
    "no version": b"GET /\r\n" + HOST,
    "version 2": b"PRI * HTTP/2.0\r\n" + HOST,
    "version 1.2": b"GET / HTTP/1.2\r\n" + HOST,
    "lower-case version": b"GET / http/1.1\r\n" + HOST,
    "bad method": b"G(T / HTTP/1.1\r\n" + HOST,
    "empty method": b" / HTTP/1.1\r\n" + HOST,
    "no host": b"GET / HTTP/1.1\r\n",
    "two hosts": b"GET / HTTP/1.1\r\n" + HOST + HOST,
    "space before the colon": b"GET / HTTP/1.1\r\nHost : a\r\n",
    "folded line": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n",
    "bare LF": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\nC: d\r\n",
    "bare CR": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rC: d\r\n",
    "NUL": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00\r\n",
    "control character": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x01\r\n",
    "no colon": b"GET / HTTP/1.1\r\n" + HOST + b"A\r\n",
    "empty name": b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n",
    "two lengths": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nContent-Length: 2\r\n",
    "length list": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n",
    "signed length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +1\r\n",
    "length and chunked": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "chunked twice": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "target with space": b"GET /a b HTTP/1.1\r\n" + HOST,
    "target not ASCII": b"GET /\xff HTTP/1.1\r\n" + HOST,
}


@pytest.mark.parametrize("head", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_bad_request_head(requests: RequestHeadParser, head: bytes) -> None:
    """A head with two readings is refused, and nothing of it stays for the next (G5)."""
    with pytest.raises(MalformedMessageError):
        requests.parse(head + b"\r\n")
    assert requests.parse(b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n")[0][1] == b"/next"


DOOMED_ANSWERS = [
    (b"H", False),
    (b"HTTP/1.1 200 OK\r\nA: b\r", False),
    (b"HTTP/2", True),
    (b"<html>", True),
    (b"HTTP/1.1 200 OK\n", True),
    (b"HTTP/1.1 200 OK\r\nA: \x00", True),
]


@pytest.mark.parametrize(("data", "doomed"), DOOMED_ANSWERS)
def test_doomed_answer(data: bytes, *, doomed: bool) -> None:
    """Bytes that can no longer become an answer need not be waited for."""
    assert cannot_become_a_response(data) is doomed


@pytest.mark.parametrize("data", [b"HTTP/1.1 200 OK\r\nA: b\r\n", *(d for d, _ in DOOMED_ANSWERS)])
@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_doomed_answer_is_known_however_it_is_cut(data: bytes, step: int) -> None:
    """Looking only at what is new says the same as looking at all of it."""
    verdicts = [
        cannot_become_a_response(data[: end + step], checked=end)
        for end in range(0, len(data), step)
    ]
    assert any(verdicts) is cannot_become_a_response(data)


DOOMED = {
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01", True),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", True),
    "bare LF": (b"GET / HTTP/1.1\nHost", True),
    "HTTP/0.9": (b"GET /\r\n", True),
    "half a request line": (b"GET /a", False),
    "half a header": (b"GET / HTTP/1.1\r\nHos", False),
    "end at CR": (b"GET / HTTP/1.1\r", False),
}


@pytest.mark.parametrize(("data", "doomed"), DOOMED.values(), ids=DOOMED.keys())
def test_doomed_head(data: bytes, *, doomed: bool) -> None:
    """Bytes that can no longer become a request are known before the deadline."""
    assert cannot_become_a_request(data) is doomed
