"""Spans end to end: a collector that is nobody's test double reads what the proxy sends (O2)."""

import asyncio
import contextlib
import itertools
import re
import signal
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from bench.processes import free_port
from tests.deploy.containers import libraries, need, tool
from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import environment, metric_in
from tests.support.token_server import TokenServer
from tests.support.traced import CALLER, SAMPLED, TRACE, gone_up
from tests.support.waiting import eventually, within

COLLECTOR: Final = "rotel-agent"
_SPAN: Final = re.compile(r"^Span #\d+$", re.MULTILINE)
_FIELD: Final = re.compile(
    r"^ {4}(Trace ID|Parent ID|ID|Name|Kind|Status code) *: (.*)$", re.MULTILINE
)
_ATTRIBUTE: Final = re.compile(r"^ {5}-> ([^:]+): \w+\((.*)\)$", re.MULTILINE)


@dataclass
class Collector:
    """A collector that runs: where it listens, and what it writes of each span."""

    url: str
    log: Path

    def spans(self) -> list["Read"]:
        """Return the spans that it has written so far."""
        resources, *texts = _SPAN.split(self.log.read_text("utf-8"))
        assert "Starting Rotel" in resources
        return [Read(dict(_FIELD.findall(text)), dict(_ATTRIBUTE.findall(text))) for text in texts]

    async def has(self, count: int) -> list["Read"]:
        """Wait until it has so many spans, and see that there are no more."""
        await eventually(lambda: len(self.spans()) >= count, f"{count} spans in its log")
        found = self.spans()
        assert len(found) == count
        return found


@dataclass(frozen=True)
class Read:
    """A span as the collector reads it; all values are text."""

    fields: dict[str, str]
    attributes: dict[str, str]


@contextlib.asynccontextmanager
async def running_collector(folder: Path) -> AsyncIterator[Collector]:
    """Run a collector that writes every span in full until the block ends."""
    program = tool(COLLECTOR)
    need("" if program else f"not installed: {COLLECTOR}")
    absent = [name for name, place in libraries(str(program)).items() if not place]
    need(f"not installed: {', '.join(absent)}" if absent else "")
    http, grpc = free_port(), free_port()
    log = folder / "collector.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(str(program), "start", "--exporter", "blackhole"),
            *("--debug-log", "traces", "--debug-log-verbosity", "detailed"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
            stdout=output,
            stderr=subprocess.STDOUT,
            env={"NO_COLOR": "1"},
        )
    try:
        await eventually(lambda: "Starting Rotel" in log.read_text("utf-8"), "the collector")
        yield Collector(f"http://127.0.0.1:{http}", log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def page_with(admin_port: int, count: int) -> str:
    """Return the metrics once so many spans are counted, as the proxy does when it is answered.

    By then the collector may long have written them.
    """
    admin = await Channel.connect("127.0.0.1", admin_port)
    with contextlib.closing(admin):
        for pause in itertools.repeat(0.01):
            page = (await admin.ask(request("GET /metrics"))).body.decode()
            if metric_in(page, "spans_total") >= count:
                return page
            await asyncio.sleep(pause)
    raise AssertionError


async def refuse_first_token(message: Message) -> bytes:
    """Answer 401 to the first token."""
    is_first = message.head.value("Authorization") == "Bearer token-1-of-the-test"
    lines = ("x-trace-id: 0123456789abcdef",)
    return reply("401 Unauthorized", *lines) if is_first else reply("200 OK", *lines)


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_a_real_collector_counts_what_was_sent(
    tokens: TokenServer, tmp_path: Path, compression: str
) -> None:
    """And reads the same tree: ids, names, kinds, status, attributes, the process behind it."""
    async with running_collector(tmp_path) as collector, ByteServer(refuse_first_token) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_COMPRESSION": compression,
            "OTEL_RESOURCE_ATTRIBUTES": "k8s.pod.name=shop-1",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, admin_port = await process.ports()
            caller = await Channel.connect("127.0.0.1", port)
            assert (await caller.ask(request("GET /a", SAMPLED))).status == 200
            assert (await caller.ask(request("GET /a", SAMPLED, host="evil.test"))).status == 421
            caller.close()
            spans = await collector.has(6)  # two token requests, two attempts, two requests
            page = await within(page_with(admin_port, len(spans)), "the last batch to be counted")
            assert metric_in(page, "spans_total", outcome="exported") == len(spans)
            assert metric_in(page, "spans_total") == len(spans)
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
        told = collector.log.read_text("utf-8")
        assert "-> service.name: Str(signicat-proxy)" in told
        assert "-> k8s.pod.name: Str(shop-1)" in told
        traced = [span for span in spans if span.fields["Trace ID"] == TRACE]
        (request_span,) = [s for s in traced if s.fields["Name"] == "GET /"]
        (refusal,) = [s for s in traced if s.attributes.get("error.type") == "host_not_allowed"]
        assert {refusal.fields["Parent ID"], request_span.fields["Parent ID"]} == {CALLER}
        assert request_span.fields["Kind"] == "SPAN_KIND_SERVER"
        assert request_span.attributes["http.route"] == "/"
        attempts = [s for s in traced if s.fields["Parent ID"] == request_span.fields["ID"]]
        facts = [
            (
                s.fields["Kind"],
                s.fields["Status code"],
                s.attributes["http.response.status_code"],
                s.attributes.get("http.request.resend_count"),
            )
            for s in attempts
        ]
        assert facts == [
            ("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", "401", None),
            ("SPAN_KIND_CLIENT", "STATUS_CODE_UNSET", "200", "1"),
        ]
        sent = [gone_up(message)[1] for message in upstream.requests]
        assert sent == [s.fields["ID"] for s in attempts]
        token_spans = [s for s in spans if s.fields["Name"] == "POST /connect/token"]
        assert [s.fields["Parent ID"] for s in token_spans] == ["", ""]
        assert "-of-the-test" not in told
