"""The oracle of the hostile tests is strict itself: what it lets pass has one reading."""

import pytest

from tests.support.strict_reading import AmbiguousError, read_strictly

LINE = b"POST /a HTTP/1.1\r\n"
HOST = b"Host: a\r\n"
POST = LINE + HOST
LENGTH = b"Content-Length: 2\r\n\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

AMBIGUOUS = {
    "two framings": POST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"ab",
    "one length twice": POST + b"Content-Length: 2\r\n" + LENGTH + b"ab",
    "list of lengths": POST + b"Content-Length: 2, 2\r\n\r\nab",
    "signed length": POST + b"Content-Length: +2\r\n\r\nab",
    "length in words": POST + b"Content-Length: 2 x\r\n\r\nab",
    "huge length": POST + b"Content-Length: " + b"9" * 19 + b"\r\n\r\nab",
    "coding list": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding in capitals": POST + b"Transfer-Encoding: Chunked\r\n\r\n0\r\n\r\n",
    "coding twice": POST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "length in disguise": POST + b"Content_Length: 2\r\n\r\nab",
    "coding in disguise": POST + b"Transfer.Encoding: chunked\r\n\r\n",
    "two tokens": POST + b"Authorization: x\r\n" * 2 + b"\r\n",
    "option in disguise": POST + b"Connection: close, host\r\n\r\n",
    "options that name the framing": POST + b"Connection: content-length\r\n" + LENGTH + b"ab",
    "another protocol": POST + b"Upgrade: h2c\r\n\r\n",
    "expectation": POST + b"Expect: 100-continue\r\n" + LENGTH + b"ab",
    "credentials of the hop": POST + b"Proxy-Authorization: x\r\n\r\n",
    "no Host": LINE + b"\r\n",
    "Host twice": POST + HOST + b"\r\n",
    "space before the colon": POST + b"A : b\r\n\r\n",
    "folded line": POST + b"A: b\r\n c\r\n\r\n",
    "no colon": POST + b"A\r\n\r\n",
    "no name": POST + b": b\r\n\r\n",
    "NUL": POST + b"A: \x00\r\n\r\n",
    "DEL": POST + b"A: \x7f\r\n\r\n",
    "bare LF between fields": POST + b"A: b\nB: c\r\n\r\n",
    "bare CR between fields": POST + b"A: b\rB: c\r\n\r\n",
    "bare LF where it is cut": POST + b"A: b\n\n",
    "bare CR where it is cut": POST + b"A: b\rB: c",
    "all in bare LF": b"GET / HTTP/1.1\nHost: a\n\n",
    "two spaces": b"GET  /a HTTP/1.1\r\n" + HOST + b"\r\n",
    "space in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n",
    "target with an authority": b"GET http://a/ HTTP/1.1\r\n" + HOST + b"\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/1.0": b"GET / HTTP/1.0\r\n" + HOST + b"\r\n",
    "HTTP/0.9": b"GET /\r\n",
    "no HTTP": b"SSH-2.0-x\r\n",
    "empty line first": b"\r\n" + POST + b"\r\n",
    "size in disguise": CHUNKED + b"0x2\r\nab\r\n0\r\n\r\n",
    "signed size": CHUNKED + b"+2\r\nab\r\n0\r\n\r\n",
    "no size": CHUNKED + b"\r\nab\r\n0\r\n\r\n",
    "huge size": CHUNKED + b"f" * 16 + b"\r\nab",
    "size with an extension": CHUNKED + b"2;a=b\r\nab\r\n0\r\n\r\n",
    "size that ends in LF": CHUNKED + b"2\nab\r\n0\r\n\r\n",
    "longer than its size": CHUNKED + b"1\r\nab\r\n0\r\n\r\n",
    "trailers": CHUNKED + b"0\r\nHost: b\r\n\r\n",
    "behind the end": CHUNKED + b"0\r\n\r\nX",
}


@pytest.mark.parametrize("raw", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_has_two_readings_is_not_read(raw: bytes) -> None:
    """Refused, or, where only the end is odd, never taken for a whole request more."""
    try:
        requests, is_whole = read_strictly(raw)
    except AmbiguousError:
        return
    assert not is_whole
    assert len(requests) <= 1
    assert raw == AMBIGUOUS["behind the end"]


def test_what_has_one_reading_is_read() -> None:
    """One request after the other, bodies framed either way, and where the bytes end."""
    stream = (
        b"GET /?a=/b HTTP/1.1\r\nHost: a:1\r\nA:\t b c \r\nConnection: close\r\n\r\n"
        + POST
        + LENGTH
        + b"ab"
        + CHUNKED
        + b"3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n"
    )
    (first, second, third), is_whole = read_strictly(stream)
    assert is_whole
    assert (first.method, first.target, first.values(b"a")) == (b"GET", b"/?a=/b", [b"b c"])
    assert (second.body, third.body) == (b"ab", b"abc0123456789")


@pytest.mark.parametrize("end", range(1, len(POST + LENGTH + b"ab")))
def test_a_cut_request_is_no_request(end: int) -> None:
    """Wherever the bytes end within it, nothing is made of them."""
    assert read_strictly((POST + LENGTH + b"ab")[:end]) == ([], False)
