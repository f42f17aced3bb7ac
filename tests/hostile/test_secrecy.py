"""Nothing secret leaves the process on any way but the one it is for (G7).

The whole suite holds this too: `running_proxy` and `proxy_process` read all
that a proxy wrote, said and counted, with the log's net switched off, and fail
on a secret. Here every kind of secret is marked and every kind of fault met.
"""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

MARKS: Final = {
    "client secret": "MARK-client-secret",
    "token": "-of-the-test",
    "token that cannot be used": "MARK-strange-token",
    "query": "MARK-31019000000",
    "body": "MARK-request-body",
    "answer's body": "MARK-answer-body",
    "caller's credentials": "MARK-caller-credentials",
    "cookie": "MARK-cookie",
    "new cookie": "MARK-set-cookie",
    "egress password": "MARK-egress-password",
    "path": "MARK-path",
    "token endpoint's text": "MARK-token-endpoint-text",
}
ATTACKS: Final = (
    request("GET /", host="evil.example"),
    request("GET /", "Origin: http://evil.example"),
    request("GET /auth/open/connect/token?MARK-31019000000"),
    request("GET /MARK-path/../x?MARK-31019000000"),
    request("TRACE /MARK-path?MARK-31019000000"),
    request("POST /", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"MARK-request-body"),
    request("POST /", "Transfer-Encoding: chunked", body=b"MARK-request-body\r\n"),
    request("GET /MARK-path", "Cookie: MARK-cookie\x00"),
    request("GET /MARK-path", "A: " + "MARK-cookie" * 9000),
    b"MARK-request-body\r\n\r\n",
)
PATHS: Final = ("/ok", "/401", "/broken", "/hang-up", "/slow", "/cut")


async def upstream_answer(message: Message) -> bytes | None:
    """Fail in the way that the path names, with marks in all that is said."""
    path = message.target.partition("?")[0]
    marks = (
        "Set-Cookie: MARK-set-cookie",
        "X-Echo: " + (message.head.value("Authorization") or ""),
    )
    body = b"MARK-answer-body"
    if path == "/401":
        return reply("401 Unauthorized", *marks, body=body)
    if path == "/broken":
        return b"HTTP/1.1 200 MARK-answer-body\r\nMARK-answer-body\r\n\r\n"
    if path == "/cut":
        return b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\nMARK-answer-body"
    if path == "/slow":
        return b""
    return None if path == "/hang-up" else reply("200 OK", *marks, body=body)


FAILURES: Final = (
    reply(
        "400 Bad Request",
        body=b'{"error":"invalid_client","error_description":"MARK-token-endpoint-text"}',
    ),
    reply("500 Oops", "X-Trace-Id: 12", body=b"MARK-token-endpoint-text MARK-client-secret"),
    reply(body=b'{"access_token":"MARK-strange-token\\n","token_type":"Bearer","expires_in":600}'),
    reply(body=b'{"access_token":"MARK-strange-token","token_type":"mac","expires_in":600}'),
    reply("200 OK", "Content-Type: text/html", body=b"<p>MARK-token-endpoint-text</p>"),
    b"MARK-token-endpoint-text\r\n\r\n",
)


def assert_nothing_told(texts: dict[str, str]) -> None:
    """Fail with the place and the kind of whatever leaked."""
    found = [
        f"{kind} in {place}"
        for place, text in texts.items()
        for kind, mark in MARKS.items()
        if mark in text
    ]
    assert found == []


async def admin_pages(port: int) -> dict[str, str]:
    """Read all that the admin port tells."""
    pages = {}
    for path in ("/", "/status", "/readyz", "/startupz", "/livez", "/metrics"):
        operator = await Channel.connect("127.0.0.1", port)
        await operator.send(request(f"GET {path}", "Connection: close"))
        pages[path] = (await operator.read_to_end()).decode("utf-8")
        operator.close()
    return pages


async def provoke(port: int) -> dict[str, str]:
    """Send ordinary requests and attacks with marks everywhere; return the replies of our own."""
    told = {}
    lines = ("Authorization: Bearer MARK-caller-credentials", "Cookie: MARK-cookie")
    body = b"MARK-request-body"
    ordinary = [
        request(
            f"POST {path}?n=MARK-31019000000", *lines, f"Content-Length: {len(body)}", body=body
        )
        for path in PATHS
    ]
    for raw in (*ordinary, *ATTACKS):
        caller = await Channel.connect("127.0.0.1", port)
        with contextlib.suppress(ConnectionError):
            await caller.send(raw)
            answer = await caller.read_answer()
            if answer.head.value("Proxy-Status"):
                told[f"reply to {raw[:30]!r}"] = bytes(caller.received).decode("latin-1")
        caller.reset()
    return told


async def ports_of(process: ProxyProcess, log_format: str) -> tuple[int, int]:
    """Return the ports for callers and operators, whatever the log looks like."""
    if log_format == "json":
        return await process.ports()
    await eventually(lambda: "listening" in process.output, "the ports", START_SECONDS)
    line = re.sub(r"\x1b\[\d+m", "", process.line("listening"))
    found = {
        name: re.search(rf"\b{name}=\D*127\.0\.0\.1:(\d+)", line) for name in ("listen", "admin")
    }
    listen, admin = (int(match[1]) for match in found.values() if match)
    return listen, admin


def files_in(directory: Path) -> list[Path]:
    """Return what stands in a folder."""
    return list(directory.iterdir())


@contextlib.asynccontextmanager
async def marked(
    tokens: TokenServer, directory: Path, *, prefix: Sequence[str] = (), **settings: object
) -> AsyncIterator[ProxyProcess]:
    """Run a process whose settings hold marks."""
    async with ByteServer(upstream_answer) as upstream:
        environ = environment(
            upstream=upstream.url,
            token_url=tokens.token_url,
            log_level="debug",
            token_wait_seconds=0.3,
            **{"client_secret": MARKS["client secret"], "read_timeout_seconds": 0.3, **settings},
        )
        async with proxy_process(environ, "run", directory=directory, prefix=prefix) as process:
            yield process


@pytest.mark.parametrize("log_format", ["json", "console"])
async def test_nothing_is_told_while_it_runs(
    tokens: TokenServer, tmp_path: Path, log_format: str
) -> None:
    """Neither in logs at any level, nor on the admin port, nor in replies, nor in /proc."""
    # A machine that stands still must not end the requests that the upstream responds to.
    seconds = 3
    async with marked(
        tokens, tmp_path, log_format=log_format, read_timeout_seconds=seconds
    ) as process:
        port, admin = await ports_of(process, log_format)
        await eventually(lambda: "expires_in" in process.output, "a token")
        told = await provoke(port)
        assert len(told) > 10
        told |= await admin_pages(admin)
        folder = Path(f"/proc/{process.pid}")
        told["command line"] = (folder / "cmdline").read_bytes().decode()
        limits = (folder / "limits").read_text()
        assert re.search(r"^Max core file size +0 +0 ", limits, re.MULTILINE)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
    told["output"] = process.output
    assert "token_refused" in process.output
    assert_nothing_told(told)


@pytest.mark.parametrize("failure", FAILURES)
async def test_nothing_is_told_of_a_failed_token_request(
    tokens: TokenServer, tmp_path: Path, failure: bytes
) -> None:
    """Whatever the token endpoint echoes: the line says its code, not its text."""
    tokens.failure = failure
    async with marked(tokens, tmp_path) as process:
        port, admin = await process.ports()
        await process.event("token_request")
        told = await provoke(port) | await admin_pages(admin)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
    assert_nothing_told(told | {"output": process.output})


def keep_url(file: Path, url: str) -> None:
    """Write the URL into a file; the net below does not search what the test itself writes."""
    file.write_text(url)


@pytest.mark.parametrize("is_file", [False, True], ids=["value", "file"])
async def test_nothing_is_told_of_the_egress_proxy(
    tokens: TokenServer, tmp_path: Path, *, is_file: bool
) -> None:
    """Its password is a secret too, from a file as well, and one that is refused shows no more."""

    async def refuse(message: Message) -> bytes:
        assert message.head.value("Proxy-Authorization")
        return reply("407 Proxy Authentication Required", body=b"MARK-egress-password")

    async with ByteServer(refuse) as egress:
        url = f"http://me:MARK-egress-password@127.0.0.1:{egress.port}"
        setting = {"egress_proxy": url}
        if is_file:
            file = tmp_path / "egress"
            keep_url(file, url)
            setting = {"egress_proxy_file": str(file)}
        async with marked(
            tokens, tmp_path, **setting, upstream_url="https://api.example.test"
        ) as process:
            port, admin = await process.ports()
            told = await provoke(port) | await admin_pages(admin)
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
    assert_nothing_told(told | {"output": process.output})


@pytest.mark.parametrize("number", [signal.SIGABRT, signal.SIGSEGV, signal.SIGQUIT])
async def test_a_crash_leaves_nothing_behind(
    tokens: TokenServer, tmp_path: Path, number: signal.Signals
) -> None:
    """No core file, no dump of variables."""
    async with marked(tokens, tmp_path) as process:
        port, _ = await process.ports()
        await provoke(port)
        process.send(number)
        await process.ended()
    assert files_in(tmp_path) == []
    assert_nothing_told({"output": process.output})


def without_capabilities() -> tuple[str, ...]:
    """Return the command that runs another one without what root may do beyond others."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set", "-all", "--inh-caps", "-all")


def can_read(path: str) -> bool:
    """Say whether another process of the same user can read a file."""
    reading = subprocess.run(
        [*without_capabilities(), "cat", path], stdout=subprocess.DEVNULL, check=False
    )
    return reading.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="needs setpriv for root"
)
async def test_others_of_the_same_user_cannot_look_inside(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Neither memory nor environment, where a secret may stand; so no core file of any kind."""
    prefix = without_capabilities()
    other = await asyncio.create_subprocess_exec(*prefix, "sleep", "60")
    await eventually(lambda: can_read(f"/proc/{other.pid}/environ"), "one that does not mind")
    other.kill()
    await other.wait()
    async with marked(tokens, tmp_path, prefix=prefix) as process:
        await process.ports()
        assert not can_read(f"/proc/{process.pid}/environ")
        assert not can_read(f"/proc/{process.pid}/maps")
        process.send(signal.SIGTERM)
        assert await process.ended() == 0


async def test_the_commands_tell_nothing(tokens: TokenServer, tmp_path: Path) -> None:
    """`config` names each secret without its value; errors quote no value of a secret."""
    secret = tmp_path / "MARK-path"
    secret.write_text("MARK-client-secret")
    environ = environment(
        upstream="http://127.0.0.1:9",
        token_url=tokens.token_url,
        egress_proxy="http://me:MARK-egress-password@127.0.0.1:9",
        client_secret="MARK-client-secret",
    )
    async with proxy_process(environ, "config", directory=tmp_path) as process:
        assert await process.ended(START_SECONDS) == 0
        await eventually(lambda: "EGRESS_PROXY" in process.output.upper(), "the output")
    assert_nothing_told({"config": process.output})
    broken = {**environ, "SIGNICAT_PROXY_EGRESS_PROXY": "ftp://me:MARK-egress-password@x:y"}
    async with proxy_process(broken, "config", directory=tmp_path) as process:
        assert await process.ended(START_SECONDS) == 2
    assert_nothing_told({"error": process.output})
    both = {**environ, "SIGNICAT_PROXY_CLIENT_SECRET_FILE": "MARK-client-secret"}
    async with proxy_process(both, "config", "--json", directory=tmp_path) as process:
        await process.ended(START_SECONDS)
    assert json.dumps("MARK-egress-password") not in process.output
