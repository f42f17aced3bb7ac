"""What happens when something inside fails, or runs out (C3, G6, T7)."""

import asyncio
import io
import json
import resource
from pathlib import Path

import pytest

from proxy.clock import Clock
from proxy.server.assembly import configured_secrets
from proxy.server.lifecycle import Control, serve
from proxy.settings.loader import load
from proxy.telemetry.logs import open_logs
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import ByteServer
from tests.support.running_proxy import CLIENT_SECRET, environment, proxied, running_proxy
from tests.support.suite_output import secrets_in
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_a_dead_inner_task_ends_the_process(tokens: TokenServer) -> None:
    """C3: whatever dies inside ends the process with 1; the log says why, but no secret (G7)."""
    broken = asyncio.Event()

    def wall() -> float:
        if broken.is_set():
            raise RuntimeError(f"the clock is broken: {CLIENT_SECRET}, {tokens.issued}")
        return 0.0

    stream = io.StringIO()
    logs = open_logs(level="info", log_format="json", stream=stream)
    control = Control()
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        settings = load(environ=environ, directory=Path("/nonexistent")).settings
        async with asyncio.TaskGroup() as tasks:
            server = tasks.create_task(
                serve(settings, control=control, logs=logs, clock=Clock(wall=wall))
            )
            await within(control.started.wait(), "the start")
            await eventually(lambda: "expires_in" in stream.getvalue(), "a token")
            broken.set()
            control.reload()
            assert await within(server, "the end") == 1
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    (event,) = [event for event in events if event["event"] == "inner_task_died"]
    assert event["level"] == "critical"
    assert "the clock is broken" in event["exception"]
    assert secrets_in(stream.getvalue()) == []


async def test_callers_are_bounded(tokens: TokenServer) -> None:
    """G6: beyond what open files allow a caller gets 503, and those who are in are served."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    places = 20
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100 + 64 + places, hard))
        async with proxied(tokens, reply(body=b"in")) as (proxy, _):
            inside = [await proxy.connect() for _ in range(places)]
            for caller in inside:
                assert (await caller.ask(request("GET /"))).body == b"in"
            outside = await proxy.connect()
            answer = await outside.read_answer()
            assert_problem(answer, 503, "overloaded")
            assert (await inside[0].ask(request("GET /"))).status == 200
            inside.pop().close()
            outside.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_wide_open_settings_are_warned_about(tokens: TokenServer) -> None:
    """G1, G2: each setting that opens something up is named at the start."""
    async with (
        ByteServer(reply()) as upstream,
        running_proxy(
            upstream=upstream.url,
            token_url=tokens.token_url,
            listen="127.0.0.1:0,0.0.0.0:0",
            allowed_hosts="*",
            unsafe_plain_http=True,
        ) as proxy,
    ):
        warned = {
            event["setting"].removeprefix("SIGNICAT_PROXY_")
            for event in proxy.logs
            if event["level"] == "warning"
        }
        assert warned == {"LISTEN", "ALLOWED_HOSTS", "UNSAFE_PLAIN_HTTP"}
        answer = await proxy.ask(request("GET /", host="anything.test"))
        assert answer.status == 200


async def test_the_net_knows_what_the_settings_hold(tmp_path: Path) -> None:
    """G7: client secret and egress credentials are looked for from the first line on."""
    environ = environment(
        upstream="https://up.test",
        token_url="https://idp.test/t",
        egress_proxy="http://user:pass%2Bword@proxy.test:3128",
    )
    secrets = configured_secrets(load(environ=environ, directory=tmp_path).settings)
    assert {CLIENT_SECRET, "pass+word", "pass%2Bword"} <= set(secrets)
