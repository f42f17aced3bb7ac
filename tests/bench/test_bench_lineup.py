"""What the bench runs: peers, requests, interpreter and plan. No load here."""

import http.client
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from bench.__main__ import parse as parse_arguments
from bench.client import Endpoint
from bench.failures import BenchError
from bench.install import kept
from bench.interpreter import Build, faster
from bench.load.progress import Progress, expected_seconds
from bench.load.scenarios import SCENARIOS
from bench.load.wrk import Request, script
from bench.machine import missing_packages
from bench.peers import caddy, haproxy
from bench.peers.envoy import configuration
from bench.peers.lineup import PEERS
from bench.peers.nginx import proxy_configuration, upstream_configuration
from bench.peers.peer import TRACED, Launch, Program, Site
from bench.peers.signicat import Signicat
from bench.peers.token_endpoint import TOKEN, new_token, token_endpoint
from proxy.settings.loader import load
from proxy.tracing.sampling import Sampler
from proxy.tracing.settings import read_trace_settings
from tests.support.source_tree import ROOT


def test_all_peers_verify_the_upstream() -> None:
    """With a TLS upstream, every proxy trusts the bench's CA alone and checks the name."""
    ca_file = Path("ca.pem")
    envoy = str(configuration(port=1, upstream_port=2, token_port=3, ca_file=ca_file))
    assert "'trusted_ca': {'filename': 'ca.pem'}" in envoy
    assert "'matcher': {'exact': 'localhost'}" in envoy
    nginx = proxy_configuration(port=1, upstream=2, tls=True, ca_file=ca_file)
    assert "proxy_ssl_verify on;" in nginx
    assert "proxy_pass https://origin;" in nginx
    text = haproxy.configuration(port=1, upstream=2, tls=True, ca_file=ca_file)
    assert "ssl verify required ca-file ca.pem verifyhost localhost" in text
    text = caddy.configuration(port=1, upstream=2, tls=True, ca_file=ca_file)
    assert "reverse_proxy https://127.0.0.1:2 {" in text
    assert "tls_trust_pool file ca.pem" in text
    assert "tls_server_name localhost" in text


@pytest.mark.parametrize("module", [haproxy, caddy])
def test_without_tls_none_is_configured(module: ModuleType) -> None:
    """With a plain upstream, the configuration says nothing of TLS, and sets the token."""
    text = module.configuration(port=1, upstream=2, tls=False, ca_file=Path("ca.pem"))
    assert "ca.pem" not in text
    assert f'"Bearer {TOKEN}"' in text


def test_the_upstream_refuses_requests_without_the_token() -> None:
    """A proxy that adds nothing gets 401s, which refuse its figures."""
    text = upstream_configuration(plain=1, tls=2, rolling=3)
    assert f'if ($http_authorization != "Bearer {TOKEN}") {{ return 401; }}' in text


def test_each_grant_of_short_life_is_a_token_of_its_own() -> None:
    """Over HTTP, the endpoint grants the fixed token, or counted ones that end when they say."""
    for lifetime, expected in ((None, 86400), (5, 5)):
        with token_endpoint(lifetime) as tokens:
            connection = http.client.HTTPConnection("127.0.0.1", tokens.server_port, timeout=10)
            connection.request("POST", "/token", body="grant_type=client_credentials")
            grant = json.loads(connection.getresponse().read())
            connection.close()
        assert grant["expires_in"] == expected
        assert tokens.granted == 1
        until = re.match("bench-([0-9]+)-", grant["access_token"])
        assert (until is not None) == (lifetime is not None)
        assert until is None or grant["access_token"] == new_token(int(until[1]))


def test_requests_have_as_many_headers_as_asked_for() -> None:
    """`Host`, those that are the same in each request, and the one that differs."""
    same = script(Request("/1k", 1024, headers=20), Endpoint(1))
    assert same.count("wrk.headers[") == 19
    assert "request = function" not in same
    new = script(Request("/1k", 1024, headers=20, has_new_header=True), Endpoint(1))
    assert new.count("wrk.headers[") == 19
    assert "request = function" in new


def test_targets_are_asked_for_in_turn() -> None:
    """The script knows every target of the request."""
    text = script(Request("/a", 0, others=("/b", "/c")), Endpoint(1))
    assert 'local targets = {"/a", "/b", "/c"}' in text


def build(
    milliseconds: float, version: tuple[int, ...] = (3, 11, 2), *, pgo: bool = False
) -> Build:
    """Return an interpreter with that calibration."""
    return Build(Path("own"), version, "3.0.19", pgo, has_lto=False, loop_milliseconds=milliseconds)


@pytest.mark.parametrize(
    ("own", "system", "is_system"),
    [
        (build(20), build(12), True),
        (build(12), build(20), False),
        (build(12), build(12), False),
        (build(20), build(12, (3, 10, 9)), False),
    ],
)
def test_the_faster_interpreter_that_can_run_the_proxy_is_taken(
    own: Build, system: Build, *, is_system: bool
) -> None:
    """The system's interpreter is taken where it is new enough and faster."""
    assert faster(own, system) == (system if is_system else own)


def test_an_interpreter_says_how_it_was_built() -> None:
    """The report names version, flags and calibration, and no path that means nothing to others."""
    own = Build.of(Path(sys.executable))
    assert own.version == sys.version_info[:3]
    assert own.loop_milliseconds > 0
    assert "own" not in build(12.34).text
    assert "tell of neither PGO nor LTO; calibration loop 12.3 ms" in build(12.34).text
    assert "tell of PGO; calibration" in build(12.34, pgo=True).text


def test_slow_peers_take_part_in_few_scenarios() -> None:
    """What takes long and is far away anyway is measured where all are compared."""
    assert {each.name for each in SCENARIOS if each.concerns("mitmproxy")} == {
        "memory",
        "start-up",
        "get-1k-16",
        "get-1k-16-tls",
    }


def test_every_base_is_a_scenario_of_the_same_peers() -> None:
    """A ratio to a base has both sides."""
    by_name = {each.name: each for each in SCENARIOS}
    for scenario in SCENARIOS:
        if scenario.base:
            assert by_name[scenario.base].only == scenario.only


def test_the_share_of_sampled_requests_is_the_standard_variable(tmp_path: Path) -> None:
    """The proxy reads what the bench sets; without a share it traces nothing."""
    site = Site(1, 2, 3, Path("ca.pem"), tls=False, folder=tmp_path, collector="http://127.0.0.1:4")
    assert read_trace_settings(Signicat(Path("python"), ROOT).launch(site).environ) == (None, ())
    for share in TRACED.values():
        launch = Signicat(Path("python"), ROOT, sampled=share).launch(site)
        settings, warnings = read_trace_settings(launch.environ)
        assert settings is not None
        assert settings.sampler == Sampler.named("parentbased_traceidratio", share)
        assert warnings == ()


def test_the_whole_bench_takes_twenty_minutes_at_most_on_a_calm_machine() -> None:
    """With its default rounds and seconds, by what samples are expected to take."""
    options = parse_arguments([])
    peers = [Program(name, launch=lambda _: Launch(())) for name in PEERS]
    seconds = sum(
        expected_seconds(each, peers, rounds=options.rounds, seconds=options.seconds)
        for each in SCENARIOS
    )
    assert 300 < seconds < 1200


def test_progress_is_told_at_the_pace_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    """What took twice as long as expected makes the rest take twice as long."""
    now = iter([0.0, 0.0, 120.0])
    progress = Progress([60.0, 60.0, 120.0], clock=lambda: next(now))
    progress.say("begin")
    progress.done(60.0)
    progress.say("next")
    assert capsys.readouterr().err.splitlines() == [
        "[  0%, 4 min left] begin",
        "[ 25%, 6 min left] next",
    ]


def test_progress_knows_of_rounds_that_came_on_top(capsys: pytest.CaptureFixture[str]) -> None:
    """They are neither done before they are taken, nor do they make the others look slow."""
    now = iter([0.0, 60.0, 120.0])
    progress = Progress([60.0, 60.0], clock=lambda: next(now))
    progress.done(60.0)
    progress.more(60.0)
    progress.say("one more")
    progress.done(60.0)
    progress.say("next")
    assert capsys.readouterr().err.splitlines() == [
        "[ 33%, 2 min left] one more",
        "[ 67%, 1 min left] next",
    ]


def test_missing_programs_are_named_for_the_peers_that_need_them() -> None:
    """Only what a chosen peer needs is asked for."""
    assert missing_packages(["haproxy"], which=lambda _: None) == [
        "nginx-light",
        "wrk",
        "haproxy",
        "gcc",
    ]
    assert missing_packages(["undici"], which=lambda _: None) == [
        "nginx-light",
        "wrk",
        "nodejs npm",
        "gcc",
    ]
    assert missing_packages(PEERS, which=lambda name: name) == []


def test_what_is_kept_is_made_anew_when_something_else_is_wanted(tmp_path: Path) -> None:
    """A folder is made once for what is wanted; one whose making failed is no such folder."""
    folder = tmp_path / "kept"

    def make(wanted: str, *, fails: bool = False) -> bool:
        with kept(folder, wanted, "making") as missing:
            if missing is not None:
                missing.mkdir()
                (missing / "content").write_text(wanted, encoding="utf-8")
                if fails:
                    raise BenchError("failed")
        return missing is not None

    with pytest.raises(BenchError):
        make("a", fails=True)
    assert [make(wanted) for wanted in ("a", "a", "b", "b")] == [True, False, True, False]
    assert (folder / "content").read_text(encoding="utf-8") == "b"


def test_clients_have_a_route_each(tmp_path: Path) -> None:
    """The proxy's own settings take what the bench writes for many clients."""
    site = Site(1, 2, 3, Path("ca.pem"), tls=False, folder=tmp_path)
    launch = Signicat(Path("python"), ROOT, clients=3).launch(site)
    path = Path(launch.command[-1])
    environ = {
        k: v for k, v in launch.environ.items() if k not in ("PYTHONPATH", "SIGNICAT_PROXY_CA_FILE")
    }
    settings = load(config_file=path, environ=environ, directory=tmp_path).settings
    assert [client.client_id for client in settings.clients] == ["bench-0", "bench-1", "bench-2"]
    assert {route.path for route in settings.routes} == {
        "/",
        "/clients/0",
        "/clients/1",
        "/clients/2",
    }
