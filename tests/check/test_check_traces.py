"""What `check` and `config` say of traces: what is set, and whether the collector takes spans."""

import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.support.certificates import context_for
from tests.support.messages import reply
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.peers import ByteServer
from tests.support.proxy_process import command
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")

KEY = "key-of-the-collector"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"
BRIEF = "0.75"  # where a connection is lost: no time for the SDK's pause before the next try


async def lines(tokens: TokenServer, folder: Path, **variables: str) -> list[dict[str, Any]]:
    """Return what `check` says of traces; nothing of it makes the command fail."""
    async with ByteServer(reply()) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | variables
        code, out, err = await command("check", "--json", directory=folder, environ=environ)
    assert code == 0, out
    assert KEY not in out + err
    return [line for line in json.loads(out) if line["id"] == "traces"]


async def test_without_traces_there_is_nothing_to_check(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """One line says so."""
    (line,) = await lines(tokens, tmp_path)
    assert (line["state"], line["target"]) == ("skipped", ENDPOINT)


async def test_a_collector_that_takes_spans(tokens: TokenServer, tmp_path: Path) -> None:
    """It is asked as spans are sent: with the headers, at the path, with an empty batch."""
    async with OtlpReceiver() as collector:
        given = {ENDPOINT: f"{collector.url}/", HEADERS: f"api-key={KEY}"}
        (line,) = await lines(tokens, tmp_path, **given)
        assert (line["state"], line["target"]) == ("ok", collector.url)
        (asked,) = collector.requests
        assert (asked.head.value("api-key"), asked.body) == (KEY, b"")


@pytest.mark.parametrize(
    ("answer", "detail", "fix"),
    [
        (reply("401 Unauthorized", body=b"private words"), "status 401", HEADERS),
        (reply("404 Not Found"), "status 404", "/v1/traces"),
        (reply("302 Found", "Location: https://elsewhere.test/"), "status 302", "own log"),
        (b"SSH-2.0 server\r\n\r\n", "ConnectionError", "4318"),
    ],
)
async def test_a_collector_that_does_not(
    tokens: TokenServer, tmp_path: Path, answer: bytes, detail: str, fix: str
) -> None:
    """A warning with the fix; the proxy works without it."""
    async with ByteServer(answer) as collector:
        given = {ENDPOINT: collector.url, HEADERS: f"api-key={KEY}"}
        seconds = BRIEF if detail == "ConnectionError" else "10"
        (line,) = await lines(tokens, tmp_path, **given, OTEL_EXPORTER_OTLP_TIMEOUT=seconds)
        assert (line["state"], line["detail"]) == ("warning", detail)
        assert fix in line["fix"]


async def test_a_collector_whose_certificate_nobody_knows(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """The fix names the variable for an authority of one's own; with it all is well."""
    authority = trustme.CA()
    file = tmp_path / "collector-ca.pem"
    authority.cert_pem.write_to_path(str(file))
    async with OtlpReceiver(tls=context_for(authority, "127.0.0.1")) as collector:
        given = {ENDPOINT: collector.url, "OTEL_EXPORTER_OTLP_TIMEOUT": BRIEF}
        (line,) = await lines(tokens, tmp_path, **given)
        assert (line["state"], line["detail"]) == ("warning", "SSLError")
        assert "OTEL_EXPORTER_OTLP_CERTIFICATE" in line["fix"]
        given["OTEL_EXPORTER_OTLP_TIMEOUT"] = "10"
        given["OTEL_EXPORTER_OTLP_CERTIFICATE"] = str(file)
        (line,) = await lines(tokens, tmp_path, **given)
        assert line["state"] == "ok"


async def test_variables_that_are_of_no_use(tokens: TokenServer, tmp_path: Path) -> None:
    """Each has a line, whether traces are on or not."""
    given = {ENDPOINT: "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}
    (line,) = await lines(tokens, tmp_path, **given)
    assert (line["state"], line["target"]) == ("warning", "OTEL_EXPORTER_OTLP_PROTOCOL")
    assert "4318" in line["fix"]


async def test_config_shows_the_variables(tmp_path: Path) -> None:
    """As a table and as JSON; neither the key nor what a URL can hold of secrets."""
    environ = environment(upstream="https://up.test", token_url="https://idp.test/t") | {
        ENDPOINT: f"https://user:{KEY}@collector.test:4318/otlp?key={KEY}",
        HEADERS: f"api-key={KEY},nonsense",
        "OTEL_TRACES_SAMPLER": "always_on",
        "OTEL_UNKNOWN": KEY,
    }
    code, out, _ = await command("config", "--json", directory=tmp_path, environ=environ)
    assert code == 0
    assert KEY not in out
    traces = json.loads(out)["traces"]
    assert traces["on"] is True
    assert traces["variables"] == {
        ENDPOINT: "https://collector.test:4318/otlp",
        HEADERS: "(set)",
        "OTEL_TRACES_SAMPLER": "always_on",
    }
    assert [warning["variable"] for warning in traces["warnings"]] == [HEADERS]
    code, table, _ = await command("config", directory=tmp_path, environ=environ)
    rows = [line.split() for line in table.splitlines()]
    assert ["traces", "on"] in rows
    assert ["OTEL_TRACES_SAMPLER", "always_on", "environment"] in rows
    assert KEY not in table
    off = environment(upstream="https://up.test", token_url="https://idp.test/t")
    _, table, _ = await command("config", directory=tmp_path, environ=off)
    assert ["traces", "off"] in [line.split() for line in table.splitlines()]
