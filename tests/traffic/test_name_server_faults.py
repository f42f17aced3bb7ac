"""A name server that falls silent, before the proxy as a process (F13, C2)."""

import asyncio
import contextlib
import itertools
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.cable import Cable, why_no_cable
from tests.support.messages import reply, request
from tests.support.name_server import NameServer, at_the_far_end, name_server
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment, metric_in
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually, stopwatch, within

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(bool(why_no_cable()), reason=why_no_cable() or "none"),
]

NAME = "signicat.example.test"
SLACK_SECONDS = 5  # of a busy machine


@contextlib.asynccontextmanager
async def named(
    directory: Path, options: str, **settings: object
) -> AsyncIterator[tuple[ProxyProcess, NameServer]]:
    """Run a proxy that knows its peers by one name; each of its requests needs a connection."""
    with Cable() as cable:
        async with (
            name_server(cable.bind_datagrams(53)) as names,
            TokenServer(listener=cable.listen("127.0.0.1")) as tokens,
            ByteServer(
                reply("200 OK", "Connection: close"), listener=cable.listen("127.0.0.1")
            ) as upstream,
        ):
            environ = environment(
                upstream=upstream.url.replace("127.0.0.1", NAME),
                token_url=tokens.token_url.replace("127.0.0.1", NAME),
                unsafe_plain_http=True,
                listen=f"unix:{directory}/callers",
                admin_listen=f"unix:{directory}/admin",
                **settings,
            )
            prefix = at_the_far_end(cable, directory, options)
            async with proxy_process(environ, "run", directory=directory, prefix=prefix) as process:
                await process.event("listening")
                await within(first_token(directory / "admin"), "the first token", START_SECONDS)
                yield process, names


async def first_token(admin: Path) -> None:
    """Wait until the proxy has a token, at whichever attempt."""
    for pause in itertools.repeat(0.05):
        if (await ask(admin, "/readyz"))[0] == 200:
            return
        await asyncio.sleep(pause)


async def ask(path: Path, target: str = "/") -> tuple[int, bytes, float]:
    """Return status and body of an answer, and after how many seconds it came."""
    with stopwatch() as took:
        caller = await Channel.connect_unix(str(path))
        try:
            answer = await caller.ask(request(f"GET {target}"), 20)
        finally:
            caller.close()
    return answer.status, answer.body, took()


async def test_addresses_found_for_the_token_serve_while_the_name_server_is_silent(
    tmp_path: Path,
) -> None:
    """F13: the first call has its connection, and so have the next hundred; nothing piles up."""
    async with named(tmp_path, "timeout:30 attempts:1") as (process, names):
        names.is_silent, before = True, names.asked
        callers, seconds = tmp_path / "callers", []
        for _ in range(100):
            status, _, took = await ask(callers)
            assert status == 200
            seconds.append(took)
        assert seconds[0] < 2 + SLACK_SECONDS
        assert max(seconds[1:]) < 2
        _, metrics, _ = await ask(tmp_path / "admin", "/metrics")
        text = metrics.decode()
        assert metric_in(text, "name_lookups_total", outcome="stale") == 100
        assert metric_in(text, "name_lookups_total", outcome="failed") == 0
        assert process.output.count("name_lookup_failed") == 1
        assert names.asked - before <= 2 * 2  # two that hang, for IPv4 and IPv6
        process.send(signal.SIGTERM)
        assert await process.ended(seconds=1 + SLACK_SECONDS) == 0


async def test_a_lookup_that_works_again_is_said(tmp_path: Path) -> None:
    """F13: after lookups that failed the proxy says so, and fresh addresses serve again."""
    async with named(tmp_path, "timeout:1 attempts:1") as (process, names):
        names.is_silent = True
        assert (await ask(tmp_path / "callers"))[0] == 200
        await process.event("name_lookup_failed")
        names.is_silent = False
        await eventually(lambda: names.asked > 2, "questions")
        while "name_lookup_recovered" not in process.output:
            assert (await ask(tmp_path / "callers"))[0] == 200
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(("settings", "code"), [({}, 0), ({"startup_deadline_seconds": 1}, 1)])
async def test_a_name_server_that_is_silent_does_not_hold_the_end(
    tmp_path: Path, settings: dict[str, object], code: int
) -> None:
    """The resolver waits for 30 seconds in a thread; the process does not wait for it (C2)."""
    environ = environment(
        upstream="https://api.example.test",
        token_url="https://idp.example.test/token",
        listen=f"unix:{tmp_path}/callers",
        admin_listen=f"unix:{tmp_path}/admin",
        **settings,
    )
    with Cable() as cable:
        cable.is_pulled = True
        prefix = at_the_far_end(cable, tmp_path, "timeout:30 attempts:1")
        async with proxy_process(environ, "run", directory=tmp_path, prefix=prefix) as process:
            await process.event("listening")
            await eventually(lambda: cable.lost > 0, "a question to the name server")
            if not settings:
                process.send(signal.SIGTERM)
            assert await process.ended(seconds=1 + SLACK_SECONDS) == code
