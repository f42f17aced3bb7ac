"""The status page: one HTML document that needs no script, and is live with one (A).

It is built as elements and written by the standard library's own serializer,
so a value can only get in as text; for one page a template language would
give no more, and would be another package beside the secrets. Style and
script stand in the document, and its policy names them by hash: nothing else
is loaded or run.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from string import Template
from typing import Final, Literal
from xml.etree.ElementTree import Element, tostring

from proxy import __version__
from proxy.admin.html import (
    duration,
    element,
    fact,
    latency,
    left,
    meaning,
    moment,
    rate,
    requests,
    section,
    share,
)
from proxy.admin.incoming import incoming
from proxy.admin.report import StatusReport
from proxy.admin.settings_rows import SettingsRow, settings_rows
from proxy.oauth.response import HINTS, FailureOutcome
from proxy.oauth.token import ClientState, ClientStatus
from proxy.telemetry.rates import Rates
from proxy.telemetry.recent_errors import RecentError

__all__ = ["StatusPage"]

PageState = Literal[ClientState, "draining"]
"""The state of a client, or of all."""
_STATES: Final[dict[PageState, tuple[str, str]]] = {  # words, class
    "ready": ("Ready", "good"),
    "degraded": ("Degraded", "warn"),
    "not_ready": ("Not ready", "bad"),
    "draining": ("Draining", "warn"),
}
_SENTENCES: Final[dict[PageState, str]] = {
    "ready": "Every client holds a usable token.",
    "degraded": "Requests are served, but a token cannot be renewed: act before it expires.",
    "not_ready": "A client has no usable token; its requests get 503.",
    "draining": "The proxy is shutting down.",
}
_KINDS: Final = {
    "refused": "Refused",
    "failed": "Failed",
    "left": "Caller left",
    "token": "Token request failed",
    "admin": "Refused on the admin port",
}
_LINKS: Final = (
    ("metrics", "Metrics"),
    ("status", "Status as JSON"),
    ("readyz", "readyz"),
    ("startupz", "startupz"),
    ("livez", "livez"),
)


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


class StatusPage:
    """Renders the page; `headers` go with it. `settings` are redacted, and shown as they are."""

    def __init__(self, settings: Mapping[str, object]) -> None:
        style, script, shell = (
            (files("proxy.admin") / name).read_text(encoding="utf-8")
            for name in ("status.css", "status.js", "status.html")
        )
        # What never changes is written once; `$$` is what a `$` in a value has to be.
        fixed = {
            "build": hashlib.sha256((style + script + __version__).encode()).hexdigest()[:12],
            "style": style,
            "script": script,
            "settings": _written(_settings(settings_rows(settings))),
            "footer": _written(_footer()),
        }
        fixed = {name: text.replace("$", "$$") for name, text in fixed.items()}
        self._shell = Template(Template(shell).safe_substitute(fixed))
        self.headers: Mapping[str, str] = {
            "Content-Security-Policy": "default-src 'none'; "
            f"style-src {_hash(style)}; script-src {_hash(script)}; connect-src 'self'; "
            "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
            "require-trusted-types-for 'script'; trusted-types 'none'",
            # So that the button's request names its origin; only this port sees it.
            "Referrer-Policy": "same-origin",
        }

    def render(self, report: StatusReport) -> str:
        """Return the document."""
        words, _ = _STATES[_state(report)]
        main = (_traffic(report), _clients(report), *incoming(report), *_recent(report))
        return self._shell.substitute(
            title=html.escape(f"{words} · signicat-proxy"),
            wall=f"{report.wall:.0f}",
            header=_written(_header(report)),
            main="".join(map(_written, main)),
        )


def _written(part: Element) -> str:
    return tostring(part, encoding="unicode", method="html")


def _state(report: StatusReport) -> PageState:
    if report.is_draining:
        return "draining"
    if not report.is_ready:
        return "not_ready"
    is_degraded = any(client.state == "degraded" for client in report.clients)
    return "degraded" if is_degraded else "ready"


def _pill(state: PageState, **attributes: str) -> Element:
    words, class_ = _STATES[state]
    return element("p", words, class_=f"pill {class_}", **attributes)


def _header(report: StatusReport) -> Element:
    state = _state(report)
    title = element("h1", "signicat-proxy ", element("small", __version__))
    sentence = element("p", _SENTENCES[state])
    bar = element("div", title, _pill(state, id="state"), class_="bar")
    reload_link = element("noscript", " ", element("a", "Reload", href=""))
    now = ("As of ", moment(report.wall, report.wall), " UTC.", reload_link)
    live = element("p", *now, id="live", class_="live", role="status")
    return element("header", bar, sentence, live)


def _traffic(report: StatusReport) -> Element:
    total, connections = report.total, report.connections
    span = f"{duration(total.seconds)}, {requests(total.requests)}"
    tiles = element(
        "dl",
        fact("Requests per second", rate(total.per_second)),
        *_quality(total),
        fact("Refused", str(report.refused)),
        fact("Running now", str(report.in_flight)),
        class_="tiles",
    )
    states = ", ".join(f"{amount} {state}" for state, amount in connections.items())
    since = f"{requests(report.requests)} in {duration(report.uptime_seconds)} since the start. "
    note = element("p", f"{since}Connections to the upstream: {states}.", class_="muted")
    content = (tiles, note, *_placeholders(report))
    return section("Last minute", *content, beside=[element("p", span, class_="muted")])


def _placeholders(report: StatusReport) -> Iterator[Element]:
    amount = report.placeholder_tokens
    if amount is not None:
        given = "1 placeholder token" if amount == 1 else f"{amount} placeholder tokens"
        text = f"SIGNICAT_PROXY_PLACEHOLDER_TOKEN is on: {given} since the start."
        yield element("p", text, class_="muted")


def _quality(rates: Rates) -> Iterator[Element]:
    yield fact("5xx responses", share(rates.error_share))
    yield fact("Latency, median", latency(rates.p50_seconds))
    yield fact("Latency, 95 %", latency(rates.p95_seconds))


def _clients(report: StatusReport) -> Element:
    cards = [_card(status, report.rates[status.client]) for status in report.clients]
    return section("Clients", element("div", *cards, class_="cards"), beside=[_renew_button()])


def _renew_button() -> Element:
    said = element("output", id="renewed", class_="muted")
    button = element("button", "Renew all tokens now")
    return element("form", said, " ", button, action="-/refresh", method="post")


def _card(status: ClientStatus, rates: Rates) -> Element:
    head = element("div", element("h3", status.client), _pill(status.state), class_="bar")
    facts = element(
        "dl",
        fact("Token expires in", left(status.seconds_to_expiry, "expired", "no token")),
        fact("Next renewal in", left(status.next_attempt_seconds, "now", "with traffic")),
        fact("Requests per second", rate(rates.per_second)),
        *_quality(rates),
    )
    notes = (*_last_error(status), *_secret(status))
    return element("article", head, facts, *notes, class_="card")


def _last_error(status: ClientStatus) -> Iterator[Element]:
    if status.last_error is None:
        return
    failures = status.consecutive_failures
    times = f", {failures} times in a row" if failures > 1 else ""
    class_ = "note warn" if status.is_ready else "note bad"
    code = element("code", status.last_error)
    text = f"{times}. {meaning(status.last_error, status.hints)}"
    yield element("p", "Renewal fails with ", code, text, class_=class_)


def _secret(status: ClientStatus) -> Iterator[Element]:
    if status.is_on_last_secret:
        text = "Tokens come by the last secret that worked: the configured one does not work."
        yield element("p", text, class_="note warn")


def _recent(report: StatusReport) -> Iterator[Element]:
    if report.recent:
        hints = {status.client: status.hints for status in report.clients}
        entries = [
            _entry(error, report.wall, hints.get(error.client or "", HINTS))
            for error in report.recent
        ]
        content = element("ol", *entries, class_="list")
    else:
        content = element("p", "None since the start.", class_="muted")
    yield section("Recent refusals and failures", content)


def _entry(error: RecentError, now: float, hints: Mapping[FailureOutcome, str]) -> Element:
    ago = element("span", duration(now - error.last), data_ago=f"{now - error.last:.1f}")
    when = element("p", moment(error.last, now), " UTC, ", ago, " ago", class_="muted")
    code = element("code", error.code)
    name = element("p", element("strong", _KINDS[error.kind]), " ", code)
    where = [
        *([str(error.status)] if error.status else []),
        *([error.method] if error.method else []),
        *([f"route {error.route}"] if error.route else []),
        *([f"client {error.client}"] if error.client else []),
        *([f"caller {error.caller}"] if error.caller else []),
        *([f"last request id {error.request_id}"] if error.request_id else []),
    ]
    counted: list[str | Element] = []
    if error.times > 1:
        counted = [f" · {error.times} times since ", moment(error.first, now), " UTC"]
    return element(
        "li",
        element("div", name, when, class_="bar"),
        element("p", error.detail or meaning(error.code, hints)),
        element("p", " · ".join(where), *counted, class_="muted"),
    )


def _settings(rows: Sequence[SettingsRow]) -> Element:
    ours = sum(row.is_set for row in rows)
    count = f" {ours} set, {len(rows) - ours} at their defaults"
    summary = element(
        "summary", element("h2", "Settings in force"), element("span", count, class_="muted")
    )
    head = element("tr", *(element("th", name, scope="col") for name in SettingsRow.HEADINGS))
    body = [
        element(
            "tr",
            element("th", row.name, scope="row"),
            element("td", row.value),
            element("td", row.origin, class_="muted"),
        )
        for row in sorted(rows, key=lambda row: not row.is_set)
    ]
    table = element("table", element("thead", head), element("tbody", *body))
    return element("details", summary, table)


def _footer() -> Element:
    links = [element("li", element("a", words, href=path)) for path, words in _LINKS]
    codes = "docs/troubleshoot.md explains every code, docs/monitor.md this page."
    return element("footer", element("ul", *links), element("p", codes, class_="muted"))
