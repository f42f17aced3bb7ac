"""What systemd is told, over a datagram socket as its own (C5)."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.net.notify_socket import NotifySocket
from proxy.oauth.token import ClientStatus
from proxy.server.service_manager import status_of_clients
from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment
from tests.support.service_manager import service_manager
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually

UPSTREAM: Final = "http://127.0.0.1:9"


async def stop(process: ProxyProcess) -> None:
    """End a process as systemd does."""
    process.send(signal.SIGTERM)
    assert await process.ended() == 0


@pytest.mark.parametrize("is_abstract", [False, True], ids=["path", "abstract"])
async def test_ready_when_the_ports_are_open(
    tokens: TokenServer, tmp_path: Path, *, is_abstract: bool
) -> None:
    """Who starts after it finds open ports, token or not; the status says what is missing (C5)."""
    tokens.gate.clear()
    with service_manager(tmp_path, is_abstract=is_abstract) as manager:
        environ = environment(upstream=UPSTREAM, token_url=tokens.token_url) | manager.environ
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            ready = await manager.hears("READY", seconds=START_SECONDS)
            _, admin = await process.ports()
            (await Channel.connect("127.0.0.1", admin)).close()
            assert ready == {"READY": "1", "STATUS": "Not ready: default has no token yet"}
            tokens.gate.set()
            await manager.hears_status("Ready: default")
            await stop(process)
        assert "WATCHDOG" not in {name for message in manager.told for name in message}


async def test_the_status_is_told_when_it_changes(tokens: TokenServer, tmp_path: Path) -> None:
    """One line for `systemctl status`: why there is no token, then that there is one (C5)."""
    tokens.failure = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
    with service_manager(tmp_path) as manager:
        environ = environment(upstream=UPSTREAM, token_url=tokens.token_url) | manager.environ
        environ["WATCHDOG_USEC"] = "200000"
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            status = "Not ready: default has no token (invalid_client)"
            await manager.hears_status(status, START_SECONDS)
            heard = len(manager.values("STATUS"))
            await manager.hears("WATCHDOG", len(manager.values("WATCHDOG")) + 10)
            assert len(manager.values("STATUS")) == heard
            tokens.failure = None
            process.send(signal.SIGHUP)
            await manager.hears_status("Ready: default")
            await stop(process)


async def test_the_watchdog_hears_that_the_loop_turns(tokens: TokenServer, tmp_path: Path) -> None:
    """In half of its time, through the drain too (C5)."""
    async with ByteServer() as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        with service_manager(tmp_path) as manager:
            environ |= manager.environ | {"WATCHDOG_USEC": "400000"}
            async with proxy_process(environ, "run", directory=tmp_path) as process:
                port, _ = await process.ports()
                await manager.hears("WATCHDOG")
                began = time.monotonic()
                heard = len(manager.values("WATCHDOG"))  # some may have waited for us
                await manager.hears("WATCHDOG", heard + 10)
                assert time.monotonic() - began > 1  # neither more often than that
                caller = await Channel.connect("127.0.0.1", port)
                await caller.send(request("GET /"))
                await (await upstream.accepted()).read_request()
                process.send(signal.SIGTERM)
                await manager.hears("STOPPING")
                await manager.hears("WATCHDOG", len(manager.values("WATCHDOG")) + 3)
                caller.reset()
                assert await process.ended() == 0


async def test_a_reload_ends_when_all_that_it_asks_for_is_over(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """`systemctl reload` returns when the new secret has been tried; the status tells how (C5)."""
    with service_manager(tmp_path) as manager:
        environ = environment(upstream=UPSTREAM, token_url=tokens.token_url) | manager.environ
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await manager.hears_status("Ready: default", START_SECONDS)
            tokens.gate.clear()
            tokens.failure = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
            before = time.monotonic_ns() // 1000
            process.send(signal.SIGHUP)
            reloading = await manager.hears("RELOADING")
            assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            await eventually(lambda: len(tokens.requests) == 2, "the token request")
            assert manager.values("READY") == ["1"]
            tokens.gate.set()
            ready = await manager.hears("READY", 2)
            status = "Ready: default cannot renew its token (invalid_client)"
            assert ready == {"READY": "1", "STATUS": status}
            await stop(process)


async def test_a_stop_says_how_long_it_may_take(tokens: TokenServer, tmp_path: Path) -> None:
    """So that systemd waits for the whole drain, whatever TimeoutStopSec is (C5)."""
    async with ByteServer() as upstream:
        with service_manager(tmp_path) as manager:
            environ = manager.environ | environment(
                upstream=upstream.url,
                token_url=tokens.token_url,
                drain_seconds=100,
                shutdown_delay_seconds=0.5,
            )
            async with proxy_process(environ, "run", directory=tmp_path) as process:
                port, _ = await process.ports()
                caller = await Channel.connect("127.0.0.1", port)
                await caller.send(request("GET /"))
                server = await upstream.accepted()
                await server.read_request()
                process.send(signal.SIGTERM)
                assert await manager.hears("STOPPING") == {
                    "STOPPING": "1",
                    "EXTEND_TIMEOUT_USEC": "105500000",
                    "STATUS": "Draining, 100.5 s at most; requests running: 1",
                }
                process.send(signal.SIGHUP)  # nothing is told of it any more
                await server.send(reply())
                await caller.read_answer()
                caller.reset()
                assert await process.ended() == 0
            assert manager.values("READY") == ["1"]
            assert manager.values("RELOADING") == []


async def test_a_socket_that_nobody_reads_costs_nothing(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """What could not be told is told later, in its order; the log says it once (C5)."""
    with service_manager(tmp_path) as manager:
        manager.fill()
        environ = environment(upstream=UPSTREAM, token_url=tokens.token_url) | manager.environ
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            warning = await process.event("service_manager_unreachable")
            assert warning["reason"] == "it is full"
            await process.event("token_request")
            process.send(signal.SIGHUP)
            await eventually(lambda: len(tokens.requests) == 2, "the reload")
            assert manager.values("FILLER")
            await manager.hears("READY", 2)
            states = [name for message in manager.told for name in message]
            told = [name for name in states if name in {"READY", "RELOADING"}]
            assert told == ["READY", "RELOADING", "READY"]
            await stop(process)
    assert process.output.count("service_manager_unreachable") == 1


async def test_a_sign_of_life_that_is_lost_is_given_again(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Soon, and not in half of the watchdog's time: then systemd would end the service (C5)."""
    with service_manager(tmp_path) as manager:
        manager.fill()
        environ = environment(upstream=UPSTREAM, token_url=tokens.token_url) | manager.environ
        environ["WATCHDOG_USEC"] = "3600000000"
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await process.event("service_manager_unreachable")
            await manager.hears("WATCHDOG")
            await stop(process)
        assert len(manager.values("WATCHDOG")) == 1


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("/nonexistent/notify", "No such file or directory"),
        (f"/{'long' * 50}", "AF_UNIX path too long"),
    ],
)
async def test_a_socket_that_is_not_there_costs_nothing(
    tokens: TokenServer, tmp_path: Path, place: str, reason: str
) -> None:
    """One warning, and the service goes on (C5)."""
    async with ByteServer(reply(body=b"x")) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url)
        environ |= {"NOTIFY_SOCKET": place, "WATCHDOG_USEC": "100000"}
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            assert (await process.event("service_manager_unreachable"))["reason"] == reason
            caller = await Channel.connect("127.0.0.1", port)
            assert (await caller.ask(request("GET /"))).body == b"x"
            caller.reset()
            await stop(process)
    assert process.output.count("service_manager_unreachable") == 1


TAKE: Final = """
import os, subprocess
from proxy.net.notify_socket import NotifySocket
print(NotifySocket.taken_from(os.environ, os.getpid()).watchdog_seconds, flush=True)
subprocess.run(["env"])
"""


def test_no_child_can_speak_for_the_service() -> None:
    """The variables are gone from the environment once they are read (C5)."""
    names = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
    environ = dict.fromkeys(names, "1") | {"WATCHDOG_PID": "", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", TAKE],
        check=False,
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    first, *environment_of_child = done.stdout.splitlines()
    assert first == "1e-06"
    assert not [line for line in environment_of_child if line.startswith(names)]


WATCHDOGS: Final[list[tuple[dict[str, str], float | None]]] = [
    ({}, None),
    ({"WATCHDOG_USEC": "30000000"}, 30.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
    ({"WATCHDOG_USEC": "0"}, None),
    ({"WATCHDOG_USEC": "soon"}, None),
    ({"WATCHDOG_USEC": "-1"}, None),
    ({"WATCHDOG_USEC": " 30000000"}, None),
    ({"WATCHDOG_USEC": "\N{ARABIC-INDIC DIGIT THREE}0000000"}, None),
    ({"WATCHDOG_USEC": "9" * 400}, None),
    ({"WATCHDOG_USEC": "9" * 5000}, None),
    ({"WATCHDOG_USEC": str(2**64 - 2)}, (2**64 - 2) / 1e6),
    ({"WATCHDOG_USEC": str(2**64 - 1)}, None),
    ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "9" * 5000}, None),
]


@pytest.mark.parametrize(
    ("environ", "seconds"), WATCHDOGS, ids=[str(each)[:60] for each, _ in WATCHDOGS]
)
def test_whom_the_watchdog_watches(environ: dict[str, str], seconds: float | None) -> None:
    """A time that is none, or the watch over another process, is no watchdog (C5)."""
    found = NotifySocket.taken_from({"NOTIFY_SOCKET": "/x", **environ}, 7)
    assert found
    assert found.watchdog_seconds == seconds
    found.close()
    assert NotifySocket.taken_from(dict(environ), 7) is None


def client(name: str, **facts: Any) -> ClientStatus:
    """Return a client with a token, but for what is given."""
    values: dict[str, Any] = {
        "client": name,
        "state": "ready",
        "seconds_to_expiry": 500.0,
        "next_attempt_seconds": 300.0,
        "last_error": None,
        "attempted": True,
        "consecutive_failures": 0,
        "token_expires_wall": None,
        "last_success_wall": 1.0,
        "fingerprint": None,
        "waiters": 0,
    }
    return ClientStatus(**values | facts)


REFUSED: Final = {"state": "not_ready", "last_error": "invalid_client"}
STATUS_LINES: Final = [
    ([client("a")], "Ready: a"),
    ([client("a"), client("b")], "Ready: a, b"),
    ([client("a", state="not_ready")], "Not ready: a has no token yet"),
    (
        [client("a", **REFUSED), client("b")],
        "Not ready (1 of 2 clients are): a has no token (invalid_client)",
    ),
    (
        [client("a", state="degraded", last_error="timeout"), client("b")],
        "Ready: a cannot renew its token (timeout)",
    ),
    ([client("a", is_on_last_secret=True)], "Ready: a uses the last secret that worked"),
    ([client(each) for each in "abcdefg"], "Ready: a, b, c, d, e and 2 more"),
    (
        [client(each, **REFUSED) for each in "abcdefg"],
        "Not ready: "
        + "; ".join(f"{each} has no token (invalid_client)" for each in "abcde")
        + " and 2 more",
    ),
]


@pytest.mark.parametrize(("clients", "line"), STATUS_LINES, ids=[line for _, line in STATUS_LINES])
def test_the_line_of_status(clients: list[ClientStatus], line: str) -> None:
    """It says first whether all clients are ready, then what is wrong (C5)."""
    assert status_of_clients(clients) == line
