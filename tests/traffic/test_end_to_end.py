"""Real clients, the proxy as a process, and a certified OAuth server around it."""

import asyncio
import contextlib
import hashlib
import json
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.bearer_upstream import DOWNLOAD, BearerUpstream
from tests.support.oidc_server import LIFETIME_SECONDS, OIDC_CLIENTS, oidc_server, required_program
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment
from tests.support.waiting import within

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_leaks")]

DIGEST = hashlib.sha256(DOWNLOAD).hexdigest()


@dataclass(frozen=True)
class Scene:
    """Everything that runs: where callers reach the proxy, and what stands behind it."""

    base: str
    port: int
    upstream: BearerUpstream
    process: ProxyProcess

    async def curl(self, *arguments: str, **environ: str) -> bytes:
        """Run curl and return its output."""
        process = await asyncio.create_subprocess_exec(
            required_program("curl"),
            *("--silent", "--show-error", "--fail", "--max-time", "20", *arguments),
            env=environ,
            stdout=PIPE,
            stderr=PIPE,
        )
        output, errors = await within(process.communicate(), f"curl {arguments}", 30)
        assert process.returncode == 0, errors.decode()
        return output


@contextlib.asynccontextmanager
async def everything(directory: Path, method: str) -> AsyncIterator[Scene]:
    """Run OAuth server, upstream and proxy; `method` is how the client authenticates."""
    upstream = BearerUpstream()
    async with upstream.run() as url, oidc_server(CLIENT_SECRET) as token_url:
        environ = environment(
            upstream=url, token_url=token_url, client_id=OIDC_CLIENTS[method], client_auth=method
        )
        async with proxy_process(environ, "run", directory=directory) as process:
            port, _ = await process.ports()
            yield Scene(f"http://localhost:{port}", port, upstream, process)
    assert upstream.refused == 0
    assert upstream.clients == {OIDC_CLIENTS[method]}
    for secret in (CLIENT_SECRET, *upstream.tokens):
        assert secret.removeprefix("Bearer ") not in process.output


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """Provide everything, with `client_secret_basic`."""
    async with everything(tmp_path, "client_secret_basic") as running:
        yield running


@pytest.mark.parametrize("method", list(OIDC_CLIENTS))
async def test_both_ways_of_client_authentication(tmp_path: Path, method: str) -> None:
    """A strict server takes a secret with reserved characters either way (T11)."""
    async with everything(tmp_path, method) as scene:
        seen = json.loads(await scene.curl(f"{scene.base}/echo?a=%2F"))
        assert (seen["method"], seen["path"]) == ("GET", "/echo?a=%2F")
        assert (seen["length"], seen["coding"]) == (None, None)


async def test_curl_uploads(scene: Scene, tmp_path: Path) -> None:
    """20 MiB with a length, from a file and from a pipe in chunks (`-T -`)."""
    file = tmp_path / "upload"
    file.write_bytes(DOWNLOAD)
    sized = json.loads(await scene.curl("-T", str(file), f"{scene.base}/echo"))
    assert (sized["sha256"], sized["length"]) == (DIGEST, str(len(DOWNLOAD)))
    chunked = await scene.curl(
        "-T", str(file), "-H", "Transfer-Encoding: chunked", f"{scene.base}/echo"
    )
    seen = json.loads(chunked)
    assert (seen["method"], seen["sha256"]) == ("PUT", DIGEST)
    assert (seen["length"], seen["coding"]) == (None, "chunked")


@pytest.mark.parametrize("target", ["download", "chunked"])
async def test_curl_downloads(scene: Scene, tmp_path: Path, target: str) -> None:
    """20 MiB with a length and in chunks."""
    file = tmp_path / "download"
    await scene.curl("-o", str(file), f"{scene.base}/{target}")
    assert hashlib.sha256(file.read_bytes()).hexdigest() == DIGEST


async def test_curl_posts(scene: Scene) -> None:
    """A form, and an empty POST, which must be framed."""
    form = json.loads(await scene.curl("-d", "a=b", f"{scene.base}/echo"))
    assert (form["method"], form["size"]) == ("POST", 3)
    empty = json.loads(await scene.curl("-X", "POST", f"{scene.base}/echo"))
    assert (empty["method"], empty["length"]) == ("POST", "0")


async def test_curl_keeps_its_connection(scene: Scene) -> None:
    """Two URLs in one run need one connection."""
    out = await scene.curl(
        *("-w", "%{num_connects}\n", "-o", "/dev/null", "-o", "/dev/null"),
        *(f"{scene.base}/echo", f"{scene.base}/echo?second"),
    )
    assert out == b"1\n0\n"


async def test_curl_through_http_proxy(scene: Scene) -> None:
    """`http_proxy` with the upstream's own name works (F3)."""
    url = f"http://127.0.0.1:{scene.upstream.port}/echo?x"
    seen = json.loads(await scene.curl(url, http_proxy=scene.base))
    assert seen["path"] == "/echo?x"


async def test_curl_gets_events_as_they_come(scene: Scene) -> None:
    """Each event is out before the next is sent (F10)."""
    process = await asyncio.create_subprocess_exec(
        *(required_program("curl"), "-sN", f"{scene.base}/events"), stdout=PIPE
    )
    assert process.stdout
    for number in range(3):
        event = await within(process.stdout.readuntil(b"\n\n"), "an event")
        assert event == b"data: %d\n\n" % number
        scene.upstream.next_event.set()
    await within(process.communicate(), "the end of curl")
    assert process.returncode == 0


def in_parts(body: bytes) -> Iterator[bytes]:
    """Yield `body` in parts, so that its length is not known beforehand."""
    for start in range(0, len(body), 100_000):
        yield body[start : start + 100_000]


def use_requests(base: str) -> dict[str, Any]:
    """Use one session of `requests` for everything that it can do; return what came of it."""
    with requests.Session() as session:
        session.trust_env = False
        streamed = hashlib.sha256()
        with session.get(f"{base}/chunked", stream=True, timeout=20) as answer:
            for part in answer.iter_content(65_536):
                streamed.update(part)
        upload = session.post(f"{base}/echo", data=in_parts(DOWNLOAD), timeout=20).json()
        return {
            "got": session.get(f"{base}/echo", params={"a": "b c"}, timeout=20).json(),
            "deleted": session.delete(f"{base}/echo", timeout=20).json(),
            "posted": session.post(f"{base}/echo", json={"a": 1}, timeout=20).json(),
            "head": session.head(f"{base}/download", timeout=20).headers["Content-Length"],
            "upload": upload,
            "streamed": streamed.hexdigest(),
        }


async def test_requests_session(scene: Scene) -> None:
    """Streaming both ways and ordinary calls on one connection."""
    came = await within(asyncio.to_thread(use_requests, scene.base), "requests", 40)
    assert came["got"]["path"] == "/echo?a=b+c"
    assert (came["deleted"]["method"], came["deleted"]["length"]) == ("DELETE", None)
    assert came["posted"]["size"] == 8
    assert came["head"] == str(len(DOWNLOAD))
    assert came["upload"]["sha256"] == DIGEST
    assert came["upload"]["coding"] == "chunked"
    assert came["streamed"] == DIGEST


async def test_tokens_roll_over(scene: Scene) -> None:
    """A client that asks for longer than a token lives is never refused."""
    urls = [f"{scene.base}/echo?{number}" for number in range(40)]
    await scene.curl("--rate", "8/s", "-o", "/dev/null", *urls)
    assert len(scene.upstream.tokens) >= 40 / 8 // LIFETIME_SECONDS + 1
