"""Tokens come, go and fail while requests run (T1 to T7)."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually, stopwatch, within

pytestmark = pytest.mark.usefixtures("no_leaks")

INVALID_CLIENT = reply(
    "400 Bad Request",
    "Content-Type: application/json",
    body=json.dumps({"error": "invalid_client", "error_description": "x"}).encode(),
)


def now() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def load_until(
    is_over: Callable[[], bool], proxy: RunningProxy, pause_seconds: float
) -> list[float]:
    """Ask again and again; return how long each answer took."""
    caller = await proxy.connect()
    durations = []
    while not is_over():
        began = now()
        assert (await caller.ask(asked_now())).status == 200
        durations.append(now() - began)
        await asyncio.sleep(pause_seconds)
    return durations


def asked_now() -> bytes:
    """Return a request that says when it was asked."""
    return request("GET /", f"X-Asked: {now()}")


async def steady_load(
    tokens: TokenServer, roll_overs: int, callers: int, *, held_for: int = 0, is_ordered: bool
) -> int:
    """Run a steady load before an upstream that takes no token past its life.

    Past it when the request was asked: a machine that pauses behind that makes no token late.
    Each renewal lasts until `held_for` requests have been answered meanwhile: those that wait for
    it never would be, whatever the speed of the machine. An operator orders the renewals, or
    they are due. Return how many requests there were.
    """

    async def answer(message: Message) -> bytes:
        asked = float(message.head.value("X-Asked") or "")
        age = asked - tokens.issued_at[number_of(message) - 1]
        return reply() if age < tokens.expires_in else reply("401 Unauthorized")

    async with proxied(tokens, answer) as (proxy, upstream):
        assert (await proxy.ask(asked_now())).status == 200  # waits for the first token
        is_over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(callers):
                tasks.create_task(load_until(is_over.is_set, proxy, pause_seconds=0.01))
            while roll_overs:
                roll_overs -= await roll_over(
                    tokens, proxy, upstream, held_for, is_ordered=is_ordered
                )
            is_over.set()
        assert await proxy.metric("replays_total") == 0
        assert len(upstream.requests) == await proxy.metric("requests_total")
        return len(upstream.requests)


async def roll_over(
    tokens: TokenServer,
    proxy: RunningProxy,
    upstream: ByteServer,
    held_for: int,
    *,
    is_ordered: bool,
) -> bool:
    """See the next token used; hold it back until enough requests went without it, none waits.

    Say whether they did: where the machine stood still meanwhile, the token may have come to its
    end before that.
    """
    before, began = len(tokens.issued), now()
    if held_for:
        tokens.gate.clear()
    if is_ordered:
        proxy.control.reload()
    is_good = True
    with stopwatch() as took:
        if held_for:
            await eventually(lambda: len(tokens.requests) > before, "the renewal")
            enough = len(upstream.requests) + held_for
            end = tokens.issued_at[-1] + 0.85 * tokens.expires_in
            await eventually(
                lambda: len(upstream.requests) >= enough or now() > end, "requests meanwhile"
            )
            is_good = len(upstream.requests) >= enough and not await proxy.metric("token_waiters")
            assert is_good or now() - began > took() + 0.3
            tokens.gate.set()
    await eventually(
        lambda: number_of(upstream.requests[-1]) > before, "a request with the new token"
    )
    return is_good


async def test_a_steady_load_notices_no_roll_over(tokens: TokenServer) -> None:
    """Each of ten renewals lasts for a hundred requests, and not one waits for it (T2, T3)."""
    count = await steady_load(tokens, roll_overs=10, callers=4, held_for=100, is_ordered=True)
    assert count > 1000


async def test_a_steady_load_notices_no_roll_over_that_is_due(tokens: TokenServer) -> None:
    """Nor does any where the life of the token begins the renewal: it comes in time (T2, T3)."""
    tokens.expires_in = 6
    await steady_load(tokens, roll_overs=3, callers=4, held_for=40, is_ordered=False)


async def test_a_lifetime_of_one_second_works(tokens: TokenServer) -> None:
    """Signicat grants as little; nobody is refused (T3)."""
    tokens.expires_in = 1
    began = now()
    await steady_load(tokens, roll_overs=3, callers=2, is_ordered=False)
    assert now() - began > 1.5


@pytest.mark.parametrize("expires_in", [0, -5, 0.001])
async def test_a_lifetime_of_nothing_counts_as_a_second(
    tokens: TokenServer, expires_in: float
) -> None:
    """Steady traffic then asks about twice a second, and not once for each request (T8)."""
    tokens.expires_in = expires_in
    async with proxied(tokens, reply()) as (proxy, upstream):
        began = now()

        def is_over() -> bool:
            """Say whether there was enough, wherever the machine stood still; not for ever."""
            enough = len(upstream.requests) > 50 and len(tokens.requests) > 1
            return now() - began > (2 if enough else 20)

        await load_until(is_over, proxy, pause_seconds=0.01)
        assert len(upstream.requests) > 50
        # The first at once, and then one at 0.6 of a second at the earliest.
        assert 2 <= len(tokens.requests) <= 2 + (now() - began) / 0.6


async def test_an_idle_proxy_does_not_spin_on_short_lifetimes(tokens: TokenServer) -> None:
    """Where renewal is driven by traffic, no traffic means no token requests (T2)."""
    tokens.expires_in = 1
    async with proxied(tokens, reply()) as (proxy, _):
        await proxy.ask(request("GET /"))
        before = len(tokens.requests)
        await asyncio.sleep(1.5)
        assert len(tokens.requests) <= before + 1
        assert (await proxy.ask(request("GET /"))).status == 200


async def test_a_thousand_first_requests_cause_one_token_request(tokens: TokenServer) -> None:
    """All wait for the one attempt, and all are answered (T4)."""
    tokens.gate.clear()
    names = ("token_wait_seconds", "token_timeout_seconds", "connect_timeout_seconds")
    patient = dict.fromkeys(names, 60)  # as many as they are, and as slow as the machine is
    async with proxied(tokens, reply(), **patient) as (proxy, _):
        callers = [await proxy.connect() for _ in range(1000)]
        for caller in callers:
            await caller.send(request("GET /"))
        await proxy.metric_becomes(1000, "token_waiters")
        for caller in callers[:100]:
            caller.close()
        await proxy.metric_becomes(900, "token_waiters")
        tokens.gate.set()
        for caller in callers[100:]:
            assert (await caller.read_answer()).status == 200
        assert len(tokens.requests) == 1


async def test_a_hanging_token_endpoint_costs_the_wait_and_no_more(tokens: TokenServer) -> None:
    """TOKEN_WAIT_SECONDS, then 503 with Retry-After; recovery needs no restart (T4)."""
    tokens.gate.clear()
    async with proxied(tokens, reply(), token_wait_seconds=0.4) as (proxy, upstream):
        began = now()
        with stopwatch() as took:
            answer = await proxy.ask(request("GET /"))
        assert took() < 1.5
        assert now() - began > 0.35
        assert_problem(answer, 503, "token_unavailable")
        assert int(answer.head.value("Retry-After") or "") >= 1
        assert upstream.received == b""
        tokens.gate.set()
        await within(answered(proxy), "recovery")


async def answered(proxy: RunningProxy) -> None:
    """Ask until the answer is 200; anything but 503 meanwhile is a failure."""
    while (status := (await proxy.ask(request("GET /"))).status) != 200:
        assert status == 503
        await asyncio.sleep(0.02)


async def test_recovery_from_failures_needs_no_restart(tokens: TokenServer) -> None:
    """Transient failures are tried again by themselves (T5)."""
    tokens.failure = reply("502 Bad Gateway", body=b"<html>")
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 503
        assert (await proxy.admin("GET /readyz")).status == 503
        tokens.failure = None
        await within(answered(proxy), "recovery", 20)
        assert (await proxy.admin("GET /readyz")).status == 200


async def test_requests_cause_no_attempt_during_back_off(tokens: TokenServer) -> None:
    """`Retry-After` of the token endpoint binds, however many callers come (T5)."""
    tokens.failure = reply("429 Too Many Requests", "Retry-After: 30")
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        for _ in range(20):
            answer = await proxy.ask(request("GET /"))
            assert answer.status == 503
            assert int(answer.head.value("Retry-After") or "") <= 45  # 15 s more at most
        assert len(tokens.requests) == 1


async def test_a_failed_renewal_keeps_the_good_token(tokens: TokenServer) -> None:
    """The proxy is degraded, still ready, and serves on (T5)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        assert (await proxy.ask(request("GET /"))).status == 200
        tokens.failure = reply("500 Oops", "Retry-After: 60")  # one attempt for the whole test
        await proxy.admin("POST /-/refresh")
        await eventually(lambda: len(tokens.requests) >= 2, "the renewal")
        await proxy.metric_becomes(1, "token_consecutive_failures")
        ready = await proxy.admin("GET /readyz")
        assert (ready.status, b"degraded" in ready.body) == (200, True)
        assert (await proxy.ask(request("GET /"))).status == 200
        assert number_of(upstream.requests[-1]) == 1


async def test_a_wrong_secret_is_tried_again_when_told_to(tokens: TokenServer) -> None:
    """A permanent failure waits for a minute, or for SIGHUP (T6)."""
    tokens.failure = INVALID_CLIENT
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 503
        assert len(tokens.requests) == 1
        tokens.failure = None
        proxy.control.reload()
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        assert len(tokens.issued) == 1
        assert (await proxy.ask(request("GET /"))).status == 200


def swap(link: Path, target: Path) -> None:
    """Point a symlink elsewhere in one step, as Kubernetes does."""
    fresh = link.with_name("fresh")
    fresh.symlink_to(target)
    fresh.rename(link)


async def test_a_rotated_secret_is_used_within_seconds(tokens: TokenServer, tmp_path: Path) -> None:
    """A swapped symlink is noticed by content; requests go on with the old token (T7)."""
    old, new, link = tmp_path / "old", tmp_path / "new", tmp_path / "secret"
    old.write_text("old-secret\n")
    new.write_text("new-secret\n")
    link.symlink_to(old)
    settings = {"client_secret_file": link, "client_auth": "client_secret_post"}
    async with proxied(tokens, reply(), **settings) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 200
        swap(link, new)
        await eventually(lambda: len(tokens.requests) == 2, "the new secret", 6)
        assert b"client_secret=old-secret" in tokens.requests[0].body
        assert b"client_secret=new-secret" in tokens.requests[1].body
        assert (await proxy.ask(request("GET /"))).status == 200
        assert "old-secret" not in str(proxy.logs)
        assert "new-secret" not in str(proxy.logs)
