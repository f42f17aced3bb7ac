"""`python -m proxy.mock`, the mock as a process."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator

import aiohttp
import jwt
import pytest

from tests.support.source_tree import ROOT
from tests.support.waiting import START_SECONDS, within


@contextlib.asynccontextmanager
async def started(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """Start the mock; yield it with what it said up to the line that it listens.

    It is killed at the end: a loop that has a process does not close before that ends.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "proxy.mock", *arguments, cwd=ROOT, stderr=PIPE
    )
    assert process.stderr
    lines: list[str] = []
    try:
        while not lines or "listening on" not in lines[-1]:
            line = await within(process.stderr.readline(), "a line", START_SECONDS)
            assert line, lines
            lines.append(line.decode().rstrip())
        yield process, lines
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_starts_serves_and_ends(number: signal.Signals) -> None:
    """One line says MOCK and where; faults given at the start are in force; a signal ends it."""
    fault = '{"kind":"status","status":429,"target":"all","times":1}'
    async with started("--listen", "127.0.0.1:0", "--fault", fault, "--seed", "1") as (
        process,
        lines,
    ):
        assert lines[0].startswith("MOCK: listening on http://127.0.0.1:")
        url = lines[0].split()[3].rstrip(",")
        async with aiohttp.ClientSession() as session:
            statuses = []
            for _ in range(2):
                async with session.get(url) as answer:
                    statuses.append(answer.status)
        assert statuses == [429, 200]
        process.send_signal(number)
        assert await within(process.wait(), "the end") == 0


async def test_clients_and_account_can_be_named() -> None:
    """A client with some permissions, one with none, one with all; and the account of all."""
    clients = ("a:s:Signature API, Digital Evidence Management", "b:s:", "c:s")
    flags = [part for client in clients for part in ("--client", client)]
    async with started("--listen", "127.0.0.1:0", "--account", "a-own", *flags) as (process, lines):
        url = lines[0].split()[3].rstrip(",")
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url}/__mock__/clients") as response:
                shown = (await response.json())["clients"]
            form = {"grant_type": "client_credentials", "client_id": "c", "client_secret": "s"}
            async with session.post(f"{url}/auth/open/connect/token", data=form) as response:
                token = (await response.json())["access_token"]
        assert [client["permissions"] for client in shown] == [
            ["Digital Evidence Management", "Signature API"],
            [],
            None,
        ]
        assert jwt.decode(token, options={"verify_signature": False})["account_id"] == "a-own"
        process.terminate()
        assert await within(process.wait(), "the end") == 0


async def test_it_warns_when_others_can_reach_it() -> None:
    """Listening wider is possible, and said (K)."""
    async with started("--listen", "0.0.0.0:0", "--client", "a:b") as (process, lines):
        assert "beyond this machine" in lines[0]
        assert lines[1].endswith("client a")
        process.terminate()
        assert await within(process.wait(), "the end") == 0


async def test_a_port_in_use_is_one_line() -> None:
    """The second mock on a port says so and ends with 1."""
    async with started("--listen", "127.0.0.1:0") as (process, lines):
        address = lines[0].split()[3].removeprefix("http://").rstrip(",")
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "proxy.mock", "--listen", address],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1
        assert (
            done.stderr == f"MOCK: --listen: cannot listen on {address}: Address already in use\n"
        )
        process.terminate()
        await within(process.wait(), "the end")


def refused(*flags: str) -> tuple[int, str]:
    """Return the exit code of a mock that does not start, and what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "proxy.mock", *flags],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--listen", "9090"),
        ("--listen", "a:99999"),
        ("--client", "a"),
        ("--client", "a:"),
        ("--client", "a:b:Signature"),
        ("--client", "a:b", "--client", "c:d", "--client", "a:c"),
        *(("--lifetime", text) for text in ("nan", "1e999", "-1", "3600.1", "inf", "x", "")),
        ("--created-status", "204"),
        ("--fault", "{"),
        ("--fault", '{"kind":"x"}'),
    ],
)
def test_bad_flags_are_wrong_usage(flags: tuple[str, ...]) -> None:
    """What cannot be is 2, and one line after the usage names the flag."""
    code, error = refused(*flags)
    assert code == 2
    assert f"argument {flags[0]}" in error.splitlines()[-1]
    assert flags[0] != "--lifetime" or error.endswith("write seconds, from 0 to 3600\n")


def test_a_secret_with_a_colon_is_not_shown() -> None:
    """What follows the second colon may be the rest of it, and none of it is printed."""
    code, error = refused("--client", "x:S3cr:etPart,Signature API,andMore")
    assert (code, "'" in error.splitlines()[-1]) == (2, False)
    for part in ("S3cr", "etPart", "andMore"):
        assert part not in error
    assert "Signature API" in error
