"""Messages with a few bytes changed at random: whatever passes is clean on the other side."""

import random
from collections.abc import Iterator

import pytest

from tests.support.messages import Message, reply, request
from tests.support.peers import Channel, ClosedEarlyError
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

PIECES = [b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"\x0b"]
PIECES += [b"0", b"1", b"+", b"-", b"0x", b"\x7f", b"\xff", b"chunked", b"Content-Length: 5\r\n"]
PIECES += [b"Transfer-Encoding: chunked\r\n", b"Host: evil.example\r\n", b"HTTP/1.0", b"0\r\n\r\n"]

PIECES += [b"a", b"x", b"7", b"/"] * 3

CHUNKED = "Transfer-Encoding: chunked"
CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"
LINE = "A: " + "b " * 40 + "c"  # so that not every change breaks the framing
REQUESTS = [
    request("GET /mutated", LINE),
    request("POST /mutated", "Content-Length: 3", LINE, body=b"abc"),
    request("POST /mutated", LINE, CHUNKED, body=CHUNKS),
]
CLOSE = "Connection: close"
ANSWERS = [
    reply("200 OK", CLOSE, LINE, body=b"abc"),
    f"HTTP/1.1 200 OK\r\n{CLOSE}\r\n{CHUNKED}\r\n{LINE}\r\n\r\n".encode() + CHUNKS,
    f"HTTP/1.1 103 Early Hints\r\n{LINE}\r\n\r\n".encode() + reply("200 OK", CLOSE, body=b"abc"),
]
COUNT = 300


def mutated(messages: list[bytes], seed: int) -> Iterator[bytes]:
    """Yield the messages with one or two pieces put in, taken out or replaced."""
    chance = random.Random(seed)
    for number in range(COUNT):
        raw = messages[number % len(messages)]
        for _ in range(chance.choice([1, 1, 2])):
            start = chance.randrange(len(raw))
            end = start + chance.choice([0, 0, 1, 2])
            raw = raw[:start] + chance.choice([b"", *PIECES]) + raw[end:]
        yield raw


async def answers(caller: Channel) -> list[int]:
    """Read well-formed answers up to the end of the connection; return their status."""
    statuses = []
    try:
        while not await caller.has_ended():
            statuses.append((await caller.read_answer()).status)
    except ClosedEarlyError:
        pass
    return statuses


@pytest.mark.parametrize("seed", [1, 2])
async def test_mutated_requests(tokens: TokenServer, seed: int) -> None:
    """The upstream, which reads strictly, gets no more requests than callers get its answers."""
    limits = {"read_timeout_seconds": 0.3, "head_timeout_seconds": 0.3}
    async with proxied(tokens, reply("299 Mine"), **limits) as (proxy, upstream):
        passed = 0
        for raw in mutated(REQUESTS, seed):
            caller = await proxy.connect()
            await caller.send(raw + request("GET /after", "Connection: close"))
            statuses = await answers(caller)
            caller.close()
            assert set(statuses) <= {299, 400, 403, 405, 408, 421, 431}, raw
            passed += statuses.count(299)
            assert len(upstream.requests) == passed, raw
        assert COUNT // 10 < passed < 2 * COUNT
        assert {number.head.value("Host") for number in upstream.requests} == {
            upstream.url.removeprefix("http://")
        }


@pytest.mark.parametrize("seed", [1, 2])
async def test_mutated_answers(tokens: TokenServer, seed: int) -> None:
    """The caller, who reads strictly, gets a clean answer or none, and never another's."""
    variants = mutated(ANSWERS, seed)

    async def answer(message: Message) -> bytes:
        return reply(body=b"own") if message.target == "/own" else next(variants)

    async with proxied(tokens, answer, read_timeout_seconds=0.3) as (proxy, _):
        good = 0
        for _ in range(COUNT // 3):
            caller = await proxy.connect()
            try:
                await caller.send(request("GET /mutated"))
                while (got := await caller.read_answer()).status < 200:
                    pass
                good += got.status == 200
            except ClosedEarlyError:
                pass
            caller.close()
            assert (await proxy.ask(request("GET /own"))).body == b"own"
        assert good > COUNT // 15
