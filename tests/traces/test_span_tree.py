"""What a request leaves in a trace, and what goes up with it, over real sockets (O3, O4)."""

import asyncio

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.otlp_receiver import ReceivedSpan
from tests.support.peers import ByteServer
from tests.support.running_proxy import proxied
from tests.support.suite_output import CLIENT_SECRET
from tests.support.token_server import TokenServer
from tests.support.traced import CALLER, SAMPLED, TRACE, UNSAMPLED, gone_up, traced
from tests.support.waiting import eventually, stopwatch, within

pytestmark = pytest.mark.usefixtures("no_leaks")

UPSTREAM_TRACE = "0123456789abcdef0123456789abcdef"
NATIONAL_ID = "31019000000"
GIVEN = "X-Request-ID: order-17"


def assert_tree(spans: list[ReceivedSpan], upstream: ByteServer) -> ReceivedSpan:
    """See that there is one server span below the caller's, and one below it for each attempt."""
    (server,) = (span for span in spans if span.kind == "server")
    attempts = [span for span in spans if span.kind == "client"]
    assert {span.trace for span in spans} == {TRACE}
    assert server.parent == CALLER
    assert [(span.parent, span.name) for span in attempts] == [(server.span, "GET")] * len(attempts)
    sent = [gone_up(message) for message in upstream.requests]
    assert sent == [(TRACE, span.span, "01") for span in attempts]
    for span in attempts:
        assert server.started <= span.started <= span.ended <= server.ended
    return server


async def test_a_plain_request(tokens: TokenServer) -> None:
    """A server span named by method and route, and a client span; no query anywhere (O3)."""
    answer = reply("200 OK", f"x-trace-id: {UPSTREAM_TRACE}", body=b"hello")
    async with traced(tokens, answer) as (proxy, upstream, collector):
        lines = (SAMPLED, "tracestate: a=1", "tracestate: b=2", GIVEN)
        await eventually(lambda: any(e["event"] == "token_request" for e in proxy.logs), "a token")
        await proxy.ask(request(f"GET /sign/{NATIONAL_ID}?q={NATIONAL_ID}", *lines))
        server, client = await collector.take(2)
        assert_tree([server, client], upstream)
        assert (server.name, server.is_error, server.tracestate) == ("GET /", False, "a=1,b=2")
        assert server.attributes == {
            "http.request.method": "GET",
            "http.route": "/",
            "url.path": "/",
            "url.scheme": "http",
            "http.request.body.size": 0,
            "http.response.body.size": 5,
            "http.response.status_code": 200,
            "signicat_proxy.client": "default",
            "signicat_proxy.request_id": "order-17",
        }
        assert client.attributes == {
            "http.request.method": "GET",
            "server.address": "127.0.0.1",
            "server.port": upstream.port,
            "url.scheme": "http",
            "http.response.status_code": 200,
            "signicat_proxy.upstream_trace_id": UPSTREAM_TRACE,
        }
        assert upstream.requests[0].head.values("tracestate") == ["a=1", "b=2"]
        await eventually(lambda: any("traceparent" in log for log in proxy.logs), "the log")
        (logged,) = (log["traceparent"] for log in proxy.logs if "traceparent" in log)
        assert logged == f"00-{TRACE}-{server.span}-01"
        await proxy.metric_becomes(2, "spans_total", outcome="exported")
        secrets = (NATIONAL_ID, CLIENT_SECRET, "-of-the-test", "Bearer")
        assert [each for each in secrets if each.encode() in collector.received] == []


async def test_a_replay_is_a_second_client_span(tokens: TokenServer) -> None:
    """With `resend_count`; the request has one server span (T10)."""

    async def answer(message: Message) -> bytes:
        is_good = message.head.value("Authorization") == "Bearer token-2-of-the-test"
        return reply() if is_good else reply("401 Unauthorized")

    async with traced(tokens, answer) as (proxy, upstream, collector):
        assert (await proxy.ask(request("GET /", SAMPLED))).status == 200
        spans = await collector.take(3)
        server = assert_tree(spans, upstream)
        assert (server.is_error, server.attributes["http.response.status_code"]) == (False, 200)
        assert server.attributes["signicat_proxy.token_wait_seconds"]
        facts = [
            (span.attributes["http.response.status_code"], span.is_error)
            for span in spans
            if span.kind == "client"
        ]
        assert facts == [(401, True), (200, False)]
        counts = [span.attributes.get("http.request.resend_count") for span in spans[1:]]
        assert counts == [None, 1]


async def test_a_wait_for_a_token_is_told(tokens: TokenServer) -> None:
    """In seconds, on the server span; a wait in vain is one without attempts."""
    tokens.failure = reply("503 Service Unavailable")
    async with traced(tokens, reply()) as (proxy, upstream, collector):
        assert_problem(await proxy.ask(request("GET /", SAMPLED)), 503, "token_unavailable")
        (server,) = await collector.take(1)
        assert_tree([server], upstream)
        assert server.is_error
        assert server.attributes["error.type"] == "token_unavailable"


async def test_a_refusal_is_a_span_without_a_route(tokens: TokenServer) -> None:
    """Nothing went up."""
    async with traced(tokens, reply()) as (proxy, upstream, collector):
        await proxy.ask(request(f"GET /{NATIONAL_ID}", SAMPLED, GIVEN, host="evil.example"))
        (server,) = await collector.take(1)
        assert_tree([server], upstream)
        assert (server.name, server.is_error) == ("GET", False)
        assert server.attributes == {
            "http.request.method": "GET",
            "http.response.status_code": 421,
            "url.scheme": "http",
            "error.type": "host_not_allowed",
            "signicat_proxy.request_id": "order-17",
        }


async def test_a_response_that_is_cut(tokens: TokenServer) -> None:
    """Both spans say so, though the status was 200."""
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nabc"
    async with traced(tokens, cut) as (proxy, upstream, collector):
        caller = await proxy.connect()
        await caller.send(request("GET /", SAMPLED))
        await caller.read_whatever()
        spans = await collector.take(2)
        assert_tree(spans, upstream)
        assert [span.attributes["error.type"] for span in spans] == ["upstream_closed"] * 2
        assert all(span.is_error for span in spans)


async def test_a_caller_who_leaves(tokens: TokenServer) -> None:
    """Without a status, since there was none."""

    async def never(_: Message) -> bytes | None:
        await asyncio.Event().wait()
        return None

    async with traced(tokens, never) as (proxy, upstream, collector):
        caller = await proxy.connect()
        await caller.send(request("GET /", SAMPLED))
        await eventually(lambda: bool(upstream.requests), "the request")
        caller.close()
        spans = await collector.take(2)
        assert_tree(spans, upstream)
        assert [span.attributes["error.type"] for span in spans] == ["client_left"] * 2
        assert all("http.response.status_code" not in span.attributes for span in spans)


@pytest.mark.parametrize(
    "lines",
    [
        (),
        ("traceparent: 00-nonsense", "tracestate: a=1"),
        (SAMPLED, SAMPLED, "tracestate: a=1"),
        (SAMPLED, "Connection: traceparent", "tracestate: a=1"),
    ],
)
async def test_a_new_trace_where_there_is_none(tokens: TokenServer, lines: tuple[str, ...]) -> None:
    """Exactly one `traceparent` goes up; the state of a trace that is not followed does not."""
    async with traced(tokens, reply(), "parentbased_always_on") as (proxy, upstream, collector):
        caller = await proxy.connect()
        for _ in range(2):
            assert (await caller.ask(request("GET /", *lines))).status == 200
        spans = await collector.take(5)
        assert sum(span.name.startswith("POST /") for span in spans) == 1  # for the token
        first, second = (gone_up(message) for message in upstream.requests)
        assert TRACE not in {first[0], second[0]}
        assert first[0] != second[0]
        assert not any(message.head.values("tracestate") for message in upstream.requests)
        assert {span.parent for span in spans if span.kind == "server"} == {""}


async def test_an_unsampled_request_leaves_nothing(tokens: TokenServer) -> None:
    """But the caller's trace goes on, with an id of ours for each request."""
    async with traced(tokens, reply(), "parentbased_always_on") as (proxy, upstream, collector):
        await collector.take(1)  # of the token request
        caller = await proxy.connect()
        for _ in range(2):
            await caller.ask(request("GET /", UNSAMPLED, "tracestate: a=1"))
        first, second = (gone_up(message) for message in upstream.requests)
        assert (first[0], first[2]) == (second[0], second[2]) == (TRACE, "00")
        assert len({first[1], second[1], CALLER}) == 3
        assert upstream.requests[0].head.values("tracestate") == ["a=1"]
        await proxy.ask(request("GET /", SAMPLED))
        assert {span.trace for span in (await collector.take(3))[1:]} == {TRACE}


async def test_with_traces_off_the_callers_pass_untouched(tokens: TokenServer) -> None:
    """Malformed ones too: nobody here reads them (O4)."""
    lines = ("TraceParent: nonsense", "tracestate: ??")
    async with proxied(tokens, reply()) as (proxy, upstream):
        await proxy.ask(request("GET /", *lines))
        passed = [b"%b: %b" % header for header in upstream.requests[0].head.headers]
        assert [line for line in lines if line.encode() not in passed] == []


async def test_a_dead_collector_costs_no_request_and_no_drain(tokens: TokenServer) -> None:
    """It takes connections and says nothing; the stop is that of a proxy without traces (O5)."""
    async with traced(tokens, reply(), "always_on", timeout_seconds=0.5) as (proxy, _, collector):
        collector.gate.clear()
        caller = await proxy.connect()
        for _ in range(20):
            assert (await caller.ask(request("GET /"))).status == 200
        caller.close()
        with stopwatch() as took:
            proxy.stop()
            await within(proxy.ended.wait(), "the end")
        assert took() < 4
