"""The alerts of large fleets, as promtool reckons them: one alert for what is wrong in one way."""

import itertools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.expressions import RULES
from tests.deploy.test_alerts import GROUPS, promtool
from tests.deploy.watch import active, alertmanager, amtool
from tests.support.oidc_server import required_program
from tests.support.source_tree import ROOT
from tests.support.waiting import within

FIRING: Final = 'ALERTS{alertstate="firing"}'
"""What Prometheus itself records of its alerts."""
Series = Iterator[dict[str, str]]


def of_fleet(pods: int, name: str, values: str, **labels: str) -> Series:
    """Yield the series of each pod of a fleet; all of them go the same way."""
    for pod in range(pods):
        own = {"namespace": "shop", "job": "orders", "pod": f"orders-{pod}", **labels}
        own["instance"] = f"10.1.2.{pod}:8081"
        matchers = ",".join(f'{key}="{value}"' for key, value in own.items())
        yield {"series": f"signicat_proxy_{name}{{{matchers}}}", "values": values}


def cases_of_rules() -> dict[str, Any]:
    """Return a file of unit tests of the project's rules, still without a test."""
    return {
        "rule_files": [str(ROOT / RULES)],
        "evaluation_interval": "30s",
        "group_eval_order": [group["name"] for group in GROUPS],
    }


def assert_finds(
    folder: Path, series: Series, minutes: int, expression: str, found: Sequence[tuple[str, float]]
) -> None:
    """See that after these minutes an expression has these results: labels and value."""
    question = {
        "expr": expression,
        "eval_time": f"{minutes}m",
        "exp_samples": [{"labels": labels, "value": value} for labels, value in found],
    }
    test = {"interval": "30s", "input_series": list(series), "promql_expr_test": [question]}
    path = folder / "cases.yaml"  # JSON is YAML
    path.write_text(json.dumps({**cases_of_rules(), "tests": [test]}), "utf-8")
    assert "SUCCESS" in promtool("test", "rules", str(path))


def assert_firing(
    folder: Path, series: Series, minutes: int, alerts: Sequence[Mapping[str, str]]
) -> None:
    """See that after these minutes these alerts fire, one each, and no others."""
    rows = [",".join(f'{key}="{value}"' for key, value in labels.items()) for labels in alerts]
    expression = f"count without (alertstate, namespace, job) ({FIRING})"
    assert_finds(folder, series, minutes, expression, [(f"{{{row}}}", 1) for row in rows])


def described(folder: Path, series: Series, minutes: int, name: str) -> str:
    """Return the description of the one alert of a name that fires after these minutes."""
    asked = {"alertname": name, "eval_time": f"{minutes}m", "exp_alerts": []}
    test = {"interval": "30s", "input_series": list(series), "alert_rule_test": [asked]}
    path = folder / "cases.yaml"
    path.write_text(json.dumps({**cases_of_rules(), "tests": [test]}), "utf-8")
    done = subprocess.run(
        [required_program("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    (found,) = re.findall(r'description="((?:[^"\\]|\\.)*)"', done.stdout + done.stderr)
    return str(found)


def alert(name: str, severity: str, **labels: str) -> dict[str, str]:
    """Return the labels of an alert, but for those of the fleet."""
    return {"alertname": f"SignicatProxy{name}", "severity": severity, **labels}


def test_a_fleet_fails_as_a_whole(tmp_path: Path) -> None:
    """Twenty sidecars that each fail 4 of 10 requests in five minutes are one alert."""
    series = itertools.chain(
        of_fleet(20, "request_duration_seconds_count", "0+1x20", client="auth"),
        of_fleet(20, "error_replies_total", "0+0.4x20", client="auth", reason="upstream_closed"),
    )
    expected = [
        alert("Errors", "critical", client="auth"),
        alert("ErrorBudgetBurnFast", "critical", client="auth"),
    ]
    assert_firing(tmp_path, series, 8, expected)


def test_one_of_a_large_fleet_fails(tmp_path: Path) -> None:
    """One sidecar of a hundred fails all its requests: to one application that is everything."""
    series = itertools.chain(
        of_fleet(100, "request_duration_seconds_count", "0+10x20", client="auth"),
        of_fleet(1, "error_replies_total", "0+10x20", client="auth", reason="upstream_closed"),
    )
    assert_firing(tmp_path, series, 8, [alert("Errors", "critical", client="auth")])


def of_routes(busy: str, quiet: str, failing: str) -> Series:
    """Yield 40 pods with a busy and a quiet route; in one pod the quiet one fails."""
    labels = {"client": "auth", "reason": "upstream_closed"}
    yield from of_fleet(40, "request_duration_seconds_count", busy, client="auth", route="/a")
    yield from of_fleet(40, "request_duration_seconds_count", quiet, client="auth", route="/b")
    yield from of_fleet(1, "error_replies_total", failing, route="/b", **labels)


def test_a_process_is_judged_by_all_its_routes(tmp_path: Path) -> None:
    """It fails when most of its requests do, on whichever routes, and not when a small one does."""
    assert_firing(tmp_path, of_routes("0+10x20", "0+1x20", "0+1x20"), 8, [])
    labels = {"client": "auth", "reason": "upstream_closed", "route": "/a"}
    series = itertools.chain(
        of_routes("0+0.3x20", "0+0.3x20", "0+0.3x20"),
        of_fleet(1, "error_replies_total", "0+0.3x20", **labels),
        of_fleet(40, "request_duration_seconds_count", "0+10x20", client="sign", route="/sign"),
    )
    assert_firing(tmp_path, series, 8, [alert("Errors", "critical", client="auth")])


def test_one_failure_pages_nobody(tmp_path: Path) -> None:
    """One request of a hundred in a quiet night is refused, one fails, Signicat fails one."""
    series = itertools.chain(
        of_fleet(2, "request_duration_seconds_count", "0+1x40", client="auth"),
        of_fleet(1, "error_replies_total", "0 0 1x38", client="auth", reason="overloaded"),
        of_fleet(1, "error_replies_total", "0 0 0 1x37", client="auth", reason="upstream_closed"),
        of_fleet(1, "rejected_total", "0 0 1x38", reason="overloaded"),
        of_fleet(1, "upstream_errors_total", "0 0 0 1x37", reason="closed"),
        of_fleet(2, "upstream_responses_total", "0+1x40", client="auth", **{"class": "2xx"}),
        of_fleet(1, "upstream_responses_total", "0 0 1x38", client="auth", **{"class": "5xx"}),
    )
    assert_firing(tmp_path, series, 6, [])


OUTAGE: Final = [
    alert(name, severity, client=client)
    for client in ("auth", "sign")
    for name, severity in (
        ("NotReady", "critical"),
        ("Errors", "critical"),
        ("ErrorBudgetBurnFast", "critical"),
        ("RenewalFailing", "warning"),
    )
]
"""What fires when no client of a fleet gets a token."""


def outage() -> Series:
    """Yield six pods with two clients, whose tokens end after five minutes; requests get 503."""
    for client in ("auth", "sign"):
        yield from of_fleet(6, "client_ready", "1x10 0x20", client=client)
        yield from of_fleet(6, "token_consecutive_failures", "0x4 1+1x26", client=client)
        yield from of_fleet(6, "token_expiry_timestamp_seconds", "600x10 0x20", client=client)
        yield from of_fleet(6, "token_last_success_timestamp_seconds", "0x30", client=client)
        yield from of_fleet(6, "request_duration_seconds_count", "0+5x30", client=client)
        yield from of_fleet(
            6, "error_replies_total", "0x10 0+5x20", client=client, reason="token_unavailable"
        )


def test_an_outage_is_one_alert_for_a_client(tmp_path: Path) -> None:
    """However many pods it meets, no alert of a client fires twice."""
    assert_firing(tmp_path, outage(), 12, OUTAGE)


async def told(alerts: Sequence[Mapping[str, str]], count: int, folder: Path) -> list[Any]:
    """Return name and client of those alerts of a fleet that Alertmanager tells."""
    fleet = {"namespace": "shop", "job": "orders"}
    found: list[dict[str, str]] = []
    async with alertmanager(folder) as url:
        for labels in alerts:
            await amtool(
                url, "add", *(f"{key}={value}" for key, value in {**labels, **fleet}.items())
            )

        async def poll() -> None:
            nonlocal found
            while len(found) != count:
                found = await active(url)

        await within(poll(), f"{count} alerts")
        return sorted((labels["alertname"], labels.get("client")) for labels in found)


async def test_an_outage_is_told_once_for_a_client(tmp_path: Path) -> None:
    """The inhibitions leave one alert of each client."""
    assert await told(OUTAGE, 2, tmp_path) == [
        ("SignicatProxyNotReady", "auth"),
        ("SignicatProxyNotReady", "sign"),
    ]


async def test_nothing_is_inhibited_by_what_is_not_its_cause(tmp_path: Path) -> None:
    """Another client's failures, and Signicat's, are told beside a client without a token."""
    alerts = [
        alert("NotReady", "critical", client="auth"),
        alert("Errors", "critical", client="sign"),
        alert("UpstreamServerErrors", "warning", client="auth"),
        alert("Restarting", "warning"),
    ]
    assert len(await told(alerts, 4, tmp_path)) == 4


@pytest.mark.parametrize("speed", ["Fast", "Slow"])
def test_a_description_has_a_number_or_says_that_there_is_none(tmp_path: Path, speed: str) -> None:
    """Requests that wait in vain are slow, and there is no response of which to tell a time."""
    series = itertools.chain(
        of_fleet(2, "request_duration_seconds_count", "0+10x200", client="auth"),
        of_fleet(2, "request_duration_seconds_bucket", "0+1x200", client="auth", le="2.5"),
        of_fleet(2, "upstream_duration_seconds_bucket", "0x200", client="auth", le="1"),
        of_fleet(2, "upstream_duration_seconds_bucket", "0x200", client="auth", le="+Inf"),
    )
    told = described(tmp_path, series, 90, f"SignicatProxyLatencyBudgetBurn{speed}")
    assert "NaN" not in told
    assert told.endswith("longer than 2.5 seconds. No response of Signicat came in that time.")


def test_no_token_expires_in_the_past(tmp_path: Path) -> None:
    """The alert goes on when the token is over, and then says so."""
    series = itertools.chain(
        of_fleet(1, "token_expiry_timestamp_seconds", "600x40", client="auth"),
        of_fleet(1, "token_last_success_timestamp_seconds", "0x40", client="auth"),
    )
    told = described(tmp_path, series, 15, "SignicatProxyTokenExpiresSoon")
    assert told == "The first token has expired: requests get 503. It is that of orders-0."
