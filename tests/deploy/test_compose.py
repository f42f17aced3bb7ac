"""docker-compose.yml and its override, brought up by the real Docker Compose."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.deploy.composition import COMPOSE_TOOLS, Composition, composition, project
from tests.deploy.containers import Engine, missing, need, tool, until
from tests.deploy.expressions import DASHBOARD
from tests.support.source_tree import read

SERVICES = ("proxy", "mock", "caller", "prometheus")
SIGNICAT = ("-f", "docker-compose.yml", "-f", "docker-compose.signicat.yml")
CALLERS = ("-f", "docker-compose.yml", "-f", "docker-compose.callers.yml")
UP = ("up", "--detach", "--no-build", "--pull=never")
OWNER = 12345
LOOKUP_SECONDS = 120.0  # for ten lookups that fail, and the caller's pauses between them
NOT_FOUND = f"no answer: <urlopen error [Errno {socket.EAI_AGAIN}]"
ACCEPTED = {
    # The address of an endpoint, taken for a secret because of its name.
    ("CL-0020", "proxy"),
    # Our own image is built here; the digests of others' are the reader's to pin.
    *(("CL-0019", name) for name in (*SERVICES, "grafana", "jaeger")),
}


def credentials(file: Path) -> dict[str, str]:
    """Return what the override asks its user for; the client is the mock's."""
    return {
        "SIGNICAT_PROXY_CLIENT_ID": "sandbox-mock-client-1",
        "SIGNICAT_PROXY_CLIENT_SECRET_FILE": str(file),
    }


def secret(folder: Path) -> Path:
    """Write the mock's secret to a file that its owner alone can read."""
    file = folder / "signicat-secret"
    file.write_text("mock-secret-of-the-sandbox\n", "utf-8")
    os.chown(file, OWNER, OWNER)
    file.chmod(0o600)
    return file


def has_token(compose: Composition) -> bool:
    """Return whether the proxy says that it is ready."""
    return compose.get(
        "http://localhost:8081/readyz", *("--retry", "5", "--retry-connrefused")
    ).startswith("200 ")


def reaches_the_mock(compose: Composition) -> bool:
    """Return whether the proxy has its token, and a connection to the mock."""
    return has_token(compose) and compose.get(
        "http://localhost:8080/sign/signing-sessions", "-m70"
    ).startswith("200 ")


@pytest.fixture(scope="module")
def compose(
    engine: Engine, image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """Have Docker Compose with a copy of the project's files; nothing is up yet."""
    del image
    need(missing(COMPOSE_TOOLS))
    with composition(engine, project(tmp_path_factory.mktemp("compose"))) as running:
        yield running


@pytest.fixture(scope="module")
def up(compose: Composition) -> Iterator[Composition]:
    """Have everything up, as `docker compose up` without an account and without a setting.

    The caller comes last: each container that joins may leave podman's name server deaf for
    seconds, and by then the proxy has a connection to the mock that needs no name any more.
    """
    compose.run(*UP, "proxy", "mock", "prometheus")
    until(lambda: reaches_the_mock(compose), "an answer of the mock")
    compose.run(*UP)
    yield compose
    compose.run("down", "--timeout=5")


def answers(compose: Composition) -> list[str]:
    """Return what the example caller has printed of each request that it could send.

    While podman's name server is deaf it finds no proxy: that says nothing of the proxy.
    """
    lines = compose.run("logs", "--no-log-prefix", "caller").splitlines()
    printed = [json.loads(line)["answer"] for line in lines]
    return [answer for answer in printed if not answer.startswith(NOT_FOUND)]


def test_the_caller_gets_answers(up: Composition) -> None:
    """The example caller waits until the proxy is ready; its very first answer is the mock's."""
    until(lambda: bool(answers(up)), "an answer", LOOKUP_SECONDS)
    assert {answer[:3] for answer in answers(up)} == {"200"}


def test_the_host_gets_answers(up: Composition) -> None:
    """The ports that are published on loopback are the proxy's, its admin port's and the mock's."""
    assert up.get("http://localhost:8080/sign/signing-sessions").startswith("200 ")
    assert up.get("http://localhost:8081/readyz").startswith("200 ")
    assert up.get("http://localhost:9090/sign/signing-sessions").startswith("401 ")


def test_a_foreign_name_is_refused(up: Composition) -> None:
    """Listening on all addresses of its container has not opened it to DNS rebinding (G2)."""
    answer = up.get("http://localhost:8080/sign/signing-sessions", "-H", "Host: evil.example")
    assert answer.startswith("421 ")


def test_pages_of_the_mock_open_on_the_host(up: Composition) -> None:
    """A page for a person has an address of the host, not one of a container."""
    order = {
        "flow": "redirect",
        "allowedProviders": ["nbid"],
        "callbackUrls": dict.fromkeys(("success", "abort", "error"), "https://shop.example/"),
    }
    answer = up.get(
        "http://localhost:8080/auth/rest/sessions",
        *("-H", "Content-Type: application/json", "-d", json.dumps(order)),
    )
    status, _, body = answer.partition(" ")
    assert status == "200"
    page = json.loads(body)["authenticationUrl"]
    assert page.startswith("http://localhost:9090/")
    assert up.get(page).startswith("200 ")


def alerts(compose: Composition) -> dict[str, tuple[str, str]]:
    """Return health and state of each alert that Prometheus has loaded."""
    groups = compose.query(9091, "rules?type=alert")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    return {rule["name"]: (rule["health"], rule["state"]) for rule in rules}


def test_prometheus_watches_the_proxy(up: Composition) -> None:
    """It scrapes the proxy and evaluates every alert of the rules' file; none fires."""
    scraped = "query?query=signicat_proxy_requests_total"
    until(lambda: bool(up.query(9091, scraped)["result"]), "the first scrape")
    rules = read("helm/signicat-proxy/files/alerts.yaml")
    assert set(alerts(up)) == set(re.findall(r"^ *- alert: (\w+)", rules, re.MULTILINE))
    quiet = {("ok", "inactive"), ("ok", "pending")}
    until(lambda: set(alerts(up).values()) <= quiet, "rules that all can be evaluated")


def test_prometheus_keeps_exemplars(up: Composition) -> None:
    """As a point in Grafana that leads to a trace needs it (O5)."""
    assert up.query(9091, "status/flags")["enable-feature"] == "exemplar-storage"


def test_grafana_is_given_its_source_and_the_dashboard(compose: Composition) -> None:
    """What is mounted exists, is where Grafana looks, and names what there is; none can be written.

    Its image cannot be had where the tests run.
    """
    profiles = ("--profile=grafana", "--profile=traces")
    whole = json.loads(compose.run(*profiles, "config", "--format=json"))
    grafana = whole["services"]["grafana"]
    mounts = {mount["target"]: Path(mount["source"]) for mount in grafana["volumes"]}
    assert all(mount["read_only"] for mount in grafana["volumes"])
    provisioned = {
        Path(target).parent.name: yaml.safe_load(source.read_text("utf-8"))
        for target, source in mounts.items()
        if target.startswith("/etc/grafana/provisioning/")
    }
    (source,) = provisioned["datasources"]["datasources"]
    name, _, port = source["url"].removeprefix("http://").partition(":")
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    assert int(port) in {entry["target"] for entry in whole["services"][name]["ports"]}
    (jaeger,) = whole["services"]["jaeger"]["ports"]
    (exemplar,) = source["jsonData"]["exemplarTraceIdDestinations"]
    # Grafana replaces variables in the file, but for a doubled sign, which stands for the value.
    link = exemplar["url"].replace("$JAEGER_PORT", grafana["environment"]["JAEGER_PORT"])
    assert (exemplar["name"], link) == (
        "trace_id",
        f"http://localhost:{jaeger['published']}/trace/$${{__value.raw}}",
    )
    (provider,) = provisioned["dashboards"]["providers"]
    (dashboard,) = [
        target for target in mounts if Path(target).parent == Path(provider["options"]["path"])
    ]
    assert grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
    assert json.loads(mounts[dashboard].read_text("utf-8")) == DASHBOARD


@pytest.mark.parametrize(
    ("profile", "service", "more"),
    [("grafana", "grafana", {}), ("traces", "jaeger", {"mem_limit": str(512 << 20)})],
)
def test_what_a_profile_adds_is_hardened_and_on_loopback(
    compose: Composition, profile: str, service: str, more: dict[str, str]
) -> None:
    """It is started by name only, with no more rights than the other containers have."""
    whole = json.loads(compose.run(f"--profile={profile}", "config", "--format=json"))
    added, prometheus = (whole["services"][name] for name in (service, "prometheus"))
    for name in ("cap_drop", "security_opt", "read_only", "pids_limit", "mem_limit"):
        assert added[name] == more.get(name, prometheus[name]), name
    assert {entry["host_ip"] for entry in added["ports"]} == {"127.0.0.1"}
    assert not added["user"].startswith("0:")
    assert service not in json.loads(compose.run("config", "--format=json"))["services"]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened(up: Composition, name: str) -> None:
    """Nothing is root, writable, capable or unlimited, and ports are loopback's alone."""
    facts = up.container(name)
    host = facts["HostConfig"]
    assert facts["Config"]["User"].partition(":")[0] not in {"", "0", "root"}
    assert host["ReadonlyRootfs"] is True
    assert facts["EffectiveCaps"] in (None, [])
    assert "no-new-privileges" in host["SecurityOpt"]
    assert 0 < host["Memory"] <= 256 << 20
    assert 0 < host["PidsLimit"] <= 64
    published = [port["HostIp"] for ports in host["PortBindings"].values() for port in ports]
    assert set(published) <= {"127.0.0.1"}
    assert facts["RestartCount"] == 0


def test_the_proxy_stops_cleanly(up: Composition) -> None:
    """`docker compose stop` ends it with 0 well within its grace period; it comes up again."""
    up.run("stop", "proxy")
    assert up.container("proxy")["State"]["ExitCode"] == 0
    up.run("start", "proxy")
    until(lambda: up.container("proxy")["State"]["Running"], "the proxy to run again")


def lint_findings(text: str, folder: Path) -> set[tuple[str, str]]:
    """Return rule and service of everything that compose-lint finds in a file with this text."""
    file = folder / "docker-compose.yml"
    file.write_text(text, "utf-8")
    done = subprocess.run(
        (str(tool("compose-lint")), "--format=json", file), capture_output=True, check=False
    )
    return {(found["rule_id"], found["service"]) for found in json.loads(done.stdout)["findings"]}


def test_linter_finds_nothing_else(tmp_path: Path) -> None:
    """compose-lint has nothing to say but what is accepted, each with its reason."""
    need(missing(("compose-lint",)))
    assert lint_findings(read("docker-compose.yml"), tmp_path) == ACCEPTED


def test_linter_finds_nothing_in_the_override(compose: Composition, tmp_path: Path) -> None:
    """The same of what Compose makes of both files together."""
    (tmp_path / "secret").write_text("x", "utf-8")
    merged = compose.run(*SIGNICAT, "config", environ=credentials(tmp_path / "secret"))
    assert lint_findings(merged, tmp_path) <= ACCEPTED


@pytest.mark.parametrize(
    "setting", ["SIGNICAT_PROXY_CLIENT_ID", "SIGNICAT_PROXY_CLIENT_SECRET_FILE"]
)
def test_the_override_says_what_is_missing(
    compose: Composition, tmp_path: Path, setting: str
) -> None:
    """Without a client of one's own nothing starts, and the message names what to set."""
    given = {key: value for key, value in credentials(tmp_path / "s").items() if key != setting}
    done = compose.call(*SIGNICAT, "config", "--quiet", environ=given)
    assert done.returncode != 0
    assert setting in done.stderr


def test_the_override_is_about_signicat_alone(compose: Composition, tmp_path: Path) -> None:
    """Nothing of the mock is left: no service, no address, no leave to speak plain HTTP."""
    given = credentials(tmp_path / "secret") | {"SIGNICAT_PROXY_CLIENT_ID": "sandbox-round-apple-1"}
    merged = json.loads(compose.run(*SIGNICAT, "config", "--format=json", environ=given))
    assert set(merged["services"]) == {"proxy", "prometheus"}
    proxy = merged["services"]["proxy"]
    assert "mock" not in json.dumps(proxy)
    assert proxy["environment"] == {
        "SIGNICAT_PROXY_CLIENT_ID": given["SIGNICAT_PROXY_CLIENT_ID"],
        "SIGNICAT_PROXY_CLIENT_SECRET": "",
        "SIGNICAT_PROXY_CLIENT_SECRET_FILE": "/run/secrets/signicat",
        "SIGNICAT_PROXY_ENVIRONMENT": "sandbox",
        "SIGNICAT_PROXY_LISTEN": "0.0.0.0:8080",
        "SIGNICAT_PROXY_ADMIN_LISTEN": "0.0.0.0:8081",
        "SIGNICAT_PROXY_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1],proxy",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "",
    }
    assert merged["secrets"]["signicat"]["file"] == str(tmp_path / "secret")


@pytest.mark.parametrize("names", ["signicat", "localhost,127.0.0.1,[::1]", "*"])
def test_names_of_the_proxy_can_be_added(compose: Composition, names: str) -> None:
    """The proxy's own services reach it by `proxy`, whatever is given."""
    merged = compose.run("config", "--format=json", environ={"SIGNICAT_PROXY_ALLOWED_HOSTS": names})
    environment = json.loads(merged)["services"]["proxy"]["environment"]
    own = "localhost,127.0.0.1,[::1],proxy"
    assert environment["SIGNICAT_PROXY_ALLOWED_HOSTS"] == f"{own},{names}"


def test_a_secret_that_the_user_cannot_read_is_named(compose: Composition, tmp_path: Path) -> None:
    """A file of somebody else's, closed to the container's user: one line names the setting."""
    done = compose.call(*SIGNICAT, "run", "--rm", "proxy", environ=credentials(secret(tmp_path)))
    assert "SIGNICAT_PROXY_CLIENT_SECRET_FILE" in done.stdout + done.stderr


def test_the_override_runs_with_a_closed_secret(compose: Composition, tmp_path: Path) -> None:
    """With PROXY_USER the owner of a 0600 file, and addresses from `.env`, it becomes ready."""
    given = {**credentials(secret(tmp_path)), "PROXY_USER": f"{OWNER}:{OWNER}"}
    settings = {
        "TOKEN_URL": "http://mock:9090/auth/open/connect/token",
        "UPSTREAM_URL": "http://mock:9090",
        "UNSAFE_PLAIN_HTTP": "true",
    }
    lines = [f"SIGNICAT_PROXY_{name}={value}\n" for name, value in settings.items()]
    (compose.folder / ".env").write_text("".join(lines), "utf-8")
    try:
        compose.run(*SIGNICAT, "--profile=mock", *UP, "proxy", "mock", environ=given)
        until(lambda: reaches_the_mock(compose), "an answer of the mock")
        assert compose.container("proxy")["Config"]["User"] == f"{OWNER}:{OWNER}"
    finally:
        (compose.folder / ".env").unlink()
        compose.run(*SIGNICAT, "--profile=*", "down", "--timeout=5", environ=given)


def test_with_callers_only_who_has_the_key_gets_answers(compose: Composition) -> None:
    """The example caller has its key from a file; without it the host gets 401 (I1)."""
    url = "http://localhost:8080/sign/signing-sessions"
    key = read("compose/caller-key").strip()
    try:
        compose.run(*CALLERS, *UP, "proxy", "mock")
        until(lambda: has_token(compose), "a token")
        assert compose.get(url).startswith("401 ")
        with_key = ("-H", f"Authorization: Bearer {key}", "-m70")
        until(lambda: compose.get(url, *with_key).startswith("200 "), "an answer of the mock")
        compose.run(*CALLERS, *UP, "proxy", "mock", "caller")
        until(lambda: bool(answers(compose)), "an answer", LOOKUP_SECONDS)
        assert {answer[:3] for answer in answers(compose)} == {"200"}
    finally:
        compose.run(*CALLERS, "down", "--timeout=5")


def test_traces_arrive_where_the_profile_has_its_collector(compose: Composition) -> None:
    """By name and port of Jaeger, for which a collector stands that writes every span."""
    traces = {"TRACES_ENDPOINT": "http://jaeger:4318"}
    try:
        compose.run("--profile=traces", *UP, "proxy", "mock", "jaeger", environ=traces)
        until(lambda: reaches_the_mock(compose), "an answer of the mock")

        def has_spans() -> bool:
            log = compose.run("--profile=traces", "logs", "--no-log-prefix", "jaeger")
            return all(part in log for part in ("Str(signicat-proxy)", "Name           : GET /"))

        until(has_spans, "spans in the collector's log")
        assert compose.container("jaeger")["RestartCount"] == 0
    finally:
        compose.run("--profile=traces", "down", "--timeout=5")
