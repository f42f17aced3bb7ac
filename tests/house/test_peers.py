"""The peers that judge the proxy are judged here."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.support.messages import Head, Message, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import environment
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer, bearer, number_of
from tests.support.waiting import eventually, stopwatch, within

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nA : 1",
        b"GET / HTTP/1.1\r\n folded",
        b"GET / HTTP/1.1\r\nA: 1\nB: 2",
        b"GET / HTTP/1.1\r\nA: 1\rB: 2",
        b"GET / HTTP/1.1\r\nA: \x00",
        b"GET / HTTP/1.1\r\nA",
        b"GET / HTTP/1.1\r\n: 1",
    ],
)
def test_malformed_heads_are_noticed(raw: bytes) -> None:
    """What RFC 9112 forbids fails the test that reads it."""
    with pytest.raises(AssertionError, match="malformed"):
        Head.parse(raw)


def test_heads_keep_what_they_say() -> None:
    """Order, case, repetition and bytes; only blanks around values go."""
    head = Head.parse(b"HTTP/1.1 200 OK\r\nA:  b c \r\nx: \xff\r\na:")
    assert head.status == 200
    assert head.headers == ((b"A", b"b c"), (b"x", b"\xff"), (b"a", b""))
    assert head.names == ["A", "x", "a"]
    assert head.values("a") == ["b c", ""]
    with pytest.raises(AssertionError, match="repeated"):
        head.value("a")


async def answered_by(raw: bytes, method: str = "GET") -> tuple[int, bytes]:
    """Return how a caller reads `raw`, which ends with the connection."""
    async with ByteServer() as server:
        caller = await Channel.connect("127.0.0.1", server.port)
        peer = await server.accepted()
        await peer.send(raw)
        peer.close()
        try:
            answer = await caller.read_answer(method)
        finally:
            caller.close()
    return answer.status, answer.body


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        (OK + b"Content-Length: 3\r\n\r\nabc", b"abc"),
        (CHUNKED + b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789"),
        (OK + b"\r\nuntil the end", b"until the end"),
    ],
)
async def test_bodies_are_read(raw: bytes, body: bytes) -> None:
    """By length, by chunks, and to the end of the connection."""
    assert await answered_by(raw) == (200, body)


@pytest.mark.parametrize(
    "raw",
    [
        OK + b"Content-Length: 3\r\n\r\nab",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
        OK,
        b"",
    ],
)
async def test_cut_answers_are_noticed(raw: bytes) -> None:
    """An answer without its end is none."""
    with pytest.raises(ClosedEarlyError):
        await answered_by(raw)


@pytest.mark.parametrize(
    "raw",
    [
        CHUNKED + b"3;ext\r\nabc\r\n0\r\n\r\n",
        CHUNKED + b"2\r\nabc\r\n0\r\n\r\n",
        OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
    ],
)
async def test_malformed_answers_are_noticed(raw: bytes) -> None:
    """Whatever the proxy sends must be its own clean framing."""
    with pytest.raises(AssertionError):
        await answered_by(raw)


async def test_a_reset_is_told_from_an_end() -> None:
    """The one raises, the other does not."""
    async with ByteServer() as server:
        for how, expected in (("reset", None), ("close", b"ab")):
            caller = await Channel.connect("127.0.0.1", server.port)
            peer = await server.accepted()
            await peer.send(b"ab")
            assert await caller.read(1) == b"a"
            assert not await caller.stays_silent()
            getattr(peer, how)()
            if expected is None:
                with pytest.raises(ClosedEarlyError):
                    await caller.read_to_end()
            else:
                assert await caller.read_to_end() == b"b"
            assert bytes(caller.received) == b"ab"
            caller.close()


async def test_a_wait_in_vain_says_for_what() -> None:
    """A failing test names what did not come."""
    with pytest.raises(AssertionError, match=r"0.01 s in vain for godot"):
        await eventually(lambda: False, "godot", 0.01)
    async with ByteServer() as server:
        with pytest.raises(AssertionError, match="in vain for a connection"):
            await server.accepted(0.01)
        caller = await Channel.connect("127.0.0.1", server.port)
        assert await caller.stays_silent(0.01)
        caller.close()


MEASURED = """
import sys
from tests.support.waiting import stopwatch
with stopwatch() as took:
    print("begun", flush=True)
    sys.stdin.readline()
    print(took())
"""


async def test_a_stopwatch_stands_still_with_the_machine() -> None:
    """A second in which a process was stopped is not measured there, and it is here."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", MEASURED), cwd=ROOT, stdin=PIPE, stdout=PIPE
    )
    assert process.stdin
    assert process.stdout
    began = time.monotonic()
    assert await process.stdout.readline() == b"begun\n"
    process.send_signal(signal.SIGSTOP)
    with stopwatch() as took:
        await eventually(lambda: took() > 1, "a second")
    process.send_signal(signal.SIGCONT)
    measured, _ = await process.communicate(b"\n")
    assert float(measured) < time.monotonic() - began - 0.8


async def test_the_last_words_of_a_process_are_heard(tokens: TokenServer, tmp_path: Path) -> None:
    """Though it has ended before anybody asked for them."""
    environ = environment(upstream=tokens.url, token_url=tokens.token_url)
    async with proxy_process(environ, "run", directory=tmp_path) as process:
        await process.ports()
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
        assert (await process.event("stopped"))["level"] == "info"
        with pytest.raises(AssertionError, match="ended without vanished"):
            await process.event("vanished")


async def test_a_sender_gets_stuck() -> None:
    """What nobody reads is not sent for ever."""
    async with ByteServer() as server:
        caller = await Channel.connect("127.0.0.1", server.port)
        sent = await caller.send_until_stuck(bytes(1 << 20), 1 << 28, seconds=0.2)
        assert sent < 1 << 25
        caller.reset()


async def test_the_token_server_counts(tokens: TokenServer) -> None:
    """Each grant is another token; a failure is sent as it is set."""
    caller = await Channel.connect("127.0.0.1", tokens.port)
    for number in (1, 2):
        answer = await caller.ask(request("POST /connect/token"))
        token = json.loads(answer.body)["access_token"]
        assert f"Bearer {token}" == bearer(number)
        head = Head(b"GET / HTTP/1.1", ((b"Authorization", f"Bearer {token}".encode()),))
        assert number_of(Message(head)) == number
    tokens.failure = reply("429 Too Many Requests", "Connection: close")
    assert (await caller.ask(request("POST /connect/token"))).status == 429
    assert await within(caller.read_to_end(), "the end") == b""
    assert len(tokens.issued) == len(tokens.issued_at) == 2
    assert len(tokens.requests) == 3
    caller.close()
