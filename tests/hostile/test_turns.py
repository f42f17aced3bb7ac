"""What waits for a turn of the loop when its caller leaves, or its time is over (G5, G11).

Over a transport in memory: on a socket the moment between two turns cannot be met at will.
"""

import asyncio
from collections.abc import Callable

import pytest

from bench.inside.in_memory import InMemory, in_memory
from proxy.forward.caller import CallerConnection

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
POSTED = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nhi"
PIECE = 16 * 1024  # of a chunked body, decoded in one go
TURNS = 300


class Transport(asyncio.Transport):
    """Takes everything, and remembers whether it is read from and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.is_paused = False
        self.has_ended = False
        self.written = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes."""
        self.written += bytes(data)

    def get_write_buffer_size(self) -> int:
        """Hold nothing back."""
        return 0

    def is_closing(self) -> bool:
        """Say whether it was closed."""
        return self.has_ended

    def close(self) -> None:
        """Close."""
        self.has_ended = True

    abort = close

    def write_eof(self) -> None:
        """Send no more."""

    def pause_reading(self) -> None:
        """Read no more."""
        self.is_paused = True

    def resume_reading(self) -> None:
        """Read on."""
        self.is_paused = False


def hiding(count: int) -> bytes:
    """Return a chunked body that takes long, and whose pieces all begin as a request does."""
    hidden = b"GET /evil HTTP/1.1\r\nHost: localhost\r\nX: "
    hidden += b"a" * (60 - len(hidden)) + b"\r\n\r\n"
    small = b"1\r\nb\r\n" * 2700
    before = PIECE - len(hidden) - 2 - len(small) - 4
    begun = b"%x\r\n%b" % (before + len(hidden), b"c" * before)
    first = small + b"1\r\nb\r\n" * 11
    first += b"%x\r\n" % (PIECE - len(first) - 4 + len(hidden))
    first += b"c" * (PIECE - len(first))
    assert len(hidden + b"\r\n" + small + begun) == len(first) == PIECE
    return first + (hidden + b"\r\n" + small + begun) * count


async def amid_a_body(proxy: InMemory) -> tuple[CallerConnection, Transport]:
    """Return a caller whose body waits for a turn; the only upstream connection is in use."""
    proxy.ask(GET)
    caller, transport = CallerConnection(proxy.context), Transport()
    caller.connection_made(transport)
    caller.data_received(POST)
    caller.data_received(hiding(14))
    assert transport.is_paused
    assert proxy.context.pool.states()["waiting"] == 1
    return caller, transport


def leave(caller: CallerConnection) -> None:
    """Say what the loop says when a caller ends its connection."""
    if not caller.eof_received():
        caller.transport.close()


ENDS: list[Callable[[CallerConnection], None]] = [
    leave,
    lambda caller: caller.connection_lost(None),
    lambda caller: caller.abandon(),
]


@pytest.mark.parametrize("end", ENDS, ids=["left", "lost", "abandoned"])
async def test_the_rest_of_a_body_is_never_read_as_requests(
    end: Callable[[CallerConnection], None],
) -> None:
    """What waited for a turn when the request ended is thrown away."""
    async with in_memory(GET, ANSWER) as proxy:
        caller, _ = await amid_a_body(proxy)
        end(caller)
        for _ in range(TURNS):
            assert proxy.context.pool.states()["waiting"] == 0
            await asyncio.sleep(0)
        assert proxy.context.budget.held == 0
        assert proxy.context.counters.requests_ended() == 2  # one before, and this


async def test_a_refused_request_gets_one_reply_however_full_the_memory_is() -> None:
    """Also where it was the only one that waited, and callers have sent ahead too much (G5)."""
    async with in_memory(GET, ANSWER) as proxy:
        context = proxy.context
        context.budget.held = 1 << 40
        context.turns.later(lambda: None, again=False)  # somebody else is first
        caller, transport = CallerConnection(context), Transport()
        caller.connection_made(transport)
        refused = b"GET / HTTP/1.1\r\nHost: evil.example\r\nX: %b\r\n\r\n" % (b"a" * 5000)
        caller.data_received(refused)
        for _ in range(10):
            await asyncio.sleep(0)
        assert transport.written.count(b"HTTP/1.1 ") == 1
        assert transport.written.startswith(b"HTTP/1.1 421 ")


async def test_a_connection_that_takes_no_bytes_does_not_rest() -> None:
    """An upstream that answers before it has taken the request gets no other one (F5)."""
    async with in_memory(GET, ANSWER) as proxy:
        caller = CallerConnection(proxy.context)
        caller.connection_made(Transport())
        caller.data_received(POSTED)
        (link,) = proxy.context.pool._all  # noqa: SLF001 - the one connection
        link.transport = transport = Transport()
        link.pause_writing()
        proxy.respond(ANSWER)
        assert transport.has_ended
        assert proxy.context.pool.states()["idle"] == 0


async def test_a_body_that_waits_goes_on_by_itself() -> None:
    """Turn by turn, without anything new from its caller."""
    async with in_memory(GET, ANSWER) as proxy:
        caller, _ = await amid_a_body(proxy)
        (exchange,) = (each for each in [caller._exchange] if each)  # noqa: SLF001 - its progress
        for _ in range(TURNS):
            await asyncio.sleep(0)
        assert exchange.body.size > 14 * 2700
        leave(caller)
