"""TLS and CONNECT proxies on the way to the upstream and the token endpoint (G8)."""

import asyncio
import contextlib
import datetime as dt
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.abrupt_server import AbruptServer
from tests.support.certificates import context_for
from tests.support.connect_proxy import ConnectProxy
from tests.support.flooder import Flooder
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import RunningProxy, environment, running_proxy
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

CA = trustme.CA


@pytest.fixture(scope="module")
def ca() -> CA:
    """Provide a certificate authority."""
    return CA()


@pytest.fixture
def ca_file(ca: CA, tmp_path: Path) -> Path:
    """Provide the file that makes the proxy trust it."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
async def tls_tokens(ca: CA, no_leaks: None) -> AsyncIterator[TokenServer]:
    """Provide a token endpoint over TLS."""
    del no_leaks
    async with TokenServer(tls=context_for(ca, "127.0.0.1")) as server:
        yield server


async def test_without_a_file_the_system_is_trusted(
    ca: CA, ca_file: Path, tls_tokens: TokenServer, tmp_path: Path
) -> None:
    """What OpenSSL is told to trust counts, though it is hidden while modules are imported (G8)."""
    async with ByteServer(reply(), tls=context_for(ca, "127.0.0.1")) as upstream:
        settings = environment(upstream=upstream.url, token_url=tls_tokens.token_url, ca_file="")
        for trusted, status in ((str(ca_file), 200), (os.devnull, 503)):
            environ = {**settings, "SSL_CERT_FILE": trusted, "SSL_CERT_DIR": os.devnull}
            async with proxy_process(environ, "run", directory=tmp_path) as process:
                caller = await Channel.connect("127.0.0.1", (await process.ports())[0])
                assert (await caller.ask(request("GET /"))).status == status
                caller.close()


STORES = """
import contextlib, os, sys
from proxy.net.tls import system_trust_hidden
hide = system_trust_hidden if sys.argv[1] == "hidden" else contextlib.nullcontext
with hide():
    from aiohttp import connector
stats = connector._SSL_CONTEXT_VERIFIED.cert_store_stats()
print(stats["x509_ca"], os.environ["SSL_CERT_FILE"])
"""


@pytest.mark.parametrize(("how", "count"), [("hidden", 0), ("seen", 1)])
def test_libraries_read_no_certificates_while_they_are_imported(
    ca_file: Path, how: str, count: int
) -> None:
    """They would for a sixth of the start; a connection with a context of theirs trusts nobody."""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "SSL_CERT_FILE": str(ca_file)}
    done = subprocess.run(
        [sys.executable, "-c", STORES, how],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{count} {ca_file}\n"


async def test_a_verified_upstream_is_used(ca: CA, ca_file: Path, tls_tokens: TokenServer) -> None:
    """CA_FILE is trusted for upstream and token endpoint alike; connections are kept."""
    async with (
        ByteServer(reply(body=b"x" * 200_000), tls=context_for(ca, "127.0.0.1")) as upstream,
        running_proxy(
            upstream=upstream.url, token_url=tls_tokens.token_url, ca_file=ca_file
        ) as proxy,
    ):
        caller = await proxy.connect()
        body = b"y" * 300_000
        for _ in range(3):
            sent = request("POST /", f"Content-Length: {len(body)}", body=body)
            assert (await caller.ask(sent)).body == b"x" * 200_000
        assert {message.body for message in upstream.requests} == {body}
        assert len(upstream.connections) == 1


def events(proxy: RunningProxy, name: str) -> list[dict[str, Any]]:
    """Return the events of that name which were logged so far."""
    return [event for event in proxy.logs if event["event"] == name]


def write(path: Path, text: str) -> None:
    """Replace what a file holds."""
    path.write_text(text)


async def test_a_new_authority_counts_for_new_connections(
    ca_file: Path, tls_tokens: TokenServer
) -> None:
    """A changed CA_FILE is used without a restart, for the token endpoint too (C4)."""
    other = CA()
    async with (
        ByteServer(reply(), tls=context_for(other, "127.0.0.1")) as upstream,
        running_proxy(
            upstream=upstream.url, token_url=tls_tokens.token_url, ca_file=ca_file
        ) as proxy,
    ):
        assert (await proxy.ask(request("GET /"))).status == 502
        other.cert_pem.write_to_path(str(ca_file))
        proxy.control.reload()
        await eventually(lambda: bool(events(proxy, "file_reloaded")), "the new authority")
        assert (await proxy.ask(request("GET /"))).status == 200
        proxy.control.reload()  # a renewal; the endpoint's certificate is of the old authority
        await proxy.metric_becomes(1, "token_requests_total", outcome="tls_failed")


async def test_a_spoilt_authority_changes_nothing(
    ca: CA, ca_file: Path, tls_tokens: TokenServer
) -> None:
    """The old one is trusted on, with a warning and a metric; a good one heals it (C4)."""
    async with (
        ByteServer(reply(), tls=context_for(ca, "127.0.0.1")) as upstream,
        running_proxy(
            upstream=upstream.url, token_url=tls_tokens.token_url, ca_file=ca_file
        ) as proxy,
    ):
        write(ca_file, "not yet written")
        proxy.control.reload()
        await proxy.metric_becomes(1, "file_reload_failures_total", file="ca_file")
        assert (await proxy.ask(request("GET /"))).status == 200
        (warning,) = events(proxy, "file_not_reloaded")
        assert warning["setting"] == "SIGNICAT_PROXY_CA_FILE"
        assert warning["reason"] == "no certificates in PEM form in this file"
        ca.cert_pem.write_to_path(str(ca_file))
        proxy.control.reload()
        await eventually(lambda: bool(events(proxy, "file_reloaded")), "the good authority")
        assert (await proxy.ask(request("GET /"))).status == 200


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)

UNTRUSTED = {
    "unknown authority": (CA, "127.0.0.1", None),
    "wrong name": (None, "elsewhere.test", None),
    "expired": (None, "127.0.0.1", YESTERDAY),
}


@pytest.mark.parametrize(("foreign", "name", "end"), UNTRUSTED.values(), ids=UNTRUSTED.keys())
async def test_an_unverified_upstream_gets_nothing(
    ca: CA,
    ca_file: Path,
    tokens: TokenServer,
    foreign: type[CA] | None,
    name: str,
    end: dt.datetime | None,
) -> None:
    """502 `upstream_unreachable`; no byte of the request, and no token, leaves (G8)."""
    context = context_for(foreign() if foreign else ca, name, not_after=end)
    async with (
        ByteServer(reply(), tls=context) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file) as proxy,
    ):
        answer = await proxy.ask(request("GET /"))
        assert_problem(answer, 502, "upstream_unreachable")
        assert upstream.received == b""
        assert await proxy.metric("upstream_errors_total", reason="tls") == 1


async def test_an_unverified_token_endpoint_gets_no_secret(ca_file: Path, no_leaks: None) -> None:
    """503 `token_unavailable`; no byte of the token request leaves (G8)."""
    del no_leaks
    async with (
        TokenServer(tls=context_for(CA(), "127.0.0.1")) as foreign,
        ByteServer(reply()) as upstream,
        running_proxy(
            upstream=upstream.url,
            token_url=foreign.token_url,
            ca_file=ca_file,
            token_wait_seconds=0.3,
        ) as proxy,
    ):
        assert (await proxy.ask(request("GET /"))).status == 503
        assert foreign.received == b""


async def speak_plain(upstream: ByteServer) -> None:
    """Answer whoever connects before it has said anything, and hang up."""
    while True:
        server = await upstream.accepted(seconds=3600)
        with contextlib.suppress(ConnectionError):
            await server.send(reply("400 Bad Request"))
        server.close()


async def test_an_upstream_without_tls_is_unreachable(tokens: TokenServer, ca_file: Path) -> None:
    """Plain bytes where TLS is expected are no answer, before the handshake or amid it."""
    async with (
        ByteServer() as upstream,
        running_proxy(
            upstream=upstream.url.replace("http:", "https:"),
            token_url=tokens.token_url,
            ca_file=ca_file,
        ) as proxy,
    ):
        async with asyncio.TaskGroup() as tasks:
            speaking = tasks.create_task(speak_plain(upstream), name="peer")
            answer = await proxy.ask(request("GET /"))
            speaking.cancel()
        assert_problem(answer, 502, "upstream_unreachable")


async def test_a_handshake_that_hangs_is_cut(tokens: TokenServer, ca_file: Path) -> None:
    """CONNECT_TIMEOUT_SECONDS bounds DNS, TCP and TLS together."""
    async with (
        ByteServer() as upstream,
        running_proxy(
            upstream=upstream.url.replace("http:", "https:"),
            token_url=tokens.token_url,
            ca_file=ca_file,
            connect_timeout_seconds=0.4,
        ) as proxy,
    ):
        answer = await proxy.ask(request("GET /"), seconds=2)
        assert_problem(answer, 502, "upstream_unreachable")


@pytest.mark.parametrize("how", ["reset", "hang_up"])
async def test_an_answer_cut_below_tls_is_not_complete(
    ca: CA, ca_file: Path, tokens: TokenServer, how: str
) -> None:
    """A body that ends with the connection needs TLS's own end (RFC 9112 §9.8, F7)."""
    async with (
        ByteServer(tls=context_for(ca, "127.0.0.1")) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file) as proxy,
    ):
        caller = await proxy.connect()
        await caller.send(request("GET /"))
        server = await upstream.accepted()
        await server.read_request()
        await server.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc")
        assert (await caller.read_head()).status == 200
        assert await caller.read(8) == b"3\r\nabc\r\n"
        getattr(server, how)()
        with pytest.raises(ClosedEarlyError):
            await caller.read(5)


async def test_an_answer_that_ends_with_tls_is_complete(
    ca: CA, ca_file: Path, tokens: TokenServer
) -> None:
    """The end of TLS is the end of a body that has no other (RFC 9112 §9.8)."""
    async with (
        ByteServer(
            b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nabc", tls=context_for(ca, "127.0.0.1")
        ) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file) as proxy,
    ):
        assert (await proxy.ask(request("GET /"))).body == b"abc"


CREDENTIALS = "operator:pr0xy-s3cret"


async def test_an_egress_proxy_carries_both(ca: CA, ca_file: Path, no_leaks: None) -> None:
    """Upstream and token endpoint are reached through EGRESS_PROXY, with its credentials."""
    del no_leaks

    async def answer(message: Message) -> bytes:
        assert message.head.value("Host") == "api.test"
        return reply("303 See Other", "Location: https://api.test:443/next?x")

    async with (
        TokenServer(tls=context_for(ca, "idp.test")) as idp,
        ByteServer(answer, tls=context_for(ca, "api.test")) as upstream,
        ConnectProxy(
            credentials=CREDENTIALS,
            hosts={
                "api.test:443": ("127.0.0.1", upstream.port),
                "idp.test:443": ("127.0.0.1", idp.port),
            },
        ) as egress,
        running_proxy(
            upstream="https://api.test",
            token_url="https://idp.test/connect/token",
            egress_proxy=egress.url,
            ca_file=ca_file,
        ) as proxy,
    ):
        got = await proxy.ask(request("GET /", host="localhost:8080"))
        assert got.head.value("Location") == "http://localhost:8080/next?x"
        assert {asked.target for asked in egress.requests} == {"api.test:443", "idp.test:443"}
        assert CREDENTIALS.partition(":")[2] not in str(proxy.logs)


@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 403 Forbidden\r\n\r\n", b"garbage\r\n\r\n"])
async def test_an_egress_proxy_that_refuses(tokens: TokenServer, answer: bytes | None) -> None:
    """502 `upstream_unreachable`, and the credentials stay here (G7)."""
    async with (
        ConnectProxy(answer=answer, credentials=None if answer else "other:one") as egress,
        running_proxy(
            upstream="https://api.test",
            token_url=tokens.token_url,
            no_proxy="127.0.0.1",
            egress_proxy=egress.url.replace("other:one", CREDENTIALS),
        ) as proxy,
    ):
        got = await proxy.ask(request("GET /"))
        assert_problem(got, 502, "upstream_unreachable")
        assert b"pr0xy-s3cret" not in got.body
        assert "pr0xy-s3cret" not in str(proxy.logs)


async def test_another_egress_proxy_carries_new_connections(
    ca: CA, ca_file: Path, tmp_path: Path, no_leaks: None
) -> None:
    """EGRESS_PROXY_FILE may change: half a URL changes nothing, a whole one is used (C4, G7)."""
    del no_leaks
    file = tmp_path / "egress"
    async with (
        TokenServer(tls=context_for(ca, "idp.test")) as idp,
        ByteServer(reply("200 OK", "Connection: close"), tls=context_for(ca, "api.test")) as up,
    ):
        hosts = {
            "api.test:443": ("127.0.0.1", up.port),
            "idp.test:443": ("127.0.0.1", idp.port),
        }
        async with (
            ConnectProxy(credentials=CREDENTIALS, hosts=hosts) as first,
            ConnectProxy(credentials="operator:an0ther-s3cret", hosts=hosts) as second,
        ):
            write(file, first.url + "\n")
            async with running_proxy(
                upstream="https://api.test",
                token_url="https://idp.test/connect/token",
                egress_proxy_file=file,
                ca_file=ca_file,
            ) as proxy:
                assert (await proxy.ask(request("GET /"))).status == 200
                assert {asked.target for asked in first.requests} == set(hosts)
                write(file, second.url[:-3] + "#/")
                proxy.control.reload()
                await proxy.metric_becomes(
                    1, "file_reload_failures_total", file="egress_proxy_file"
                )
                assert (await proxy.ask(request("GET /"))).status == 200
                assert not second.requests
                write(file, second.url)
                proxy.control.reload()
                await eventually(lambda: bool(events(proxy, "file_reloaded")), "the new URL")
                before = len(first.requests)
                assert (await proxy.ask(request("GET /"))).status == 200
                proxy.control.reload()
                await eventually(
                    lambda: {asked.target for asked in second.requests} == set(hosts),
                    "a token by the new egress proxy",
                )
                assert len(first.requests) == before
                for password in ("pr0xy-s3cret", "an0ther-s3cret"):
                    assert password not in str(proxy.logs)
                    assert password not in (await proxy.admin("GET /status")).body.decode()


CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize("size", [1, 8, 4096])
@pytest.mark.parametrize("is_flooded", [False, True], ids=["alone", "beside-a-flood"])
async def test_an_answer_that_waits_for_a_turn_outlives_its_connection(
    ca: CA, ca_file: Path, tls_tokens: TokenServer, size: int, *, is_flooded: bool
) -> None:
    """Nothing is lost of chunks behind which the upstream closes at once (F5, F7, G11)."""
    piece = b"%x\r\n%b\r\n" % (size, b"a" * size)
    count = 200_000 // size
    answer = CHUNKED_HEAD + piece * count + b"0\r\n\r\n"
    with AbruptServer(context_for(ca, "127.0.0.1"), answer) as upstream:
        async with running_proxy(
            upstream=upstream.url, token_url=tls_tokens.token_url, ca_file=ca_file, access_log="off"
        ) as proxy:
            flood = itertools.repeat(request("GET /", host="evil.example") * 4000)
            with contextlib.ExitStack() as stack:
                if is_flooded:
                    stack.enter_context(Flooder(flood, port=proxy.port))
                for _ in range(5):
                    assert len((await proxy.ask(request("GET /"), 30)).body) == size * count


async def test_a_slow_reader_outlives_the_connection_of_its_answer(
    ca: CA, ca_file: Path, tls_tokens: TokenServer
) -> None:
    """What is held back for it is not thrown away when the upstream closes (F5, F7)."""
    body = bytes(range(256)) * (6 << 12)
    answer = reply("200 OK", "Connection: close", body=body)
    with AbruptServer(context_for(ca, "127.0.0.1"), answer) as upstream:
        async with running_proxy(
            upstream=upstream.url, token_url=tls_tokens.token_url, ca_file=ca_file
        ) as proxy:
            for _ in range(5):
                caller = proxy.keep(await Channel.small("127.0.0.1", proxy.port))
                await caller.send(request("GET /"))
                await caller.read_head()
                got = bytearray()
                while len(got) < len(body):
                    got += await caller.read(min(1 << 16, len(body) - len(got)))
                assert got == body
