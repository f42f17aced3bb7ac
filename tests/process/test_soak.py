"""Many callers, a faulty mock and tokens of three seconds: every request is accounted for.

A short version of `make soak`, which sends 200,000 requests across 100
roll-overs (REQUESTS and ROLL_OVERS set others).
"""

import asyncio
import itertools
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.mock import Fault, Faults, MockClient, MockSignicat, serve_mock
from tests.support.messages import request
from tests.support.peers import Channel, ClosedEarlyError
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment, metric_in

pytestmark = pytest.mark.usefixtures("no_leaks")

REQUESTS: Final = int(os.environ.get("SOAK_REQUESTS", "3000"))
ROLL_OVERS: Final = int(os.environ.get("SOAK_ROLL_OVERS", "2"))
CALLERS: Final = 30
SIZES: Final = (0, 10, 10, 5_000, 5_000, 100_000)  # the last is more than is kept for a replay
LIFETIME_SECONDS: Final = 3
HARD_STOP_SECONDS: Final = 2.7  # T3
PROGRESS_SECONDS: Final = 10
PATIENCE_SECONDS: Final = 60
MOST_GROWTH_MIB: Final = 8
# The first that answers wins, so every `unauthorized` that hits is a 401.
FAULTS: Final = (
    Fault("latency", target="api", milliseconds=20, probability=0.2),
    Fault("unauthorized", target="api", probability=0.02),
    Fault("status", target="api", probability=0.05),
    Fault("reset", target="api", probability=0.03),
    Fault("truncate", target="api", probability=0.02),
    Fault("status", target="token", probability=0.2),
    Fault("html", target="token", probability=0.1),
)


class WatchfulMock(MockSignicat):
    """Counts the requests that came with a token it would not take."""

    refused = 0

    def holder(self, token: str) -> MockClient | None:
        """Note who comes with a token that is foreign or has expired."""
        client = MockSignicat.holder(self, token)
        self.refused += client is None
        return client


def is_last(caller: Channel) -> bool:
    """Say whether the proxy has said that it will close this connection."""
    head = bytes(caller.received).rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n")[0]
    return b"connection: close" in head.lower()


def resident_kib(pid: int) -> int:
    """Return the memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS")]
    return int(line.split()[1])


@dataclass(slots=True)
class Soak:
    """One run: what was sent and how it ended, as the callers saw it.

    `ends` says how each request ended, by name; `resident` holds the proxy's
    memory in KiB by how many requests had ended.
    """

    process: ProxyProcess
    port: int
    say: Callable[[str], None]
    ends: dict[str, str] = field(default_factory=dict)
    roll_overs: int = -1  # the first token follows none
    resident: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_done(self) -> bool:
        """Whether as much was sent, across as many roll-overs, as was wanted."""
        return len(self.ends) >= REQUESTS and self.roll_overs >= ROLL_OVERS

    async def call(self, seed: int) -> None:
        """Send requests over connections that break now and then; note how they ended."""
        chance = random.Random(seed)
        numbers = itertools.count()
        while not self.is_done:
            caller = await Channel.connect("127.0.0.1", self.port)
            for number in itertools.islice(numbers, 20):
                name = f"{seed}-{number}"
                self.ends[name] = await self.one_call(caller, name, chance)
                if self.ends[name] in {"left", "cut"} or is_last(caller):
                    break
            caller.reset()

    async def one_call(self, caller: Channel, name: str, chance: random.Random) -> str:
        """Send one request; return its status, or that it was cut or the caller left."""
        size = chance.choice(SIZES)
        # No two requests are alike, so that an answer to another one shows.
        body = (f"{name} ".encode() * size)[:size]
        lines = (f"Content-Length: {size}", f"X-Request-ID: {name}")
        try:
            await caller.send(request("POST /mock/echo", *lines, body=body))
            if chance.random() < 0.03:
                return "left"
            answer = await caller.read_answer(seconds=PATIENCE_SECONDS)
        except (ClosedEarlyError, ConnectionError):
            return "cut"
        assert answer.status != 200 or answer.body == body
        return str(answer.status)

    def take_measure(self, seen: int) -> int:
        """Count roll-overs in the log after the `seen` lines known; return how many are now."""
        lines = self.process.lines[seen:]
        granted = [
            line
            for line in lines
            if '"event": "token_request"' in line and '"outcome": "ok"' in line
        ]
        self.roll_overs += len(granted)
        self.resident.append((len(self.ends), resident_kib(self.process.pid)))
        return seen + len(lines)

    async def watch(self) -> None:
        """Take the proxy's measure, and say now and then how far it is, until cancelled."""
        begun = said = time.monotonic()
        seen = 0
        while True:
            seen = self.take_measure(seen)
            if time.monotonic() - said >= PROGRESS_SECONDS:
                said += PROGRESS_SECONDS
                self.say(f"{said - begun:6.0f} s: {self}")
            await asyncio.sleep(0.2)

    async def run(self) -> None:
        """Send it all."""
        async with asyncio.TaskGroup() as tasks:
            watch = tasks.create_task(self.watch(), name="peer")
            async with asyncio.TaskGroup() as load:
                for seed in range(CALLERS):
                    load.create_task(self.call(seed), name="peer")
            watch.cancel()

    def growth_kib(self) -> int:
        """Return by how much the last fifth's greatest memory exceeds that of the first third."""
        total = len(self.ends)
        first = max(kib for ended, kib in self.resident if ended <= total / 3)
        last = max(kib for ended, kib in self.resident if ended >= total * 4 / 5)
        return last - first

    def __str__(self) -> str:
        mib = self.resident[-1][1] / 1024
        return f"{len(self.ends)} requests, {self.roll_overs} roll-overs, {mib:.1f} MiB"


async def until_idle(admin: int) -> None:
    """Wait until nothing is under way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    under_way = 1.0
    while under_way:
        operator = await Channel.connect("127.0.0.1", admin)
        answer = await operator.ask(request("GET /metrics", "Connection: close"))
        operator.close()
        metrics = answer.body.decode()
        under_way = metric_in(metrics, "requests_in_flight") + metric_in(metrics, "token_waiters")
        for state in ("active", "waiting", "connecting"):
            under_way += metric_in(metrics, "upstream_connections", state=state)
        assert time.monotonic() < deadline, metrics


def unexplained_refusals(lines: list[str]) -> list[dict[str, Any]]:
    """Return the requests that had no token although one was good (T3, T10)."""
    good_until = 0.0
    found = []
    for event in map(json.loads, lines):
        now = datetime.fromisoformat(event["timestamp"]).timestamp()
        kind, outcome = event["event"], event.get("outcome")
        if kind == "token_request" and outcome == "ok":
            good_until = now - event["duration_seconds"] + HARD_STOP_SECONDS
        elif kind == "token_refused":
            good_until = 0.0
        elif kind == "request" and outcome == "token_unavailable" and now < good_until - 0.1:
            found.append(event)
    return found


def disagreements(lines: list[str], ends: dict[str, str]) -> list[tuple[str, str, list[str]]]:
    """Return the requests that the log does not tell once, with the status that the caller saw.

    Of one whose caller left at once the proxy may never have heard.
    """
    told: dict[str, list[str]] = {name: [] for name in ends}
    for event in map(json.loads, lines):
        if event["event"] == "request":
            told[event["request_id"]].append(str(event["status"]))
    return [
        (name, end, told[name])
        for name, end in ends.items()
        if len(told[name]) > 1
        or (end != "left" and not told[name])
        or (end.isdigit() and told[name] != [end])
    ]


async def test_every_request_is_accounted_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Faults, roll-overs and callers that leave: nothing lost or mixed up, and memory is flat."""

    def say(line: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{line}")
            sys.stdout.flush()

    mock = WatchfulMock(
        clients=[MockClient("dev-tester-1", [CLIENT_SECRET])],
        clock=time.monotonic,
        wall=time.time,
        lifetime_seconds=LIFETIME_SECONDS,
        faults=Faults(random.Random(1)),
    )
    async with serve_mock(mock, "127.0.0.1", 0) as running:
        environ = environment(
            upstream=running.url,
            token_url=f"{running.url}/auth/open/connect/token",
            access_log="all",
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, admin = await process.ports()
            await process.event("token_request")
            mock.faults.put(list(FAULTS))
            soak = Soak(process, port, say)
            await soak.run()
            await until_idle(admin)
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
    counts = Counter(soak.ends.values())
    growth_mib = soak.growth_kib() / 1024
    say(f"{soak}, {growth_mib:+.1f} MiB between first third and end; {dict(counts)}\n")
    assert set(counts) == {"200", "401", "502", "503", "left", "cut"}
    assert counts["200"] > REQUESTS / 2
    assert disagreements(process.lines, soak.ends) == []
    assert unexplained_refusals(process.lines) == []
    assert mock.refused == 0
    assert '"asyncio"' not in process.output
    assert growth_mib < MOST_GROWTH_MIB
