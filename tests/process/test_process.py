"""The process as its supervisor sees it: signals, output, exit codes (C1, C2)."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest

from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

SIGNALS = [signal.SIGTERM, signal.SIGINT]
BLOCKED = """
import os, signal, sys
number = int(sys.argv[1])
signal.pthread_sigmask(signal.SIG_BLOCK, [number])
os.kill(os.getpid(), number)
os.execv(sys.executable, [sys.executable, "-m", "proxy", "mock", "--listen", "127.0.0.1:0"])
"""


def environ_for(tokens: TokenServer, upstream: ByteServer, **overrides: object) -> dict[str, str]:
    """Return the environment of a process between two servers of the test."""
    return environment(upstream=upstream.url, token_url=tokens.token_url, **overrides)


def takes_callers(path: Path) -> bool:
    """Say whether a Unix socket is listened on; its file is there a moment earlier."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_drains_and_ends_with_0(
    tokens: TokenServer, tmp_path: Path, number: signal.Signals
) -> None:
    """SIGTERM and SIGINT let the running request finish; nothing secret was written (C2, G7)."""
    async with (
        ByteServer() as upstream,
        proxy_process(environ_for(tokens, upstream), "run", directory=tmp_path) as process,
    ):
        port, admin = await process.ports()
        caller = await Channel.connect("127.0.0.1", port)
        await caller.send(request("GET /slow?identityNumber=31019000000"))
        server = await upstream.accepted()
        await server.read_request()
        process.send(number)
        await process.event("draining")
        operator = await Channel.connect("127.0.0.1", admin)
        ready = await operator.ask(request("GET /readyz", "Connection: close"))
        assert ready.status == 503
        await server.send(reply(body=b"whole"))
        assert (await caller.read_answer()).body == b"whole"
        assert await process.ended() == 0
        caller.close()
        operator.close()
    for secret in (CLIENT_SECRET, "-of-the-test", "31019000000"):
        assert secret not in process.output


async def test_a_second_signal_ends_at_once(tokens: TokenServer, tmp_path: Path) -> None:
    """Whatever is running (C2)."""
    async with (
        ByteServer() as upstream,
        proxy_process(
            environ_for(tokens, upstream, drain_seconds=3600), "run", directory=tmp_path
        ) as process,
    ):
        port, _ = await process.ports()
        caller = await Channel.connect("127.0.0.1", port)
        await caller.send(request("GET /slow"))
        await (await upstream.accepted()).read_request()
        process.send(signal.SIGTERM)
        await process.event("draining")
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
        caller.close()


@pytest.mark.parametrize("signals", [1, 2], ids=["in-order", "at-once"])
async def test_an_end_loses_no_line_of_the_access_log(
    tokens: TokenServer, tmp_path: Path, signals: int
) -> None:
    """Each answer has its line, and so has the request that the second signal ends (L, C2)."""

    async def answer(message: Message) -> bytes:
        if message.target == "/slow":
            await slow.wait()
        return reply()

    slow = asyncio.Event()
    count = 200
    path = tmp_path / "callers"  # whether the ports are open is not told at this level
    async with ByteServer(answer) as upstream:
        environ = environ_for(tokens, upstream, listen=f"unix:{path}", log_level="error")
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await eventually(lambda: takes_callers(path), "the ports to open", START_SECONDS)
            caller = await Channel.connect_unix(str(path))
            await caller.send(request("GET /") * count + request("GET /slow"))
            await eventually(lambda: len(upstream.requests) > count, "the slow request")
            process.send(signal.SIGTERM)
            await eventually(lambda: not path.exists(), "the drain to begin")
            if signals == 1:
                slow.set()
            else:
                process.send(signal.SIGTERM)
            assert await process.ended() == 0
            caller.close()
    lines = [json.loads(line) for line in process.lines]
    assert [line["event"] for line in lines] == ["request"] * (count + 1)
    last = {"status": 200, "outcome": "ok"} if signals == 1 else {"status": 503}
    assert last.items() <= lines[-1].items()


async def test_garbage_is_collected_once_it_serves(tokens: TokenServer, tmp_path: Path) -> None:
    """It is not while modules are imported; later it is looked for whenever much is new."""
    pattern = re.compile(r'^python_gc_collections_total{generation="0"} (.*)$', re.MULTILINE)

    async def collections(admin: Channel) -> float:
        (count,) = pattern.findall((await admin.ask(request("GET /metrics"))).body.decode())
        return float(count)

    async with (
        ByteServer(reply()) as upstream,
        proxy_process(environ_for(tokens, upstream), "run", directory=tmp_path) as process,
    ):
        port, admin_port = await process.ports()
        admin = await Channel.connect("127.0.0.1", admin_port)
        before = await collections(admin)
        callers = [await Channel.connect("127.0.0.1", port) for _ in range(600)]
        assert (await callers[-1].ask(request("GET /"))).status == 200
        assert await collections(admin) > before
        for channel in (*callers, admin):
            channel.close()


def test_aiohttp_is_imported_by_the_server_alone() -> None:
    """What is imported before must not import it, or it reads certificates for nothing."""
    code = (
        "import sys, proxy.admin.probe, proxy.commands.cli, proxy.net.tls, proxy.settings.loader; "
        "print('aiohttp' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True)
    assert done.stdout == b"False\n"


HOLDING: Final = """
import sys
with open({pipe!r}) as pipe:
    pipe.read()
sys.path.remove({folder!r})
del sys.modules[__name__]
import uvloop
"""
"""A module in the place of one that `run` imports, which comes once the test has let it."""


@contextlib.asynccontextmanager
async def importing(
    tokens: TokenServer, directory: Path
) -> AsyncIterator[tuple[ProxyProcess, Callable[[], None]]]:
    """Start a process that is held amid its imports; yield it, and what lets it go on."""
    folder, pipe = directory / "first", directory / "pipe"
    folder.mkdir()
    os.mkfifo(pipe)
    holding = HOLDING.format(pipe=str(pipe), folder=str(folder))
    (folder / "uvloop.py").write_text(holding)
    path = {"PYTHONPATH": f"{folder}:{os.environ.get('PYTHONPATH', ROOT)}"}
    with contextlib.ExitStack() as held:

        def is_held() -> bool:
            with contextlib.suppress(OSError):  # until it reads from the pipe
                held.callback(os.close, os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
                return True
            return False

        async with (
            ByteServer(reply()) as upstream,
            proxy_process(
                environ_for(tokens, upstream) | path, "run", directory=directory
            ) as process,
        ):
            await eventually(is_held, "the import", START_SECONDS)
            yield process, held.close


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_while_it_imports_ends_it_with_0(
    tokens: TokenServer, tmp_path: Path, number: signal.Signals
) -> None:
    """A container's PID 1 would otherwise not even notice (C2)."""
    async with importing(tokens, tmp_path) as (process, _):
        process.send(number)
        assert await process.ended() == 0
    assert process.output == ""


async def test_a_hangup_while_it_imports_disturbs_nothing(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Whoever rotates secrets may say so at any time; the first request reads them anyway (C2)."""
    async with importing(tokens, tmp_path) as (process, go_on):
        process.send(signal.SIGHUP)
        go_on()
        await process.ports()
        await eventually(lambda: bool(tokens.issued), "a token")
        process.send(signal.SIGTERM)
        assert await process.ended() == 0


async def test_late_signals_do_not_change_the_exit_code(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Signals without end: a drain that had nothing to wait for is still a clean end (C2)."""
    async with (
        ByteServer(reply()) as upstream,
        proxy_process(environ_for(tokens, upstream), "run", directory=tmp_path) as process,
    ):
        await process.event("token_request")
        async with asyncio.TaskGroup() as tasks:
            code = tasks.create_task(process.ended(), name="peer")
            with contextlib.suppress(ProcessLookupError):
                while not code.done():
                    process.send(signal.SIGTERM)
                    await asyncio.sleep(0)
        assert code.result() == 0


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_that_waits_from_before_the_start_ends_it(
    tmp_path: Path, number: signal.Signals
) -> None:
    """The image starts with stop signals blocked, so that the first process loses none (C2)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BLOCKED, str(number), cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    try:
        assert await within(process.wait(), "the process to end", START_SECONDS) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


async def test_hangup_renews_the_token(tokens: TokenServer, tmp_path: Path) -> None:
    """SIGHUP reads the secret again and renews (C2)."""
    secret = tmp_path / "secret"
    secret.write_text("old-secret")
    settings = {"client_secret_file": secret, "client_auth": "client_secret_post"}
    async with (
        ByteServer(reply()) as upstream,
        proxy_process(
            environ_for(tokens, upstream, **settings), "run", directory=tmp_path
        ) as process,
    ):
        await process.ports()
        await eventually(lambda: len(tokens.issued) == 1, "the first token")
        process.send(signal.SIGHUP)
        await eventually(lambda: len(tokens.issued) == 2, "a renewal without a new secret")
        secret.write_text("new-secret")
        process.send(signal.SIGHUP)
        # Who is quicker sees the new content first, and renews for it and for the signal.
        await eventually(lambda: len(tokens.issued) >= 3, "the renewal")
        assert b"client_secret=new-secret" in tokens.requests[2].body


@pytest.mark.parametrize("setting", ["listen", "admin_listen"])
async def test_a_port_in_use_is_one_line(tokens: TokenServer, tmp_path: Path, setting: str) -> None:
    """The line names the setting and the address; the exit code is 1."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        environ = environment(
            upstream="http://127.0.0.1:9", token_url=tokens.token_url, **{setting: address}
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 1
    lines = [line for line in process.lines if f"SIGNICAT_PROXY_{setting.upper()}" in line]
    assert len(lines) == 1
    assert address in lines[0]
    assert "Traceback" not in process.output


async def test_bad_configuration_lists_all_errors(tmp_path: Path) -> None:
    """Exit code 2, every error named at once, no secret among them (C1)."""
    environ = {
        "SIGNICAT_PROXY_CLIENT_SECRET": CLIENT_SECRET,
        "SIGNICAT_PROXY_READ_TIMEOUT_SECONDS": "soon",
        "SIGNICAT_PROXY_UPSTREAM_URL": "http://api.example.com",
        "SIGNICAT_PROXY_LISTNE": "127.0.0.1:0",
    }
    async with proxy_process(environ, "run", directory=tmp_path) as process:
        assert await process.ended(START_SECONDS) == 2
    for name in ("CLIENT_ID", "READ_TIMEOUT_SECONDS", "UPSTREAM_URL", "LISTNE"):
        assert f"SIGNICAT_PROXY_{name}" in process.output
    assert CLIENT_SECRET not in process.output
    assert "Traceback" not in process.output


async def test_the_start_up_deadline_ends_the_process(tokens: TokenServer, tmp_path: Path) -> None:
    """Exit code 1, with the reason in one line (C1)."""
    tokens.failure = reply("500 Oops")
    async with (
        ByteServer() as upstream,
        proxy_process(
            environ_for(tokens, upstream, startup_deadline_seconds=0.3), "run", directory=tmp_path
        ) as process,
    ):
        assert await process.ended(START_SECONDS) == 1
    assert "STARTUP_DEADLINE_SECONDS" in process.output
    assert "Traceback" not in process.output
