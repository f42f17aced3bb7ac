"""Certificates that change while callers are connected: no request fails (I3, C4)."""

import asyncio
import contextlib
import datetime as dt
import shutil
import signal
import ssl
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import requests
import trustme
from cryptography import x509

from tests.support.messages import reply, request
from tests.support.peers import ByteServer, ClosedEarlyError
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import RunningProxy, environment, proxied
from tests.support.tls_callers import ServerFiles, caller_context, tls_caller, write_pair
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually, task_group

pytestmark = pytest.mark.usefixtures("no_leaks")

GET = request("GET /a")


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    """Provide certificate and key of the traffic port."""
    return ServerFiles(tmp_path)


def reloads(proxy: RunningProxy) -> int:
    """Return how often changed files were put into force."""
    return len([log for log in proxy.logs if log["event"] == "file_reloaded"])


async def reload(proxy: RunningProxy) -> None:
    """Have the proxy look at the files, and wait until the new ones are in force."""
    before = reloads(proxy)
    proxy.control.reload()
    await eventually(lambda: reloads(proxy) > before, "the reload")


async def test_new_connections_get_the_new_certificate(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """Who is connected stays so, in the middle of a response too (I3)."""
    async with proxied(tokens, None, **files.settings) as (proxy, upstream):
        old = await tls_caller(proxy, caller_context(files.ca))
        await old.send(GET)
        up = await upstream.accepted()
        await up.read_request()
        await up.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        shown = files.rotate()
        await reload(proxy)
        await up.send(b"cd")
        assert (await old.read_answer()).body == b"abcd"
        new = await tls_caller(proxy, caller_context(files.ca))
        assert new.shown_serial == serial(shown) != old.shown_serial
        for caller in (new, old):
            await caller.send(GET)
            await up.read_request()
            await up.send(reply(body=b"on"))
            assert (await caller.read_answer()).body == b"on"


def serial(pair: trustme.LeafCert) -> int:
    """Return the serial number of a certificate."""
    return x509.load_pem_x509_certificate(pair.cert_chain_pems[0].bytes()).serial_number


async def test_a_half_written_pair_changes_nothing(tokens: TokenServer, files: ServerFiles) -> None:
    """The pair before is shown on, with one warning and a metric; the other half heals it (C4)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        before = (await tls_caller(proxy, caller_context(files.ca))).shown_serial
        pair = files.ca.issue_cert("localhost")
        key = files.key.read_bytes()
        write_pair(pair, files.cert, files.key)
        new_key = files.key.read_bytes()
        files.key.write_bytes(key)
        proxy.control.reload()
        await proxy.metric_becomes(1, "file_reload_failures_total", file="tls_key_file")
        (warning,) = [log for log in proxy.logs if log["event"] == "file_not_reloaded"]
        assert warning["level"] == "warning"
        assert warning["setting"] == "SIGNICAT_PROXY_TLS_KEY_FILE"
        assert warning["reason"] == "the key does not belong to the certificate in TLS_CERT_FILE"
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert caller.shown_serial == before
        assert (await caller.ask(GET)).status == 200
        files.key.write_bytes(new_key)
        await reload(proxy)
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert caller.shown_serial == serial(pair)


async def test_a_change_is_noticed_by_itself(tokens: TokenServer, files: ServerFiles) -> None:
    """Within five seconds, without a signal; the metric says when the certificate ends (I3)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        ends = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(days=20)
        files.rotate(not_after=ends)
        await eventually(lambda: reloads(proxy) == 1, "the reload")
        await proxy.metric_becomes(
            ends.timestamp(), "certificate_expiry_timestamp_seconds", file="tls_cert_file"
        )


async def test_another_authority_of_callers(tokens: TokenServer, tmp_path: Path) -> None:
    """From then on the old one's callers get no new connection; those that are open go on."""
    old, new = trustme.CA(), trustme.CA()
    files = ServerFiles(tmp_path, old)
    by_old = caller_context(files.ca, old.issue_cert("app.test"))
    by_new = caller_context(files.ca, new.issue_cert("app.test"))
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        connected = await tls_caller(proxy, by_old)
        assert (await connected.ask(GET)).status == 200
        new.cert_pem.write_to_path(str(files.client_ca))
        await reload(proxy)
        assert (await (await tls_caller(proxy, by_new)).ask(GET)).status == 200
        assert (await connected.ask(GET)).status == 200
        # A session of before does not let its caller in again without a look at its certificate.
        refused = await tls_caller(proxy, by_old)
        with pytest.raises((ssl.SSLError, ClosedEarlyError)):
            await refused.ask(GET)


async def test_no_request_fails_while_certificates_change(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """Ten changes under load: on kept connections and on new ones, with bodies both ways (I3)."""
    body = b"x" * 70_000
    sent = request("POST /", f"Content-Length: {len(body)}", body=body)
    is_over = asyncio.Event()
    asked = {"kept": 0, "new": 0}

    def has_moved(done: dict[str, int]) -> bool:
        return all(asked[each] > done[each] + 2 for each in asked)

    async with proxied(tokens, reply(body=body), **files.settings) as (proxy, _):

        async def keep() -> None:
            caller = await tls_caller(proxy, caller_context(files.ca))
            while not is_over.is_set():
                assert (await caller.ask(sent)).body == body
                asked["kept"] += 1

        async def renew() -> None:
            while not is_over.is_set():
                caller = await tls_caller(proxy, caller_context(files.ca))
                assert (await caller.ask(sent)).body == body
                caller.close()
                asked["new"] += 1

        async with task_group() as tasks:
            for work in (keep, keep, renew, renew):
                tasks.create_task(work())
            for _ in range(10):
                done = dict(asked)
                files.rotate()
                await reload(proxy)
                await eventually(partial(has_moved, done), "requests of both kinds")
            is_over.set()
        assert [log for log in proxy.logs if log.get("outcome", "ok") != "ok"] == []
        assert await proxy.metric("rejected_total") == 0


# --- programs that people use ---


async def run(*command: str) -> tuple[int, str]:
    """Run a program; return its exit code and output."""
    done = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, check=False, timeout=30
    )
    return done.returncode, done.stdout + done.stderr


class Scene:
    """A proxy as a process of its own, and a caller's files: `ca`, `cert`, `key`."""

    def __init__(self, directory: Path) -> None:
        clients = trustme.CA()
        self.files = ServerFiles(directory, clients)
        self.cert, self.key = directory / "app.crt", directory / "app.key"
        self.ca = directory / "ca.crt"
        self.directory = directory
        write_pair(clients.issue_cert("app.test"), self.cert, self.key)
        self.files.ca.cert_pem.write_to_path(str(self.ca))

    @contextlib.asynccontextmanager
    async def process(self, tokens: TokenServer) -> AsyncIterator[ProxyProcess]:
        """Run the proxy; it must end clean."""
        async with ByteServer(reply(body=b"hello")) as upstream:
            environ = environment(
                upstream=upstream.url, token_url=tokens.token_url, **self.files.settings
            )
            async with proxy_process(environ, "run", directory=self.directory) as process:
                yield process
                process.send(signal.SIGTERM)
                assert await process.ended() == 0


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
async def test_curl_reads_what_is_wrong(tokens: TokenServer, tmp_path: Path) -> None:
    """With its certificate, without, with an old TLS, without trust, and in plain (I3, G10)."""
    scene = Scene(tmp_path)
    async with scene.process(tokens) as process:
        port, _ = await process.ports()
        url = f"https://localhost:{port}/a"
        to = ("curl", "-sS", "--max-time", "10", "--resolve", f"localhost:{port}:127.0.0.1")
        trust = ("--cacert", str(scene.ca))
        own = ("--cert", str(scene.cert), "--key", str(scene.key))
        assert await run(*to, *trust, *own, url) == (0, "hello")
        code, told = await run(*to, *trust, url)
        assert code
        assert "certificate required" in told  # the alert
        code, told = await run(*to, *trust, *own, "--tls-max", "1.1", url)
        assert code
        code, told = await run(*to, *own, url)
        assert code
        assert "certificate" in told
        _, told = await run(*to, f"http://127.0.0.1:{port}/a")
        assert "call it with https://" in told
    reasons = [line for line in process.lines if '"tls_handshake"' in line]
    parts = ("showed no certificate", "no TLS 1.2 or later", "does not accept this proxy's")
    for reason, part in zip(reasons, parts, strict=True):
        assert part in reason


async def test_requests_goes_on_over_a_signal(tokens: TokenServer, tmp_path: Path) -> None:
    """A session keeps its connection when the certificate changes; without one it gets none."""
    scene = Scene(tmp_path)
    async with scene.process(tokens) as process:
        url = f"https://127.0.0.1:{(await process.ports())[0]}/a"
        with requests.Session() as session:
            session.trust_env = False
            session.verify, session.cert = str(scene.ca), (str(scene.cert), str(scene.key))
            for _ in range(2):
                answer = await asyncio.to_thread(session.get, url, timeout=10)
                assert answer.text == "hello"
                scene.files.rotate()
                process.send(signal.SIGHUP)
                await process.event("file_reloaded")
            session.close()
            session.cert = None
            with pytest.raises(requests.exceptions.RequestException):
                await asyncio.to_thread(session.get, url, timeout=10)


async def test_a_pair_that_cannot_be_used_is_exit_code_2(tmp_path: Path) -> None:
    """At the start there is no pair before it (C1)."""
    files = ServerFiles(tmp_path)
    files.key.write_bytes(files.ca.issue_cert("x.test").private_key_pem.bytes())
    environ = environment(
        upstream="http://127.0.0.1:9", token_url="http://127.0.0.1:9/t", **files.settings
    )
    async with proxy_process(environ, "run", directory=tmp_path) as process:
        assert await process.ended(START_SECONDS) == 2
    assert "SIGNICAT_PROXY_TLS_KEY_FILE: the key does not belong" in process.output
