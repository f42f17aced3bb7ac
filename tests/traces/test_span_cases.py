"""The spans of requests that are not plain: who sent them, what became of them, what goes up."""

import asyncio
from pathlib import Path

import pytest

from tests.support.callers import BILLING_KEY, SHOP_KEY, bearer, config_with
from tests.support.messages import assert_problem, reply, request
from tests.support.otlp_receiver import ReceivedSpan
from tests.support.tls_callers import ServerFiles, caller_context, tls_caller
from tests.support.token_server import TokenServer
from tests.support.traced import CALLER, SAMPLED, TRACE, gone_up, traced
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

UNKNOWN = 401  # the status for a caller without a key


def of_kind(spans: list[ReceivedSpan], kind: str) -> list[ReceivedSpan]:
    """Return server or client spans, by their starts; each is in the caller's trace."""
    assert {span.trace for span in spans} == {TRACE}
    return [span for span in spans if span.kind == kind]


async def test_a_request_that_waited_for_its_token(tokens: TokenServer) -> None:
    """The wait is on the server span, and no part of the attempt."""
    tokens.gate.clear()
    async with traced(tokens, reply()) as (proxy, _, collector):
        caller = await proxy.connect()
        await caller.send(request("GET /", SAMPLED))
        await proxy.metric_becomes(1, "token_waiters")
        asyncio.get_running_loop().call_later(0.2, tokens.gate.set)
        assert (await caller.read_answer()).status == 200
        server, attempt = await collector.take(2)
        waited = server.attributes["signicat_proxy.token_wait_seconds"]
        assert isinstance(waited, float)
        assert 0.15 < waited < 10
        assert attempt.started - server.started >= 0.9 * waited * 1e9
        assert not server.is_error


async def test_a_connection_that_was_stale(tokens: TokenServer) -> None:
    """Two attempts with ids of their own; the first says why it was none (F8)."""
    async with traced(tokens, None) as (proxy, upstream, collector):
        caller = await proxy.connect()
        await caller.send(request("GET /first"))
        stale = await upstream.accepted()
        await stale.read_request()
        await stale.send(reply())
        await caller.read_answer()
        await caller.send(request("GET /second", SAMPLED))
        sent = [await stale.read_request()]
        stale.reset()
        fresh = await upstream.accepted()
        sent.append(await fresh.read_request())
        await fresh.send(reply("200 OK", "x-trace-id: of-signicat"))
        assert (await caller.read_answer()).status == 200
        spans = await collector.take(3)
        (server,), attempts = of_kind(spans, "server"), of_kind(spans, "client")
        assert [span.parent for span in attempts] == [server.span] * 2
        assert [gone_up(message)[1] for message in sent] == [span.span for span in attempts]
        facts = [
            (
                span.attributes.get("error.type"),
                span.attributes.get("http.response.status_code"),
                span.attributes.get("http.request.resend_count"),
                span.attributes.get("signicat_proxy.upstream_trace_id"),
            )
            for span in attempts
        ]
        assert facts == [("upstream_closed", None, None, None), (None, 200, 1, "of-signicat")]
        assert attempts[0].ended <= attempts[1].started
        assert not server.is_error


async def test_an_early_answer(tokens: TokenServer) -> None:
    """The refusal is the upstream's: an error of the attempt, and none of this server (F11)."""
    async with traced(tokens, None) as (proxy, upstream, collector):
        caller = await proxy.connect()
        await caller.send(request("POST /", SAMPLED, "Content-Length: 1000000", body=bytes(1000)))
        server_side = await upstream.accepted()
        await server_side.read_head()
        await server_side.send(reply("413 Content Too Large", "Connection: close"))
        server_side.close()
        assert (await caller.read_answer()).status == 413
        server, attempt = await collector.take(2)
        assert attempt.attributes["error.type"] == "413"
        assert (attempt.is_error, server.is_error) == (True, False)
        assert server.attributes["http.response.status_code"] == 413
        size = server.attributes["http.request.body.size"]
        assert isinstance(size, int)
        assert 1000 <= size < 1000000


async def test_a_placeholder_has_a_span_and_nothing_goes_up(tokens: TokenServer) -> None:
    """It belongs to no client; its route is not the path that was asked for (P1)."""
    async with traced(tokens, reply(), placeholder_token="true") as (proxy, upstream, collector):
        path = tokens.token_url.removeprefix(tokens.url)
        form = b"client_secret=s3cret-of-the-application"
        call = request(f"POST {path}", SAMPLED, f"Content-Length: {len(form)}", body=form)
        assert (await proxy.ask(call)).status == 200
        (server,) = await collector.take(1)
        assert (server.kind, server.parent, server.name) == (
            "server",
            CALLER,
            "POST placeholder_token",
        )
        assert server.attributes["signicat_proxy.client"] == "none"
        assert server.attributes["http.request.body.size"] == len(form)
        assert upstream.requests == []


async def test_the_caller_is_named(tokens: TokenServer, tmp_path: Path) -> None:
    """By the name in [callers], in spans of refusals too; strangers have none (I4)."""
    config = config_with(tmp_path)
    async with traced(tokens, reply(), config_file=config) as (proxy, _, collector):
        assert (await proxy.ask(request("GET /sign/a", SAMPLED, bearer(SHOP_KEY)))).status == 200
        for key, status in ((BILLING_KEY, 403), ("stranger" * 5, UNKNOWN)):
            assert (await proxy.ask(request("GET /a", SAMPLED, bearer(key)))).status == status
        servers = of_kind(await collector.take(4), "server")
        facts = [
            (
                span.name,
                span.attributes.get("signicat_proxy.caller"),
                span.attributes.get("signicat_proxy.client"),
                span.attributes.get("error.type"),
            )
            for span in servers
        ]
        assert facts == [
            ("GET /sign", "shop", "sign", None),
            ("GET", "billing", None, "caller_not_allowed"),
            ("GET", None, None, "caller_unknown"),
        ]


async def test_a_caller_over_tls(tokens: TokenServer, tmp_path: Path) -> None:
    """`url.scheme` is that of the caller, on refusals too; the upstream has its own."""
    files = ServerFiles(tmp_path)
    async with traced(tokens, reply(), **files.settings) as (proxy, _, collector):
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert (await caller.ask(request("GET /", SAMPLED))).status == 200
        refused = await caller.ask(request("GET /", SAMPLED, host="evil.example"))
        assert_problem(refused, 421, "host_not_allowed")
        spans = await collector.take(3)
        schemes = {span.attributes["url.scheme"] for span in of_kind(spans, "server")}
        assert schemes == {"https"}
        (attempt,) = of_kind(spans, "client")
        assert attempt.attributes["url.scheme"] == "http"


async def test_a_caller_of_http_10(tokens: TokenServer) -> None:
    """It may send a trace as anybody may."""
    async with traced(tokens, reply(body=b"hello")) as (proxy, upstream, collector):
        answer = await proxy.ask(request("GET / HTTP/1.0", SAMPLED))
        assert answer.body == b"hello"
        server, attempt = await collector.take(2)
        assert (server.parent, attempt.parent) == (CALLER, server.span)
        assert gone_up(upstream.requests[0]) == (TRACE, attempt.span, "01")


async def test_pipelined_requests_have_a_tree_each(tokens: TokenServer) -> None:
    """Their heads being the same, what is remembered of one is no id of the next."""
    async with traced(tokens, reply()) as (proxy, upstream, collector):
        caller = await proxy.connect()
        await caller.send(request("GET /", SAMPLED) * 3 + request("DELETE /", SAMPLED))
        for _ in range(4):
            assert (await caller.read_answer()).status == 200
        spans = await collector.take(8)
        servers, attempts = of_kind(spans, "server"), of_kind(spans, "client")
        assert len({span.span for span in spans}) == 8
        assert {span.parent for span in servers} == {CALLER}
        assert sorted(span.parent for span in attempts) == sorted(span.span for span in servers)
        sent = sorted(gone_up(message)[1] for message in upstream.requests)
        assert sent == sorted(span.span for span in attempts)
        assert sorted(span.name for span in servers) == ["DELETE /", *["GET /"] * 3]
        await eventually(lambda: sum("traceparent" in log for log in proxy.logs) == 4, "the log")
        logged = sorted(str(log["traceparent"]) for log in proxy.logs if "traceparent" in log)
        assert logged == sorted(f"00-{TRACE}-{span.span}-01" for span in servers)


async def test_bytes_that_are_no_request_leave_no_span(tokens: TokenServer) -> None:
    """There is no method and no trace to speak of."""
    async with traced(tokens, reply(), "always_on") as (proxy, upstream, collector):
        await collector.take(1)  # of the token request
        caller = await proxy.connect()
        await caller.send(b"GET /\x00 HTTP/1.1\r\ntraceparent: x\r\n\r\n")
        assert (await caller.read_answer()).status == 400
        await proxy.metric_becomes(1, "rejected_total")
        assert (await proxy.ask(request("GET /", SAMPLED))).status == 200
        assert len(await collector.take(3)) == 3
        assert len(upstream.requests) == 1
