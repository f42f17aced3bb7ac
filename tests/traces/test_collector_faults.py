"""Collectors that misbehave, seen from a whole proxy: they cost spans and nothing else (O5)."""

import asyncio
import contextlib
from typing import Any

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from tests.support.certificates import context_for
from tests.support.messages import Message, reply, request
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.peers import Answer, ByteServer
from tests.support.ports import refusing_port
from tests.support.running_proxy import RunningProxy
from tests.support.token_server import TokenServer
from tests.support.traced import traced
from tests.support.waiting import eventually, stopwatch, within

pytestmark = pytest.mark.usefixtures("no_leaks")

REQUESTS = 10
SPANS = 2 * REQUESTS + 1  # with that of the token request
PROTOBUF = "Content-Type: application/x-protobuf"
BRIEF = 0.75
"""Where a connection is lost the SDK pauses for 0.8 s or more before it tries again; that is longer
than this time for a batch, so nothing depends on how long the pause really was."""


def partial(rejected: int) -> bytes:
    """Return the body that says how many spans of a batch were not taken, and why."""
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = rejected
    response.partial_success.error_message = "private words of the other side"
    body: bytes = response.SerializeToString()
    return body


async def endless(_: Message) -> bytes:
    """Respond with more than anybody should read."""
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (8 << 20)


async def ask(proxy: RunningProxy, count: int = REQUESTS) -> None:
    """See that requests get their responses, whatever becomes of the spans."""
    caller = await proxy.connect()
    for _ in range(count):
        assert (await caller.ask(request("GET /"))).status == 200


def told(proxy: RunningProxy) -> list[dict[str, Any]]:
    """Return what was logged of the spans' way out."""
    return [log for log in proxy.logs if log["event"].startswith("spans_")]


async def stop(proxy: RunningProxy) -> None:
    """Stop the proxy, without any caller."""
    for caller in proxy.callers:
        caller.close()
    proxy.stop()
    await within(proxy.ended.wait(), "the end")


@pytest.mark.parametrize(
    ("answer", "outcome", "cause"),
    [
        (reply("400 Bad Request", body=b"private words"), "failed", "status 400"),
        (reply("401 Unauthorized"), "failed", "status 401"),
        (reply("429 Too Many Requests", "Retry-After: 60"), "failed", "status 429"),
        (reply("503 Service Unavailable", "Retry-After: 60"), "failed", "status 503"),
        (reply("302 Found", "Location: http://elsewhere.test/"), "failed", "status 302"),
        (reply("500 Oh", "Content-Encoding: gzip", body=b"nonsense"), "failed", "status 500"),
        (b"\x15\x03\x01 nonsense\r\n\r\n", "failed", "ConnectionError"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n", "exported", None),
        (reply("200 OK", "Content-Type: text/html", body=b"<html>"), "exported", None),
        (reply("200 OK", PROTOBUF, "Content-Encoding: gzip", body=b"?"), "exported", None),
        (reply("200 OK", PROTOBUF, body=partial(9_999)), "failed", "partial success"),
        (reply("200 OK", PROTOBUF, body=partial(-1)), "exported", None),
        (reply("202 Accepted"), "exported", None),
        (endless, "exported", None),
    ],
)
async def test_whatever_a_collector_says(
    tokens: TokenServer, answer: bytes | Answer, outcome: str, cause: str | None
) -> None:
    """Every span is counted, once; one warning at most, in words of the proxy's own."""
    patience = BRIEF if cause == "ConnectionError" else 10
    async with (
        ByteServer(answer) as collector,
        traced(tokens, reply(), "always_on", endpoint=collector.url, timeout_seconds=patience) as (
            proxy,
            _,
            _,
        ),
    ):
        await ask(proxy)
        await proxy.metric_becomes(SPANS, "spans_total", outcome=outcome)
        assert await proxy.metric("spans_total") == SPANS
        assert [(log["event"], log.get("cause")) for log in told(proxy)] == (
            [] if cause is None else [("spans_lost", cause)]
        )
        assert "private" not in str(proxy.logs)


async def test_a_collector_that_resets(tokens: TokenServer) -> None:
    """Each connection, as soon as it is there."""
    async with ByteServer() as collector, asyncio.TaskGroup() as tasks:

        async def reset_all() -> None:
            while True:
                (await collector.accepted(60)).reset()

        resetting = tasks.create_task(reset_all(), name="peer")
        async with traced(
            tokens, reply(), "always_on", endpoint=collector.url, timeout_seconds=BRIEF
        ) as (proxy, _, _):
            await ask(proxy)
            await proxy.metric_becomes(SPANS, "spans_total", outcome="failed")
            assert [log["event"] for log in told(proxy)] == ["spans_lost"]
        resetting.cancel()


async def test_a_collector_whose_certificate_nobody_knows(tokens: TokenServer) -> None:
    """Nothing is sent to it; the log names the class of the error (G8)."""
    context = context_for(trustme.CA(), "127.0.0.1")
    async with OtlpReceiver(tls=context) as collector:
        endpoint = collector.endpoint
        async with traced(
            tokens, reply(), "always_on", endpoint=endpoint, timeout_seconds=BRIEF
        ) as (proxy, _, _):
            await ask(proxy)
            await proxy.metric_becomes(SPANS, "spans_total", outcome="failed")
            (warning,) = told(proxy)
            assert (warning["cause"], warning["collector"]) == ("SSLError", collector.url)
            assert collector.received == b""


async def test_a_collector_that_dies_and_comes_back(tokens: TokenServer) -> None:
    """One warning when it is gone, one line when it is there again; nothing waits meanwhile."""
    first, again = OtlpReceiver(), OtlpReceiver()
    async with contextlib.AsyncExitStack() as stack:
        first.port = again.port = stack.enter_context(refusing_port())
        await stack.enter_async_context(first)
        endpoint = first.endpoint
        proxy, _, _ = await stack.enter_async_context(
            traced(tokens, reply(), "always_on", endpoint=endpoint, timeout_seconds=BRIEF)
        )
        await ask(proxy)
        await first.take(SPANS)
        await first.__aexit__(None, None, None)
        for count in (1, 2, 3):
            await ask(proxy, 1)
            await proxy.metric_becomes(2 * count, "spans_total", outcome="failed")
        assert [log["event"] for log in told(proxy)] == ["spans_lost"]
        await stack.enter_async_context(again)
        await ask(proxy, 1)
        await again.take(2)
        await eventually(lambda: len(told(proxy)) == 2, "the good news")
        assert [log["event"] for log in told(proxy)] == ["spans_lost", "spans_sent_again"]
        await proxy.metric_becomes(SPANS + 2, "spans_total", outcome="exported")
        with stopwatch() as took:
            await stop(proxy)
        assert took() < 2


async def test_a_collector_that_asks_for_a_little_patience(tokens: TokenServer) -> None:
    """`Retry-After` is kept, and the batch is sent again: nothing is lost, nothing is logged."""
    answers = [reply("503 Service Unavailable", "Retry-After: 0.2"), reply("200 OK", PROTOBUF)]
    times: list[float] = []

    async def answer(_: Message) -> bytes:
        times.append(asyncio.get_running_loop().time())
        return answers[min(len(times) - 1, 1)]

    async with (
        ByteServer(answer) as collector,
        traced(tokens, reply(), "always_on", endpoint=collector.url) as (proxy, _, _),
    ):
        await ask(proxy)
        await proxy.metric_becomes(SPANS, "spans_total", outcome="exported")
        assert times[1] - times[0] > 0.15
        assert collector.requests[0].body == collector.requests[1].body
        assert told(proxy) == []


@pytest.mark.parametrize("seconds", [None, 0.3], ids=["once", "twice"])
async def test_a_collector_that_never_answers_holds_up_no_stop(
    tokens: TokenServer, seconds: float | None
) -> None:
    """Two seconds are given to it, and with a second signal no more than have passed (C2, O5)."""
    async with OtlpReceiver() as collector:
        collector.gate.clear()
        async with traced(
            tokens, reply(), "always_on", endpoint=collector.endpoint, timeout_seconds=60
        ) as (proxy, _, _):
            await ask(proxy)
            await eventually(lambda: bool(collector.requests), "a batch")
            loop = asyncio.get_running_loop()
            if seconds is not None:
                loop.call_later(seconds, proxy.stop)
            began = loop.time()
            with stopwatch() as took:
                await stop(proxy)
            assert took() < (3 if seconds is None else 1.5)
            if seconds is None:
                assert loop.time() - began >= 1.9
            assert [log["event"] for log in told(proxy)] == ["spans_lost"]
