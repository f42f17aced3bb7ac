"""What happens after a 401 of the upstream (T10)."""

import asyncio
import random
from collections.abc import Callable

import pytest

from tests.support.messages import Message, reply, request
from tests.support.peers import Answer
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

KERNEL = 10 << 20  # more than both ends of a connection hold for a peer that does not read
REFUSED = reply("401 Unauthorized", 'WWW-Authenticate: Bearer error="invalid_token"', body=b"no")


def refusing(is_refused: Callable[[int], bool], refusal: bytes = REFUSED) -> Answer:
    """Return an upstream that answers `refusal` to some token numbers."""

    async def answer(message: Message) -> bytes:
        return refusal if is_refused(number_of(message)) else reply(body=b"welcome")

    return answer


REFUSES_FIRST = refusing(lambda number: number == 1)
REFUSES_ALL = refusing(lambda _: True)

REPLAYED = {
    "GET": (request("GET /x?y"), b"", None),
    "HEAD": (request("HEAD /x?y"), b"", None),
    "POST without body": (request("POST /x?y"), b"", "0"),
    "POST of no bytes": (request("POST /x?y", "Content-Length: 0"), b"", "0"),
    "POST": (request("POST /x?y", "Content-Length: 3", body=b"abc"), b"abc", "3"),
    "DELETE with body": (request("DELETE /x?y", "Content-Length: 3", body=b"abc"), b"abc", "3"),
    "chunked": (
        request("POST /x?y", "Transfer-Encoding: chunked", body=b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"),
        b"abcd",
        None,
    ),
    "as much as is kept": (
        request("POST /x?y", "Content-Length: 1000", body=b"x" * 1000),
        b"x" * 1000,
        "1000",
    ),
}


@pytest.mark.parametrize(("sent", "body", "length"), REPLAYED.values(), ids=REPLAYED.keys())
async def test_a_refused_request_is_replayed_with_a_fresh_token(
    tokens: TokenServer, sent: bytes, body: bytes, length: str | None
) -> None:
    """Once, whole and otherwise unchanged; the caller sees the second answer alone (T10)."""
    async with proxied(tokens, REFUSES_FIRST, max_replay_bytes=1000) as (proxy, upstream):
        answer = await proxy.ask(sent)
        assert answer.status == 200
        first, second = upstream.requests
        assert [number_of(first), number_of(second)] == [1, 2]
        for message in (first, second):
            assert (message.target, message.body) == ("/x?y", body)
            assert message.head.value("Content-Length") == length
        without_token = [
            [pair for pair in message.head.headers if pair[0] != b"Authorization"]
            for message in (first, second)
        ]
        assert without_token[0] == without_token[1]
        assert len(tokens.issued) == 2
        assert await proxy.metric("replays_total", outcome="ok") == 1


@pytest.mark.parametrize(
    "refusal",
    [
        reply("401 Unauthorized"),
        reply("401 Unauthorized", "Content-Type: text/html", body=b"<html>" * 10_000),
        b"HTTP/1.1 401 U\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
        reply("401 Unauthorized", "Connection: close", body=b"no"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + REFUSED,
    ],
    ids=["empty", "html", "chunked", "close", "interim-before"],
)
async def test_the_form_of_the_refusal_does_not_matter(tokens: TokenServer, refusal: bytes) -> None:
    """Only the status decides, and nothing of the refusal reaches the caller's answer."""
    async with proxied(tokens, refusing(lambda number: number == 1, refusal)) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        while (answer := await caller.read_answer()).status < 200:
            pass
        assert (answer.status, answer.body) == (200, b"welcome")
        assert (await caller.ask(request("GET /"))).body == b"welcome"


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
async def test_a_large_body_is_not_replayed(tokens: TokenServer, *, is_chunked: bool) -> None:
    """Over MAX_REPLAY_BYTES the 401 passes through; the next request has a fresh token."""
    body = b"x" * 1001
    sent = request("POST /", "Content-Length: 1001", body=body)
    if is_chunked:
        framed = b"3e9\r\n" + body + b"\r\n0\r\n\r\n"
        sent = request("POST /", "Transfer-Encoding: chunked", body=framed)
    async with proxied(tokens, REFUSES_FIRST, max_replay_bytes=1000) as (proxy, upstream):
        answer = await proxy.ask(sent)
        assert (answer.status, answer.body) == (401, b"no")
        assert answer.head.value("Proxy-Status") is None
        assert len(upstream.requests) == 1
        assert (await proxy.ask(request("GET /"))).status == 200
        assert [number_of(message) for message in upstream.requests] == [1, 2]
        assert len(tokens.issued) == 2


async def test_a_second_refusal_passes_through(tokens: TokenServer) -> None:
    """As the upstream sent it."""
    async with proxied(tokens, REFUSES_ALL) as (proxy, upstream):
        answer = await proxy.ask(request("GET /"))
        assert (answer.status, answer.body) == (401, b"no")
        assert answer.head.value("WWW-Authenticate") == 'Bearer error="invalid_token"'
        assert answer.head.value("Proxy-Status") is None
        assert [number_of(message) for message in upstream.requests] == [1, 2]
        assert await proxy.metric("replays_total", outcome="refused") == 1


async def test_forbidden_is_never_replayed(tokens: TokenServer) -> None:
    """403 means a missing permission, which no token cures."""
    async with proxied(tokens, reply("403 Forbidden", body=b"no")) as (proxy, upstream):
        for _ in range(3):
            assert (await proxy.ask(request("GET /"))).status == 403
        assert len(upstream.requests) == 3
        assert len(tokens.issued) == 1


async def test_a_storm_of_refusals_causes_one_renewal(tokens: TokenServer) -> None:
    """At most one forced token request per ten seconds, and every caller is answered."""
    async with proxied(tokens, REFUSES_ALL) as (proxy, upstream):

        async def insist() -> None:
            caller = await proxy.connect()
            for _ in range(20):
                assert (await caller.ask(request("GET /"))).status == 401

        async with asyncio.TaskGroup() as callers:
            for _ in range(20):
                callers.create_task(insist())
        assert len(tokens.requests) == 2
        assert 400 <= len(upstream.requests) <= 440


async def one_path_refused(message: Message) -> bytes:
    """Answer 401 on one path, whatever the token."""
    return REFUSED if message.target == "/refused" else reply(body=b"welcome")


async def test_a_refusal_stops_nobody_while_tokens_cannot_be_had(tokens: TokenServer) -> None:
    """T10: one path's 401 is passed on; all others are served, as is told, until recovery."""
    async with proxied(tokens, one_path_refused) as (proxy, upstream):
        assert (await proxy.ask(request("GET /"))).status == 200
        tokens.failure = reply("503 Down")
        answer = await proxy.ask(request("GET /refused"))
        assert (answer.status, answer.body) == (401, b"no")
        for _ in range(3):
            assert (await proxy.ask(request("GET /"))).status == 200
            assert (await proxy.ask(request("GET /refused"))).status == 401
        assert {number_of(message) for message in upstream.requests} == {1}
        assert await proxy.metric("error_replies_total") == 0
        ready = await proxy.admin("GET /readyz")
        assert (ready.status, b'"degraded"' in ready.body) == (200, True)
        tokens.failure = None
        await proxy.metric_becomes(0, "token_consecutive_failures", client="default")
        assert (await proxy.ask(request("GET /"))).status == 200
        assert number_of(upstream.requests[-1]) == 2


async def test_a_refusal_stops_others_for_the_wait_at_most(tokens: TokenServer) -> None:
    """T10: where the renewal hangs, requests go on after TOKEN_WAIT_SECONDS, and then at once."""
    # Time enough for a busy machine to see both wait.
    async with proxied(tokens, one_path_refused, token_wait_seconds=3) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 200
        tokens.gate.clear()
        refused, other = await proxy.connect(), await proxy.connect()
        await refused.send(request("GET /refused"))
        await proxy.metric_becomes(1, "token_waiters")
        await other.send(request("GET /"))
        await proxy.metric_becomes(2, "token_waiters")
        assert (await refused.read_answer()).status == 401
        assert (await other.read_answer()).status == 200
        for target, status in (("/", 200), ("/refused", 401), ("/", 200)):
            assert (await proxy.ask(request(f"GET {target}"), 2)).status == status
        assert await proxy.metric("client_ready", client="default") == 1
        tokens.gate.set()


async def test_many_refusals_of_one_token_cause_one_renewal(tokens: TokenServer) -> None:
    """A revoked token under full load costs one token request and no caller a failure."""
    async with proxied(tokens, REFUSES_FIRST) as (proxy, _):
        async with asyncio.TaskGroup() as callers:
            asked = [callers.create_task(proxy.ask(request("GET /"))) for _ in range(50)]
        assert {task.result().status for task in asked} == {200}
        assert len(tokens.requests) == 2


async def test_a_late_refusal_uses_the_token_that_is_there(tokens: TokenServer) -> None:
    """A 401 for a token that was replaced meanwhile renews nothing."""
    async with proxied(tokens) as (proxy, upstream):
        early, late = await proxy.connect(), await proxy.connect()
        await early.send(request("GET /early"))
        first = await upstream.accepted()
        await first.read_request()
        await late.send(request("GET /late"))
        second = await upstream.accepted()
        await second.read_request()
        await first.send(REFUSED)
        assert number_of(await first.read_request()) == 2
        await first.send(reply())
        assert (await early.read_answer()).status == 200
        await second.send(REFUSED)
        await eventually(lambda: len(tokens.issued) == 2, "the renewal")
        for server in (first, second):
            if not await server.stays_silent():
                message = await server.read_request()
                await server.send(reply(body=b"late"))
        assert (message.target, number_of(message)) == ("/late", 2)
        assert (await late.read_answer()).body == b"late"
        assert len(tokens.requests) == 2


@pytest.mark.parametrize("size", [6, 65_536, 12 << 20])
async def test_a_body_that_is_kept_is_always_replayed_whole(tokens: TokenServer, size: int) -> None:
    """It is read whole first, so that a 401 finds all of it, however early it comes (F12, T10)."""
    body = random.Random(size).randbytes(size)
    limit = max(size, 65_536)
    async with proxied(tokens, max_replay_bytes=limit, read_timeout_seconds=5) as (
        proxy,
        upstream,
    ):
        caller = await proxy.connect()
        await caller.send(request("POST /", f"Content-Length: {size}", body=body[:3]))
        await proxy.metric_becomes(1, "requests_in_flight")
        assert not upstream.connections
        await caller.send(body[3:])
        server = await upstream.accepted()
        await server.read_head()
        await server.send(REFUSED)
        if size > KERNEL:  # what the upstream does not take makes this connection useless
            await server.read_whatever()
            server = await upstream.accepted()
        else:
            assert await server.read(size) == body
        message = await server.read_request()
        assert (message.body, number_of(message)) == (body, 2)
        await server.send(reply(body=b"welcome"))
        assert (await caller.read_answer()).body == b"welcome"


async def test_a_refusal_amid_a_large_upload_passes_through(tokens: TokenServer) -> None:
    """What is not kept whole is never replayed, and never sent in part."""
    async with proxied(tokens, max_replay_bytes=4) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("POST /", "Content-Length: 6", body=b"abc"))
        first = await upstream.accepted()
        await first.read_head()
        await first.send(REFUSED)
        answer = await caller.read_answer()
        assert (answer.status, answer.body) == (401, b"no")
        assert len(upstream.connections) == 1


async def test_a_refusal_while_no_fresh_token_is_to_be_had(tokens: TokenServer) -> None:
    """The caller is answered all the same, and the next ones once there is a token again."""
    async with proxied(tokens, REFUSES_FIRST, token_wait_seconds=0.3) as (proxy, _):
        await proxy.admin("GET /readyz")
        await eventually(lambda: len(tokens.issued) == 1, "the first token")
        tokens.failure = reply("500 Oops")
        assert (await proxy.ask(request("GET /"))).status in {401, 503}
        tokens.failure = None
        await proxy.admin("POST /-/refresh")
        await eventually(lambda: len(tokens.issued) == 2, "a token again")
        assert (await proxy.ask(request("GET /"))).status == 200
