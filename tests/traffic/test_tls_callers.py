"""TLS from callers: what they are shown, what they have to show, and what becomes of bytes (I3)."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import time
from pathlib import Path
from typing import cast

import pytest
import trustme

from proxy.net.tls import peer_names
from proxy.net.tls_server import TlsFiles, load_server_tls
from proxy.net.tls_stream import TlsStream
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import ClosedEarlyError
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.tls_callers import (
    ServerFiles,
    caller_context,
    named_caller_context,
    tls_caller,
)
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, within

pytestmark = pytest.mark.usefixtures("no_leaks")

SPIFFE = "spiffe://example.com/ns/billing/sa/default"
YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
GET = request("GET /a", host="localhost:8443")
HEAD_SECONDS = 10.0  # HEAD_TIMEOUT_SECONDS


@pytest.fixture(scope="module")
def clients() -> trustme.CA:
    """Provide the authority of the callers."""
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path) -> ServerFiles:
    """Provide certificate and key of the traffic port."""
    return ServerFiles(tmp_path)


@pytest.fixture
def mutual(tmp_path: Path, clients: trustme.CA) -> ServerFiles:
    """Provide the same for callers that must have certificates."""
    return ServerFiles(tmp_path, clients)


def refusals(proxy: RunningProxy) -> list[str]:
    """Return the details of the handshakes that failed, from the access log."""
    return [log["detail"] for log in proxy.logs if log.get("outcome") == "tls_handshake"]


async def test_a_caller_gets_its_response_over_tls(tokens: TokenServer, files: ServerFiles) -> None:
    """TLS 1.3, HTTP/1.1 by ALPN, kept alive; the admin port stays plain (I3)."""
    async with proxied(tokens, reply(body=b"x" * 300_000), **files.settings) as (proxy, upstream):
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert caller.tls == ("TLSv1.3", "http/1.1")
        for _ in range(3):
            assert (await caller.ask(GET)).body == b"x" * 300_000
        assert len(upstream.requests) == 3
        assert (await proxy.admin("GET /readyz")).status == 200


async def test_large_bodies_go_both_ways(tokens: TokenServer, files: ServerFiles) -> None:
    """Byte for byte, in chunks and with a length, and several requests sent at once (F5)."""
    body = bytes(range(256)) * 16_000
    async with proxied(tokens, echo, **files.settings) as (proxy, _):
        caller = await tls_caller(proxy, caller_context(files.ca))
        sent = request("POST /", f"Content-Length: {len(body)}", body=body)
        assert (await caller.ask(sent, 30)).body == body
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        sent = request("POST /", "Transfer-Encoding: chunked", body=chunked)
        assert (await caller.ask(sent, 30)).body == body
        small = [request("POST /", "Content-Length: 3", body=b"%03d" % n) for n in range(50)]
        await caller.send(b"".join(small))
        assert [(await caller.read_answer()).body for _ in small] == [
            b"%03d" % n for n in range(50)
        ]


async def echo(sent: Message) -> bytes:
    """Return a response with the body of the request."""
    return reply(body=sent.body)


async def test_a_redirect_to_the_upstream_leads_back_by_https(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """The caller's origin has the scheme by which it came (F4)."""
    answers: list[bytes] = []

    async def answer(_: Message) -> bytes:
        return answers[0]

    async with proxied(tokens, answer, **files.settings) as (proxy, upstream):
        answers.append(reply("302 Found", f"Location: {upstream.url}/next?a=b"))
        caller = await tls_caller(proxy, caller_context(files.ca))
        location = (await caller.ask(GET)).head.value("Location")
        assert location == "https://localhost:8443/next?a=b"


async def test_an_absolute_target_may_be_https(tokens: TokenServer, files: ServerFiles) -> None:
    """By the caller's own name for the proxy; any other host stays refused (F3)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, upstream):
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert (await caller.ask(request("GET https://localhost:8443/a?b"))).status == 200
        assert upstream.requests[0].target == "/a?b"
        refused = await caller.ask(request("GET https://elsewhere.test/a"))
        assert_problem(refused, 421, "host_not_allowed")


async def test_plain_http_is_named_as_such(tokens: TokenServer, files: ServerFiles) -> None:
    """The caller reads what to do, and so does the operator (G10)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, upstream):
        answer = await proxy.ask(GET)
        assert_problem(answer, 400, "bad_request")
        assert b"This port speaks TLS; call it with https://." in answer.body
        socks = await proxy.ask(b"\x05\x01\x00")
        assert b"the bytes are SOCKS" in socks.body
        assert not upstream.requests
        told = [log["detail"] for log in proxy.logs if log.get("outcome") == "bad_request"]
        assert "call it with https://" in told[0]


FAULTS = {
    "TLS 1.1": "the caller offers no TLS 1.2 or later",
    "no certificate": "the caller showed no certificate",
    "foreign authority": "no authority in SIGNICAT_PROXY_TLS_CLIENT_CA_FILE signed",
    "expired": "the caller's certificate has expired",
    "distrust": "the caller closed the connection in the middle of the handshake; it may not trust",
}


def faulty_context(fault: str, files: ServerFiles, clients: trustme.CA) -> ssl.SSLContext:
    """Return the side of a caller that cannot get in."""
    good = clients.issue_cert("app.test")
    if fault == "TLS 1.1":
        context = caller_context(files.ca, good)
        with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
            context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
        return context
    return {
        "no certificate": lambda: caller_context(files.ca),
        "foreign authority": lambda: caller_context(files.ca, trustme.CA().issue_cert("app.test")),
        "expired": lambda: caller_context(
            files.ca, clients.issue_cert("app.test", not_after=YESTERDAY)
        ),
        "distrust": lambda: caller_context(trustme.CA(), good),
    }[fault]()


async def ask_by(proxy: RunningProxy, context: ssl.SSLContext) -> Message:
    """Send a request; in TLS 1.3 a caller learns that it is refused after its own last word."""
    return await (await tls_caller(proxy, context)).ask(GET)


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_failed_handshake_is_one_line_with_the_reason(
    fault: str, tokens: TokenServer, mutual: ServerFiles, clients: trustme.CA
) -> None:
    """It is counted, nothing goes up, the caller gets an alert, and others go on (I3)."""
    async with proxied(tokens, reply(), **mutual.settings) as (proxy, upstream):
        with pytest.raises((ssl.SSLError, ClosedEarlyError)) as caught:
            await ask_by(proxy, faulty_context(fault, mutual, clients))
        assert "alert" in str(caught.value).lower() or fault == "distrust", caught.value
        await eventually(lambda: len(refusals(proxy)) == 1, "the log")
        assert refusals(proxy)[0].startswith(FAULTS[fault])
        assert await proxy.metric("rejected_total", reason="tls_handshake") == 1
        assert not upstream.requests
        good = await tls_caller(proxy, caller_context(mutual.ca, clients.issue_cert("app.test")))
        assert (await good.ask(GET)).status == 200


class Resuming:
    """A caller's side that begins each connection with the session of the one before."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._port = port
        self._context = context
        self._session: ssl.SSLSession | None = None

    def ask(self) -> tuple[bool, bytes]:
        """Connect and send a request; return whether the session was resumed, and what came."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=10) as tcp:
            caller = self._context.wrap_socket(
                tcp, server_hostname="localhost", session=self._session
            )
            with caller:
                caller.sendall(GET)
                got = caller.recv(4096)
                self._session = caller.session
                return bool(caller.session_reused), got


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_ends_with_the_certificate_that_it_began_with(
    version: ssl.TLSVersion, tokens: TokenServer, mutual: ServerFiles, clients: trustme.CA
) -> None:
    """Resumed, it says who the caller is; but certificates that live for hours must end (I3)."""
    hour = dt.timedelta(hours=1)
    ends = dt.datetime.now(dt.UTC) + hour
    context = caller_context(mutual.ca, clients.issue_cert("app.test", not_after=ends))
    context.maximum_version = version
    async with proxied(tokens, reply(), **mutual.settings) as (proxy, _):
        caller = Resuming(proxy.port, context)
        for is_resumed in (False, True):
            found, got = await asyncio.to_thread(caller.ask)
            assert found == is_resumed
            assert got.startswith(b"HTTP/1.1 200")
        proxy.put_forward(hour.total_seconds())
        assert await asyncio.to_thread(caller.ask) == (True, b"")
        expired = ["the caller's certificate has expired"]
        await eventually(lambda: refusals(proxy) == expired, "the log")


async def test_callers_of_an_authority_below_another_are_let_in(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """It is enough to name the one that signs."""
    below = trustme.CA(parent_cert=trustme.CA())
    files = ServerFiles(tmp_path, below)
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        caller = await tls_caller(proxy, caller_context(files.ca, below.issue_cert("app.test")))
        assert (await caller.ask(GET)).status == 200


# --- slow and many ---


async def test_a_slow_handshake_disturbs_nobody_and_ends(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """HEAD_TIMEOUT_SECONDS bound it from the accept on, however its bytes drip (G6)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        slow = await proxy.connect()
        hello = b"\x16\x03\x01\x02\x00\x01"
        other = await tls_caller(proxy, caller_context(files.ca))

        async def drip() -> None:
            for byte in hello:
                await slow.send(bytes([byte]))
                assert (await other.ask(GET)).status == 200
                proxy.put_forward(1.6)
                await asyncio.sleep(0.05)
            proxy.put_forward(HEAD_SECONDS - 1.6 * len(hello))
            await slow.read_whatever(seconds=5)

        await within(drip(), "the end of a slow handshake")
        assert refusals(proxy) == ["the handshake was not complete within 10 seconds"]


async def test_connections_that_say_nothing_are_bounded(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """They count from their accept on, end without a word, and leave room for others (G6, G11)."""
    # Long enough for a busy machine to count them all before the first has to go.
    settings = files.settings | {"head_timeout_seconds": 5}
    async with proxied(tokens, reply(), **settings) as (proxy, _):
        idle = [await proxy.connect() for _ in range(300)]
        assert await proxy.metric("caller_connections") == 300
        caller = await tls_caller(proxy, caller_context(files.ca))
        assert (await caller.ask(GET)).status == 200
        for each in idle:
            assert not await each.read_whatever()
        assert refusals(proxy) == []


async def test_who_goes_in_the_middle_of_a_handshake_is_on_record(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """One that connects and goes, as a health check does, is not."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        (await proxy.connect()).close()
        caller = await proxy.connect()
        await caller.send(b"\x16\x03\x01\x02\x00\x01")
        caller.close()
        await eventually(lambda: len(refusals(proxy)) == 1, "the record")
        assert refusals(proxy)[0].startswith("the caller closed the connection in the middle")


# --- ends ---


async def test_the_end_of_a_response_is_the_end_of_tls(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """A connection that ends in good order ends with close_notify: nothing was cut off."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        for start in ("GET /", "TRACE /"):  # one that closes, and one that lingers
            caller = await tls_caller(proxy, caller_context(files.ca))
            answer = await caller.ask(request(start, "Connection: close"))
            assert answer.head.value("Connection") == "close"
            assert await caller.has_ended()  # an end without it would be an SSLError


async def test_a_caller_who_leaves_by_tls_alone_has_left(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """Its close_notify counts as the end of its TCP does (F7)."""
    async with proxied(tokens, None, **files.settings) as (proxy, upstream):
        caller = await tls_caller(proxy, caller_context(files.ca))
        await caller.send(GET)
        up = await upstream.accepted()
        await up.read_request()
        caller.close()
        await within(up.read_whatever(), "the upstream connection to end")


async def test_a_refusal_is_read_although_its_body_still_comes(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """What still comes is thrown away for a while, so that the reply is not lost (G9)."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        caller = await tls_caller(proxy, caller_context(files.ca))
        await caller.send(request("POST /../x", "Content-Length: 9000000", body=b"x" * 2_000_000))
        assert_problem(await caller.read_answer(), 400, "ambiguous_path")


async def test_a_drain_ends_handshakes_and_lets_requests_finish(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """At SIGTERM one connection shakes hands, one is idle, one waits for its response (C2)."""
    async with proxied(tokens, None, **files.settings) as (proxy, upstream):
        shaking = await proxy.connect()
        await shaking.send(b"\x16\x03\x01\x02\x00\x01")
        idle = await tls_caller(proxy, caller_context(files.ca))
        busy = await tls_caller(proxy, caller_context(files.ca))
        await busy.send(GET)
        up = await upstream.accepted()
        await up.read_request()
        proxy.stop()
        await shaking.read_whatever()
        assert await idle.has_ended()
        await up.send(reply(body=b"at last"))
        assert (await busy.read_answer()).body == b"at last"
        await within(proxy.ended.wait(), "the end")
        assert refusals(proxy) == []


@pytest.mark.parametrize("turns", range(6))
async def test_a_drain_ends_who_connects_as_it_begins(
    turns: int, tokens: TokenServer, files: ServerFiles
) -> None:
    """Whichever turn of the loop it is in: nobody waits for the handshake of one who is silent."""
    async with proxied(tokens, reply(), **files.settings) as (proxy, _):
        loop, late = asyncio.get_running_loop(), []
        for count in range(30):
            late.append(socket.socket())
            late[-1].settimeout(0)
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                late[-1].connect(("127.0.0.1", proxy.port))
            if count == 10:
                proxy.stop()
            if count % 5 == 0:
                for _ in range(turns):
                    await asyncio.sleep(0)
        began = loop.time()
        await within(proxy.ended.wait(), "the end", HEAD_SECONDS + 5)
        assert loop.time() - began < HEAD_SECONDS - 1
        for each in late:
            each.close()


async def test_a_handshake_that_ends_in_a_drain_is_no_late_request(
    tokens: TokenServer, files: ServerFiles
) -> None:
    """Such a caller reads the end of TLS, as any other that is idle, and no 408 (C2)."""
    async with proxied(tokens, None, **files.settings) as (proxy, upstream):
        busy = await tls_caller(proxy, caller_context(files.ca))
        await busy.send(GET)
        up = await upstream.accepted()
        await up.read_request()
        shaking = await proxy.connect()
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        caller = caller_context(files.ca).wrap_bio(came, goes, server_hostname="localhost")
        with pytest.raises(ssl.SSLWantReadError):
            caller.do_handshake()
        await shaking.send(goes.read())
        while not caller.version() or not goes.pending:  # its last word waits to be sent
            header = await shaking.read(5)
            came.write(header + await shaking.read(int.from_bytes(header[3:])))
            with contextlib.suppress(ssl.SSLWantReadError):
                caller.do_handshake()
        proxy.stop()
        await eventually(lambda: any(log["event"] == "draining" for log in proxy.logs), "the drain")
        await shaking.send(goes.read())
        await shaking.read_whatever()
        await up.send(reply())
        await busy.read_answer()
        await within(proxy.ended.wait(), "the end")
        assert [log for log in proxy.logs if log.get("outcome") == "request_timeout"] == []


# --- who a caller is ---


class Named(asyncio.Protocol):
    """Notes the names of who has connected, once TLS stands."""

    def __init__(self) -> None:
        self.names: list[tuple[str, ...]] = []
        self.is_secured = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Look before the handshake."""
        self.transport = transport
        self.names.append(peer_names(transport, "URI", "DNS"))

    def on_handshake(self) -> None:
        """Go on at once."""
        cast("TlsStream", self.transport).shake_hands()

    def on_secured(self) -> None:
        """Look again."""
        self.names.append(peer_names(self.transport, "URI", "DNS"))
        self.is_secured.set()

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Be no part of these tests."""
        raise error

    def on_plain(self, data: bytes) -> None:
        """Be no part of these tests."""
        raise AssertionError(data)


@pytest.mark.parametrize("is_demanded", [True, False])
async def test_the_names_of_a_caller_are_those_of_its_certificate(
    *, is_demanded: bool, tmp_path: Path, clients: trustme.CA, no_leaks: None
) -> None:
    """URI and DNS, no others, and none before they are proved or where nobody asked (I3)."""
    del no_leaks
    files = ServerFiles(tmp_path, clients)
    client_ca = files.client_ca if is_demanded else None
    tls = load_server_tls(TlsFiles(files.cert, files.key, client_ca), time.time)
    named, loop = Named(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: cast("asyncio.Protocol", TlsStream(lambda: tls.context, named, loop)),
        "127.0.0.1",
        0,
    )
    _, writer = await asyncio.open_connection(
        *server.sockets[0].getsockname(),
        ssl=named_caller_context(files.ca, clients, tmp_path, dns="app.test", uri=SPIFFE),
        server_hostname="localhost",
    )
    await within(named.is_secured.wait(), "the handshake")
    expected = ("app.test", SPIFFE) if is_demanded else ()
    assert [sorted(names) for names in named.names] == [[], sorted(expected)]
    writer.close()
    server.close()
