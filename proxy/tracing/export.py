"""Spans on their way out: the SDK's batches, exporter and resource, in the SDK's own thread (O5).

The SDK's queue holds our plain facts. Its thread makes spans of them here, a batch at a time, and
sends them. So a request pays for neither, and the SDK's limits bound what is kept. OpenTelemetry
is imported here, in `collector` and in `probe` alone.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from opentelemetry.util.re import parse_env_headers
from structlog.typing import FilteringBoundLogger

from proxy import __version__
from proxy.events import first_of
from proxy.tracing.collector import CollectorSession
from proxy.tracing.ended_span import EndedSpan
from proxy.tracing.outcomes import SpanOutcome
from proxy.tracing.report import collector_address
from proxy.tracing.settings import HEADERS, TraceSettings, endpoint_in
from proxy.tracing.silence import LibrarySilence

__all__ = ["SpanExport"]

_SERVICE: Final = "signicat-proxy"
_QUIET_SECONDS: Final = 60  # from one warning to the next, however often it fails and recovers
_SPANS_IN_A_ROW: Final = 16  # made before the other threads get a turn
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("signicat-proxy", __version__)


def _resource(settings: TraceSettings) -> Resource:
    """Return what spans say of this process; the environment has the first word."""
    resource = Resource.create()
    if settings.names_service:
        return resource
    return resource.merge(Resource({SERVICE_NAME: _SERVICE}))


def _header_values(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of the headers that go with the spans.

    Read once, while the SDK's log is quiet: it quotes in full what it cannot read.
    """
    return tuple(
        value
        for name in HEADERS
        for value in parse_env_headers(environ.get(name, ""), liberal=True).values()
    )


class _Spans:
    """Makes spans of facts, within the SDK's limits."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource
        self._limits = SpanLimits()

    def made_of(self, batch: Sequence[EndedSpan]) -> Iterator[ReadableSpan]:
        """Yield a span for each; a request that runs meanwhile need not wait for all of them."""
        for index, facts in enumerate(batch):
            if index % _SPANS_IN_A_ROW == 0:
                time.sleep(0)
            yield self._span(facts)

    def _span(self, facts: EndedSpan) -> ReadableSpan:
        state = None
        if facts.tracestate is not None:
            state = TraceState.from_header([facts.tracestate.decode("ascii")])
        trace_id = int(facts.trace_id, 16)
        parent = None
        if facts.parent_id is not None:
            parent = SpanContext(
                trace_id,
                int(facts.parent_id, 16),
                is_remote=facts.is_server,
                trace_flags=_SAMPLED,
                trace_state=state,
            )
        return ReadableSpan(
            facts.name,
            context=SpanContext(
                trace_id,
                int(facts.span_id, 16),
                is_remote=False,
                trace_flags=_SAMPLED,
                trace_state=state,
            ),
            parent=parent,
            resource=self._resource,
            attributes=BoundedAttributes(
                self._limits.max_span_attributes,
                facts.attributes,
                max_value_len=self._limits.max_span_attribute_length,
            ),
            kind=SpanKind.SERVER if facts.is_server else SpanKind.CLIENT,
            instrumentation_scope=_SCOPE,
            status=Status(StatusCode.UNSET if facts.error is None else StatusCode.ERROR),
            start_time=facts.started,
            end_time=facts.ended,
        )


class _Exporter(SpanExporter):
    """Stands between the SDK's queue, which holds facts, and its exporter, which wants spans."""

    def __init__(
        self, inner: SpanExporter, spans: _Spans, on_sent: Callable[[int, bool], None]
    ) -> None:
        self._inner = inner
        self._spans = spans
        self._on_sent = on_sent
        self._is_shut_down = False

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Send a batch; called in the SDK's thread, one batch at a time."""
        result = SpanExportResult.FAILURE
        try:
            result = self._inner.export(tuple(self._spans.made_of(spans)))
        finally:
            self._on_sent(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        """End waiting for the next try, and send no more; a second call does nothing."""
        if not self._is_shut_down:
            self._is_shut_down = True
            self._inner.shutdown()


class SpanExport:
    """Owns the way out. `count` counts spans by outcome; it is called in two threads.

    Of failures one warning is written, and one line once it works again: both no more than once a
    minute, since a collector that is too slow loses spans between any two batches.
    """

    def __init__(
        self,
        settings: TraceSettings,
        *,
        count: Callable[[SpanOutcome, int], None],
        log: FilteringBoundLogger,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._count = count
        self._log = log
        self._environ = environ
        self._endpoint = settings.endpoint
        self._session = CollectorSession()
        self._is_failing = self._has_lost = self._is_closed = False
        self._quiet_until = 0.0
        self._taken = self._sent = 0
        self._silence = LibrarySilence()
        self._secrets = _header_values(environ)
        spans = _Spans(_resource(settings))
        inner = OTLPSpanExporter(
            settings.endpoint, session=self._session, timeout=settings.timeout_seconds
        )
        self._exporter = _Exporter(inner, spans, self._on_sent)
        self._room = settings.queue_size
        self._processor = BatchSpanProcessor(
            self._exporter,
            max_queue_size=settings.queue_size,
            schedule_delay_millis=settings.delay_millis,
            max_export_batch_size=min(settings.batch_size, settings.queue_size),
        )

    def emit(self, span: EndedSpan) -> None:
        """Queue one span; where the queue is full it is dropped, and counted."""
        if self._taken - self._sent >= self._room:
            self._count("dropped", 1)
            self._warn("the queue is full")
            return
        self._taken += 1
        self._processor.on_end(span)  # type: ignore[arg-type] # it needs `context` alone

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged: the values of the headers that go with the spans."""
        yield from self._secrets

    def where(self) -> str:
        """Return scheme, host and port of the collector: nothing of a URL that can be secret."""
        return collector_address(self._endpoint or endpoint_in(self._environ))

    def _on_sent(self, amount: int, is_success: bool) -> None:  # noqa: FBT001 - positional role
        """Count one batch; called in the SDK's thread, which can outlive the stop."""
        if self._is_closed:
            return
        self._sent += amount
        failed = min(amount, self._session.rejected) if is_success else amount
        if failed:
            self._count("failed", failed)
            self._warn(self._session.last)
        if failed < amount:
            self._count("exported", amount - failed)
        self._tell_if_it_works_again()

    def _tell_if_it_works_again(self) -> None:
        """Log it, once nothing was lost from one batch to the next."""
        if self._is_failing and not self._has_lost:
            self._is_failing = False
            self._log.info("spans_sent_again", collector=self.where())
        self._has_lost = False

    def _warn(self, cause: str) -> None:
        self._has_lost = True
        now = time.monotonic()
        if self._is_failing or now < self._quiet_until:
            return
        self._is_failing = True
        self._quiet_until = now + _QUIET_SECONDS
        self._log.warning(
            "spans_lost",
            cause=cause,
            collector=self.where(),
            hint="requests are not affected; docs/troubleshoot.md says what to look at",
        )

    async def close(self, seconds: float, hurry: asyncio.Event | None = None) -> None:
        """Send what is left, for so long; a collector that does not take it holds up nothing.

        Once `hurry` is set, that is over at once.
        """
        if self._is_closed:
            return
        loop, is_over = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call] # the SDK has no type for it
            if not loop.is_closed():
                loop.call_soon_threadsafe(is_over.set)

        threading.Thread(target=shut_down, name="spans-shutdown", daemon=True).start()
        await first_of(seconds, is_over, hurry or asyncio.Event())
        # Before its thread is woken: what that does not send then is told of here, in any case.
        self._is_closed = True
        if is_over.is_set():
            self._silence.end()
        else:
            # The SDK waits half a minute for its thread. This ends the pause before a retry.
            self._exporter.shutdown()
        left = self._taken - self._sent
        if left:
            self._count("dropped", left)
            self._warn("the process ended before all was sent")
