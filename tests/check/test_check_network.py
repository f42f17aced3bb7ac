"""`signicat-proxy check` and the outbound path: DNS, TCP, TLS, egress proxy, with real failures."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from proxy.check.network import Destination, destinations
from proxy.clock import Clock
from tests.support.certificates import context_for
from tests.support.checking import Results, check, settings_for
from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import reply
from tests.support.peers import ByteServer
from tests.support.ports import refusing_port
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, task_group

pytestmark = pytest.mark.usefixtures("no_leaks")

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)
UPSTREAM = "SIGNICAT_PROXY_UPSTREAM_URL"
EGRESS = "SIGNICAT_PROXY_EGRESS_PROXY"


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    """Provide a certificate authority."""
    return trustme.CA()


@pytest.fixture
def ca_file(ca: trustme.CA, tmp_path: Path) -> Path:
    """Provide the file that makes the proxy trust it."""
    path = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
async def tls_upstream(ca: trustme.CA, no_leaks: None) -> AsyncIterator[ByteServer]:
    """Provide an upstream over TLS."""
    del no_leaks
    async with ByteServer(reply(), tls=context_for(ca, "127.0.0.1")) as server:
        yield server


def first(results: Results, check_id: str) -> tuple[str, str, str]:
    """Return state, detail and fix of a check's first result: that of the upstream."""
    result = results.of(check_id)[0]
    return result.state, result.detail, result.fix or ""


async def test_a_good_path_is_told_step_by_step(
    ca_file: Path, tls_upstream: ByteServer, tokens: TokenServer
) -> None:
    """Address, TLS version, issuer and end of the certificate are told; one connection does."""
    results = await check(
        settings_for(upstream=tls_upstream.url, token_url=tokens.token_url, ca_file=ca_file),
        with_call=False,
    )
    assert results.failed == []
    assert first(results, "dns") == ("ok", "127.0.0.1", "")
    assert first(results, "tcp") == ("ok", "connected", "")
    state, detail, _ = first(results, "tls")
    assert (state, detail.startswith("TLSv1.3, certificate issued by ")) == ("ok", True)
    assert results.skipped["egress_proxy"] == f"{EGRESS} is not set"
    assert results.skipped["tls"] == "SIGNICAT_PROXY_TOKEN_URL is plain http://"
    assert results.skipped["call"] == "--no-call was given"
    await eventually(lambda: bool(tls_upstream.connections), "the connection to be accepted")
    assert (len(tls_upstream.connections), tls_upstream.requests) == (1, [])


UNTRUSTED = {
    "unknown authority": (trustme.CA, "127.0.0.1", {}, "unable to get local issuer", "CA_FILE"),
    "wrong name": (None, "elsewhere.test", {}, "not valid for '127.0.0.1'", UPSTREAM),
    "expired": (None, "127.0.0.1", {"not_after": NOW - DAY}, "expired", "clock of this machine"),
    "not yet valid": (
        None,
        "127.0.0.1",
        {"not_before": NOW + DAY},
        "not yet valid",
        "clock of this machine",
    ),
}


@pytest.mark.parametrize(
    ("foreign", "name", "dates", "detail", "fix"), UNTRUSTED.values(), ids=UNTRUSTED.keys()
)
async def test_a_certificate_that_is_not_valid(
    ca: trustme.CA,
    ca_file: Path,
    tokens: TokenServer,
    foreign: type[trustme.CA] | None,
    name: str,
    dates: dict[str, dt.datetime],
    detail: str,
    fix: str,
) -> None:
    """What is wrong with a certificate is told in OpenSSL's words; the token is looked at still."""
    context = context_for(ca if foreign is None else foreign(), name, **dates)
    async with ByteServer(reply(), tls=context) as upstream:
        results = await check(
            settings_for(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file)
        )
    assert results.failed == ["tls"]
    state, seen, advice = first(results, "tls")
    assert (state, detail in seen, fix in advice) == ("failed", True, True), (seen, advice)
    assert results.one("token").state == "ok"
    assert results.skipped["call"] == f"tls of 127.0.0.1:{upstream.port} failed"


async def test_a_certificate_that_ends_soon(
    ca: trustme.CA, ca_file: Path, tokens: TokenServer
) -> None:
    """Less than two weeks are a warning: everything works, still."""
    context = context_for(ca, "127.0.0.1", not_after=NOW + 3 * DAY)
    async with ByteServer(reply(), tls=context) as upstream:
        results = await check(
            settings_for(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file)
        )
    state, _, fix = first(results, "tls")
    assert (state, UPSTREAM in fix, results.failed) == ("warning", True, [])
    assert results.one("call").state == "ok"


async def test_no_tls_on_the_port(tokens: TokenServer) -> None:
    """https:// to a port that speaks plain HTTP fails in TLS, and only there."""
    async with ByteServer() as plain, task_group() as tasks:

        async def refuse() -> None:
            channel = await plain.accepted()
            await channel.read(1)
            await channel.send(reply("400 Bad Request"))

        tasks.create_task(refuse(), name="peer")
        url = plain.url.replace("http:", "https:")
        results = await check(settings_for(upstream=url, token_url=tokens.token_url))
    assert results.failed == ["tls"]
    assert "TLS 1.2 or later" in first(results, "tls")[2]


async def test_a_host_that_does_not_respond(tokens: TokenServer) -> None:
    """Silence ends with CONNECT_TIMEOUT_SECONDS, which the fix names, and the step is known."""
    async with ByteServer() as silent:
        results = await check(
            settings_for(
                upstream=silent.url.replace("http:", "https:"),
                token_url=tokens.token_url,
                connect_timeout_seconds=1,
            )
        )
    state, detail, fix = first(results, "tls")
    assert (state, detail) == ("failed", "no response within 1 s, at: TLS handshake")
    assert "SIGNICAT_PROXY_CONNECT_TIMEOUT_SECONDS" in fix


async def test_a_token_endpoint_that_does_not_respond(tokens: TokenServer) -> None:
    """The token endpoint's time is TOKEN_TIMEOUT_SECONDS; its client is skipped, and why."""
    async with ByteServer() as silent:
        results = await check(
            settings_for(
                upstream=tokens.url,
                token_url=silent.url.replace("http:", "https:") + "/t",
                token_timeout_seconds=1,
            )
        )
    assert results.failed == ["tls"]
    fix = results.of("tls")[1].fix or ""
    assert "SIGNICAT_PROXY_TOKEN_TIMEOUT_SECONDS" in fix
    assert "SIGNICAT_PROXY_TOKEN_URL" in fix
    why = f"tls of 127.0.0.1:{silent.port} failed"
    assert [results.skipped[check] for check in ("clock", "token", "scope", "call")] == [why] * 4


async def test_an_unknown_host(tokens: TokenServer) -> None:
    """A name without an address fails in DNS; nothing behind it is tried."""
    results = await check(
        settings_for(upstream="https://no-such-host.invalid", token_url=tokens.token_url)
    )
    assert results.failed == ["dns"]
    assert UPSTREAM in first(results, "dns")[2]
    assert (results.skipped["tcp"], results.of("tls")[0].detail) == ("dns failed", "dns failed")


async def test_a_refused_port(tokens: TokenServer) -> None:
    """A port on which nobody listens fails in TCP."""
    with refusing_port() as port:
        results = await check(
            settings_for(upstream=f"https://127.0.0.1:{port}", token_url=tokens.token_url)
        )
    assert results.failed == ["tcp"]
    state, detail, fix = first(results, "tcp")
    assert (state, detail, UPSTREAM in fix) == ("failed", "ECONNREFUSED", True)


async def test_through_an_egress_proxy(ca: trustme.CA, ca_file: Path) -> None:
    """DNS and TCP are the egress proxy's own, with its name; the tunnel is a check of its own."""
    async with (
        TokenServer(tls=context_for(ca, "signicat.test")) as server,
        ConnectProxy(
            hosts={f"signicat.test:{server.port}": ("127.0.0.1", server.port)},
            credentials="user:MARK-password",
        ) as egress,
    ):
        url = f"https://signicat.test:{server.port}"
        results = await check(
            settings_for(
                upstream=url,
                token_url=f"{url}/connect/token",
                ca_file=ca_file,
                egress_proxy=egress.url,
            ),
            with_call=False,
        )
    assert results.failed == []
    assert results.one("tcp").target == f"http://127.0.0.1:{egress.port}"
    assert results.one("egress_proxy").detail == "the egress proxy opens a tunnel"
    assert results.one("tls").target == f"signicat.test:{server.port}"
    assert results.one("token").state == "ok"
    assert "MARK-password" not in repr(results)


FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
REFUSING = {
    "rules": (ConnectProxy(answer=FORBIDDEN), "", "CONNECT was refused with 403", "rules"),
    "no password": (ConnectProxy(credentials="u:p"), "", "407", "user:password"),
    "wrong password": (ConnectProxy(credentials="u:p"), "u:MARK@", "407", "user:password"),
    "hangs up": (ConnectProxy(behaviour="close"), "", "closed by the egress proxy", EGRESS),
    "no proxy": (ConnectProxy(answer=b"220 mail ready\r\n"), "", "not HTTP/1", EGRESS),
}


@pytest.mark.parametrize(("egress", "user", "detail", "fix"), REFUSING.values(), ids=REFUSING)
async def test_an_egress_proxy_that_opens_no_tunnel(
    egress: ConnectProxy, user: str, detail: str, fix: str
) -> None:
    """Its refusal is a result of its own, with what to do about this one."""
    async with egress:
        results = await check(
            settings_for(
                upstream="https://signicat.test",
                token_url="https://signicat.test/t",
                egress_proxy=f"http://{user}127.0.0.1:{egress.port}",
            )
        )
    assert results.failed == ["egress_proxy"]
    state, seen, advice = first(results, "egress_proxy")
    assert (state, detail in seen) == ("failed", True), seen
    assert fix in advice
    assert EGRESS in advice
    assert results.one("tls").detail == "egress_proxy failed"
    assert "MARK" not in repr(results)


async def test_an_egress_proxy_that_is_not_there(tokens: TokenServer) -> None:
    """A refused port of the egress proxy is named as such; NO_PROXY is respected."""
    with refusing_port() as port:
        results = await check(
            settings_for(
                upstream="https://signicat.test",
                token_url=tokens.token_url,
                egress_proxy=f"http://127.0.0.1:{port}",
                no_proxy="127.0.0.1",
            )
        )
    assert results.failed == ["tcp"]
    assert (first(results, "tcp")[1], EGRESS in first(results, "tcp")[2]) == (
        "ECONNREFUSED",
        True,
    )
    assert results.of("egress_proxy")[1].detail.startswith("SIGNICAT_PROXY_NO_PROXY exempts")
    assert results.one("token").state == "ok"


async def test_a_plain_token_request_has_no_tunnel(tokens: TokenServer) -> None:
    """A plain http:// token request goes to the egress proxy as it is: no CONNECT is tried."""
    async with ByteServer(reply(body=b"{}")) as egress:
        results = await check(
            settings_for(
                upstream=tokens.url,
                token_url="http://idp.test/t",
                unsafe_plain_http="true",
                egress_proxy=egress.url,
                no_proxy="127.0.0.1",
            )
        )
        assert [message.method for message in egress.requests] == ["POST"]
    assert "without a tunnel" in results.skipped["egress_proxy"]
    assert results.failed == ["token"]
    warned = [result.target for result in results.of("settings")]
    assert "SIGNICAT_PROXY_UNSAFE_PLAIN_HTTP" in warned


async def test_the_clock_is_told_where_a_certificate_seems_out_of_date(
    ca: trustme.CA, ca_file: Path, tokens: TokenServer
) -> None:
    """A clock of the wrong year makes good certificates look bad, so the fix tells its time."""
    context = context_for(ca, "127.0.0.1", not_after=NOW - DAY)
    async with ByteServer(reply(), tls=context) as upstream:
        results = await check(
            settings_for(upstream=upstream.url, token_url=tokens.token_url, ca_file=ca_file),
            clock=Clock(wall=lambda: 946_684_800.0),
        )
    assert "it says 2000-01-01 00:00 UTC" in first(results, "tls")[2]


def test_hosts_are_looked_at_once() -> None:
    """Upstream and token endpoints on one host are one destination; others have their own."""
    same = settings_for(upstream="https://a.test/base", token_url="https://a.test:443/token")
    assert [one.setting for one in destinations(same).values()] == [UPSTREAM]
    apart = settings_for(upstream="https://[::1]:8443", token_url="https://a.test/token")
    assert list(destinations(apart)) == [("https", "[::1]:8443"), ("https", "a.test:443")]
    assert destinations(apart)["https", "a.test:443"] == Destination(
        "https://a.test/token",
        "SIGNICAT_PROXY_TOKEN_URL",
        "SIGNICAT_PROXY_TOKEN_TIMEOUT_SECONDS",
        10.0,
    )
