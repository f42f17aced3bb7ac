"""The status page as a document: whole without a script, harmless, and silent about secrets (A)."""

import base64
import fnmatch
import hashlib
import itertools
import re
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import pytest

from proxy.admin.html import duration, latency, meaning, rate, requests, share
from proxy.admin.page import StatusPage
from proxy.admin.report import StatusReport
from proxy.errors import ERROR_KINDS
from proxy.oauth.response import OUTCOMES, FailureOutcome
from proxy.settings.loader import load
from proxy.settings.report import settings_report
from proxy.telemetry.rates import Rates
from proxy.telemetry.recent_errors import RecentError
from proxy.telemetry.request_log import OTHER_MEANINGS
from tests.admin.test_admin import DEGRADED, FAILED, GOOD
from tests.support.messages import Message
from tests.support.running_proxy import CLIENT_SECRET, assert_no_secret, environment, proxied
from tests.support.source_tree import ROOT, kept_files, read, relative
from tests.support.token_server import TokenServer

INLINE = {"a", "code", "small", "span", "strong", "time"}
VOID = {"meta", "link", "br"}
HOSTILE = "<script>alert(1)</script>\"'&amp;${content}\x00\u202e"
QUIET = Rates(
    seconds=60.0, requests=0, unsuccessful=0, errors=0, p50_seconds=None, p95_seconds=None
)
BUSY = Rates(
    seconds=60.0, requests=120, unsuccessful=4, errors=3, p50_seconds=0.0041, p95_seconds=1.25
)
REPORT = StatusReport(
    wall=1_800_000_000.0,
    uptime_seconds=7200.0,
    is_draining=False,
    in_flight=3,
    requests=1234,
    placeholder_tokens=None,
    connections={"active": 3, "idle": 2, "connecting": 1, "waiting": 0},
    clients=[GOOD],
    callers=[],
    certificates={},
    rates={"default": BUSY, "none": QUIET},
    total=BUSY,
    recent=[],
    settings={},
)


class Page(HTMLParser):
    """A parsed document: its elements, its visible text, its style and its script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw = {"style": "", "script": ""}
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], "elements that are not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"an attribute twice in {tag}"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """See that elements are closed in order."""
        assert self._open.pop() == tag
        self.text += "" if tag in INLINE else " "

    def handle_data(self, data: str) -> None:
        """Collect text."""
        if self._open and self._open[-1] in self.raw:
            self.raw[self._open[-1]] += data
        else:
            self.text += data

    def attributes(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [values[name] or "" for _, values in self.elements if name in values]

    @property
    def words(self) -> str:
        """The text with single blanks."""
        return " ".join(self.text.split())


def rendered(report: StatusReport) -> Page:
    """Return the page of a report."""
    return Page(StatusPage(report.settings).render(report))


def directives(answer: Message) -> dict[str, str]:
    """Return the content security policy by directive."""
    policy = answer.head.value("Content-Security-Policy") or ""
    return dict(part.strip().partition(" ")[::2] for part in policy.split(";"))


async def served(tokens: TokenServer) -> Message:
    """Return what a running proxy answers."""
    async with proxied(tokens) as (proxy, _):
        return await proxy.admin("GET /")


async def test_the_policy_lets_in_nothing_but_the_page_itself(tokens: TokenServer) -> None:
    """Style and script are named by the hash of what stands in the page; no frame, no base."""
    answer = await served(tokens)
    page = Page(answer.body.decode())
    hashes = {
        name: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for name, text in page.raw.items()
    }
    assert directives(answer) == {
        "default-src": "'none'",
        "style-src": f"'sha256-{hashes['style']}'",
        "script-src": f"'sha256-{hashes['script']}'",
        "connect-src": "'self'",
        "img-src": "data:",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert answer.head.value("X-Content-Type-Options") == "nosniff"
    assert answer.head.value("Cache-Control") == "no-store"
    assert answer.head.value("Content-Type") == "text/html; charset=utf-8"


async def test_the_page_loads_and_runs_nothing_else(tokens: TokenServer) -> None:
    """No address of another host, no handler and no style in an attribute, one script."""
    page = Page((await served(tokens)).body.decode())
    addresses = [*page.attributes("href"), *page.attributes("src"), *page.attributes("action")]
    assert {"metrics", "status", "readyz", "livez", "startupz"} <= set(addresses)
    assert [one for one in addresses if re.match(r"(?!data:,)\w+:|/", one)] == []
    assert "//" not in page.raw["style"]
    assert "url(" not in page.raw["style"]
    assert "@import" not in page.raw["style"]
    assert not re.search(r"https?:|innerHTML|document\.write|eval\(|Function\(", page.raw["script"])
    names = {name for _, values in page.elements for name in values}
    assert [name for name in names if name.startswith("on") or name == "style"] == []
    assert [tag for tag, _ in page.elements].count("script") == 1


async def test_every_link_leads_somewhere(tokens: TokenServer) -> None:
    """The links of the page are endpoints of the same port."""
    async with proxied(tokens) as (proxy, _):
        page = Page((await proxy.admin("GET /")).body.decode())
        for target in page.attributes("href"):
            if target != "data:,":
                assert (await proxy.admin(f"GET /{target}")).status == 200


def test_hostile_values_are_text() -> None:
    """Whatever a name or a value holds, it makes no element and no attribute."""
    harmless = HOSTILE.translate({ord(character): "x" for character in "<>\"'&$;\x00\u202e"})

    def with_value(value: str) -> StatusReport:
        outcome = cast("FailureOutcome", value)  # the page relies on no type
        client = replace(GOOD, client=value, state="degraded", last_error=outcome)
        trouble = RecentError(
            "refused", value, value, value, value, 400, None, value, value, 1.0, 2.0, 3
        )
        rows = {value: {"value": value, "origin": value}, "clients": {value: {value: value}}}
        return replace(
            REPORT,
            clients=[client],
            rates={value: BUSY, "none": QUIET},
            recent=[trouble],
            settings={**rows, "routes": [{"path": value}]},
            connections={value: 1},
        )

    page, plain = rendered(with_value(HOSTILE)), rendered(with_value(harmless))
    shape = [(tag, sorted(values)) for tag, values in page.elements]
    assert shape == [(tag, sorted(values)) for tag, values in plain.elements]
    assert page.raw == plain.raw
    assert page.text.count("<script>alert(1)</script>") >= 10


def test_no_secret_is_on_the_page(tmp_path: Path) -> None:
    """Neither secret nor token nor the egress proxy's credentials, with all settings shown."""
    environ = environment(
        upstream="https://api.test",
        token_url="https://api.test/token",
        egress_proxy="http://user:pass-of-egress@egress.test:3128",
    )
    report = settings_report(load(environ=environ, directory=tmp_path))
    page = StatusPage(report).render(REPORT)
    assert_no_secret(page)
    assert "pass-of-egress" not in page
    assert CLIENT_SECRET not in page
    assert "http://egress.test:3128" in Page(page).text
    for name in ("TOKEN_URL", "ALLOWED_HOSTS", "EGRESS_PROXY", "clients.default.client_id"):
        assert name in Page(page).text


@pytest.mark.parametrize(
    ("detail", "words"),
    [(None, "The path is under none"), ("Call it <otherwise>.", "Call it <otherwise>.")],
)
def test_a_refusal_says_its_detail(detail: str | None, words: str) -> None:
    """What the caller was told is on the page; else what the code means (G10)."""
    trouble = RecentError("refused", "no_route", detail=detail, last=1_799_999_940.0)
    page = rendered(replace(REPORT, recent=[trouble]))
    assert f"1 min 00 s ago {words}" in page.words


STATES = {
    "ready": (replace(REPORT), "Ready Every client"),
    "degraded": (replace(REPORT, clients=[DEGRADED]), "Degraded Requests are served"),
    "not ready": (replace(REPORT, clients=[FAILED]), "Not ready A client has no usable token"),
    "draining": (replace(REPORT, is_draining=True, clients=[FAILED]), "Draining The proxy"),
}


@pytest.mark.parametrize(("report", "words"), STATES.values(), ids=STATES.keys())
def test_the_state_stands_in_title_and_heading(report: StatusReport, words: str) -> None:
    """The first words on the page are those that matter at night."""
    page = rendered(report)
    state = page.words.partition(" · signicat-proxy")[0]
    assert words.startswith(state)
    assert words in page.words


def test_everything_stands_there_without_a_script() -> None:
    """The server writes all values; the script only makes them move."""
    trouble = RecentError(
        "refused",
        "no_route",
        method="GET",
        status=404,
        request_id="id-1",
        first=1_799_900_000.0,
        last=1_799_999_940.0,
        times=7,
    )
    page = rendered(
        replace(REPORT, clients=[replace(DEGRADED, consecutive_failures=4)], recent=[trouble])
    )
    for words in (
        "As of 08:00:00 UTC. Reload",
        "Requests per second 2.0 5xx responses 2.5 % Latency, median 4.1 ms Latency, 95 % 1.2 s",
        "Refused 0 Running now 3",
        "1234 requests in 2 h 00 min since the start.",
        "3 active, 2 idle, 1 connecting, 0 waiting",
        "Token expires in 6 min 52 s Next renewal in 3 min 20 s",
        "Renewal fails with timeout, 4 times in a row. Check the network",
        "Refused no_route 07:59:00 UTC, 1 min 00 s ago",
        "404 · GET · last request id id-1 · 7 times since 2027-01-14 04:13:20 UTC",
    ):
        assert words in page.words
    assert "412.3" in page.attributes("data-left")


@pytest.mark.parametrize("is_on_last_secret", [False, True])
def test_the_fallback_secret_stands_on_the_page(*, is_on_last_secret: bool) -> None:
    """T7: whoever looks before a restart sees that the configured secret does not work."""
    page = rendered(replace(REPORT, clients=[replace(GOOD, is_on_last_secret=is_on_last_secret)]))
    assert ("the last secret that worked" in page.words) is is_on_last_secret


@pytest.mark.parametrize(
    ("days", "words", "class_"),
    [
        (400, "400 d 00 h", None),
        (14.5, "14 d 12 h", None),
        (14, "14 d 00 h", "note warn"),
        (-1, "it has ended", "note bad"),
    ],
)
def test_the_days_of_certificates_stand_on_the_page(
    days: float, words: str, class_: str | None
) -> None:
    """What ends soon is told where people look, as `check` and the alert tell it (I3)."""
    ends = {"tls_cert_file": REPORT.wall + days * 86_400}
    page = Page(StatusPage({}).render(replace(REPORT, certificates=ends)))
    assert "tls_cert_file" in page.text
    assert words in page.text
    notes = [each.get("class") for name, each in page.elements if name == "p"]
    assert ("Replace the file" in page.text) == (class_ is not None)
    assert class_ is None or class_ in notes
    assert "Certificates" not in Page(StatusPage({}).render(REPORT)).text


def test_a_page_without_trouble_says_so() -> None:
    """Nothing to see is said, not left out."""
    assert "Recent refusals and failures None since the start." in rendered(REPORT).words


def test_the_document_is_accessible() -> None:
    """Language, title, one h1, headings in order, a live region, names for table cells."""
    page = rendered(replace(REPORT, settings={"scope": {"value": "x", "origin": "default"}}))
    tags = [tag for tag, _ in page.elements]
    assert ("html", {"lang": "en"}) in page.elements
    assert "width=device-width, initial-scale=1" in page.attributes("content")
    headings = [int(tag[1]) for tag in tags if re.fullmatch(r"h\d", tag)]
    assert headings.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
    assert page.attributes("role") == ["status"]
    assert {"main", "header", "footer"} <= set(tags)
    assert set(page.attributes("scope")) == {"row", "col"}
    identities = page.attributes("id")
    assert len(identities) == len(set(identities))


@pytest.mark.parametrize(
    "code", [*(kind.code for kind in ERROR_KINDS), *OTHER_MEANINGS, *OUTCOMES[1:]]
)
def test_every_code_is_explained_on_the_page(code: str) -> None:
    """Whoever reads a code reads what it means, or what happens next."""
    assert re.fullmatch(r"[A-Z].{10,88}[.?]", meaning(code))
    if code not in OUTCOMES:
        assert meaning(code) != meaning("unknown")


NUMBERS = [
    (duration(0.9), "0 s"),
    (duration(-5), "0 s"),
    (duration(61), "1 min 01 s"),
    (duration(3600), "1 h 00 min"),
    (duration(90_061), "1 d 01 h"),
    (requests(0), "0 requests"),
    (requests(1), "1 request"),
    (rate(0.0), "0.0"),
    (rate(0.016), "0.02"),
    (rate(9.96), "10.0"),
    (rate(12.4), "12"),
    (share(None), "—"),
    (share(0.0), "0.0 %"),
    (share(0.0001), "< 0.1 %"),
    (share(1.0), "100.0 %"),
    (latency(None), "—"),
    (latency(0.0007), "0.7 ms"),
    (latency(0.25), "250 ms"),
    (latency(2.0), "2.0 s"),
]


@pytest.mark.parametrize(("shown", "expected"), NUMBERS)
def test_numbers_are_written_for_people(shown: str, expected: str) -> None:
    """Few digits, a unit, and nothing that is something shown as nothing."""
    assert shown == expected


def test_the_package_carries_the_parts_of_the_page() -> None:
    """What is in the source tree beside the modules is in the wheel, and so in the image."""
    project = tomllib.loads(read("pyproject.toml"))
    patterns = project["tool"]["setuptools"]["package-data"]["proxy.admin"]
    names = [path.name for path in kept_files() if relative(path.parent) == "proxy/admin"]
    assets = [name for name in names if not name.endswith(".py")]
    assert {"status.html", "status.css", "status.js"} <= set(assets)
    for name in assets:
        assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
    assert (ROOT / "proxy").is_dir()
