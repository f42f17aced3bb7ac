"""What callers see when tokens cannot be had, or the process slept (T3, T7, T9)."""

import asyncio
import itertools
import json
import re
import signal
from pathlib import Path

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import (
    CLIENT_SECRET,
    RunningProxy,
    environment,
    metric_in,
    proxied,
)
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

INVALID_CLIENT = reply(
    "400 Bad Request",
    "Content-Type: application/json",
    body=json.dumps({"error": "invalid_client"}).encode(),
)


def now() -> float:
    """Return the loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def _answered(proxy: RunningProxy) -> None:
    """Ask until the answer is 200."""
    for _ in range(1000):
        if (await proxy.ask(request("GET /"))).status == 200:
            return
        await asyncio.sleep(0.05)


async def _is_configured(admin: Channel) -> None:
    """Ask until the secret in use is the configured one."""
    for pause in itertools.repeat(0.01):
        if b'"secret": "configured"' in (await admin.ask(request("GET /readyz"))).body:
            return
        await asyncio.sleep(pause)


async def test_an_endpoint_that_is_down_costs_nothing_until_the_hard_stop(
    tokens: TokenServer,
) -> None:
    """T3: the token serves to L - 0.1 L and never longer; then 503; recovery needs no restart."""
    tokens.expires_in = 3
    hard_stop, began = 2.7, now()
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 200
        tokens.failure = reply("503 Down")
        last_good, got = tokens.issued_at[0], None
        for _ in range(1000):
            asked = now()
            got = await proxy.ask(request("GET /"))
            if got.status != 200:
                break
            last_good = asked
            await asyncio.sleep(0.02)  # a steady trickle
        answered = now()
        assert got is not None
        assert_problem(got, 503, "token_unavailable")
        labels = {"client": "default", "reason": "token_unavailable"}
        assert await proxy.metric("error_replies_total", **labels) >= 1
        assert await proxy.metric("client_ready", client="default") == 0
        assert int(got.head.value("Retry-After") or "") >= 1
        # The life began after the proxy and before the grant. What is served was asked for before
        # the stop, what is refused was answered after it: a machine that pauses changes neither.
        assert last_good - tokens.issued_at[0] < hard_stop <= answered - began
        tokens.failure, tokens.expires_in = None, 600

        await within(_answered(proxy), "recovery", 20)
        assert (await proxy.admin("GET /readyz")).status == 200
        assert await proxy.metric("client_ready", client="default") == 1
        assert len(tokens.issued) == 2


async def test_a_bad_new_secret_leaves_the_old_one_working(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """T7: a rotation to a secret that is refused disturbs nobody, and is said and counted."""
    secret = tmp_path / "secret"
    secret.write_text(CLIENT_SECRET)

    settings = {"client_secret_file": secret, "client_auth": "client_secret_post"}
    async with proxied(tokens, reply(), **settings) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 200
        tokens.refused_secret = b"wrong-secret"
        tokens.failure_of_refused = INVALID_CLIENT
        secret.write_text("wrong-secret")
        await proxy.metric_becomes(1, "secret_fallbacks_total", client="default")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await proxy.metric("secret_fallback_active", client="default") == 1
        assert (await proxy.ask(request("GET /"))).status == 200
        ready = await proxy.admin("GET /readyz")
        assert (ready.status, b'"secret": "fallback"' in ready.body) == (200, True)
        (warning,) = [log for log in proxy.logs if log["event"] == "new_secret_refused"]
        assert (warning["level"], warning["outcome"]) == ("warning", "invalid_client")
        assert "wrong-secret" not in str(proxy.logs)
        secret.write_text(CLIENT_SECRET)
        await proxy.metric_becomes(0, "secret_fallback_active", client="default")
        assert b'"secret": "configured"' in (await proxy.admin("GET /readyz")).body


async def test_a_restart_in_the_middle_of_a_rotation_serves(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """T7: the new secret is refused, a process starts, and its requests have a token at once.

    It says so in the log, at /readyz and in the metrics; once the new secret works it is used.
    """
    (tmp_path / "new").write_text("wrong-secret")
    (tmp_path / "old").write_text("old-secret")
    tokens.refused_secret, tokens.failure_of_refused = b"wrong-secret", INVALID_CLIENT
    async with ByteServer(reply()) as upstream:
        environ = environment(
            upstream=upstream.url,
            token_url=tokens.token_url,
            client_secret_file=tmp_path / "new",
            previous_secret_file=tmp_path / "old",
            client_auth="client_secret_post",
            startup_deadline_seconds=10,
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, admin_port = await process.ports()
            warning = await process.event("new_secret_refused")
            assert (warning["level"], warning["outcome"]) == ("warning", "invalid_client")
            caller = await Channel.connect("127.0.0.1", port)
            assert (await caller.ask(request("GET /"))).status == 200
            admin = await Channel.connect("127.0.0.1", admin_port)
            ready = await admin.ask(request("GET /readyz"))
            assert (ready.status, b'"secret": "fallback"' in ready.body) == (200, True)
            metrics = (await admin.ask(request("GET /metrics"))).body.decode()
            assert metric_in(metrics, "secret_fallbacks_total", client="default") == 1
            assert metric_in(metrics, "secret_fallback_active", client="default") == 1
            (tmp_path / "fresh").write_text("right-secret")
            (tmp_path / "fresh").replace(tmp_path / "new")
            await eventually(lambda: b"=right-secret" in tokens.requests[-1].body, "its use", 8)
            assert len(tokens.requests) == 3
            assert (await caller.ask(request("GET /"))).status == 200
            await within(_is_configured(admin), "the new state")
            caller.close()
            admin.close()
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
    assert b"=wrong-secret" in tokens.requests[0].body
    assert b"=old-secret" in tokens.requests[1].body
    assert re.findall("(wrong|old|right)-secret", process.output) == []


async def test_a_process_that_slept_never_sends_the_dead_token(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """T3, T9: one that was stopped past a token's end gets a new one before the next request."""
    tokens.expires_in = 2
    hard_stop = 1.8
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            caller = await Channel.connect("127.0.0.1", port)
            woke = [now()]
            assert (await caller.ask(request("GET /"))).status == 200
            for _ in range(2):
                process.send(signal.SIGSTOP)
                await caller.send(request("GET /"))
                await asyncio.sleep(2.2)  # the life of the token has to pass
                woke.append(now())
                process.send(signal.SIGCONT)
                assert (await caller.read_answer()).status == 200
            caller.close()
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
    # Each token could be sent when the process had its turn again, however late it came up.
    grants = [tokens.issued_at[number_of(message) - 1] for message in upstream.requests]
    assert all(grant + hard_stop > at for grant, at in zip(grants, woke, strict=True))
