"""The guard of the admin port: refused, counted, logged, and safe in a browser (G3)."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from proxy.admin.probe import probe
from tests.support.guard_cases import FOREIGN, WELCOME
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

GUARDED = ["GET /status", "GET /", "POST /-/refresh", "POST /-/quit", "GET /nope", "POST /livez"]
OPEN = [
    "GET /livez",
    "GET /readyz",
    "GET /startupz",
    "GET /metrics",
    "HEAD /readyz",
    "HEAD /metrics",
    "OPTIONS /readyz",
    "OPTIONS /metrics",
]
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "signicat-proxy",
}


@contextlib.asynccontextmanager
async def guarded(tokens: TokenServer) -> AsyncIterator[RunningProxy]:
    """Run a proxy that can be told to quit and lets one origin in; its first attempt is over."""
    async with proxied(tokens, admin_quit=True, allowed_origins="http://good.test") as (proxy, _):
        await has_tried(proxy)
        yield proxy


async def has_tried(proxy: RunningProxy) -> None:
    """Wait for the end of the first token attempt, so that `/readyz` says what it is to say."""
    await eventually(lambda: any(log["event"] == "token_request" for log in proxy.logs), "a token")


async def on_admin(proxy: RunningProxy) -> Channel:
    """Return a connection to the admin port."""
    return proxy.keep(await Channel.connect("127.0.0.1", proxy.admin_port))


@pytest.mark.parametrize("start", GUARDED)
async def test_strangers_are_refused_counted_and_logged(tokens: TokenServer, start: str) -> None:
    """Every refusal is one of table E, one of `rejected_total` and one line; nothing is done."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        for lines, status, code in FOREIGN:
            counted = await proxy.metric("rejected_total", reason=code)
            answer = await caller.ask(request(start, *lines, host=None))
            members = assert_problem(answer, status, code)
            assert await proxy.metric("rejected_total", reason=code) == counted + 1
            event = [log for log in proxy.logs if log["event"] == "admin_request_refused"][-1]
            assert (event["outcome"], event["request_id"]) == (code, members["request_id"])
            assert event["level"] == "warning"
            assert event["hint"] == members["detail"]
            assert event.get("endpoint") == (
                start.split()[1] if start not in GUARDED[-2:] else None
            )
        refusals = [event for event in proxy.logs if event["event"] == "admin_request_refused"]
        assert len({event["request_id"] for event in refusals}) == len(refusals) == len(FOREIGN)
        assert await proxy.metric("requests_total") == 0
        assert len(tokens.issued) == 1
        assert not proxy.control.stopping.is_set()


async def test_what_strangers_ask_is_not_logged(tokens: TokenServer) -> None:
    """Of a refused request only names of our own are logged: no path, no query, no odd method."""
    async with guarded(tokens) as proxy:
        for start in ("GET /private?secret=1", "PURGE /private", "GET /status?private"):
            answer = await proxy.admin(start, "Origin: http://private.test")
            assert_problem(answer, 403, "origin_not_allowed")
        assert "private" not in str(proxy.logs).lower()


# The value of Host, None for none at all; and whether probes and metrics answer to it.
CALLED = {
    "10.1.2.3:8081": 200,
    "0.0.0.0": 200,
    "127.0.0.1:": 200,
    "[fd00::5]:8081": 200,
    "[::ffff:10.1.2.3]": 200,
    "localhost:1": 200,
    "LOCALHOST": 200,
    "evil.test": 421,
    "evil.test:8081": 421,
    "localhost.evil.test": 421,
    "10.1.2.3.evil.test": 421,
    "10.1.2.3.": 421,
    "10.1.2": 421,
    "1.2.3.400": 421,
    "a01:2": 421,
    "[::1]evil.test": 400,
    "10.1.2.3:8081, evil.test": 400,
    "evil.test@10.1.2.3": 400,
    "fd00::5": 400,
    "": 400,
}


@pytest.mark.parametrize("start", OPEN)
async def test_probes_and_metrics_answer_to_addresses_and_known_names(
    tokens: TokenServer, start: str
) -> None:
    """A kubelet and a Prometheus call by address; a rebound name reads nothing (A, G2)."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        for host, status in CALLED.items():
            answer = await caller.ask(request(start, host=host))
            assert answer.status == status, host
            if status != 200 and not start.startswith("HEAD"):
                codes = {421: "host_not_allowed", 400: "bad_request"}
                assert_problem(answer, status, codes[status])
                assert b"state" not in answer.body
        refused = len([status for status in CALLED.values() if status != 200])
        assert await proxy.metric("rejected_total") == refused


@pytest.mark.parametrize("start", OPEN)
async def test_probes_and_metrics_need_no_host(tokens: TokenServer, start: str) -> None:
    """HTTP/1.0 has none: so HAProxy asks by default, and it is no reason for a warning (A)."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        await caller.send(request(f"{start} HTTP/1.0", host=None))
        assert (await caller.read_whatever()).startswith(b"HTTP/1.0 200 OK\r\n")
        assert not [log for log in proxy.logs if log["level"] == "warning"]


@pytest.mark.parametrize("start", OPEN)
async def test_pages_of_others_are_no_matter_to_probes(tokens: TokenServer, start: str) -> None:
    """They answer under a known name, whatever the page: its browser keeps the answer from it."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        for lines, status, _ in FOREIGN:
            if status == 403:
                assert (await caller.ask(request(start, *lines, host=None))).status == 200
        assert await proxy.metric("rejected_total") == 0


async def test_any_name_will_do_where_the_check_is_off(tokens: TokenServer) -> None:
    """`ALLOWED_HOSTS=*` holds for probes and metrics too."""
    async with proxied(tokens, allowed_hosts="*") as (proxy, _):
        await has_tried(proxy)
        for start in OPEN:
            caller = await on_admin(proxy)
            assert (await caller.ask(request(start, host="any.test"))).status == 200


async def test_options_says_what_get_says(tokens: TokenServer) -> None:
    """A load balancer that asks by OPTIONS learns the state, and which methods there are (A)."""
    tokens.failure = reply("503 Service Unavailable")
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        for path, status in (("/livez", 200), ("/readyz", 503), ("/metrics", 200)):
            answer = await caller.ask(request(f"OPTIONS {path} HTTP/1.1"))
            assert (answer.status, answer.head.value("Allow")) == (status, "GET, HEAD, OPTIONS")
        assert (await caller.ask(request("OPTIONS /status"))).status == 405


async def test_the_health_check_needs_no_allowed_name(tokens: TokenServer) -> None:
    """`signicat-proxy health` calls by address, whatever the settings list."""
    async with proxied(tokens, reply(), allowed_hosts="proxy") as (proxy, _):
        address = proxy.control.admin_address
        assert address
        # It waits for the first token, without which nothing is ready.
        assert (await proxy.ask(request("GET /", host="proxy"))).status == 200
        healthy, _ = await asyncio.to_thread(probe, address, ready=True)
        assert healthy


@pytest.mark.parametrize("lines", WELCOME)
async def test_others_are_let_in(tokens: TokenServer, lines: list[str]) -> None:
    """Known names, typed addresses, own pages and allowed origins are let through."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        assert (await caller.ask(request("GET /status", *lines, host=None))).status == 200
        assert (await caller.ask(request("POST /-/refresh", *lines, host=None))).status == 202
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert len(tokens.issued) == 2
        assert await proxy.metric("rejected_total") == 0


@pytest.mark.parametrize("start", [*GUARDED[:3], *GUARDED[4:], *OPEN])
@pytest.mark.parametrize("host", ["localhost", "evil.test"])
async def test_every_answer_is_safe_in_a_browser(
    tokens: TokenServer, start: str, host: str
) -> None:
    """Nothing is run, framed, sniffed, kept, or embedded by other pages; and no CORS is granted."""
    async with guarded(tokens) as proxy:
        head = (await (await on_admin(proxy)).ask(request(start, host=host))).head
        # The page's own button must name its origin, to this port alone.
        is_page = (start, host) == ("GET /", "localhost")
        expected = SAFE | ({"Referrer-Policy": "same-origin"} if is_page else {})
        assert {name: head.value(name) for name in SAFE} == expected
        policy = head.value("Content-Security-Policy") or ""
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not [name for name in head.names if name.lower().startswith("access-control-")]


OWN = ("http://localhost:1", "same-origin")
NOT_OWN = {
    "another name": ("http://127.0.0.1:1", "same-origin"),
    "another port": ("http://localhost:8080", "same-origin"),
    "no port": ("http://localhost", "same-origin"),
    "another scheme": ("https://localhost:1", "same-origin"),
    "in capitals": ("http://LOCALHOST:1", "same-origin"),
    "null": ("null", "same-origin"),
    "the browser says another port": ("http://localhost:1", "same-site"),
    "the browser says another site": ("http://localhost:1", "cross-site"),
    "the browser says typed": ("http://localhost:1", "none"),
    "the browser says nothing": ("http://localhost:1", None),
}


def from_page(origin: str, site: str | None) -> list[str]:
    """Return the header lines by which a browser says where a request comes from."""
    return [f"Origin: {origin}", *([] if site is None else [f"Sec-Fetch-Site: {site}"])]


@pytest.mark.parametrize(
    ("lines", "status", "location"),
    [([], 202, None), (["Accept: text/html,*/*;q=0.8"], 303, "../")],
    ids=["script", "form"],
)
async def test_the_button_of_the_status_page_works(
    tokens: TokenServer, lines: list[str], status: int, location: str | None
) -> None:
    """Its own page may renew the tokens; a form is led back to the page."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        asked = request("POST /-/refresh", *lines, *from_page(*OWN), host="localhost:1")
        answer = await caller.ask(asked)
        assert (answer.status, answer.head.value("Location")) == (status, location)
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await proxy.metric("rejected_total") == 0


@pytest.mark.parametrize(("origin", "site"), NOT_OWN.values(), ids=NOT_OWN.keys())
async def test_no_other_page_has_a_button(
    tokens: TokenServer, origin: str, site: str | None
) -> None:
    """Cross-site request forgery: what is not the very same origin is refused (G3)."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        lines = from_page(origin, site)
        answer = await caller.ask(request("POST /-/refresh", *lines, host="localhost:1"))
        assert_problem(answer, 403, "origin_not_allowed")
        assert len(tokens.issued) == 1


@pytest.mark.parametrize("start", ["POST /-/quit", "POST /status", "GET /nope"])
async def test_the_page_may_do_nothing_else(tokens: TokenServer, start: str) -> None:
    """Its own origin opens the one endpoint that has a button."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        answer = await caller.ask(request(start, *from_page(*OWN), host="localhost:1"))
        assert_problem(answer, 403, "origin_not_allowed")


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("*", "evil.test:1", 403),
        ("*", "localhost:1", 403),
        ("*", "*", 400),
        ("*,localhost", "evil.test:1", 403),
        ("*,localhost", "localhost:1", 202),
    ],
)
async def test_a_rebound_name_has_no_button(
    tokens: TokenServer, allowed: str, host: str, status: int
) -> None:
    """Also where any Host is allowed, a page is ours only under a listed name (G2)."""
    async with proxied(tokens, allowed_hosts=allowed) as (proxy, _):
        caller = await on_admin(proxy)
        lines = from_page(f"http://{host}", "same-origin")
        answer = await caller.ask(request("POST /-/refresh", *lines, host=host))
        assert answer.status == status


async def test_refusals_stand_on_the_status_page(tokens: TokenServer) -> None:
    """The list of recent trouble has them, with our own name of the endpoint only."""
    async with guarded(tokens) as proxy:
        await proxy.admin("GET /status?private", "Origin: http://private.test")
        await proxy.admin("GET /private", "Origin: http://private.test")
        body = json.loads((await proxy.admin("GET /status")).body)
    told = [(entry["kind"], entry["code"], entry["route"]) for entry in body["recent"]]
    assert told == [
        ("admin", "origin_not_allowed", None),
        ("admin", "origin_not_allowed", "/status"),
    ]
    assert all("SIGNICAT_PROXY_ALLOWED_ORIGINS" in entry["detail"] for entry in body["recent"])
    assert "private" not in str(body["recent"])


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /livez?nin=31019000000 HTTP/1.1\r\n\r\n",
        b"GET /livez?nin=31019000000 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff HTTP/9\r\n\r\n",
    ],
    ids=["no-host", "two-hosts", "no-http"],
)
async def test_bytes_that_are_no_request_are_one_line(tokens: TokenServer, raw: bytes) -> None:
    """Whoever sends them fills no log with tracebacks, and nothing of them is told (A, G7)."""
    async with guarded(tokens) as proxy:
        caller = await on_admin(proxy)
        await caller.send(raw)
        assert b" 400 " in await caller.read_whatever()
        (event,) = [log for log in proxy.logs if log["level"] in {"warning", "error"}]
        assert event["event"] == "admin_request_malformed"
        assert "exception" not in event
        assert "31019000000" not in str(event)
