"""No caller ever passes on another's header block, and each is counted once (I1, I2).

Hypothesis draws what connections send, in which order and in which pieces, and when keys change;
an oracle of three lines says who each request is from.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.callers import (
    BILLING_KEY,
    OTHER_SHOP_KEY,
    SHOP_KEY,
    STRANGE_KEY,
    basic,
    bearer,
    config_with,
    key_file,
)
from tests.support.messages import Message, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

T = TypeVar("T")

PATIENCE: Final = 30.0
EXAMPLES: Final = 60
CONNECTIONS: Final = 3
OWNERS: Final = {SHOP_KEY: "shop", OTHER_SHOP_KEY: "shop", BILLING_KEY: "billing"}
ROTATED: Final = ((SHOP_KEY,), (OTHER_SHOP_KEY,), (SHOP_KEY, OTHER_SHOP_KEY))
# Of one length where it can be: a block that is told from another by its length proves little.
CREDENTIALS: Final = (
    (None, None),
    *((key, bearer(key)) for key in (*OWNERS, STRANGE_KEY)),
    (SHOP_KEY, basic("shop", SHOP_KEY)),
    (BILLING_KEY, bearer(BILLING_KEY, "Proxy-Authorization")),
    (None, basic("shop", BILLING_KEY)),
    (None, bearer(SHOP_KEY[:-1] + "0")),
)
TARGETS: Final = ("/sign/a", "/sign/b", "/other")


@dataclass(frozen=True)
class Sent:
    """A request, and whose key is in it."""

    key: str | None
    raw: bytes
    is_sign: bool

    def status(self, keys: tuple[str, ...]) -> int:
        """Return the status that it must get while `keys` are those of `shop`."""
        owner = None if self.key is None else OWNERS.get(self.key)
        if owner is None or (owner == "shop" and self.key not in keys):
            return 401
        return 200 if owner == "shop" or self.is_sign else 403


def sent(credentials: tuple[str | None, str | None], target: str) -> Sent:
    """Return a request with these credentials."""
    key, line = credentials
    raw = request(f"GET {target}", *([] if line is None else [line]))
    return Sent(key, raw, target.startswith("/sign"))


REQUESTS: Final = st.builds(sent, st.sampled_from(CREDENTIALS), st.sampled_from(TARGETS))
BURSTS: Final = st.tuples(
    st.integers(0, CONNECTIONS - 1),
    st.lists(REQUESTS, min_size=1, max_size=5),
    st.floats(0, 1),  # where what is sent at once is cut in two
)
STEPS: Final = st.lists(st.one_of(BURSTS, BURSTS, BURSTS, st.sampled_from(ROTATED)), max_size=12)


def search(strategy: st.SearchStrategy[Any], run: Callable[[Any], None]) -> None:
    """Let hypothesis draw, the same each time, and run each."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=strategy)
    def holds(drawn: Any) -> None:
        run(drawn)

    holds()


async def in_a_thread(
    strategy: st.SearchStrategy[Any], run: Callable[[Any], Coroutine[Any, Any, None]]
) -> None:
    """Search beside the event loop, which runs each example."""
    loop = asyncio.get_running_loop()

    def wait_for(drawn: Any) -> None:
        asyncio.run_coroutine_threadsafe(run(drawn), loop).result(PATIENCE)

    await asyncio.to_thread(search, strategy, wait_for)


async def burst(caller: Channel, requests: list[Sent], cut: float, keys: tuple[str, ...]) -> int:
    """Send requests at once, cut in two; see that each gets its own answer; return the passed."""
    raw = b"".join(each.raw for each in requests)
    at = int(cut * len(raw))
    await caller.send(raw[:at])
    await caller.send(raw[at:])
    found = [(await caller.read_answer()).status for _ in requests]
    expected = [each.status(keys) for each in requests]
    assert found == expected
    return found.count(200)


async def rotate(proxy: RunningProxy, folder: Path, keys: tuple[str, ...]) -> None:
    """Put keys in the file of `shop`, and wait until they are in force."""

    def reloads() -> int:
        return sum(log["event"] == "file_reloaded" for log in proxy.logs)

    before = reloads()
    key_file(folder, *keys)
    proxy.control.reload()
    await eventually(lambda: reloads() > before, "the keys to be in force")


async def test_no_caller_passes_on_the_block_of_another(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Kept-alive and pipelined, keys mixed on each connection, keys rotated meanwhile (I2)."""
    config = config_with(tmp_path)
    async with proxied(tokens, reply(), config_file=config) as (proxy, upstream):
        in_force: tuple[str, ...] = (SHOP_KEY,)

        async def run(steps: list[Any]) -> None:
            nonlocal in_force
            callers = [await proxy.connect() for _ in range(CONNECTIONS)]
            passed, before = 0, len(upstream.requests)
            for step in steps:
                if isinstance(step[0], str):
                    if step != in_force:
                        await rotate(proxy, tmp_path, step)
                        in_force = step
                else:
                    number, requests, cut = step
                    passed += await burst(callers[number], requests, cut, in_force)
            for caller in callers:
                caller.reset()
                proxy.callers.remove(caller)
            assert len(upstream.requests) - before == passed

        await in_a_thread(STEPS, run)
        told = upstream.received.decode("latin-1") + str(proxy.logs)
        assert [key for key in (*OWNERS, STRANGE_KEY) if key in told] == []


class Upstream:
    """Answers as the target says: at once, after a while, broken, or not at all."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def answer(self, message: Message) -> bytes | None:
        """Return what the target asks for; None hangs up."""
        kind = message.target.rpartition("/")[2]
        if kind == "held":
            await self.go_on.wait()
        return {"closed": None, "broken": b"HTTP/1.1 99999 X\r\n\r\n"}.get(kind, reply(body=b"x"))


KINDS: Final = ("ok", "held", "closed", "broken", "refused", "posted", "cut")
ENDS: Final = ("read", "reset", "close", "half")
CALLS: Final = st.lists(
    st.tuples(st.sampled_from(KINDS), st.sampled_from(ENDS)), min_size=1, max_size=6
)


def call(kind: str) -> bytes:
    """Return a request of `billing` that ends so."""
    key = bearer(BILLING_KEY)
    if kind == "refused":
        return request("GET /other", key)
    if kind == "posted":
        return request("POST /sign/posted", key, "Content-Length: 3", body=b"abc")
    if kind == "cut":
        return request("POST /sign/cut", key, "Content-Length: 300000", body=b"abc")
    return request(f"GET /sign/{kind}", key)


async def test_each_request_is_counted_out_once_however_it_ends(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Left, cut, refused, failed or answered: afterwards nothing of a caller runs (I1)."""
    config = config_with(tmp_path)
    server = Upstream()
    limits = {"read_timeout_seconds": 5, "upstream_idle_seconds": 1}
    async with proxied(tokens, server.answer, config_file=config, **limits) as (proxy, _):

        async def run(calls: list[tuple[str, str]]) -> None:
            server.go_on.clear()
            for kind, end in calls:
                caller = await proxy.connect()
                await caller.send(call(kind))
                if end == "half":
                    caller.half_close()
                elif end == "close":
                    caller.close()
                elif end == "reset":
                    caller.reset()
                else:
                    server.go_on.set()
                    if kind != "cut":
                        await caller.read_answer()
                    caller.reset()
                with contextlib.suppress(ValueError):
                    proxy.callers.remove(caller)
                caller.close()
                server.go_on.set()
                await proxy.metric_becomes(0, "known_caller_requests_in_flight", caller="billing")
                server.go_on.clear()

        await in_a_thread(CALLS, run)
        for _ in range(3):
            answer = await proxy.ask(request("GET /sign/ok", bearer(BILLING_KEY)))
            assert answer.status == 200
