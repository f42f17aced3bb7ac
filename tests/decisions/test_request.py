"""The heads of one connection: a header block that comes again is not read again."""

import asyncio
import tracemalloc

import pytest

from proxy.errors import ProxyError
from proxy.http1.parser import RequestHeadParser
from proxy.http1.request import Request, RequestReader

BLOCK = b"Host: a\r\nAccept: */*\r\nConnection: close\r\n\r\n"


@pytest.fixture
async def reader() -> RequestReader:
    return RequestReader(RequestHeadParser(asyncio.get_running_loop()))


def facts(request: Request) -> tuple[object, ...]:
    """Return all that is known of a request."""
    headers = request.headers
    return (
        request.method,
        request.target,
        request.path,
        request.authority,
        request.is_http_10,
        request.keep_alive,
        request.names_target,
        headers.lines,
        headers.facts,
        headers.length,
        headers.options,
    )


@pytest.mark.parametrize("origin", [b"", b"http://a"])
async def test_what_a_request_was_for_is_forgotten_with_it(origin: bytes) -> None:
    """Neither an idle connection nor anything else of the process keeps a target (G11)."""
    parser = RequestHeadParser(asyncio.get_running_loop())
    readers = [RequestReader(parser) for _ in range(150)]
    tracemalloc.start()
    try:
        for number, reader in enumerate(readers):
            target = b"%b/%d/%b?nin=%d" % (origin, number, b"a" * 15_000, number)
            reader.read(b"GET %b HTTP/1.1\r\nHost: a\r\nAccept: %d\r\n\r\n" % (target, number))
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 150 * 4096
    assert readers[0].read(b"GET /b HTTP/1.1\r\n" + BLOCK).target == b"/b"


async def test_the_parser_forgets_the_last_head() -> None:
    """It serves all callers, and would keep the key of one that left long ago (G11)."""
    parser = RequestHeadParser(asyncio.get_running_loop())
    reader = RequestReader(parser)
    parser.forget()  # there is nothing yet
    tracemalloc.start()
    try:
        reader.read(b"GET /a HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % (b"a" * 15_000))
        parser.forget()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 10_000
    assert reader.read(b"GET /b HTTP/1.1\r\n" + BLOCK).target == b"/b"


OPTIONS = b", ".join(b"o%d" % number for number in range(150))


@pytest.mark.parametrize(
    ("lines", "is_known"),
    [
        (b"a:\r\n" * 90, True),
        (b"a:\r\n" * 110, False),
        (b"Connection: %b\r\n" % OPTIONS, False),
        (b"Connection: o%b\r\n" % (b", o" * 150), True),
    ],
    ids=["some lines", "many lines", "many options", "one option"],
)
async def test_a_block_of_many_lines_is_not_kept(
    reader: RequestReader, *, lines: bytes, is_known: bool
) -> None:
    """Each line is an object, however short, and an idle connection would hold them (G11)."""
    head = b"GET /%d HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"
    assert reader.read(head % 1).target == b"/1"
    assert reader.read(head % 2).target == b"/2"
    assert (reader.read_known(head % 3) is not None) == is_known


SECOND_LINES = [
    b"GET /b?c=d HTTP/1.1",
    b"GET /%2f//;x?a?b HTTP/1.1",
    b"GET /a[1]|^`{} HTTP/1.1",
    b"POST /b HTTP/1.1",
    b"GET /b HTTP/1.0",
    b"PURGE /b HTTP/1.1",
    b"GET http://a/b HTTP/1.1",
]


@pytest.mark.parametrize("line", SECOND_LINES)
async def test_a_known_block_reads_as_an_unknown_one(reader: RequestReader, line: bytes) -> None:
    """What was read of the request before changes nothing in the reading of the next."""
    first = reader.read(b"GET /a HTTP/1.1\r\n" + BLOCK)
    fresh = RequestReader(RequestHeadParser(asyncio.get_running_loop()))
    head = line + b"\r\n" + BLOCK
    assert facts(reader.read(head)) == facts(fresh.read(head))
    assert first.target == b"/a"


@pytest.mark.parametrize(
    "line",
    [
        b"GET  /b HTTP/1.1",
        b"GET /b HTTP/1.1 ",
        b"GET /b HTTP/2.0",
        b"GET /\xff HTTP/1.1",
        b"GET /a b HTTP/1.1",
        b"GET /\t HTTP/1.1",
        b"GET /b",
        b"GET b HTTP/1.1",
    ],
)
async def test_a_known_block_excuses_no_request_line(reader: RequestReader, line: bytes) -> None:
    """A bad request line is refused whatever came before it (G5)."""
    reader.read(b"GET /a HTTP/1.1\r\n" + BLOCK)
    with pytest.raises(ProxyError):
        reader.read(line + b"\r\n" + BLOCK)


async def test_a_fragment_is_refused_behind_a_known_block(reader: RequestReader) -> None:
    """A target with '#' is refused, known block or not."""
    reader.read(b"GET /a HTTP/1.1\r\n" + BLOCK)
    with pytest.raises(ProxyError):
        reader.read(b"GET /a#b HTTP/1.1\r\n" + BLOCK)


async def test_an_absolute_target_is_not_remembered(reader: RequestReader) -> None:
    """The authority of a target in absolute form counts for that request alone."""
    assert reader.read(b"GET http://other/a HTTP/1.1\r\n" + BLOCK).authority == b"other"
    assert reader.read(b"GET /a HTTP/1.1\r\n" + BLOCK).authority == b"a"


async def test_a_large_block_is_not_remembered(reader: RequestReader) -> None:
    """A resting connection holds no large headers; they are read anew each time."""
    head = b"GET /a HTTP/1.1\r\nHost: a\r\nCookie: " + b"x" * 4096 + b"\r\n\r\n"
    assert reader.read(head).headers is not reader.read(head).headers
