"""Bounds at their very edge, and memory that peers could fill by and by (G6, G11)."""

import contextlib
import tracemalloc
from collections.abc import Iterator

import pytest

from proxy.http1.response import ResponseReader
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

KIB = 1024
MIB = 1 << 20
MAX_HEAD = 32 * KIB
MAX_ANSWER_HEAD = 64 * KIB
MAX_ADMIN_CONNECTIONS = 32


def head_of(size: int) -> bytes:
    """Return a request whose request line and headers are so many bytes, line ends between them."""
    start = request("GET /", "A: ")
    return request("GET /", "A: " + "b" * (size + len(b"\r\n\r\n") - len(start)))


async def test_a_head_of_32_kib_is_the_largest(tokens: TokenServer) -> None:
    """One byte more is one too many (G6)."""
    async with proxied(tokens, reply()) as (proxy, _):
        assert (await proxy.ask(head_of(MAX_HEAD))).status == 200
        assert_problem(await proxy.ask(head_of(MAX_HEAD + 1)), 431, "head_too_large")


async def test_a_head_of_64_kib_is_the_largest_of_an_answer(tokens: TokenServer) -> None:
    """One byte more is one too many, although its end has come (F9)."""

    async def sized(message: Message) -> bytes:
        """Answer with a head of as many bytes as the target says, without those of its end."""
        start = reply("200 OK", "A: ")
        size = int(message.target[1:]) + len(b"\r\n\r\n")
        return reply("200 OK", "A: " + "b" * (size - len(start)))

    async with proxied(tokens, sized) as (proxy, _):
        assert (await proxy.ask(request(f"GET /{MAX_ANSWER_HEAD}"))).status == 200
        answer = await proxy.ask(request(f"GET /{MAX_ANSWER_HEAD + 1}"))
        assert_problem(answer, 502, "upstream_invalid_response")


async def test_the_oldest_admin_connection_makes_room_for_the_33rd(tokens: TokenServer) -> None:
    """Thirty-two stay open; the next one costs the oldest, and only that one (G6)."""
    probe = request("GET /livez")
    async with proxied(tokens, reply()) as (proxy, _):
        kept = []
        for _ in range(MAX_ADMIN_CONNECTIONS):
            kept.append(proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port)))
            assert (await kept[-1].ask(probe)).status == 200
        for operator in kept:
            assert (await operator.ask(probe)).status == 200
        last = proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port))
        assert (await last.ask(probe)).status == 200
        await kept[0].read_whatever()
        for operator in kept[1:]:
            assert (await operator.ask(probe)).status == 200


async def test_the_framing_of_chunks_adds_up_to_nothing(tokens: TokenServer) -> None:
    """Only what comes without any data between is bounded, however many lines come alone (G5)."""
    size, lines = 256, 6000
    async with ByteServer(reply()) as echo, proxied(tokens, reply()) as (proxy, upstream):
        caller, beside = await proxy.connect(), await Channel.connect("127.0.0.1", echo.port)

        async def send_alone(data: bytes) -> None:
            """Send what has been read before anything else is: a round trip of the loop later."""
            await caller.send(data)
            await beside.ask(request("GET /"))

        await caller.send(request("POST /", "Transfer-Encoding: chunked"))
        for _ in range(lines):
            await send_alone(b"%x\r\n" % size)
            await caller.send(bytes(size) + b"\r\n")
        await caller.send(b"0\r\n\r\n")
        assert (await caller.read_answer()).status == 200
        assert len(upstream.requests[0].body) == size * lines
        beside.close()


@contextlib.contextmanager
def growing_less_than(size: int) -> Iterator[None]:
    """See that the block leaves less than so many bytes more than it found."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        yield
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < size


async def test_names_of_headers_are_not_hoarded(tokens: TokenServer) -> None:
    """A caller with ever new names of headers fills no memory with them (G6, G11)."""

    def strange(number: int) -> bytes:
        """Return a request with a hundred names that no other one has; it is refused."""
        lines = (f"X-{number}-{part}: 1" for part in range(100))
        return request("GET /", *lines, host="evil.example")

    async with proxied(tokens, reply(), access_log="off") as (proxy, _):
        caller = await proxy.connect()
        with growing_less_than(MIB):
            for number in range(400):
                assert (await caller.ask(strange(number))).status == 421
                caller.received.clear()


def test_status_lines_are_not_hoarded() -> None:
    """An upstream with ever new reasons in its answers fills no memory with them (F9, G11)."""
    reader = ResponseReader()
    with growing_less_than(MIB):
        for number in range(20_000):
            assert reader.read(b"GET", b"HTTP/1.1 200 Fine %d" % number).status == 200


def test_header_lines_of_responses_are_not_hoarded() -> None:
    """Nor with ever new lines and names, be they of the kind that is remembered (F9, G11)."""
    reader = ResponseReader()
    with growing_less_than(MIB):
        for number in range(20_000):
            value = b"a/%d" % number + b"b" * (number % 300)
            line = b"Content-Type: " + value
            head = b"HTTP/1.1 200 OK\r\n%b\r\nX-%b: 1\r\nConnection: %b" % (line, value[2:], value)
            assert reader.read(b"GET", head).lines[0] == line
