"""The heads of responses: what is read of them, and that a second reader reads the same (F9)."""

import asyncio
import contextlib
import gc
import itertools
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http1.parser import MalformedMessageError
from proxy.http1.response import ResponseHead, ResponseReader
from tests.hostile import test_faulty_upstream
from tests.support.edits import odd_wires, one_byte_edits
from tests.support.second_reading import Reading, SecondReader

HEAD_END: Final = b"\r\n\r\n"


@pytest.fixture
def responses() -> ResponseReader:
    return ResponseReader()


GOOD_RESPONSES = {
    "plain": (b"HTTP/1.1 200 OK\r\nA: b\r\n", 200, False),
    "no reason": (b"HTTP/1.1 204\r\n", 204, False),
    "empty reason": (b"HTTP/1.1 204 \r\n", 204, False),
    "http 1.0": (b"HTTP/1.0 404 Not Found\r\n", 404, True),
    "not UTF-8": (b"HTTP/1.1 200 OK\r\nA: \xff\r\n", 200, False),
    "interim": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", 103, False),
    "switching": (b"HTTP/1.1 101 Sw\r\nConnection: upgrade\r\nUpgrade: x\r\n", 101, False),
    "close": (b"HTTP/1.1 200 OK\r\nConnection: close\r\n", 200, False),
}


@pytest.mark.parametrize(
    ("head", "status", "is_http_10"), GOOD_RESPONSES.values(), ids=GOOD_RESPONSES.keys()
)
def test_good_response_head(
    responses: ResponseReader, head: bytes, status: int, *, is_http_10: bool
) -> None:
    """A good head is read, and read again in the same way."""
    for _ in range(2):
        read = responses.read(b"GET", head.removesuffix(b"\r\n"))
        assert (read.status, read.is_http_10) == (status, is_http_10)


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200 OK\r\nConnection: close", False),
        (b"HTTP/1.1 200 OK\r\nConnection: keep-alive, close", False),
        (b"HTTP/1.0 200 OK", False),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive", True),
        (b"HTTP/1.0 200 OK\r\nConnection: keep-alive, close", False),
        (b"HTTP/1.0 200 OK\r\nConnection: close\r\nConnection: keep-alive", False),
        (b"HTTP/1.1 204 No\r\nContent-Length: 0", True),
        (b"HTTP/1.1 204 No\r\nContent-Length: 5", False),
        (b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked", False),
        (b"HTTP/1.1 304 No\r\nContent-Length: 5", True),
    ],
)
def test_what_ends_a_connection(responses: ResponseReader, head: bytes, *, stays: bool) -> None:
    """`close` wins (RFC 9112 §9.3), and a body that cannot be may still come (F9)."""
    assert responses.read(b"GET", head).stays_open is stays


BAD_RESPONSES = {
    "bare LF": b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n",
    "bare CR": b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n",
    "folded line": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n",
    "folded line with tab": b"HTTP/1.1 200 OK\r\nA: b\r\n\tc\r\n",
    "folded line like a header": b"HTTP/1.1 200 OK\r\nA: b\r\n C: d\r\n",
    "folded line of blanks": b"HTTP/1.1 200 OK\r\nA: b\r\n \r\nC: d\r\n",
    "folded value": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 5\r\n",
    "blank before the first name": b"HTTP/1.1 200 OK\r\n A: b\r\n",
    "tab before the first name": b"HTTP/1.1 200 OK\r\n\tA: b\r\n",
    "NUL": b"HTTP/1.1 200 OK\r\nA: \x00\r\n",
    "control character": b"HTTP/1.1 200 OK\r\nA: \x1b[1m\r\n",
    "DEL": b"HTTP/1.1 200 OK\r\nA: \x7f\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nA : b\r\n",
    "no colon": b"HTTP/1.1 200 OK\r\nA\r\n",
    "name not ASCII": b"HTTP/1.1 200 OK\r\n\xc3\xa9: b\r\n",
    "status of five digits": b"HTTP/1.1 99999 OK\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n",
    "status 600": b"HTTP/1.1 600 OK\r\n",
    "status 0": b"HTTP/1.1 000 OK\r\n",
    "version 2": b"HTTP/2.0 200 OK\r\n",
    "other protocol": b"SSH-2.0-x\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n",
    "empty length": b"HTTP/1.1 200 OK\r\nContent-Length:\r\n",
    "interim with length": b"HTTP/1.1 103 X\r\nContent-Length: 5\r\n",
    "interim in chunks": b"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n",
}


@pytest.mark.parametrize("head", BAD_RESPONSES.values(), ids=BAD_RESPONSES.keys())
def test_bad_response_head(responses: ResponseReader, head: bytes) -> None:
    """What a lenient parser would let through is refused, each time that it comes (F9)."""
    for _ in range(2):
        with pytest.raises(MalformedMessageError):
            responses.read(b"GET", head.removesuffix(b"\r\n"))
    assert responses.read(b"GET", b"HTTP/1.1 200 OK").status == 200


ORDINARY: Final = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 12\r\nConnection: keep-alive\r\nx-trace-id: 4bf9\r\nServer: a\r\nA: b"
)
HEADS: Final = (
    ORDINARY,
    b"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\nSet-Cookie: a=b; c",
    b"HTTP/1.0 302 F\r\nLocation: /a\r\nContent-Length:\t0 \r\nConnection: Keep-Alive, x-b\r\nX-B:",
    b"HTTP/1.1 103 Hints\r\nLink: <\xe9>\r\nVia: 1.1 a\r\nProxy-Status: b",
    b"HTTP/1.1 204\r\nContent-Length: 5\r\nconnection: upgrade\r\nUpgrade: x\r\nAlt-Svc: clear",
)
PIECES: Final = [
    *(b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b",", b"\x00", b"\x0b", b"\x7f", b"\xff", b"0"),
    *(b"9" * 18, b"+", b"-", b"HTTP/1.0 204", b"HTTP/1.1 200", b"chunked", b"close", b"upgrade"),
    *(b"\r\nContent-Length: 12", b"\r\ncontent-length:0", b"\r\nContent-Length : 1", b"\r\n b: c"),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\nTransfer-Encoding:", b"\r\nConnection: close, A"),
    *(b"\r\nConnection: keep-alive", b"\r\nKeep-Alive: timeout=9", b"\r\nSec-WebSocket-Key1: 1"),
    *(b"\r\nServer: b", b"\r\nContent-Type: text/html", b"\r\nx-trace-id: 2", b"\r\nA:", b"\r\nA"),
    *(
        b"\r\nUpgrade: h2c",
        b"\r\nX-Request-ID: 1",
        b"\r\nLocation: /b",
        b"\r\nContent-Encoding: br",
    ),
]
METHODS: Final = (b"GET", b"HEAD", b"POST")


def assert_as_read(read: ResponseHead, expected: Reading) -> None:
    """See that every fact is the second reader's."""
    facts = expected.facts
    assert (read.status, read.is_http_10) == (expected.status, expected.is_http_10)
    assert (read.length, read.options) == (expected.length, expected.options)
    assert read.lines == expected.lines
    assert (read.keep_alive, read.trace_id) == (facts.get(b"keep-alive"), facts.get(b"x-trace-id"))
    assert read.has_location == (not facts.keys().isdisjoint((b"location", b"content-location")))


class Readers:
    """A reader that remembers, one that has nothing to remember, and the second reader."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._second = SecondReader(self._loop)
        self._knowing = ResponseReader()
        self.read = 0
        self.refused = 0

    def agree(self, method: bytes, head: bytes) -> None:
        """See that all take a head, and read the same in it, or that all refuse it."""
        expected = self._second.read(method, head)
        for reader in (self._knowing, ResponseReader()):
            try:
                read = reader.read(method, head)
            except MalformedMessageError:
                assert expected is None, (method, head)
                self.refused += 1
            else:
                assert expected is not None, (method, head)
                assert_as_read(read, expected)
                self.read += 1

    def close(self) -> None:
        """Give back what the second reader needs."""
        self._loop.close()


@pytest.fixture
def readers() -> Iterator[Readers]:
    with contextlib.closing(Readers()) as readers:
        yield readers


@pytest.mark.parametrize("head", HEADS, ids=range(len(HEADS)))
def test_every_byte_is_read_as_by_the_second_reader(readers: Readers, head: bytes) -> None:
    """Whatever one byte of a good head is changed to, both read the same, or neither does (F9)."""
    for changed in one_byte_edits(head):
        readers.agree(b"GET", changed)
    assert min(readers.read, readers.refused) > len(head)


def odd_heads() -> st.SearchStrategy[bytes]:
    """Draw heads with odd pieces; one of them may end a head."""
    return odd_wires(HEADS, PIECES).map(lambda wire: wire.partition(HEAD_END)[0])


@settings(max_examples=500, deadline=None)
@given(heads=st.lists(st.tuples(st.sampled_from(METHODS), odd_heads()), max_size=8))
def test_odd_heads_are_read_as_by_the_second_reader(heads: list[tuple[bytes, bytes]]) -> None:
    """So are heads of many odd pieces, one after the other: what is remembered changes nothing."""
    with contextlib.closing(Readers()) as readers:
        for method, head in heads:
            readers.agree(method, head)


HOSTILE: Final = (
    *(raw.partition(HEAD_END)[0] for raw in test_faulty_upstream.INVALID.values()),
    *(head.removesuffix(b"\r\n") for head, _, _ in GOOD_RESPONSES.values()),
    *(head.removesuffix(b"\r\n") for head in BAD_RESPONSES.values()),
)


def test_the_corpus_is_read_as_by_the_second_reader(readers: Readers) -> None:
    """So are all heads that other tests have for hostile upstreams, whatever the method."""
    for head, method in itertools.product(HOSTILE, METHODS):
        readers.agree(method, head[: 1 << 17])


def remembered(reader: ResponseReader) -> set[bytes]:
    """Return all bytes that a reader holds, wherever it keeps them."""
    seen: dict[int, object] = {}
    waiting: list[object] = [reader]
    while waiting:
        held = waiting.pop()
        if id(held) not in seen and not isinstance(held, type):
            seen[id(held)] = held
            waiting += gc.get_referents(held)
    return {held for held in seen.values() if isinstance(held, bytes)}


def test_only_what_is_the_same_for_everybody_is_remembered(responses: ResponseReader) -> None:
    """Nothing of one caller's response stays: no cookie, no location, no id, no long line (G7)."""
    own = (
        *(b"Set-Cookie: secret", b"Location: /secret", b"X-Trace-Id: secret", b"X-Any: secret"),
        *(b"Authorization: secret", b"ETag: secret", b"Content-Type: a/secret" + b"b" * 128),
    )
    lines = (b"HTTP/1.1 200 OK", b"Content-Type: text/plain", *own, b"X" * 200 + b"secret: a")
    head = responses.read(b"GET", b"\r\n".join(lines))
    assert head.lines[0] == lines[1]
    assert head.trace_id == b"secret"
    named = (lines[0], b'Content-Type: application/pdf; Name="secret.pdf"')
    assert responses.read(b"GET", b"\r\n".join(named)).lines == [named[1]]
    held = remembered(responses)
    assert b"Content-Type: text/plain" in held
    assert not [each for each in held if b"secret" in each]
