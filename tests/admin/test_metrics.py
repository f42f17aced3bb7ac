"""Every metric: name, type, labels, help; checked by Prometheus's own tool too."""

import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as openmetrics_families,
)
from prometheus_client.parser import text_string_to_metric_families

from proxy.errors import ERROR_KINDS, OVERLOADED, ErrorKind
from proxy.guard.identity import CallerStatus
from proxy.oauth.response import OUTCOMES
from proxy.oauth.token import ClientStatus
from proxy.telemetry.counters import (
    REPLAY_OUTCOMES,
    UPSTREAM_ERROR_REASONS,
    Counters,
    FileCounters,
    OutboundCounters,
)
from proxy.telemetry.exposition import Exposition, Gauges
from proxy.telemetry.histogram import Histogram
from proxy.telemetry.scrape_format import OPENMETRICS, PLAIN, preferred_format
from proxy.tracing.outcomes import SpanCounters
from tests.deploy.expressions import assert_names_exist

STATUS = ClientStatus(
    client="a",
    state="degraded",
    seconds_to_expiry=1.0,
    next_attempt_seconds=1.0,
    last_error="timeout",
    attempted=True,
    consecutive_failures=2,
    token_expires_wall=1_800_000_000.5,
    last_success_wall=None,
    fingerprint="0123abcd",
    waiters=3,
    is_on_last_secret=True,
)
EXPECTED = {
    "requests": ("counter", {"client", "route", "method", "code", "caller"}),
    "upstream_responses": ("counter", {"client", "route", "class"}),
    "request_duration_seconds": ("histogram", {"client", "route", "le"}),
    "upstream_duration_seconds": ("histogram", {"client", "route", "le"}),
    "requests_in_flight": ("gauge", set()),
    "known_caller_requests_in_flight": ("gauge", {"caller"}),
    "known_caller_requests_limit": ("gauge", {"caller"}),
    "caller_connections": ("gauge", set()),
    "caller_connections_limit": ("gauge", set()),
    "request_bytes": ("counter", {"client", "route"}),
    "response_bytes": ("counter", {"client", "route"}),
    "placeholder_tokens": ("counter", set()),
    "rejected": ("counter", {"reason"}),
    "error_replies": ("counter", {"client", "route", "reason"}),
    "upstream_errors": ("counter", {"reason"}),
    "upstream_connections": ("gauge", {"state"}),
    "upstream_connections_limit": ("gauge", set()),
    "replays": ("counter", {"outcome"}),
    "token_requests": ("counter", {"client", "outcome"}),
    "token_request_duration_seconds": ("histogram", {"client", "le"}),
    "client_ready": ("gauge", {"client"}),
    "token_expiry_timestamp_seconds": ("gauge", {"client"}),
    "token_last_success_timestamp_seconds": ("gauge", {"client"}),
    "token_consecutive_failures": ("gauge", {"client"}),
    "token_waiters": ("gauge", set()),
    "secret_fallback_active": ("gauge", {"client"}),
    "secret_fallbacks": ("counter", {"client"}),
    "name_lookups": ("counter", {"outcome"}),
    "certificate_expiry_timestamp_seconds": ("gauge", {"file"}),
    "file_reload_failures": ("counter", {"file"}),
    "spans": ("counter", {"outcome"}),
    "build_info": ("gauge", {"version", "python", "build"}),
}


IDLE = Gauges(
    in_flight=lambda: 0,
    callers=lambda: 0,
    connections=lambda: dict.fromkeys(("active", "idle", "connecting", "waiting"), 0),
    clients=list,
    known_callers=list,
    max_callers=60,
    max_upstream_connections=70,
)
BUSY = replace(
    IDLE,
    in_flight=lambda: 4,
    callers=lambda: 5,
    connections=lambda: {"active": 1, "idle": 2, "connecting": 3, "waiting": 4},
    clients=lambda: [STATUS, replace(STATUS, client="b", state="not_ready")],
    known_callers=lambda: [CallerStatus("shop", None, 1, 0, 0, in_flight=2, max_in_flight=40)],
)


ROUTES = {"/a": "a", "/a/b": "a", "/b": "b", "placeholder_token": "none"}


def used() -> Exposition:
    """Return the exposition of counters in which everything has happened once."""
    counters, outbound = Counters(ROUTES), OutboundCounters(["a", "b"])
    counters.request_finished("/a", "GET", 200, "shop", 0.01, 0.005, 10, 20)
    counters.request_finished("none", "OTHER", 400, "none", 0.0, None, 0, 0)
    for kind in ERROR_KINDS:
        counters.request_finished("/a", "POST", kind.status, "none", 1.0, None, 0, 0)
    outbound.token_request("a", "ok", 0.2)
    outbound.token_request("a", "timeout", 10.0)
    outbound.secret_fallback("b")
    outbound.name_lookup("stale")
    counters.placeholder_token()
    for outcome in REPLAY_OUTCOMES:
        counters.replay(outcome)
    counters.handshake_failed()
    for kind in ERROR_KINDS:
        counters.error_reply("/a", kind)
    for reason in UPSTREAM_ERROR_REASONS:
        counters.upstream_error(reason)
    files = FileCounters()
    files.watch("ca_file")
    files.reload_failed("tls_cert_file")
    files.certificate_ends_at("tls_cert_file", 1_900_000_000.0)
    return Exposition(counters, outbound, files, SpanCounters(), BUSY)


def families(exposition: Exposition) -> dict[str, Metric]:
    """Return our own families as a scrape shows them, by name without prefix."""
    parsed = text_string_to_metric_families(exposition.render().decode())
    prefix = "signicat_proxy_"
    return {f.name.removeprefix(prefix): f for f in parsed if f.name.startswith(prefix)}


def openmetrics(body: str) -> list[Metric]:
    """Return what a body in that format says; fail where the format forbids it."""
    return list(openmetrics_families(body))  # type: ignore[no-untyped-call]  # it has no annotations


def series_in(scraped: Iterable[Metric]) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return each series: its name and its labels."""
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in scraped
        for sample in family.samples
    }


def value(found: dict[str, Metric], name: str, suffix: str = "", **labels: str) -> float:
    """Return one sample, or the sum of those that differ by route alone."""
    samples = [
        sample
        for sample in found[name].samples
        if sample.name.endswith(name + suffix) and labels.items() <= sample.labels.items()
    ]
    others = [sample.labels | {"route": ""} for sample in samples]
    assert others == others[:1] * len(others), name
    assert others, name
    return float(sum(sample.value for sample in samples))


def test_every_metric_is_there_with_its_labels() -> None:
    """Names, types and labels are those that are promised, and each has a help text (M)."""
    found = families(used())
    assert set(found) == set(EXPECTED)
    for name, (kind, labels) in EXPECTED.items():
        family = found[name]
        assert family.type == kind, name
        assert len(family.documentation) > 15, name
        assert set().union(*(set(sample.labels) for sample in family.samples)) == labels, name


def test_the_numbers_are_right() -> None:
    """What was counted is what is told."""
    found = families(used())
    assert value(found, "requests", "_total", client="a", method="GET", code="200") == 1
    assert value(found, "request_bytes", "_total", route="/a") == 10
    assert value(found, "response_bytes", "_total", route="/a") == 20
    assert value(found, "response_bytes", "_total", route="/b") == 0
    assert value(found, "requests_in_flight") == 4
    assert value(found, "caller_connections") == 5
    assert value(found, "caller_connections_limit") == 60
    assert value(found, "upstream_connections", state="idle") == 2
    assert value(found, "upstream_connections_limit") == 70
    assert value(found, "token_requests", "_total", client="a", outcome="timeout") == 1
    assert value(found, "token_expiry_timestamp_seconds", client="a") == 1_800_000_000.5
    assert value(found, "token_last_success_timestamp_seconds", client="a") == 0
    assert value(found, "token_consecutive_failures", client="a") == 2
    assert value(found, "token_waiters") == 6
    assert value(found, "client_ready", client="a") == 1
    assert value(found, "client_ready", client="b") == 0
    assert value(found, "secret_fallback_active", client="a") == 1
    assert value(found, "secret_fallbacks", "_total", client="b") == 1
    assert value(found, "name_lookups", "_total", outcome="stale") == 1
    assert value(found, "file_reload_failures", "_total", file="tls_cert_file") == 1
    assert value(found, "file_reload_failures", "_total", file="ca_file") == 0
    assert value(found, "certificate_expiry_timestamp_seconds", file="tls_cert_file") == 1.9e9
    ended = 1 + len(ERROR_KINDS)
    assert value(found, "request_duration_seconds", "_count", client="a") == ended
    assert value(found, "request_duration_seconds", "_bucket", client="a", le="0.005") == 0
    assert value(found, "request_duration_seconds", "_bucket", client="a", le="0.01") == 1
    assert value(found, "upstream_duration_seconds", "_count", client="a") == 1
    refusals = {kind.code: 1.0 for kind in ERROR_KINDS if kind.is_refusal}
    assert {sample.labels["reason"]: sample.value for sample in found["rejected"].samples} == (
        refusals | {"tls_handshake": 1.0}
    )
    assert {
        sample.labels["reason"]: sample.value
        for sample in found["error_replies"].samples
        if sample.labels["route"] == "/a"
    } == {kind.code: 1.0 for kind in ERROR_KINDS if kind.status >= 500}
    assert {sample.value for sample in found["upstream_errors"].samples} == {1.0}


def test_responses_of_the_upstream_are_all_but_our_own() -> None:
    """Whose 5xx it was can be read from one metric each, as in the sum of both."""
    counters = Counters({"/a": "a", "/b": "b", "placeholder_token": "none"})
    for status in (200, 204, 302, 404, 500, 502, 599):
        counters.request_finished("/a", "GET", status, "none", 0.1, 0.1, 0, 0)
    counters.request_finished("/a", "GET", 0, "none", 0.1, None, 0, 0)
    counters.request_finished("placeholder_token", "POST", 200, "none", 0.1, None, 0, 0)
    for kind in ERROR_KINDS:
        counters.error_reply("/b", kind)
        counters.request_finished("/b", "GET", kind.status, "none", 0.1, None, 0, 0)
    counters.error_reply("none", OVERLOADED)  # of the admin port: no request of a caller
    found = families(
        Exposition(counters, OutboundCounters(["a", "b"]), FileCounters(), SpanCounters(), IDLE)
    )
    amounts = {
        (sample.labels["route"], sample.labels["class"]): sample.value
        for sample in found["upstream_responses"].samples
        if sample.name.endswith("_total")
    }
    assert amounts == {
        ("/a", "2xx"): 2,
        ("/a", "3xx"): 1,
        ("/a", "4xx"): 1,
        ("/a", "5xx"): 3,
        **{("/b", name): 0 for name in ("2xx", "3xx", "4xx", "5xx")},
    }


def test_routes_are_told_apart() -> None:
    """A route's requests are its own, and its client's; those that reached none are of `none`."""
    counters = Counters(ROUTES)
    for times, route in enumerate(counters.routes, start=1):
        for _ in range(times):
            counters.request_finished(route, "GET", 503, "none", 0.1, 0.1, 7, 8)
            counters.error_reply(route, OVERLOADED)
    found = families(
        Exposition(counters, OutboundCounters(["a", "b"]), FileCounters(), SpanCounters(), IDLE)
    )
    labels = {"/a": "a", "/a/b": "a", "/b": "b", "placeholder_token": "none", "none": "none"}
    for name, suffix, each, forwarded_only in (
        ("requests", "_total", 1, False),
        ("request_duration_seconds", "_count", 1, False),
        ("upstream_duration_seconds", "_count", 1, True),
        ("request_bytes", "_total", 7, False),
        ("response_bytes", "_total", 8, False),
    ):
        amounts = {
            (sample.labels["route"], sample.labels["client"]): sample.value
            for sample in found[name].samples
            if sample.name.endswith(suffix)
        }
        assert amounts == {
            (route, client): times * each
            for times, (route, client) in enumerate(labels.items(), start=1)
            if client != "none" or not forwarded_only
        }, name
    assert value(found, "error_replies", "_total", reason="overloaded", route="/a/b") == 2
    assert (
        value(found, "rejected", "_total", reason="overloaded") == counters.requests_ended() == 15
    )


def test_a_route_of_any_spelling_is_one_value() -> None:
    """What a label must not hold as it is, is escaped."""
    counters = Counters({'/a"b\\c\nd': "a"})
    found = families(
        Exposition(counters, OutboundCounters(["a"]), FileCounters(), SpanCounters(), IDLE)
    )
    assert value(found, "request_bytes", "_total", route='/a"b\\c\nd') == 0


def test_series_exist_from_the_start() -> None:
    """A rate needs a first value: what can be known beforehand starts at zero."""
    found = families(
        Exposition(
            Counters({"/": "a"}), OutboundCounters(["a"]), FileCounters(), SpanCounters(), IDLE
        )
    )
    assert {sample.labels["outcome"] for sample in found["token_requests"].samples} == {
        outcome for outcome in OUTCOMES if outcome != "secret_unreadable"
    }
    assert {sample.value for sample in found["token_requests"].samples} == {0.0}
    assert value(found, "secret_fallbacks", "_total", client="a") == 0
    assert value(found, "upstream_responses", "_total", client="a", **{"class": "5xx"}) == 0
    assert value(found, "upstream_errors", "_total", reason="dns") == 0
    assert value(found, "rejected", "_total", reason="host_not_allowed") == 0
    for client, route in (("a", "/"), ("none", "none")):
        labels = {"client": client, "route": route}
        assert value(found, "request_duration_seconds", "_count", **labels) == 0
        assert value(found, "error_replies", "_total", reason="overloaded", **labels) == 0
    assert value(found, "requests_in_flight") == 0
    assert value(found, "token_waiters") == 0
    assert value(found, "upstream_connections", state="active") == 0


def test_labels_come_from_closed_sets() -> None:
    """A reason that is not in the tables is a mistake of ours, not a new series.

    mypy finds it first: it would report a `type: ignore` here that is not needed.
    """
    counters = Counters({"/a": "a"})
    with pytest.raises(KeyError):
        counters.error_reply("/a", ErrorKind("/a/path", 400, "", "", ""))
    with pytest.raises(KeyError):
        counters.error_reply("/a/path", OVERLOADED)
    with pytest.raises(KeyError):
        counters.upstream_error("x")  # type: ignore[arg-type]  # no reason
    with pytest.raises(KeyError):
        counters.replay("x")  # type: ignore[arg-type]  # no outcome
    with pytest.raises(KeyError):
        OutboundCounters(["a"]).name_lookup("x")  # type: ignore[arg-type]  # no outcome
    with pytest.raises(KeyError):
        counters.request_finished("/a/path", "GET", 200, "none", 0.0, None, 0, 0)


def test_both_formats_name_the_same_series() -> None:
    """Which one Prometheus asks for changes no name and no label: rules and dashboards hold."""
    exposition = used()
    plain = list(text_string_to_metric_families(exposition.render().decode()))
    body = exposition.render(OPENMETRICS).decode()
    assert body.endswith("\n# EOF\n")
    strict = openmetrics(body)
    assert series_in(plain) == series_in(strict)
    assert {each.name: each.type for each in plain} == {each.name: each.type for each in strict}


def test_a_bucket_keeps_the_last_trace() -> None:
    """Each its own; what was not traced changes nothing, and the plain format has none (O5)."""
    counters, outbound = Counters(ROUTES), OutboundCounters(["a", "b"])
    for seconds, head_seconds in ((0.02, 0.003), (0.021, 0.004), (0.3, None), (100.0, 60.0)):
        counters.request_finished("/a", "GET", 200, "none", seconds, head_seconds, 0, 0)
    counters.request_traced("/a", 0.02, 0.003, b"1" * 32, 1.9e9)
    counters.request_traced("/a", 0.021, 0.004, b"2" * 32, 1.9e9 + 1)
    counters.request_traced("/a", 100.0, None, b"3" * 32, 1.9e9 + 2.5)
    outbound.token_request("b", "ok", 0.2)
    outbound.token_request_traced("b", 0.2, b"4" * 32, 1.9e9)
    exposition = Exposition(counters, outbound, FileCounters(), SpanCounters(), IDLE)
    body = exposition.render(OPENMETRICS).decode()
    assert [
        (name, labels["le"], exemplar.labels, exemplar.value, float(exemplar.timestamp or 0))
        for family in openmetrics(body)
        for name, labels, _, _, exemplar, *_ in family.samples
        if exemplar is not None
    ] == [
        ("signicat_proxy_" + name, le, {"trace_id": trace * 32}, seconds, wall)
        for name, le, trace, seconds, wall in (
            ("request_duration_seconds_bucket", "0.025", "2", 0.021, 1.9e9 + 1),
            ("request_duration_seconds_bucket", "+Inf", "3", 100.0, 1.9e9 + 2.5),
            ("upstream_duration_seconds_bucket", "0.005", "2", 0.004, 1.9e9 + 1),
            ("token_request_duration_seconds_bucket", "0.25", "4", 0.2, 1.9e9),
        )
    ]
    assert "trace_id" not in exposition.render().decode()


PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PREFERENCES = {
    PROMETHEUS_2: OPENMETRICS,
    PROMETHEUS_3: OPENMETRICS,
    f"application/vnd.google.protobuf;q=0.6,{PROMETHEUS_3}": OPENMETRICS,
    "application/openmetrics-text": OPENMETRICS,
    'Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8': OPENMETRICS,
    "text/plain, application/openmetrics-text": OPENMETRICS,
    "text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5": PLAIN,
    "application/openmetrics-text;q=0": PLAIN,
    "application/openmetrics-text;q=high": PLAIN,
    "application/openmetrics-text;q=2": PLAIN,
    "application/openmetrics-text;q=nan": PLAIN,
    "application/openmetrics-text;version=0.0.1": PLAIN,
    "application/openmetrics-text;version=2.0.0": PLAIN,
    "application/openmetrics-text;version=x": PLAIN,
    "application/*": PLAIN,
    "*/*": PLAIN,
    "text/html,*/*;q=0.8": PLAIN,
    ";,;=;q,application/openmetrics-textual": PLAIN,
    "": PLAIN,
}


@pytest.mark.parametrize(("accept", "expected"), PREFERENCES.items())
def test_the_format_is_what_the_scrape_prefers(accept: str, expected: str) -> None:
    """OpenMetrics for who names it and nothing better; everybody else gets what there was."""
    assert preferred_format(accept) == expected


def test_a_histogram_is_cumulative() -> None:
    """Each bucket holds the ones before it; the last holds all."""
    histogram = Histogram()
    for seconds in (0.0005, 0.001, 0.0011, 100.0):
        histogram.observe(seconds)
    buckets, total = histogram.samples()
    assert buckets[0] == ("0.001", 2.0)
    assert buckets[1] == ("0.0025", 3.0)
    assert buckets[-1] == ("+Inf", 4.0)
    assert total == pytest.approx(100.0026)


def test_alerts_and_dashboard_ask_for_what_there_is() -> None:
    """No rule, panel or query of the runbook names a metric or label that a scrape lacks."""
    assert_names_exist(used().render().decode())


def test_promtool_finds_nothing() -> None:
    """Prometheus's own linter accepts the exposition, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (apt-get install prometheus)")
    text = used().render()
    own = b"\n".join(line for line in text.splitlines() if b"signicat_proxy" in line) + b"\n"
    done = subprocess.run(
        [promtool, "check", "metrics"], input=own, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
