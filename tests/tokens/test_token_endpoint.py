"""One call of the token endpoint, over real connections: what is sent, and how it can fail."""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from proxy import __version__
from proxy.clock import SYSTEM_CLOCK
from proxy.net.dialer import Dialer
from proxy.net.egress import EgressProxy, parse_egress_proxy
from proxy.net.name_cache import NameCache
from proxy.net.tls import client_context
from proxy.oauth.endpoint import Attempt, TokenEndpoint, basic_credentials
from proxy.oauth.response import Failure, Grant
from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import Message, reply
from tests.support.open_files import confused_loop, no_open_files
from tests.support.peers import ByteServer, eventually, within
from tests.support.ports import refusing_port
from tests.support.scripted_resolver import ScriptedResolver, address

pytestmark = pytest.mark.usefixtures("no_leaks")

CLIENT_ID, SECRET = "dev-a b-1", "p+q/r=%s:t"
BASIC = "Basic ZGV2LWErYi0xOnAlMkJxJTJGciUzRCUyNXMlM0F0"
BODY = json.dumps({"access_token": "tkn", "expires_in": 600, "token_type": "Bearer"}).encode()
GRANT = Grant("tkn", 600.0, None)
MIB = 1 << 20
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@contextlib.asynccontextmanager
async def endpoint_at(url: str, **changes: Any) -> AsyncIterator[TokenEndpoint]:
    """Provide a token endpoint with that URL; it is closed at the end."""
    settings: dict[str, Any] = {
        "client_auth": "client_secret_post",
        "scope": "signicat-api",
        "timeout_seconds": 10.0,
        "tls": client_context(None),
        "egress": None,
        "names": NameCache(clock=SYSTEM_CLOCK),
    }
    endpoint = TokenEndpoint(
        url=url, client_id=CLIENT_ID, wall=SYSTEM_CLOCK.wall, **(settings | changes)
    )
    try:
        yield endpoint
    finally:
        await endpoint.close()


async def ask(url: str, **changes: Any) -> Attempt:
    """Return what one call brings."""
    async with endpoint_at(url, **changes) as endpoint:
        return await within(endpoint.request(SECRET), "the attempt")


async def ask_server(response: bytes) -> Attempt:
    """Return what one call brings if the server responds so."""
    async with ByteServer(response) as server:
        return await ask(server.url)


# --- what is sent ---

FORM = b"grant_type=client_credentials"
CREDENTIALS = b"&client_id=dev-a+b-1&client_secret=p%2Bq%2Fr%3D%25s%3At"
SENT = {
    ("client_secret_basic", "signicat-api"): (BASIC, FORM + b"&scope=signicat-api"),
    ("client_secret_basic", ""): (BASIC, FORM),
    ("client_secret_post", "a b"): (None, FORM + b"&scope=a+b" + CREDENTIALS),
    ("client_secret_post", ""): (None, FORM + CREDENTIALS),
}


@pytest.mark.parametrize(("settings", "expected"), SENT.items())
async def test_credentials_go_one_way(
    settings: tuple[str, str], expected: tuple[str | None, bytes]
) -> None:
    """T11: the secret goes encoded in the header or in the form, never in both; no empty scope."""
    client_auth, scope = settings
    async with ByteServer(reply(body=BODY)) as server:
        url = server.url + "/auth/open/connect/token"
        assert await ask(url, client_auth=client_auth, scope=scope) == Attempt(GRANT)
        (sent,) = server.requests
    assert (sent.method, sent.target) == ("POST", "/auth/open/connect/token")
    assert (sent.head.value("Authorization"), sent.body) == expected
    assert sent.head.value("Content-Type") == "application/x-www-form-urlencoded"
    assert sent.head.value("Accept") == "application/json"
    assert sent.head.value("User-Agent") == f"signicat-proxy/{__version__}"


def test_basic_credentials_are_encoded() -> None:
    """T11: each half is form-encoded as UTF-8 on its own before a colon joins them."""
    assert basic_credentials("a:b", "c") == "Basic YSUzQWI6Yw=="
    assert basic_credentials("ø", "å") == "Basic JUMzJUI4OiVDMyVBNQ=="


async def test_a_connection_is_kept_and_no_cookie() -> None:
    """T11: a second call uses the first one's connection, and sends back no cookie."""
    names = NameCache(clock=SYSTEM_CLOCK, resolver=ScriptedResolver())
    async with (
        ByteServer(reply("200 OK", "Set-Cookie: a=b", body=BODY)) as server,
        # By a name: no cookie jar keeps what an address sets.
        endpoint_at(f"http://signicat.test:{server.port}/", names=names) as endpoint,
    ):
        assert endpoint.scope == "signicat-api"
        assert await endpoint.request("one") == await endpoint.request("two") == Attempt(GRANT)
        assert len(server.connections) == 1
        assert [message.head.values("Cookie") for message in server.requests] == [[], []]
        await endpoint.close()  # a second time at the end is no harm


# --- what comes back ---


async def test_no_redirect_is_followed() -> None:
    """T11: a redirect is a failure, and its target never hears of the secret."""
    async with ByteServer(reply(body=BODY)) as target:
        location = f"Location: {target.url}/"
        for status in ("301 Moved", "302 Found", "307 Temporary", "308 Permanent"):
            attempt = await ask_server(reply(status, location))
            assert attempt.result == Failure("redirect", detail=f"status {status[:3]}")
        assert target.connections == []


@pytest.mark.parametrize(
    ("header", "is_kept"),
    [("0AF76519-16cd", True), ("a" * 64, True), ("a" * 65, False), ("x y", False), ("\xe9", False)],
)
async def test_a_valid_trace_id_is_kept(header: str, *, is_kept: bool) -> None:
    """L: `x-trace-id` is kept if it is hexadecimal and short, for people to ask Signicat with."""
    attempt = await ask_server(reply("500 Oops", f"x-trace-id: {header}", body=BODY))
    assert attempt.trace_id == (header if is_kept else None)


async def test_an_error_is_read_with_its_headers() -> None:
    """T5: status and `Retry-After` of a refusal reach the reader of responses, in any case."""
    busy = reply("429 Too Many Requests", "retry-after: 7")
    assert await ask_server(busy) == Attempt(Failure("http_429", retry_after_seconds=7.0))


def chunked(body: bytes) -> bytes:
    """Return a chunked response."""
    return CHUNKED + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


def zipped(body: bytes) -> bytes:
    """Return a compressed response."""
    return reply("200 OK", "Content-Encoding: gzip", body=gzip.compress(body))


@pytest.mark.parametrize("size", [len(BODY), MIB])
@pytest.mark.parametrize("frame", [lambda body: reply(body=body), chunked, zipped])
async def test_any_framing_is_read_up_to_a_mebibyte(frame: Any, size: int) -> None:
    """T8: a body of up to 1 MiB counts, plain, chunked or compressed."""
    assert await ask_server(frame(BODY.ljust(size))) == Attempt(GRANT)


@pytest.mark.parametrize("size", [MIB + 1, 64 * MIB])
@pytest.mark.parametrize("frame", [chunked, zipped])
async def test_a_body_over_a_mebibyte_is_unusable(frame: Any, size: int) -> None:
    """T8: a body over 1 MiB is given up at once, also where only unpacking makes it so large."""
    attempt = await ask_server(frame(BODY.ljust(size)))
    assert attempt.result == Failure("unusable_answer", detail="the response is over 1 MiB")


# --- how it fails ---


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
async def test_silence_is_a_timeout(sent: bytes) -> None:
    """T5: the limit holds for the whole call, also in the middle of a response."""
    async with ByteServer(sent) as server:
        expected = Failure("timeout", detail="0.1 seconds")
        assert await ask(server.url, timeout_seconds=0.1) == Attempt(expected)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        CHUNKED + b"5\r\n{",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        reply("200 OK", "Content-Encoding: gzip", body=BODY),
    ],
    ids=lambda it: repr(it[15:50]),
)
@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_broken_response_is_a_lost_connection(sent: bytes, end: str) -> None:
    """T5: a response that ends early, or is no HTTP, is a failure that may pass, not a crash."""

    async def break_off(_: Message) -> None:
        channel = server.connections[-1]
        await channel.send(sent)
        if end == "reset":
            channel.reset()

    async with ByteServer(break_off) as server:
        assert await ask(server.url) == Attempt(Failure("connection_lost"))


async def test_a_closed_port_is_a_failed_connection() -> None:
    """T5: where nobody listens, the attempt fails at once, with a reason."""
    with refusing_port() as port:
        result = (await ask(f"http://127.0.0.1:{port}")).result
    assert isinstance(result, Failure)
    assert (result.outcome, bool(result.detail)) == ("connect_failed", True)


@pytest.mark.parametrize("host", ["127.0.0.1", "signicat.test"])
@pytest.mark.parametrize("is_far", [False, True], ids=["direct", "through an egress proxy"])
async def test_the_limit_of_open_files_is_named(host: str, *, is_far: bool) -> None:
    """T5: what this process lacks is not blamed on the network."""
    names = NameCache(clock=SYSTEM_CLOCK, resolver=ScriptedResolver())
    egress = EgressProxy(host, 1) if is_far else None
    async with endpoint_at(f"http://{host}:1/", names=names, egress=egress) as endpoint:
        with no_open_files():
            attempt = await endpoint.request(SECRET)
    expected = Failure("too_many_open_files", detail="the limit of open files is reached")
    assert attempt == Attempt(expected)


async def test_a_loop_that_is_confused_is_a_failed_connection() -> None:
    """C3: the loop raises RuntimeError where a descriptor seems to be in use; nobody dies of it."""
    async with ByteServer(reply(body=BODY)) as server, endpoint_at(server.url) as endpoint:
        async with confused_loop():
            attempt = await endpoint.request(SECRET)
        detail = "the event loop could not connect"
        assert attempt == Attempt(Failure("connect_failed", detail=detail))
        assert await endpoint.request(SECRET) == Attempt(GRANT)


@pytest.mark.parametrize("error", [ValueError("no"), LookupError("no"), AssertionError("no")])
async def test_whatever_is_raised_is_a_failure(error: Exception) -> None:
    """C3: no exception on the way to the endpoint ends the task that renews tokens."""
    names = NameCache(clock=SYSTEM_CLOCK, resolver=ScriptedResolver(error))
    attempt = await ask("http://signicat.test/", names=names)
    detail = f"unexpected {type(error).__name__}"
    assert attempt == Attempt(Failure("connection_lost", detail=detail))


async def test_an_unknown_name_is_a_dns_failure() -> None:
    """T5: a name without an address is told apart from a connection that failed."""
    assert await ask("http://no-such-host.invalid") == Attempt(Failure("dns_failed"))


# --- names ---

OUTAGE = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")


def names_by(*answers: Exception | None) -> NameCache:
    """Return names that are answered so, and with loopback after that."""
    return NameCache(clock=SYSTEM_CLOCK, resolver=ScriptedResolver(*answers))


async def test_the_token_endpoint_and_the_upstream_share_names() -> None:
    """F13: what was found for a token serves the upstream where its own lookup fails."""
    async with ByteServer(reply(body=BODY)) as server:
        resolver = ScriptedResolver([address()], *[OUTAGE] * 2)
        names = NameCache(clock=SYSTEM_CLOCK, resolver=resolver)
        assert await ask(f"http://signicat.test:{server.port}/", names=names) == Attempt(GRANT)
        upstream = Dialer(
            "signicat.test", server.port, names=names, tls=None, connect_timeout_seconds=5
        )
        transport, _ = await within(upstream.dial(asyncio.Protocol), "a connection")
        transport.close()
        assert await ask(f"http://signicat.test:{server.port}/", names=names) == Attempt(GRANT)
        assert resolver.asked == ["signicat.test"] * 3


async def test_a_name_is_looked_up_for_every_connection() -> None:
    """F13: nothing but the names that all share remembers an address."""
    resolver = ScriptedResolver()
    names = NameCache(clock=SYSTEM_CLOCK, resolver=resolver)
    async with (
        ByteServer(reply("200 OK", "Connection: close", body=BODY)) as server,
        endpoint_at(f"http://signicat.test:{server.port}/", names=names) as endpoint,
    ):
        for _ in range(3):
            assert await endpoint.request(SECRET) == Attempt(GRANT)
    assert len(resolver.asked) == 3


async def test_a_lost_question_to_the_name_server_costs_no_token() -> None:
    """F13: a lookup that hesitates gets another beside it, well before the time is over."""
    async with ByteServer(reply(body=BODY)) as server:
        url = f"http://signicat.test:{server.port}/"
        assert await ask(url, names=names_by(None), timeout_seconds=5) == Attempt(GRANT)


@pytest.mark.parametrize(
    ("answers", "seconds", "expected"),
    [
        ([OUTAGE], 9, Failure("dns_failed")),
        ([None, None], 0.1, Failure("timeout", detail="0.1 seconds")),
    ],
)
async def test_a_name_without_an_address_is_named(
    answers: list[Exception | None], seconds: float, expected: Failure
) -> None:
    """T5: a lookup that fails is told apart from one that hangs."""
    attempt = await ask("http://signicat.test/", names=names_by(*answers), timeout_seconds=seconds)
    assert attempt == Attempt(expected)


async def test_the_name_of_the_egress_proxy_is_looked_up_alike(tls: ssl.SSLContext) -> None:
    """F13: with an egress proxy it is the only name that is looked up here."""
    async with tls_server("signicat.test") as server:
        hosts = {"signicat.test:443": ("127.0.0.1", server.port)}
        async with ConnectProxy(hosts=hosts) as proxy:
            resolver = ScriptedResolver()
            attempt = await ask(
                "https://signicat.test",
                tls=tls,
                egress=EgressProxy("egress.test", proxy.port),
                names=NameCache(clock=SYSTEM_CLOCK, resolver=resolver),
            )
        assert (attempt, resolver.asked) == (Attempt(GRANT), ["egress.test"])


async def test_a_cancelled_call_leaves_nothing() -> None:
    """C: cancellation goes through and closes the connection."""
    async with ByteServer() as server, endpoint_at(server.url) as endpoint:
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(endpoint.request(SECRET))
            channel = await server.accepted()
            await channel.read_request()
            asking.cancel()
        assert asking.cancelled()
        assert await channel.read_whatever()
        assert SECRET not in repr(endpoint)


# --- TLS and the egress proxy ---

CA = trustme.CA()
NOT_VALID = "certificate is not valid"


def tls_server(name: str = "127.0.0.1", authority: trustme.CA = CA) -> ByteServer:
    """Return a server with a certificate for `name`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return ByteServer(reply(body=BODY), tls=context)


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """Provide a context that trusts one authority alone."""
    CA.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return client_context(tmp_path / "ca.pem")


@pytest.mark.parametrize(
    ("server", "detail"),
    [
        (tls_server(authority=trustme.CA()), "unable to get local issuer certificate"),
        (tls_server("elsewhere.test"), f"IP address mismatch, {NOT_VALID} for '127.0.0.1'."),
    ],
)
async def test_a_certificate_must_be_good(
    tls: ssl.SSLContext, server: ByteServer, detail: str
) -> None:
    """G8: an unverified server never gets the secret, and the cause says what is wrong."""
    async with server:
        result = (await ask(server.url, tls=tls)).result
        assert result == Failure("tls_failed", detail=f"certificate: {detail}")
        assert server.requests == []


async def test_a_server_without_tls_is_a_tls_failure(tls: ssl.SSLContext) -> None:
    """G8: a response in plain text to a TLS handshake is named as such."""
    async with ByteServer(reply()) as server, asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(ask(server.url.replace("http", "https"), tls=tls))
        await eventually(lambda: bool(server.connections), "a connection")
        await server.connections[0].send(reply())
        assert (await asking) == Attempt(Failure("tls_failed"))


@pytest.mark.parametrize("credentials", [None, "user:pa ss"])
async def test_the_egress_proxy_is_used(tls: ssl.SSLContext, credentials: str | None) -> None:
    """T11: the call goes through the CONNECT proxy, with its credentials where there are any."""
    async with tls_server() as server, ConnectProxy(credentials=credentials) as proxy:
        egress = parse_egress_proxy(proxy.url.replace(" ", "%20"))
        assert await ask(server.url, tls=tls, egress=egress) == Attempt(GRANT)
        assert [request.target for request in proxy.requests] == [f"127.0.0.1:{server.port}"]
        assert server.requests[0].head.values("Proxy-Authorization") == []


async def test_a_host_with_a_dot_at_its_end_is_reached_through_the_egress_proxy(
    tls: ssl.SSLContext,
) -> None:
    """T11: as it is without one: no certificate has that dot."""
    async with tls_server("signicat.test") as server:
        hosts = {"signicat.test.:443": ("127.0.0.1", server.port)}
        async with ConnectProxy(hosts=hosts) as proxy:
            egress = EgressProxy("127.0.0.1", proxy.port)
            attempt = await ask("https://signicat.test./token", tls=tls, egress=egress)
    assert attempt == Attempt(GRANT)


async def test_a_plain_request_goes_to_the_egress_proxy_itself() -> None:
    """T11: without TLS there is no tunnel, so the request carries the proxy's credentials, once."""
    async with ByteServer(reply(body=BODY)) as proxy:
        egress = parse_egress_proxy(f"http://user:pa%20ss@127.0.0.1:{proxy.port}")
        assert await ask("http://signicat.test/token", egress=egress) == Attempt(GRANT)
        (sent,) = proxy.requests
    assert (sent.method, sent.target) == ("POST", "http://signicat.test/token")
    assert sent.head.values("Proxy-Authorization") == ["Basic dXNlcjpwYSBzcw=="]


@pytest.mark.parametrize("answer", [b"HTTP/1.1 403 Forbidden\r\n\r\n", None])
async def test_an_egress_proxy_that_refuses_is_named(answer: bytes | None) -> None:
    """T5: a proxy that refuses or wants credentials is told apart from the endpoint."""
    async with ConnectProxy(answer=answer, credentials="a:b" if answer is None else None) as proxy:
        egress = EgressProxy("127.0.0.1", proxy.port)
        assert await ask("https://127.0.0.1", egress=egress) == Attempt(Failure("egress_proxy"))


@pytest.mark.parametrize("url", ["https://signicat.test", "http://signicat.test/token"])
async def test_an_egress_proxy_without_an_address_is_named(url: str) -> None:
    """T5: with an egress proxy no other name is looked up, so its setting is the one to check."""
    failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    names = NameCache(clock=SYSTEM_CLOCK, resolver=ScriptedResolver(failure))
    attempt = await ask(url, egress=EgressProxy("egress.test", 3128), names=names)
    assert attempt.result == Failure("egress_proxy", detail="its name cannot be resolved")


@pytest.mark.parametrize("host", ["a..b", "x" * 64 + ".test"])
async def test_a_host_that_is_no_name(host: str) -> None:
    """T5: a name that cannot be encoded is a name that cannot be found, not a crash."""
    attempt = await ask(f"http://{host}:1/token")
    assert attempt.result == Failure("dns_failed")
