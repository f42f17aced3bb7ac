"""What is written down about requests: one event each (L), and numbers (M)."""

import html
import json
from typing import Any

import pytest

from tests.support.messages import reply, request
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NATIONAL_ID = "31019000000"


async def events(proxy: RunningProxy, count: int) -> list[dict[str, Any]]:
    """Wait for as many events about requests; return them."""

    def found() -> list[dict[str, Any]]:
        return [event for event in proxy.logs if event["event"] == "request"]

    await eventually(lambda: len(found()) >= count, "the access log")
    assert len(found()) == count
    return found()


async def test_one_event_gathers_the_facts_of_a_request(tokens: TokenServer) -> None:
    """Ids are logged as they passed through; the query, which holds national ids, is not (L)."""
    answer = reply("201 Created", f"x-trace-id: {TRACE}", body=b"hello")
    async with proxied(tokens, answer) as (proxy, _):
        lines = (f"traceparent: {PARENT}", "X-Request-ID: order-17", "Content-Length: 3")
        await proxy.ask(request(f"POST /x?identityNumber={NATIONAL_ID}", *lines, body=b"abc"))
        (event,) = await events(proxy, 1)
        assert (event["method"], event["status"], event["outcome"]) == ("POST", 201, "ok")
        assert (event["route"], event["client"]) == ("/", "default")
        assert (event["bytes_in"], event["bytes_out"]) == (3, 5)
        assert (event["request_id"], event["traceparent"]) == ("order-17", PARENT)
        assert TRACE in event.values()
        assert len(event["token"]) == 8
        assert 0 < event["duration_seconds"] < 5
        assert NATIONAL_ID not in str(proxy.logs)


async def test_refusals_and_failures_are_events_too(tokens: TokenServer) -> None:
    """Each with its code of table E as outcome."""
    async with proxied(tokens, b"HTTP/1.1 600 X\r\n\r\n") as (proxy, _):
        await proxy.ask(request(f"GET /?{NATIONAL_ID}", host="evil.example"))
        await proxy.ask(request(f"GET /?{NATIONAL_ID}"))
        await proxy.ask(b"GET /\x00 HTTP/1.1\r\n\r\n")
        outcomes = [event["outcome"] for event in await events(proxy, 3)]
        assert outcomes == ["host_not_allowed", "upstream_invalid_response", "bad_request"]
        assert await proxy.metric("rejected_total", reason="host_not_allowed") == 1
        assert await proxy.metric("rejected_total", reason="bad_request") == 1
        assert await proxy.metric("upstream_errors_total", reason="invalid_response") == 1
        assert NATIONAL_ID not in str(proxy.logs)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", ["TLS", "http://"]),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ["HTTP/2 with prior knowledge", "HTTP/1.1"]),
        (b"\x05\x01\x00", ["SOCKS", "http://"]),
        (b"SSH-2.0-OpenSSH_9.2\r\n", ["not HTTP", "HTTP/1.1"]),
        ("GET /søk HTTP/1.1\r\nHost: localhost\r\n\r\n".encode(), ["ASCII", "Percent-encode"]),
        (request("GET /", "A : b"), ["before the colon"]),
        (request("GET /", host="evil.example"), ["SIGNICAT_PROXY_ALLOWED_HOSTS"]),
    ],
    ids=["TLS", "HTTP/2", "SOCKS", "SSH", "not ASCII", "header", "host"],
)
async def test_a_refusal_says_why_everywhere(
    tokens: TokenServer, sent: bytes, words: list[str]
) -> None:
    """The reply's `detail` stands in the log and on the status page too (G10)."""
    async with proxied(tokens, reply()) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(sent)
        detail = json.loads((await caller.read_answer()).body)["detail"]
        assert [word for word in words if word not in detail] == []
        (event,) = await events(proxy, 1)
        assert event["detail"] == detail
        (entry,) = json.loads((await proxy.admin("GET /status")).body)["recent"]
        assert entry["detail"] == detail
        assert html.escape(detail) in (await proxy.admin("GET /")).body.decode()


async def test_a_caller_who_left_is_an_event(tokens: TokenServer) -> None:
    """It is no failure of the upstream."""
    async with proxied(tokens) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        await (await upstream.accepted()).read_request()
        caller.reset()
        (event,) = await events(proxy, 1)
        assert "left" in event["outcome"]
        assert await proxy.metric("upstream_errors_total") == 0


@pytest.mark.parametrize(("level", "count"), [("all", 2), ("errors", 1), ("off", 0)])
async def test_the_access_log_is_a_choice(tokens: TokenServer, level: str, count: int) -> None:
    """ACCESS_LOG is `all`, `errors` or `off`."""
    async with proxied(tokens, reply(), access_log=level) as (proxy, _):
        await proxy.ask(request("GET /"))
        await proxy.ask(request("GET /", host="evil.example"))
        await events(proxy, count)


async def test_requests_are_counted(tokens: TokenServer) -> None:
    """By client, method and status, with bytes and durations; labels are never free text (M)."""
    async with proxied(tokens, reply(body=b"hello")) as (proxy, _):
        caller = await proxy.connect()
        for _ in range(3):
            await caller.ask(request("POST /x", "Content-Length: 3", body=b"abc"))
        await caller.ask(request("X-MADE-UP /"))
        counted = {"client": "default", "code": "200"}
        assert await proxy.metric("requests_total", method="POST", **counted) == 3
        assert await proxy.metric("requests_total", **counted) == 4
        assert await proxy.metric("request_bytes_total") == 9
        assert await proxy.metric("response_bytes_total") == 20
        assert await proxy.metric("request_duration_seconds_count", client="default") == 4
        assert await proxy.metric("upstream_duration_seconds_count", client="default") == 4
        assert await proxy.metric("token_requests_total", client="default", outcome="ok") == 1
        assert await proxy.metric("upstream_connections", state="idle") == 1
        assert b"X-MADE-UP" not in (await proxy.admin("GET /metrics")).body


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the bytes are not HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x30", "the bytes are TLS"),
        (b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "before the colon"),
        (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000, "exceed 64 KiB"),
        (b"HTTP/1.1 102 P\r\n\r\n" * 17, "interim responses"),
    ],
    ids=["SSH", "TLS", "header", "endless", "interim"],
)
async def test_a_broken_answer_says_why_everywhere(
    tokens: TokenServer, answer: bytes, words: str
) -> None:
    """The reply names the part of the answer; the log and the status page do too (G10, F9)."""
    async with proxied(tokens, answer) as (proxy, _):
        caller = await proxy.connect()
        await caller.send(request("GET / HTTP/1.0"))
        detail = json.loads((await caller.read_whatever()).rpartition(b"\r\n\r\n")[2])["detail"]
        assert words in detail
        (event,) = await events(proxy, 1)
        assert event["detail"] == detail
        (entry,) = json.loads((await proxy.admin("GET /status")).body)["recent"]
        assert entry["detail"] == detail
