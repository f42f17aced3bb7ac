"""Tokens where states meet: in the queue, between two failures, on their way in (T3, T5, T6)."""

import asyncio
import itertools
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from proxy.oauth.response import Failure
from tests.support.fake_clock import RefresherRig, settle
from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import RunningProxy, environment, proxied
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

REFUSED = Failure("invalid_client", is_permanent=True)


ONE_CONNECTION = {"max_upstream_connections": 1, "connect_timeout_seconds": 60}


async def two_who_waited(
    proxy: RunningProxy, upstream: ByteServer, tokens: TokenServer
) -> tuple[Channel, Channel, Channel]:
    """Have two requests wait for a token; once it is granted, one has the only connection.

    Return the upstream's end of it, its caller, and the caller who waits for it.
    """
    callers = {}
    for number in (1, 2):
        caller = callers[f"/{number}"] = await proxy.connect()
        await caller.send(request(f"GET /{number}"))
        await proxy.metric_becomes(number, "token_waiters")
    tokens.gate.set()
    server = await upstream.accepted()
    message = await server.read_request()
    assert number_of(message) == 1
    await proxy.metric_becomes(1, "upstream_connections", state="waiting")
    served = callers.pop(message.target)
    (waiting,) = callers.values()
    return server, served, waiting


async def test_a_token_that_expires_in_the_queue_is_not_sent(tokens: TokenServer) -> None:
    """A request that waited for its token and then for a connection gets another one (T3)."""
    tokens.expires_in = 5
    tokens.gate.clear()
    async with proxied(tokens, None, **ONE_CONNECTION) as (proxy, upstream):
        server, served, waiting = await two_who_waited(proxy, upstream, tokens)
        loop = asyncio.get_running_loop()
        end = tokens.issued_at[0] + tokens.expires_in
        await eventually(lambda: loop.time() > end, "the token's end")
        await server.send(reply())
        assert (await served.read_answer()).status == 200
        number = number_of(await server.read_request())
        assert tokens.issued_at[number - 1] + tokens.expires_in > end
        await server.send(reply())
        assert (await waiting.read_answer()).status == 200


async def test_a_token_that_is_replaced_in_the_queue_is_not_sent(tokens: TokenServer) -> None:
    """The current token goes out, not the one that the request has waited for (T3, T7)."""
    tokens.gate.clear()
    async with proxied(tokens, None, **ONE_CONNECTION) as (proxy, upstream):
        server, served, waiting = await two_who_waited(proxy, upstream, tokens)
        await proxy.admin("POST /-/refresh")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        await server.send(reply())
        assert (await served.read_answer()).status == 200
        assert number_of(await server.read_request()) == 2
        await server.send(reply())
        assert (await waiting.read_answer()).status == 200


async def test_a_life_counts_from_before_the_request() -> None:
    """T3: the endpoint may have begun to count when it got the request, not when it responded."""
    rig = RefresherRig(lifetime=600)
    rig.draw = 0.0
    rig.endpoint.gate.clear()
    start = rig.fake.wall
    async with rig.running():
        await rig.fake.advance(100)
        rig.endpoint.gate.set()
        await settle()
        status = rig.refresher.snapshot()
        assert (status.seconds_to_expiry, status.next_attempt_seconds) == (500, 260)
        assert (status.token_expires_wall, status.last_success_wall) == (start + 600, start)
        rig.fake.jump(monotonic=469.0, wall=469.0)
        assert rig.value() == "s3cr3t-token-1"
        rig.fake.jump(monotonic=2.0, wall=2.0)
        assert rig.value() is None


async def test_a_late_401_to_a_token_that_has_ended_is_replayed() -> None:
    """T10: with L = 1 s a response may come after the token's end; one renewal is for all."""
    rig = RefresherRig(lifetime=1)
    async with rig.running():
        refused = await rig.cache.wait()
        rig.fake.jump(monotonic=1.5, wall=1.5)
        assert rig.cache.report_refused(refused)
        assert rig.cache.report_refused(refused)
        assert (await rig.cache.wait()).value == "s3cr3t-token-2"
        assert rig.cache.report_refused(refused)
        await settle()
        assert (rig.value(), rig.calls) == ("s3cr3t-token-2", 2)


async def test_a_granted_token_ends_the_row_of_refusals() -> None:
    """T6: after a success the first refusal is the first again, with a minute behind it."""
    rig = RefresherRig(lifetime=600)
    rig.draw, rig.endpoint.failure = 0.0, REFUSED
    async with rig.running():
        rig.endpoint.failure = None
        await rig.fake.advance(60)
        rig.endpoint.failure = REFUSED
        await rig.fake.advance(360 + 60 + 1)
        times = [time for _, time in rig.endpoint.asked]
        assert [after - before for before, after in itertools.pairwise(times)] == [60, 360, 60]


async def test_a_secret_from_a_file_is_guarded_from_its_first_use_on(tmp_path: Path) -> None:
    """G7: while the first token request still runs, the log's net knows what was sent with it."""
    path = tmp_path / "secret"
    path.write_text("s3cr3t-of-a-file\n")
    rig = RefresherRig(secret_file=path)
    rig.endpoint.gate.clear()
    async with rig.running():
        assert [secret for secret, _ in rig.endpoint.asked] == ["s3cr3t-of-a-file"]
        assert list(rig.refresher.secrets_in_use()) == ["s3cr3t-of-a-file"]
        rig.endpoint.gate.set()
        await settle()


@pytest.mark.parametrize("zone", ["UTC-9", "UTC+9"], ids=["east", "west"])
async def test_a_date_without_zone_is_in_utc(
    tokens: TokenServer, tmp_path: Path, zone: str
) -> None:
    """T5: so a `Retry-After` means the same wherever the proxy runs (RFC 9110 §5.6.7)."""
    loop = asyncio.get_running_loop()
    started, asked_for = loop.time(), 200
    date = formatdate(asked_for + time.time(), usegmt=True).removesuffix(" GMT")
    tokens.failure = reply("503 Service Unavailable", f"Retry-After: {date}")
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        async with proxy_process({**environ, "TZ": zone}, "run", directory=tmp_path) as process:
            event = await process.event("token_request")
            took = loop.time() - started
    assert event["outcome"] == "http_5xx"
    # A date has whole seconds, and the answer was read some time after it was written.
    assert asked_for - took - 2 < event["next_attempt_seconds"] < asked_for * 1.1 + 2
