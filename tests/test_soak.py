"""Many callers, a faulty mock and tokens of three seconds: every request is accounted for.

`make soak SECONDS=600` runs it longer.
"""

import asyncio
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from proxy.mock import Fault, MockClient, MockSignicat, RunningMock, serve_mock
from tests.messages import request
from tests.peers import ClosedEarlyError
from tests.running_proxy import CLIENT_SECRET, RunningProxy, running_proxy

pytestmark = pytest.mark.usefixtures("no_leaks")

SECONDS: Final = float(os.environ.get("SOAK_SECONDS", "6"))
CALLERS: Final = 30
SIZES: Final = (0, 10, 5_000, 100_000)
FAULTS: Final = (
    Fault("status", target="api", probability=0.05),
    Fault("reset", target="api", probability=0.03),
    Fault("truncate", target="api", probability=0.02),
    Fault("unauthorized", target="api", probability=0.02),
    Fault("latency", target="api", milliseconds=20, probability=0.2),
    Fault("status", target="token", probability=0.3),
)


def resident_kib() -> int:
    """Return the memory of this process, in which the proxy runs."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1])


async def call_until(end: float, proxy: RunningProxy, chance: random.Random) -> Counter[str]:
    """Send requests over connections that break now and then; count how they ended."""
    ends: Counter[str] = Counter()
    while time.monotonic() < end:
        caller = await proxy.connect()
        try:
            for _ in range(20):
                size = chance.choice(SIZES)
                head = f"Content-Length: {size}"
                await caller.send(request("POST /mock/echo", head, body=b"x" * size))
                if chance.random() < 0.03:
                    caller.reset()
                    ends["left"] += 1
                    break
                answer = await caller.read_answer()
                ends[str(answer.status)] += 1
                assert answer.status != 200 or answer.body == b"x" * size
        except (ClosedEarlyError, ConnectionError):
            ends["cut"] += 1
        caller.close()
        proxy.callers.remove(caller)
    return ends


async def soak(mock: RunningMock, seconds: float) -> Counter[str]:
    """Run the load; return how the requests ended, once the proxy's books agree."""
    async with running_proxy(
        upstream=mock.url,
        token_url=f"{mock.url}/auth/open/connect/token",
        access_log="off",
        read_timeout_seconds=5,
    ) as proxy:
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        end = time.monotonic() + seconds
        async with asyncio.TaskGroup() as tasks:
            loads = [
                tasks.create_task(call_until(end, proxy, random.Random(seed)))
                for seed in range(CALLERS)
            ]
        ends = sum((load.result() for load in loads), Counter())
        await proxy.metric_becomes(0, "requests_in_flight")
        for state in ("active", "waiting", "connecting"):
            await proxy.metric_becomes(0, "upstream_connections", state=state)
        await proxy.metric_becomes(0, "token_waiters")
        # A cut answer had a head; a caller that left may have done so before or after one.
        sent = ends.total()
        await proxy.metric_becomes(sent, "requests_total")
        assert not [log for log in proxy.logs if log.get("logger") == "asyncio"]
        return ends


async def test_every_request_is_accounted_for() -> None:
    """Faults, roll-overs and callers that leave: nothing lost, nothing leaked, memory flat."""
    mock = MockSignicat(
        clients=[MockClient("dev-tester-1", [CLIENT_SECRET])],
        clock=time.monotonic,
        wall=time.time,
        lifetime_seconds=3,
    )
    async with serve_mock(mock, "127.0.0.1", 0) as running:
        await soak(running, 1.0)
        before = resident_kib()
        mock.faults.put(list(FAULTS))
        ends = await soak(running, SECONDS)
    assert ends["200"] > 100
    assert {"401", "502", "503", "left", "cut"} <= set(ends)
    assert set(ends) <= {"200", "401", "502", "503", "left", "cut"}
    assert resident_kib() - before < 30 * 1024
