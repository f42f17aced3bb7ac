"""The admin port over real sockets: three grades of health, and who may ask for what (A, G3)."""

import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from proxy.admin.app import create_admin_app
from proxy.admin.report import Reporter
from proxy.clock import Clock
from proxy.guard.policy import Policy
from proxy.oauth.token import ClientStatus
from proxy.telemetry.counters import Counters, FileCounters, OutboundCounters
from proxy.telemetry.exposition import Exposition, Gauges
from proxy.telemetry.logs import open_logs
from proxy.telemetry.rates import Traffic
from proxy.telemetry.recent_errors import RecentErrors
from proxy.telemetry.scrape_format import OPENMETRICS
from proxy.tracing.outcomes import SpanCounters
from tests.support.source_tree import ROOT

GOOD = ClientStatus(
    client="default",
    state="ready",
    seconds_to_expiry=412.34,
    next_attempt_seconds=200.0,
    last_error=None,
    attempted=True,
    consecutive_failures=0,
    token_expires_wall=1.0,
    last_success_wall=1.0,
    fingerprint="0123abcd",
    waiters=0,
)
LOST = replace(GOOD, state="not_ready", seconds_to_expiry=None, fingerprint=None)
NEW = replace(LOST, attempted=False, last_success_wall=None)
FAILED = replace(NEW, attempted=True, last_error="invalid_client", consecutive_failures=3)
NO_TRAFFIC = {
    "requests": 0,
    "requests_per_second": 0.0,
    "errors": 0,
    "error_share": None,
    "p50_seconds": None,
    "p95_seconds": None,
}
DEGRADED = replace(GOOD, state="degraded", last_error="timeout")


class Bench:
    """The state that the admin application shows, held by the test."""

    def __init__(self) -> None:
        self.clients = [GOOD]
        self.is_draining = False
        self.renewed = 0
        self.quits = 0
        self.recent = RecentErrors(lambda: 1_799_999_990.0)
        self.files = FileCounters()
        self.files.certificate_ends_at("tls_cert_file", 1_800_129_600.0)

    def renew(self) -> None:
        """Count a renewal."""
        self.renewed += 1

    def quit(self) -> None:
        """Count a stop."""
        self.quits += 1

    def app(
        self, *, can_quit: bool = True, start_needs_tokens: bool = False
    ) -> aiohttp.web.Application:
        """Return the application, 7200 seconds after it was made; 3 requests run."""
        counters = Counters({"/": "default"})
        gauges = Gauges(
            in_flight=lambda: 3,
            callers=lambda: 4,
            connections=lambda: {"active": 3, "idle": 2, "connecting": 1, "waiting": 0},
            clients=lambda: self.clients,
            known_callers=list,
            max_callers=10,
            max_upstream_connections=10,
        )
        times = itertools.chain([100.0], itertools.repeat(7300.0))
        clock = Clock(monotonic=lambda: next(times), wall=lambda: 1_800_000_000.0)
        with (ROOT / "README.md").open() as stream:
            logs = open_logs(level="error", log_format="json", stream=stream)
        reporter = Reporter(
            clients=gauges.clients,
            is_draining=lambda: self.is_draining,
            in_flight=gauges.in_flight,
            connections=gauges.connections,
            known_callers=gauges.known_callers,
            counters=counters,
            files=self.files,
            traffic=Traffic(counters, lambda: 7300.0),
            recent=self.recent,
            gives_placeholders=False,
            settings_report={"scope": {"value": "x", "origin": "default"}},
            clock=clock,
        )
        return create_admin_app(
            reporter=reporter,
            exposition=Exposition(
                counters, OutboundCounters(["default"]), self.files, SpanCounters(), gauges
            ),
            counters=counters,
            recent=self.recent,
            renew=self.renew,
            quit_=self.quit if can_quit else None,
            start_needs_tokens=start_needs_tokens,
            policy=Policy(
                upstream_url="https://up.test",
                token_urls=["https://up.test/t"],
                allowed_hosts=["localhost", "127.0.0.1"],
                allowed_origins=["http://good.test"],
            ),
            log=logs.log,
            monotonic=clock.monotonic,
        )


Client = TestClient[Any, Any]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
async def client(bench: Bench) -> AsyncIterator[Client]:
    async with TestClient(TestServer(bench.app())) as client:
        yield client


FIRST_TOKEN = "/readyz?require=first-token"
GRADES = {
    "ready": ([GOOD], False, (200, 200, 200, 200)),
    "starting": ([NEW], False, (200, 503, 503, 503)),
    "first attempt failed": ([FAILED], False, (200, 200, 503, 503)),
    "degraded": ([DEGRADED], False, (200, 200, 200, 200)),
    "one of two failed": ([GOOD, replace(FAILED, client="b")], False, (200, 200, 503, 503)),
    "an outage outlasts the token": ([LOST], False, (200, 200, 200, 503)),
    "draining": ([GOOD], True, (200, 200, 503, 503)),
    "draining in an outage": ([LOST], True, (200, 200, 503, 503)),
}


@pytest.mark.parametrize(("clients", "draining", "codes"), GRADES.values(), ids=GRADES.keys())
async def test_each_probe_means_one_thing(
    bench: Bench,
    client: Client,
    clients: list[ClientStatus],
    codes: tuple[int, int, int, int],
    *,
    draining: bool,
) -> None:
    """Live: the loop turns. Started: an attempt is over. Ready: tokens, no drain (A)."""
    bench.clients, bench.is_draining = clients, draining
    for path, code in zip(("/livez", "/startupz", FIRST_TOKEN, "/readyz"), codes, strict=True):
        async with client.get(path, headers={"Host": "10.1.2.3:8081"}) as answer:
            assert answer.status == code
            body = await answer.json()
        assert body["status"] == ("ok" if code == 200 else "unavailable")
        assert body["draining"] is draining
        assert set(body["clients"]) == {status.client for status in clients}
    assert body["clients"]["default"] == {
        "state": clients[0].state,
        "seconds_to_expiry": None if clients[0].seconds_to_expiry is None else 412.3,
        "next_attempt_seconds": 200.0,
        "last_error": clients[0].last_error,
        "secret": "configured",
    }


@pytest.mark.parametrize(
    ("clients", "code"),
    [
        ([GOOD], 200),
        ([NEW], 503),
        ([FAILED], 503),
        ([GOOD, replace(FAILED, client="b")], 503),
        ([LOST], 200),
    ],
)
async def test_with_a_deadline_the_start_is_over_with_the_first_tokens(
    bench: Bench, clients: list[ClientStatus], code: int
) -> None:
    """With STARTUP_DEADLINE_SECONDS, an attempt that failed starts no application (A)."""
    bench.clients = clients
    async with (
        TestClient(TestServer(bench.app(start_needs_tokens=True))) as client,
        client.get("/startupz", headers={"Host": "10.1.2.3:8081"}) as answer,
    ):
        assert answer.status == code


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize(
    "query", ["first_token", "First-Token", "", "token", "first-token&require=token"]
)
async def test_a_misspelt_requirement_is_refused(
    bench: Bench, client: Client, method: str, query: str
) -> None:
    """A probe that asks for what is unknown fails, and says why to whoever looks (A)."""
    async with client.request(method, f"/readyz?require={query}") as answer:
        assert answer.status == 400
        body = await answer.read()
    (kept,) = bench.recent.newest_first()
    assert (kept.kind, kept.code) == ("admin", "bad_request")
    if method != "HEAD":
        problem = json.loads(body)
        assert problem["code"] == "bad_request"
        assert "knows one value of 'require': first-token." in problem["detail"]


@pytest.mark.parametrize("query", ["require=first-token&require=first-token", "x=1&verbose"])
async def test_other_parameters_of_probes_are_ignored(client: Client, query: str) -> None:
    """What load balancers add to a probe changes nothing."""
    async with client.get(f"/readyz?{query}") as answer:
        assert answer.status == 200


@pytest.mark.parametrize("path", ["/livez", "/startupz", "/readyz", "/status"])
async def test_the_secret_in_use_is_told(bench: Bench, client: Client, path: str) -> None:
    """T7: on the fallback requests are served, so all is ready; but a restart would end that."""
    for is_on_last_secret, secret in ((True, "fallback"), (False, "configured")):
        bench.clients = [replace(GOOD, is_on_last_secret=is_on_last_secret)]
        async with client.get(path) as response:
            assert response.status == 200
            facts = (await response.json())["clients"]["default"]
        assert (facts["state"], facts["secret"]) == ("ready", secret)


async def test_head_works(client: Client) -> None:
    """Probes that send HEAD get the status."""
    async with client.head("/readyz") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_metrics_are_in_the_text_format(client: Client) -> None:
    """Prometheus gets what it reads, from whatever address it asks."""
    async with client.get("/metrics", headers={"Host": "10.1.2.3:8081"}) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "signicat_proxy_build_info" in await answer.text()


async def test_metrics_are_in_openmetrics_for_who_prefers_it(client: Client) -> None:
    """Also where `Accept` is sent in several lines, and to HEAD (O5)."""
    accept = [("Accept", "text/plain;q=0.5"), ("Accept", "application/openmetrics-text")]
    for method in ("GET", "HEAD", "OPTIONS"):
        async with client.request(method, "/metrics", headers=accept) as answer:
            assert answer.headers["Content-Type"] == OPENMETRICS
            assert (await answer.read()).endswith(b"# EOF\n") or method == "HEAD"


async def test_status_tells_all_but_secrets(client: Client) -> None:
    """`/status` is what a person needs to judge the process."""
    async with client.get("/status") as answer:
        body = await answer.json()
    assert body.pop("version")
    assert body.pop("settings") == {"scope": {"value": "x", "origin": "default"}}
    client_facts = body.pop("clients")["default"]
    assert client_facts["token"] == "0123abcd"
    assert client_facts["last_minute"] == NO_TRAFFIC
    assert body == {
        "ready": True,
        "draining": False,
        "uptime_seconds": 7200.0,
        "in_flight": 3,
        "requests": 0,
        "placeholder_tokens": None,
        "connections": {"active": 3, "idle": 2, "connecting": 1, "waiting": 0},
        "last_minute": {"seconds": 0.0, "refused": 0, **NO_TRAFFIC},
        "callers": {},
        "certificates": {"tls_cert_file": {"ends": 1_800_129_600.0, "days_left": 1.5}},
        "recent": [],
    }


async def test_refresh_and_quit(bench: Bench, client: Client) -> None:
    """Both answer 202 and act."""
    for path in ("/-/refresh", "/-/quit"):
        async with client.post(path) as answer:
            assert answer.status == 202
    assert (bench.renewed, bench.quits) == (1, 1)


async def test_many_refreshes_are_one(bench: Bench, client: Client) -> None:
    """Whoever reaches the port cannot flood the token endpoint from here (A): one a second."""
    for _ in range(20):
        async with client.post("/-/refresh") as answer:
            assert answer.status == 202
    assert bench.renewed == 1


async def test_quit_is_off_unless_enabled(bench: Bench) -> None:
    """Without ADMIN_QUIT nobody stops the process by HTTP; the answer names the setting."""
    async with (
        TestClient(TestServer(bench.app(can_quit=False))) as client,
        client.post("/-/quit") as answer,
    ):
        assert answer.status == 404
        assert "SIGNICAT_PROXY_ADMIN_QUIT" in await answer.text()
    assert bench.quits == 0


GUARDED = [("GET", "/status"), ("GET", "/"), ("POST", "/-/refresh"), ("POST", "/-/quit")]
REFUSED = {
    "foreign host": ({"Host": "evil.test"}, 421, "host_not_allowed"),
    "foreign origin": ({"Origin": "http://evil.test"}, 403, "origin_not_allowed"),
    "cross-site": ({"Sec-Fetch-Site": "cross-site"}, 403, "origin_not_allowed"),
    "same-site": ({"Sec-Fetch-Site": "same-site"}, 403, "origin_not_allowed"),
    "null origin": ({"Origin": "null"}, 403, "origin_not_allowed"),
}


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize(("headers", "code", "name"), REFUSED.values(), ids=REFUSED.keys())
async def test_the_guard_is_that_of_the_traffic_port(
    bench: Bench,
    client: Client,
    method: str,
    path: str,
    headers: dict[str, str],
    code: int,
    name: str,
) -> None:
    """Web pages and rebound names reach nothing but probes and metrics (G3)."""
    async with client.request(method, path, headers=headers) as answer:
        assert answer.status == code
        assert answer.headers["Proxy-Status"].startswith("signicat-proxy; error=")
        assert json.loads(await answer.read())["code"] == name
    assert (bench.renewed, bench.quits) == (0, 0)


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://good.test"}, {"Sec-Fetch-Site": "none"}, {"Host": "localhost:9"}]
)
async def test_the_guard_lets_others_in(client: Client, headers: dict[str, str]) -> None:
    """Allowed origins, typed addresses and known names are let through."""
    async with client.get("/status", headers=headers) as answer:
        assert answer.status == 200


ENDPOINTS = "GET /livez, GET /startupz, GET /readyz, GET /metrics, GET /status, GET /"
ACTIONS = "POST /-/refresh, POST /-/quit"


@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/-/stop")])
async def test_an_unknown_path_is_told_which_there_are(
    bench: Bench, client: Client, method: str, path: str
) -> None:
    """Who mistypes an endpoint reads all of them, and the refusal is on record (A)."""
    async with client.request(method, path) as answer:
        assert answer.status == 404
        problem = json.loads(await answer.read())
    assert problem["code"] == "no_route"
    assert problem["detail"] == (
        f"The admin port has no such endpoint. It has {ENDPOINTS}, {ACTIONS}."
    )
    (kept,) = bench.recent.newest_first()
    assert (kept.kind, kept.code, kept.request_id) == ("admin", "no_route", problem["request_id"])
    assert path not in repr(kept)


@pytest.mark.parametrize(
    ("method", "path", "host", "code"),
    [
        ("GET", "/status", "localhost", 200),
        ("GET", "/nope", "localhost", 404),
        ("POST", "/livez", "localhost", 405),
        ("GET", "/nope", "evil.test", 421),
    ],
)
async def test_no_answer_tells_versions_to_strangers(
    client: Client, method: str, path: str, host: str, code: int
) -> None:
    """The header Server names no library, also where aiohttp or the guard answers."""
    async with client.request(method, path, headers={"Host": host}) as answer:
        assert answer.status == code
        assert answer.headers["Server"] == "signicat-proxy"
