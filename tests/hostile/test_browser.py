"""The guard against a real browser: what foreign pages try, and what people may do (G2, G3)."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pytest

from tests.support.browser import Browser, Exchange, PageServer, Tap
from tests.support.messages import assert_problem, reply
from tests.support.peers import ByteServer
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("no_leaks")]

SECRET = "national id 010170"
HTML = "Content-Type: text/html"
ANSWER = reply("200 OK", HTML, body=SECRET.encode())
OPEN_TO_ALL = (
    "Access-Control-Allow-Origin: *",
    "Access-Control-Allow-Methods: *",
    "Access-Control-Allow-Headers: *",
)


class Attempt(NamedTuple):
    """What one attack sends, the Origin it comes with, and what its page sees if refused."""

    methods: str
    origin: str | None
    outcome: str


ATTACKS = {
    "fetch": Attempt("GET", "page", "TypeError"),
    "fetch_credentials": Attempt("GET", "page", "TypeError"),
    "fetch_redirected": Attempt("GET", "page", "TypeError"),
    "fetch_header": Attempt("OPTIONS", "page", "TypeError"),
    "fetch_json": Attempt("OPTIONS", "page", "TypeError"),
    "fetch_delete": Attempt("OPTIONS", "page", "TypeError"),
    "fetch_post_text": Attempt("POST", "page", "TypeError"),
    "fetch_post_form": Attempt("POST", "page", "TypeError"),
    "fetch_post_multipart": Attempt("POST", "page", "TypeError"),
    "no_cors": Attempt("GET", None, "opaque 0 "),
    "no_cors_unreferred": Attempt("GET", None, "opaque 0 "),
    "no_cors_redirected": Attempt("GET", None, "opaque 0 "),
    "no_cors_head": Attempt("HEAD", None, "opaque 0 "),
    "no_cors_post": Attempt("POST", "page", "opaque 0 "),
    "no_cors_post_unreferred": Attempt("POST", "page", "opaque 0 "),
    "no_cors_keepalive": Attempt("POST", "page", "opaque 0 "),
    "xhr": Attempt("GET", "page", "0 "),
    "beacon": Attempt("POST", "page", "true"),
    "image": Attempt("GET", None, "error"),
    "image_cors": Attempt("GET", "page", "error"),
    "script": Attempt("GET", None, "error"),
    "module": Attempt("GET", "page", "error"),
    "imported": Attempt("GET", "page", "TypeError"),
    "stylesheet": Attempt("GET", None, "error"),
    "prefetch": Attempt("GET", None, "error"),
    "preload": Attempt("GET", None, "error"),
    "font": Attempt("GET", "page", "NetworkError"),
    "object": Attempt("GET", None, "error"),
    "embed": Attempt("GET", None, "load"),
    "iframe": Attempt("GET", None, "SecurityError"),
    "form_get": Attempt("GET", None, "SecurityError"),
    "form_post": Attempt("POST", "page", "SecurityError"),
    "form_text": Attempt("POST", "page", "SecurityError"),
    "form_unreferred": Attempt("POST", "page", "SecurityError"),
    "websocket": Attempt("GET", "page", "error"),
    "event_source": Attempt("GET", "page", "error 2"),
    "worker": Attempt("GET", None, "NetworkError"),
    "sandboxed": Attempt("GET POST", "null", "TypeError,opaque 0 "),
    "data_url": Attempt("GET POST", "null", "TypeError,opaque 0 "),
    "window_open": Attempt("GET", None, "SecurityError"),
    "link_click": Attempt("GET", None, "SecurityError"),
    "link_unreferred": Attempt("GET", None, "clicked"),
    "ping": Attempt("POST", "page", "clicked"),
}
# After its report the page sends its own tab there.
LEFT_TO = "left_to"
OUTCOMES = {name: attempt.outcome for name, attempt in ATTACKS.items()}
ASKED = Counter(
    (name, method) for name, attempt in ATTACKS.items() for method in attempt.methods.split()
) + Counter([(LEFT_TO, "GET")])
# What answers of the admin port and of the proxy itself forbid beyond that.
OUTCOMES_AT_ADMIN = OUTCOMES | {
    name: outcome.replace("opaque 0 ", "TypeError") for name, outcome in OUTCOMES.items()
}

# `attacks` maps names to functions that bring what the page could see; each asks once, for
# `read(name)` by GET or `write(name)` by another method.
PAGE = """<!doctype html><meta charset="utf-8"><title>evil</title><link rel="icon" href="data:,">
<body><script>
const {target, readPath, writePath} = PLAN;
const read = name => target + readPath + '?' + name;
const write = name => target + writePath + '?' + name;
const add = (tag, facts, parent = document.body) => {
  const element = Object.assign(document.createElement(tag), facts);
  parent.append(element);
  return element;
};
const event = element => new Promise(done => {
  for (const kind of ['load', 'error']) {
    element.addEventListener(kind, () => done(kind));
  }
});
const asked = (url, facts) => fetch(url, facts).then(
  async answer => `${answer.type} ${answer.status} ${await answer.text()}`,
  error => error.name,
);
const looked = view => {
  try { return view.document.documentElement.textContent; } catch (error) { return error.name; }
};
const opened = async view => {
  while (looked(view) === '') await new Promise(done => setTimeout(done, 5));
  return looked(view);
};
const framed = async facts => {
  const frame = add('iframe', {name: 'frame' + document.images.length + Math.random()});
  const loaded = event(frame);
  facts(frame);
  await loaded;
  return looked(frame.contentWindow);
};
const submitted = (url, method, facts = {}) => framed(frame => {
  const form = add('form', {action: url, method, target: frame.name, ...facts});
  const [name, value] = new URL(url).search.slice(1).split('=');
  add('input', {name: method === 'GET' ? name : 'a', value: value ?? ''}, form);
  form.submit();
});
const inner = (name, attempts) => `<script>
  const asked = ${asked};
  const read = ${JSON.stringify(read(name))}, write = ${JSON.stringify(write(name))};
  Promise.all([${attempts}]).then(found =>
    parent.postMessage([${JSON.stringify(name)}, found], '*'));
</` + 'script>';
const messaged = (name, facts) => new Promise(done => {
  addEventListener('message', ({data}) => data[0] === name && done(data[1].join()));
  add('iframe', facts);
});
const header = {'X-Signicat': '1'};
const own = url => '/redirect?to=' + encodeURIComponent(url);
const attacks = {
  fetch: name => asked(read(name)),
  fetch_credentials: name => asked(read(name), {credentials: 'include'}),
  fetch_redirected: name => asked(own(read(name))),
  fetch_header: name => asked(read(name), {headers: header}),
  fetch_json: name => asked(write(name), {
    method: 'POST', body: '{}', headers: {'Content-Type': 'application/json'}}),
  fetch_delete: name => asked(write(name), {method: 'DELETE'}),
  fetch_post_text: name => asked(write(name), {method: 'POST', body: '{}'}),
  fetch_post_form: name => asked(write(name), {method: 'POST', body: new URLSearchParams('a=1')}),
  fetch_post_multipart: name => asked(write(name), {method: 'POST', body: new FormData()}),
  no_cors: name => asked(read(name), {mode: 'no-cors'}),
  no_cors_unreferred: name => asked(read(name), {mode: 'no-cors', referrerPolicy: 'no-referrer'}),
  no_cors_redirected: name => asked(own(read(name)), {mode: 'no-cors'}),
  no_cors_head: name => asked(read(name), {mode: 'no-cors', method: 'HEAD'}),
  no_cors_post: name => asked(write(name), {mode: 'no-cors', method: 'POST', body: '{}'}),
  no_cors_post_unreferred: name => asked(write(name), {
    mode: 'no-cors', method: 'POST', body: '{}', referrerPolicy: 'no-referrer'}),
  no_cors_keepalive: name => asked(write(name), {
    mode: 'no-cors', method: 'POST', body: '{}', keepalive: true}),
  xhr: name => new Promise(done => {
    const request = new XMLHttpRequest();
    request.onloadend = () => done(`${request.status} ${request.responseText}`);
    request.open('GET', read(name));
    request.send();
  }),
  beacon: name => String(navigator.sendBeacon(write(name), 'a=1')),
  image: name => event(add('img', {src: read(name)})),
  image_cors: name => event(add('img', {crossOrigin: 'anonymous', src: read(name)})),
  script: name => event(add('script', {src: read(name)})),
  module: name => event(add('script', {type: 'module', src: read(name)})),
  imported: name => import(read(name)).then(() => 'imported', error => error.name),
  stylesheet: name => event(add('link', {rel: 'stylesheet', href: read(name)})),
  prefetch: name => event(add('link', {rel: 'prefetch', href: read(name)})),
  preload: name => event(add('link', {rel: 'preload', as: 'image', href: read(name)})),
  font: name => new FontFace('f', `url(${read(name)})`).load().then(() => 'load', e => e.name),
  object: name => event(add('object', {data: read(name)})),
  embed: name => event(add('embed', {src: read(name)})),
  iframe: name => framed(frame => { frame.src = read(name); }),
  form_get: name => submitted(read(name), 'GET'),
  form_post: name => submitted(write(name), 'POST'),
  form_text: name => submitted(write(name), 'POST', {enctype: 'text/plain'}),
  form_unreferred: name => submitted(write(name), 'POST', {rel: 'noreferrer'}),
  websocket: name => new Promise(done => {
    const socket = new WebSocket(read(name).replace('http:', 'ws:'));
    for (const kind of ['open', 'error']) socket.addEventListener(kind, () => done(kind));
  }),
  event_source: name => new Promise(done => {
    const source = new EventSource(read(name));
    source.onopen = () => done('open');
    source.onerror = () => done('error ' + source.readyState);
  }),
  worker: name => new Promise(done => {
    const code = `try { importScripts(${JSON.stringify(read(name))}); postMessage('read'); }
      catch (error) { postMessage(error.name); }`;
    new Worker(URL.createObjectURL(new Blob([code]))).onmessage = ({data}) => done(data);
  }),
  sandboxed: name => messaged(name, {sandbox: 'allow-scripts', srcdoc: inner(name,
    `asked(read), asked(write, {method: 'POST', mode: 'no-cors', body: '{}'})`)}),
  data_url: name => messaged(name, {src: 'data:text/html,' + encodeURIComponent(inner(name,
    `asked(read), asked(write, {method: 'POST', mode: 'no-cors', body: '{}'})`))}),
  window_open: name => opened(open(read(name), 'w' + name)),
  link_click: name => {
    add('a', {href: read(name), target: 'w' + name, rel: 'opener'}).click();
    return opened(open('', 'w' + name));
  },
  link_unreferred: name => {
    add('a', {href: read(name), target: '_blank', rel: 'noreferrer'}).click();
    return 'clicked';
  },
  ping: name => {
    add('a', {href: '#here', ping: write(name)}).click();
    return 'clicked';
  },
};
(async () => {
  const names = Object.keys(attacks);
  const late = new Promise(done => setTimeout(done, 20000, 'never'));
  const found = await Promise.all(names.map(name => Promise.race([attacks[name](name), late])));
  await fetch('/report', {method: 'POST', body: JSON.stringify(
    Object.fromEntries(names.map((name, at) => [name, found[at]])))});
  location = read('left_to');
})();
</script>
"""


def attack_page(target: str, read_path: str = "/attack", write_path: str = "/attack") -> str:
    """Return the page that tries everything on `target`."""
    plan = {"target": target, "readPath": read_path, "writePath": write_path}
    return PAGE.replace("PLAN", json.dumps(plan))


def asked(exchanges: Iterable[Exchange]) -> Counter[tuple[str, str]]:
    """Return how often each attack asked by which method."""
    return Counter((exchange.name, exchange.request.method) for exchange in exchanges)


def reached(upstream: ByteServer) -> list[str]:
    """Return the targets of what came to the upstream."""
    return [message.target for message in upstream.requests]


def assert_no_cors_header(exchanges: Iterable[Exchange]) -> None:
    """See that no answer opens anything to a page."""
    names = {name.lower() for exchange in exchanges for name in exchange.answer.head.names}
    assert not {name for name in names if name.startswith("access-control-")}


def assert_refused(exchange: Exchange, status: int, code: str) -> None:
    """See that an answer is that refusal and says nothing of the upstream's answer."""
    if exchange.request.method == "HEAD":
        assert exchange.answer.status == status
    else:
        assert_problem(exchange.answer, status, code)


def assert_sent_as_foreign(exchange: Exchange, origin: str, site: str) -> None:
    """See that the browser said where the request came from, as the guard presumes."""
    expected = ATTACKS.get(exchange.name, Attempt("GET", None, "")).origin
    assert exchange.origin in ((origin, "null") if expected == "page" else (expected,))
    if exchange.name == "websocket":
        assert exchange.site is None
    elif exchange.name in {"sandboxed", "data_url"}:
        assert exchange.site == "cross-site"
    else:
        assert exchange.site == site


async def attack(browser: Browser, tap: Tap, pages: PageServer, host: str) -> dict[str, str]:
    """Let the page, loaded under that name, try everything; return what it could see."""
    async with browser.showing(pages.origin(host) + "/page"):
        report: dict[str, str] = await pages.report()
        never = [name for name, outcome in report.items() if outcome == "never"]
        assert never == []
        await tap.has_seen(*ATTACKS, LEFT_TO)
    return report


def assert_all_refused(tap: Tap, origin: str, site: str) -> None:
    """See that every attack was made once, as a foreign page's, and refused."""
    attempts = tap.named(*ATTACKS, LEFT_TO)
    assert asked(attempts) == ASKED
    for exchange in attempts:
        assert_sent_as_foreign(exchange, origin, site)
        assert_refused(exchange, 403, "origin_not_allowed")
    assert_no_cors_header(tap.exchanges)


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("evil.test", "cross-site"),
        ("127.0.0.1", "cross-site"),
        ("localhost", "same-site"),
    ],
)
async def test_foreign_page_gets_nothing(
    tokens: TokenServer, browser: Browser, host: str, site: str
) -> None:
    """Nothing a page tries reaches the upstream, by whatever means, and it can read nothing."""
    async with (
        proxied(tokens, ANSWER) as (proxy, upstream),
        PageServer() as pages,
        Tap(proxy.port) as tap,
    ):
        pages.page = attack_page(f"http://localhost:{tap.port}")
        report = await attack(browser, tap, pages, host)
        assert report == OUTCOMES
        assert_all_refused(tap, pages.origin(host), site)
        assert reached(upstream) == []
        refused = float(ASKED.total())
        assert await proxy.metric("rejected_total", reason="origin_not_allowed") == refused
        assert await proxy.metric("rejected_total") == refused


@pytest.mark.parametrize(
    ("host", "site", "write_path"),
    [("evil.test", "cross-site", "/-/refresh"), ("localhost", "same-site", "/-/quit")],
)
async def test_foreign_page_gets_nothing_from_the_admin_port(
    tokens: TokenServer, browser: Browser, host: str, site: str, write_path: str
) -> None:
    """No page renews tokens, stops the proxy or reads its status."""
    async with (
        proxied(tokens, ANSWER, admin_quit=True) as (proxy, upstream),
        PageServer() as pages,
        Tap(proxy.admin_port) as tap,
    ):
        pages.page = attack_page(f"http://localhost:{tap.port}", "/status", write_path)
        report = await attack(browser, tap, pages, host)
        assert report == OUTCOMES_AT_ADMIN
        assert_all_refused(tap, pages.origin(host), site)
        assert len(tokens.issued) == 1
        assert not proxy.control.stopping.is_set()
        assert upstream.requests == []
        counted = await proxy.metric("rejected_total", reason="origin_not_allowed")
        assert counted == await proxy.metric("rejected_total") == ASKED.total()


async def test_foreign_page_cannot_read_probes_and_metrics(
    tokens: TokenServer, browser: Browser
) -> None:
    """Probes and metrics answer whoever asks, but the browser keeps the answer from the page."""
    async with (
        proxied(tokens, ANSWER) as (proxy, _),
        PageServer() as pages,
        Tap(proxy.admin_port) as tap,
    ):
        pages.page = attack_page(f"http://localhost:{tap.port}", "/metrics", "/readyz")
        report = await attack(browser, tap, pages, "evil.test")
        assert report["fetch"] == "TypeError"
        assert "signicat" not in json.dumps(report)
        assert {exchange.answer.status for exchange in tap.named("fetch", "image")} == {200}
        assert_no_cors_header(tap.exchanges)


async def test_rebound_name_gets_nothing(tokens: TokenServer, browser: Browser) -> None:
    """A page that is same-origin with the proxy by a name of its own reads refusals only."""
    host = "localhost.evil.test"
    async with proxied(tokens, ANSWER) as (proxy, upstream), Tap(proxy.port) as tap:
        tap.page = attack_page(tap.origin(host))
        report = await attack(browser, tap, tap, host)
        assert_rebound_in_vain(tap, report)
        assert upstream.requests == []
        await refusals_are_counted(proxy, tap)


async def refusals_are_counted(proxy: RunningProxy, tap: Tap) -> None:
    """Wait until as many are counted as there were; Chromium asks once more after a 421."""

    async def poll() -> None:
        for pause in itertools.repeat(0.01):
            counted = await proxy.metric("rejected_total", reason="host_not_allowed")
            if counted == len(tap.exchanges) == await proxy.metric("rejected_total"):
                return
            await asyncio.sleep(pause)

    await within(poll(), "all refusals to be counted")


@pytest.mark.parametrize("read_path", ["/status", "/metrics", "/readyz"])
async def test_rebound_name_gets_nothing_from_the_admin_port(
    tokens: TokenServer, browser: Browser, read_path: str
) -> None:
    """Under a foreign name neither status, metrics nor probes are told, nor is a token renewed."""
    async with proxied(tokens, ANSWER) as (proxy, _), Tap(proxy.admin_port) as tap:
        tap.page = attack_page(tap.origin("rebind.test"), read_path, "/-/refresh")
        report = await attack(browser, tap, tap, "rebind.test")
        assert_rebound_in_vain(tap, report)
        assert len(tokens.issued) == 1
        await refusals_are_counted(proxy, tap)


def assert_rebound_in_vain(tap: Tap, report: dict[str, str]) -> None:
    """See that the browser took the page for the proxy's own, and that it got refusals."""
    assert "host_not_allowed" in report["fetch"]
    assert report["iframe"] == report["form_post"] == "SecurityError"
    assert SECRET not in json.dumps(report)
    assert {exchange.site for exchange in tap.exchanges} == {None}
    for exchange in tap.exchanges:
        assert_refused(exchange, 421, "host_not_allowed")
    assert_no_cors_header(tap.exchanges)


@pytest.mark.parametrize("lines", [(), OPEN_TO_ALL], ids=["no CORS", "CORS"])
async def test_page_of_an_allowed_origin_gets_through(
    tokens: TokenServer, browser: Browser, lines: tuple[str, ...]
) -> None:
    """What carries the allowed origin passes; to be read needs CORS headers of the upstream."""
    async with PageServer() as pages:
        origin = pages.origin("good.test")
        answer = reply("200 OK", HTML, *lines, body=SECRET.encode())
        async with (
            proxied(tokens, answer, allowed_origins=origin) as (proxy, upstream),
            Tap(proxy.port) as tap,
        ):
            pages.page = attack_page(f"http://localhost:{tap.port}")
            report = await attack(browser, tap, pages, "good.test")
            for exchange in tap.named(*ATTACKS, LEFT_TO):
                if exchange.origin == origin:
                    assert exchange.answer.status == 200
                else:
                    assert_refused(exchange, 403, "origin_not_allowed")
            passed = [e.request.target for e in tap.exchanges if e.origin == origin]
            assert sorted(reached(upstream)) == sorted(passed)
            seen = f"cors 200 {SECRET}" if lines else "TypeError"
            assert [report["fetch"], report["fetch_json"], report["fetch_delete"]] == [seen] * 3
            assert [report["no_cors"], report["iframe"]] == ["opaque 0 ", "SecurityError"]
            if not lines:
                assert_no_cors_header(tap.exchanges)


async def test_attacks_succeed_where_there_is_no_guard(browser: Browser) -> None:
    """The page's attempts are real: an open server gets every one and the page reads it."""
    answer = reply("200 OK", HTML, *OPEN_TO_ALL, body=SECRET.encode())
    async with ByteServer(answer) as server, PageServer() as pages, Tap(server.port) as tap:
        pages.page = attack_page(f"http://localhost:{tap.port}")
        report = await attack(browser, tap, pages, "evil.test")
        assert {name for name, _ in asked(tap.exchanges)} >= ATTACKS.keys() | {LEFT_TO}
        for name in ("fetch", "fetch_redirected", "fetch_json", "fetch_delete", "fetch_post_text"):
            assert report[name] == f"cors 200 {SECRET}"
        assert report["xhr"] == f"200 {SECRET}"
        assert report["sandboxed"] == report["data_url"] == f"cors 200 {SECRET},opaque 0 "


async def test_under_a_name_of_the_network_pages_can_change_and_read_nothing(
    tokens: TokenServer, browser: Browser
) -> None:
    """Browsers mark requests by Sec-Fetch-Site on loopback and https only; Origin is left."""
    async with (
        proxied(tokens, ANSWER, allowed_hosts="sidecar.test") as (proxy, upstream),
        PageServer() as pages,
        Tap(proxy.port) as tap,
    ):
        pages.page = attack_page(f"http://sidecar.test:{tap.port}")
        report = await attack(browser, tap, pages, "evil.test")
        assert asked(tap.named(*ATTACKS, LEFT_TO)) == ASKED
        assert SECRET not in json.dumps(report)
        assert {exchange.site for exchange in tap.exchanges} == {None}
        for exchange in tap.exchanges:
            if exchange.origin is not None:
                assert_refused(exchange, 403, "origin_not_allowed")
        assert {message.method for message in upstream.requests} <= {"GET", "HEAD"}
        assert_no_cors_header(tap.exchanges)


PAGE_OF_THE_UPSTREAM = """<!doctype html><link rel="icon" href="data:,"><script>
Promise.all([
  fetch('/again?again').then(answer => answer.status),
  fetch('/post?post', {method: 'POST', body: 'a=1'}).then(answer => answer.status),
]).then(found => fetch('/report', {method: 'POST', body: JSON.stringify(found)}));
</script>"""


async def test_person_at_the_address_bar_gets_through(
    tokens: TokenServer, browser: Browser
) -> None:
    """A typed URL passes; the page it shows may read on, but to write needs its origin allowed."""
    answer = reply("200 OK", HTML, body=PAGE_OF_THE_UPSTREAM.encode())
    async with (
        proxied(tokens, answer) as (proxy, upstream),
        Tap(proxy.port) as tap,
        Tap(proxy.admin_port) as admin,
    ):
        typed = (
            f"{tap.origin('localhost')}/typed?localhost",
            f"{tap.origin('127.0.0.1')}/typed?address",
            f"{admin.origin('localhost')}/?admin",
        )
        async with browser.showing(*typed):
            assert [await tap.report(), await tap.report()] == [[200, 403]] * 2
            await admin.has_seen("admin")
        for exchange in (*tap.named("localhost", "address"), *admin.named("admin")):
            assert (exchange.origin, exchange.site) == (None, "none")
            assert exchange.answer.status == 200
        assert {exchange.site for exchange in tap.named("again", "post")} == {"same-origin"}
        assert sorted(reached(upstream)) == sorted(
            ["/typed?localhost", "/typed?address", *["/again?again"] * 2]
        )
        assert await proxy.metric("rejected_total", reason="origin_not_allowed") == 2
