"""Answers that end, break off or stop after any of their bytes (F7, F9, T5)."""

import asyncio
from collections import Counter

import pytest

from proxy.oauth.response import Failure, Grant
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually
from tests.tokens.test_token_endpoint import endpoint_at

pytestmark = pytest.mark.usefixtures("no_leaks")

HEAD = b"HTTP/1.1 200 OK\r\nA: b\r\n"
ANSWERS = {
    "length": HEAD + b"Content-Length: 5\r\n\r\nhello",
    "chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
    "until close": HEAD + b"Connection: close\r\n\r\nhello",
    "hints first": b"HTTP/1.1 103 Hints\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello",
}
GRANTED = reply(body=b'{"access_token":"abc","token_type":"Bearer","expires_in":9}')


async def end_connection(channel: Channel, ending: str) -> None:
    """Close, break off, or say nothing more until the other side has had enough."""
    if ending == "close":
        channel.close()
    elif ending == "reset":
        channel.reset()
    else:
        await channel.read_whatever()


async def outcome(proxy: RunningProxy, number: int) -> Message | None:
    """Return the answer to a request, None where it was cut after its head."""
    caller = await proxy.connect()
    await caller.send(request(f"GET /{number}"))
    try:
        while (answer := await caller.read_answer()).status < 200:
            pass
    except ClosedEarlyError:
        return None
    return answer


def heads_heard(proxy: RunningProxy) -> int:
    """Count the callers who have the head of their answer."""
    return len([caller for caller in proxy.callers if b" 200 OK\r\n" in caller.received])


@pytest.mark.parametrize("ending", ["close", "reset", "silence"])
@pytest.mark.parametrize("kind", ANSWERS)
async def test_an_answer_may_end_after_any_byte(
    tokens: TokenServer, kind: str, ending: str
) -> None:
    """Before its head is whole there is 502 or 504, within it a cut, and all is accounted for."""
    raw = ANSWERS[kind]
    body_begins = raw.index(b"\r\n\r\n", raw.index(HEAD)) + 4
    sent = set[int]()
    async with proxied(tokens, read_timeout_seconds=60) as (proxy, upstream):

        async def serve() -> None:
            channel = await upstream.accepted()
            message = await channel.read_request()
            end = int(message.target[1:])
            if end:
                await channel.send(raw[:end])
            sent.add(end)
            await end_connection(channel, ending)

        async with asyncio.TaskGroup() as tasks:
            for _ in range(len(raw)):
                tasks.create_task(serve(), name="peer")
            asked = [tasks.create_task(outcome(proxy, end), name="peer") for end in range(len(raw))]
            if ending == "silence":
                heads = len(raw) - body_begins
                await eventually(lambda: len(sent) == len(raw), "the last word of each")
                await eventually(lambda: heads_heard(proxy) == heads, "what they have said")
                await proxy.metric("requests_in_flight")  # by then it has read all of it
                proxy.put_forward(61)
        seen: Counter[str] = Counter()
        for end, task in enumerate(asked):
            answer = task.result()
            if end < body_begins:
                assert answer is not None, end
                late = ending == "silence"
                code = "upstream_timeout" if late else "upstream_closed"
                assert_problem(answer, 504 if late else 502, code)
                seen["timeout" if late else "closed"] += 1
            elif kind == "until close" and ending == "close":
                assert answer is not None, end
                assert answer.body == raw[body_begins:end]
            else:
                assert answer is None, end
                seen["timeout" if ending == "silence" else "truncated"] += 1
        for reason, count in seen.items():
            await proxy.metric_becomes(count, "upstream_errors_total", reason=reason)
        for state in ("active", "idle", "waiting", "connecting"):
            await proxy.metric_becomes(0, "upstream_connections", state=state)
        await proxy.metric_becomes(0, "requests_in_flight")


@pytest.mark.parametrize("kind", ["length", "chunks", "hints first"])
async def test_an_answer_may_come_byte_by_byte(tokens: TokenServer, kind: str) -> None:
    """It is whole all the same, and its connection serves on."""
    async with proxied(tokens) as (proxy, upstream):
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(outcome(proxy, 1), name="peer")
            channel = await upstream.accepted()
            await channel.read_request()
            for byte in ANSWERS[kind]:
                await channel.send(bytes((byte,)))
        answer = asked.result()
        assert answer is not None
        assert (answer.status, answer.body) == (200, b"hello")
        await proxy.metric_becomes(1, "upstream_connections", state="idle")


@pytest.mark.parametrize(("ending", "step"), [("close", 1), ("reset", 1), ("silence", 10)])
async def test_a_grant_may_end_after_any_byte(ending: str, step: int) -> None:
    """No part of it is taken for a token: each is a fault that may pass, and the whole is one."""
    end = len(GRANTED)

    async def answer(_: Message) -> bytes | None:
        # Not the newest: what has run out of time before it was read may be answered after it.
        channel = next(each for each in server.connections if each.received and not each.sent)
        await channel.send(GRANTED[:end])
        await end_connection(channel, ending)
        return None

    seconds = 0.5 if ending == "silence" else 10.0
    async with (
        ByteServer(answer) as server,
        endpoint_at(server.url, timeout_seconds=seconds) as endpoint,
        endpoint_at(server.url) as patient,
    ):
        ends = range(1, len(GRANTED), step)
        for end in ends:
            part = (await endpoint.request("secret")).result
            assert isinstance(part, Failure), end
            expected = "timeout" if ending == "silence" else "connection_lost"
            assert (part.outcome, part.is_permanent) == (expected, False), end
        end = len(GRANTED)
        assert isinstance((await patient.request("secret")).result, Grant)
        assert len(server.requests) <= len(ends) + 1  # nothing was tried twice
