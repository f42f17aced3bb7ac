"""Whole exchanges from a grammar of near-HTTP, both sides hostile, under the strict oracle.

`make fuzz SECONDS=600` looks for new ones; in `make test` the same few are tried
each time. A failing exchange is shown in its smallest form.
"""

import asyncio
import os
import re
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.strict_reading import read_strictly
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

T = TypeVar("T")

SECONDS: Final = float(os.environ.get("FUZZ_SECONDS", "0"))
EXAMPLES: Final = 250
PATIENCE: Final = 20.0
TOKEN: Final = re.compile(rb"Bearer token-[0-9]+-of-the-test")

PIECES = [
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b" ", b"\t", b":", b",", b";", b"\x0b", b"\xff"),
    *(
        b"0",
        b"1",
        b"5",
        b"+",
        b"-",
        b"0x",
        b"\x7f",
        b"chunked",
        b"0\r\n\r\n",
        b"HTTP/1.0",
        b"HTTP/1.1",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: evil.example\r\n",
        b"/",
        b"..",
    ),
    *(
        b"GET /b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"Connection: close\r\n",
        b"%2f",
        b"%00",
        b"?",
        b"#",
    ),
    *(
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"100 Continue",
        b"A: b\r\n",
        b"\r\n b",
        b"_",
    ),
]


@dataclass(frozen=True)
class Edit:
    """Replace `gone` bytes at a share of the length by a piece."""

    where: float
    gone: int
    piece: bytes

    def __call__(self, raw: bytes) -> bytes:
        """Return the edited bytes."""
        at = int(self.where * len(raw))
        return raw[:at] + self.piece + raw[at + self.gone :]


def mostly(common: bytes, *others: bytes) -> st.SearchStrategy[bytes]:
    """Draw the first more often than any of the others."""
    return st.sampled_from([common] * max(1, len(others)) + list(others))


def chunks(data: bytes) -> st.SearchStrategy[bytes]:
    """Draw a body in chunks, with what may stand around them."""
    size = mostly(
        b"%x" % len(data), b"0%x" % len(data), b"%x;a=b" % len(data), b"+5", b"", b"fffffffff"
    )
    last = mostly(b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0\n\n", b"00\r\n\r\n", b"")
    return st.builds(
        lambda a, end, z: a + b"\r\n" + data + end + z, size, mostly(b"\r\n", b"\n", b""), last
    )


EDITS = st.lists(
    st.builds(
        Edit,
        st.floats(0, 1, exclude_max=True),
        st.sampled_from([0, 0, 1, 2, 9]),
        st.sampled_from([b"", *PIECES]),
    ),
    max_size=3,
)
BODIES = st.one_of(
    st.just((b"", b"")),
    st.tuples(
        mostly(b"Content-Length: 5\r\n", b"Content-Length: 4\r\n", b"Content-Length: 05\r\n"),
        st.just(b"abcde"),
    ),
    st.tuples(
        mostly(b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x, chunked\r\n"),
        chunks(b"abcde"),
    ),
    st.tuples(st.just(b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), chunks(b"abcde")),
)
FIELDS = st.lists(
    st.sampled_from(
        [
            *(
                b"A: b\r\n",
                b"Connection: close\r\n",
                b"Connection: A\r\n",
                b"Cookie: a=b\r\n",
                b"X_Y: z\r\n",
            ),
            *(
                b"Expect: 100-continue\r\n",
                b"Authorization: Bearer x\r\n",
                b"Host: localhost\r\n",
                b"A : b\r\n",
            ),
            *(
                b"X-Forwarded-For: 1\r\n",
                b"Via: 1.0 x\r\n",
                b"TE: trailers\r\n",
                b"A: b\r\n c\r\n",
                b"A: \xff\r\n",
            ),
            *(
                b"Origin: null\r\n",
                b"Upgrade: h2c\r\n",
                b"Content-Length: 0\r\n",
                b"Range: bytes=0-1\r\n",
            ),
        ]
    ),
    max_size=4,
).map(b"".join)
LINES = st.builds(
    lambda method, target, version: method + b" " + target + b" " + version + b"\r\n",
    mostly(b"GET", b"POST", b"PUT", b"DELETE", b"PURGE", b"TRACE", b"get"),
    mostly(
        b"/a",
        b"/",
        b"/a?b",
        b"//a",
        b"/a/../b",
        b"http://localhost/a",
        b"http://evil/",
        b"*",
        b"/a b",
    ),
    mostly(b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1 "),
)


def whole(start: bytes, fields: bytes, body: tuple[bytes, bytes]) -> bytes:
    """Join the parts of a message."""
    return start + fields + body[0] + b"\r\n" + body[1]


def edited(raw: bytes, edits: list[Edit]) -> bytes:
    """Return the bytes after all edits."""
    for edit in edits:
        raw = edit(raw)
    return raw


REQUESTS = st.builds(whole, LINES, FIELDS.map(lambda lines: b"Host: localhost\r\n" + lines), BODIES)
STREAMS = st.builds(edited, st.lists(REQUESTS, min_size=1, max_size=3).map(b"".join), EDITS)
STATUS = mostly(
    b"200 OK",
    b"204 No",
    b"304 Not",
    b"404 No",
    b"100 Continue",
    b"103 Hints",
    b"101 S",
    b"600 X",
    b"401 U",
)
ANSWERS = st.builds(
    edited,
    st.lists(
        st.builds(
            whole, STATUS.map(lambda status: b"HTTP/1.1 " + status + b"\r\n"), FIELDS, BODIES
        ),
        min_size=1,
        max_size=2,
    ).map(b"".join),
    EDITS,
)


class Hostile:
    """Answers /own well and everything else with what the fuzzer drew."""

    def __init__(self) -> None:
        self.raw = b""

    async def answer(self, message: Message) -> bytes:
        """Return whole bytes; `Connection: close` in them makes the server hang up."""
        return reply(body=b"own") if message.target == "/own" else self.raw


async def hear(caller: Channel) -> list[Message]:
    """Read answers strictly, up to the end or a cut; anything malformed fails."""
    heard = []
    try:
        while not await caller.has_ended():
            heard.append(await caller.read_answer())
    except ClosedEarlyError:
        pass
    return heard


def what_left(upstream: ByteServer) -> int:
    """Read strictly all that reached the upstream; return the number of whole requests."""
    count = 0
    for channel in upstream.connections:
        left, _ = read_strictly(bytes(channel.received))
        for one in left:
            (authority,) = one.values(b"authorization")
            assert TOKEN.fullmatch(authority), one
            assert one.values(b"host") == [upstream.url.removeprefix("http://").encode()], one
        count += len(left)
    return count


async def exchange(
    proxy: RunningProxy, upstream: ByteServer, hostile: Hostile, stream: bytes, answer: bytes
) -> None:
    """Let both sides speak; hold what is promised against what was heard."""
    hostile.raw = answer
    for channel in upstream.connections:
        channel.received.clear()
    caller = await proxy.connect()
    await caller.send(stream + request("GET /last", "Connection: close"))
    heard = await hear(caller)
    caller.reset()
    proxy.callers.remove(caller)
    ours = [one for one in heard if one.head.value("Proxy-Status")]
    final = [one for one in heard if one.status >= 200]
    assert len(final) - len(ours) <= what_left(upstream), (heard, upstream.received)
    assert not [one for one in heard if one.status == 101]
    assert not [one for one in heard if one.head.values("Authorization")]
    own = await proxy.ask(request("GET /own"))
    assert (own.status, own.body) == (200, b"own")
    for channel in upstream.connections:
        channel.received.clear()


def search(run: Any, *, examples: int, is_new: bool) -> None:
    """Let hypothesis draw exchanges and run each."""

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=not is_new,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(stream=STREAMS, answer=st.one_of(st.just(reply("299 Mine", body=b"mine")), ANSWERS))
    def holds(stream: bytes, answer: bytes) -> None:
        run(stream, answer)

    holds()


async def test_no_exchange_breaks_a_promise(tokens: TokenServer) -> None:
    """Nothing ambiguous leaves, nobody gets another's answer, the next caller is served."""
    hostile = Hostile()
    loop = asyncio.get_running_loop()
    limits = {"read_timeout_seconds": 0.3, "head_timeout_seconds": 0.3, "access_log": "off"}
    async with proxied(tokens, hostile.answer, **limits) as (proxy, upstream):
        await proxy.ask(request("GET /own"))

        def wait_for(what: Coroutine[Any, Any, T]) -> T:
            return asyncio.run_coroutine_threadsafe(what, loop).result(PATIENCE)

        tried = 0

        def run(stream: bytes, answer: bytes) -> None:
            nonlocal tried
            tried += 1
            wait_for(exchange(proxy, upstream, hostile, stream, answer))

        def keep_searching() -> None:
            end = time.monotonic() + SECONDS
            search(run, examples=EXAMPLES, is_new=False)
            while time.monotonic() < end:
                search(run, examples=EXAMPLES, is_new=True)

        await asyncio.to_thread(keep_searching)
        sys.stdout.write(f"{tried} exchanges tried\n")  # `make fuzz` shows it
        assert tried >= EXAMPLES
