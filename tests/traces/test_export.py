"""The way out of spans, with OpenTelemetry's own exporter and a collector that misbehaves (O5)."""

import asyncio
import contextlib
import io
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from proxy.http1.trace_context import TraceParent
from proxy.telemetry.logs import open_logs
from proxy.tracing.collector import CollectorSession
from proxy.tracing.ended_span import EndedSpan
from proxy.tracing.export import SpanExport
from proxy.tracing.sampling import Sampler
from proxy.tracing.settings import TraceSettings
from proxy.tracing.tracer import Tracer
from tests.support.messages import reply
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.ports import refusing_port
from tests.support.waiting import eventually, stopwatch

pytestmark = pytest.mark.usefixtures("no_leaks")

ALL = Sampler.named("always_on")


@dataclass
class Way:
    """A way out, and what it counted and wrote."""

    export: SpanExport
    stream: io.StringIO
    counted: Counter[str] = field(default_factory=Counter)

    async def has_counted(self, outcome: str, amount: int) -> None:
        """Wait for a count."""
        await eventually(lambda: self.counted[outcome] == amount, f"{amount} {outcome}")

    @property
    def events(self) -> list[dict[str, Any]]:
        """What was logged."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]


@contextlib.asynccontextmanager
async def way_out(
    endpoint: str,
    *,
    queue_size: int = 2048,
    delay: float = 20,
    headers: str = "api-key=a%20secret",
) -> AsyncIterator[Way]:
    """Open a way to a collector for the block; a stop at its end must take no time to speak of."""
    stream, counted = io.StringIO(), Counter[str]()
    logs = open_logs(level="info", log_format="json", stream=stream)
    settings = TraceSettings(ALL, endpoint, queue_size=queue_size, delay_millis=delay)

    def count(outcome: str, amount: int) -> None:
        counted[outcome] += amount

    environ = {"OTEL_EXPORTER_OTLP_HEADERS": headers}
    export = SpanExport(settings, count=count, log=logs.log, environ=environ)
    yield Way(export, stream, counted)
    with stopwatch() as took:
        await export.close(0.2)
    assert took() < 5


def span(name: str = "GET /") -> EndedSpan:
    """Return the facts of one span."""
    ids = (b"a" * 32, b"b" * 16, b"c" * 16)
    attributes: dict[str, str | int | float] = {"http.route": "/", "http.response.status_code": 200}
    return EndedSpan(name, *ids, 1_000, 2_000, attributes, None, is_server=True, tracestate=b"x=y")


async def test_a_span_arrives_as_it_was() -> None:
    """Its ids, times and attributes, and the service's name."""
    async with OtlpReceiver() as collector, way_out(collector.endpoint) as way:
        way.export.emit(span())
        (got,) = await collector.take(1)
        assert (got.name, got.kind, got.service) == ("GET /", "server", "signicat-proxy")
        assert (got.trace, got.span, got.parent) == ("a" * 32, "b" * 16, "c" * 16)
        assert (got.started, got.ended, got.is_error) == (1_000, 2_000, False)
        assert got.attributes == {"http.route": "/", "http.response.status_code": 200}
        assert got.tracestate == "x=y"
        await eventually(lambda: way.counted == {"exported": 1}, "the count")
        assert way.events == []
        assert list(way.export.secrets()) == ["a secret"]


async def test_a_stop_sends_what_is_left() -> None:
    """Batches wait for others; a stop does not."""
    async with OtlpReceiver() as collector:
        async with way_out(collector.endpoint, delay=3_600_000) as way:
            for _ in range(700):
                way.export.emit(span())
            await way.export.close(30)
        assert len(collector.spans) == 700
        assert way.counted == {"exported": 700}


async def test_a_dead_collector_costs_one_warning() -> None:
    """However many batches are lost; and one line once it is there."""
    async with OtlpReceiver() as collector:
        collector.failure = reply("401 Unauthorized", body=b"private words of the other side")
        async with way_out(collector.endpoint) as way:
            for amount in (1, 2, 3):
                way.export.emit(span())
                await way.has_counted("failed", amount)
            (warning,) = way.events
            assert (warning["event"], warning["level"]) == ("spans_lost", "warning")
            assert (warning["cause"], warning["collector"]) == ("status 401", collector.url)
            assert "private" not in way.stream.getvalue()
            collector.failure = None
            way.export.emit(span())
            await eventually(lambda: way.counted["exported"] == 1, "the success")
            assert [event["event"] for event in way.events] == ["spans_lost", "spans_sent_again"]


async def test_nobody_there() -> None:
    """The class of the error is all that is said of it: its text holds the address in full."""
    async with way_out("http://user:secret@127.0.0.1:9/v1/traces?key=secret") as way:
        way.export.emit(span())
        await asyncio.sleep(0)
        await way.export.close(0.3)
    assert way.counted.total() == 1
    (warning,) = way.events
    assert warning["collector"] == "http://127.0.0.1:9"
    assert "secret" not in way.stream.getvalue()


def test_a_call_without_time_is_none() -> None:
    """The SDK makes one where a pause took all that there was: the cause is the one before."""
    with refusing_port() as port, contextlib.closing(CollectorSession()) as session:
        for seconds in (60.0, 0.0):
            with pytest.raises((requests.ConnectionError, ValueError)):
                session.request("POST", f"http://127.0.0.1:{port}/v1/traces", timeout=seconds)
        assert session.last == "ConnectionError"


class Said(logging.Handler):
    """What reaches the root of all loggers while it is there."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep one."""
        self.messages.append(record.getMessage())


@pytest.fixture
def said() -> Iterator[Said]:
    """Listen; pytest's own `caplog` listens to the silenced loggers too."""
    handler, root = Said(), logging.getLogger()
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)


async def test_what_libraries_say_is_not_logged(said: Said) -> None:
    """It would bypass the filter: it quotes URLs, and headers that it cannot read (G7)."""
    async with OtlpReceiver() as collector:
        headers = 'Authorization: Bearer secret,api-key=se"cret'
        async with way_out(collector.endpoint, headers=headers) as way:
            way.export.emit(span())
            await way.has_counted("exported", 1)
            logging.getLogger("urllib3.connectionpool").warning("http://user:secret@collector")
            await way.export.close(30)
            assert list(way.export.secrets()) == []
    assert said.messages == []


async def test_a_slow_collector_fills_a_bounded_queue() -> None:
    """What is too much is dropped and counted, at once, and with one warning."""
    async with OtlpReceiver() as collector:
        collector.gate.clear()
        async with way_out(collector.endpoint, queue_size=600) as way:
            with stopwatch() as took:
                for _ in range(2_000):
                    way.export.emit(span())
            assert took() < 1
            assert way.counted == {"dropped": 1_400}
            assert [event["cause"] for event in way.events] == ["the queue is full"]
            collector.gate.set()
            await eventually(lambda: way.counted["exported"] == 600, "the rest")


@pytest.mark.parametrize("retry_after", ["3", "86400"])
async def test_a_stop_does_not_wait_for_retry_after(retry_after: str) -> None:
    """A collector that asks for patience gets none at the end (O5): 0.2 seconds were given."""
    async with OtlpReceiver() as collector:
        collector.failure = reply("503 Service Unavailable", f"Retry-After: {retry_after}")
        async with way_out(collector.endpoint) as way:
            way.export.emit(span())
            await eventually(lambda: bool(collector.requests), "the first try")
            with stopwatch() as took:
                await way.export.close(0.2)
            assert took() < 2
        assert way.counted.total() == 1
        assert len(way.events) == 1


async def test_a_collector_that_is_gone_in_the_middle_of_a_stop() -> None:
    """It has the batch and never answers: the stop ends in its time."""
    async with OtlpReceiver() as collector:
        collector.gate.clear()
        async with way_out(collector.endpoint, delay=3_600_000) as way:
            way.export.emit(span())
            await way.export.close(0.3)
            assert way.counted == {"dropped": 1}
            assert [event["cause"] for event in way.events] == [
                "the process ended before all was sent"
            ]


def test_what_goes_up() -> None:
    """The caller's trace with an id of ours, sampled or not; a new trace where there is none."""
    emitted: list[EndedSpan] = []
    tracer = Tracer(
        Sampler.named("parentbased_always_on"),
        emitted.append,
        lambda: 100.0,
        upstream={"server.address": "up.test"},
        token_endpoints={"shop": ("POST /token", {"server.address": "id.test"})},
    )
    parent = TraceParent(b"a" * 32, b"b" * 16, 3)
    trace, trace_id = tracer.begin(parent, b"x=y")
    assert trace is not None
    assert trace_id == trace.trace_id == b"a" * 32
    first, second = (tracer.attempt_line(trace, sent) for sent in (1.0, 2.0))
    assert first.startswith(b"traceparent: 00-" + b"a" * 32 + b"-")
    assert first.endswith(b"-03\r\n")
    assert first != second
    tracer.request_ended(trace, "GET /", 0.5, 4.0, {"http.request.method": "GET"}, None)
    names = [(each.is_server, each.parent_id, each.tracestate) for each in emitted]
    assert names == [
        (False, trace.span_id, b"x=y"),
        (False, trace.span_id, b"x=y"),
        (True, b"b" * 16, b"x=y"),
    ]
    assert [each.started for each in emitted] == [97 * 10**9, 98 * 10**9, 965 * 10**8]
    assert [each.attributes.get("http.request.resend_count") for each in emitted[:2]] == [None, 1]
    unsampled = TraceParent(b"a" * 32, b"b" * 16, 2)
    assert tracer.begin(unsampled) == (None, b"a" * 32)
    assert tracer.unsampled_line(unsampled, b"a" * 32).endswith(b"-02\r\n")
    assert tracer.unsampled_line(None, b"c" * 32).startswith(b"traceparent: 00-" + b"c" * 32)
    assert tracer.unsampled_line(None, b"c" * 32).endswith(b"-00\r\n")
    begun, trace_id = tracer.begin(None)
    assert begun is not None
    assert begun.trace_id == trace_id != trace.trace_id


def test_the_span_of_a_token_request() -> None:
    """A trace of its own: it serves many requests. Nothing is made of it where none is sampled."""
    emitted: list[EndedSpan] = []
    for name in ("always_on", "always_off"):
        tracer = Tracer(
            Sampler.named(name),
            emitted.append,
            lambda: 100.0,
            upstream={},
            token_endpoints={"shop": ("POST /token", {"server.address": "id.test"})},
        )
        tracer.token_request("shop", "invalid_client", 2.0)
    (only,) = emitted
    assert (only.name, only.parent_id, only.error) == ("POST /token", None, "invalid_client")
    assert only.attributes["error.type"] == "invalid_client"
    assert (only.started, only.ended) == (98 * 10**9, 100 * 10**9)
