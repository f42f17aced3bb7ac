"""One empty batch to the collector, to see whether it would take spans; for `check`."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExportResult

from proxy.tracing.collector import CollectorSession
from proxy.tracing.settings import TraceSettings
from proxy.tracing.silence import LibrarySilence

__all__ = ["ask_collector"]


def ask_collector(settings: TraceSettings, seconds: float) -> str | None:
    """Send it as spans would go; return None where it is taken, else a status or a class.

    Takes `seconds` at most, with all its retries, unless the collector responds byte by byte.
    The libraries' log is quiet for good: it quotes headers and URLs.
    """
    LibrarySilence()
    session = CollectorSession()
    exporter = OTLPSpanExporter(
        settings.endpoint, session=session, timeout=min(seconds, settings.timeout_seconds)
    )
    try:
        is_taken = exporter.export(()) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()  # type: ignore[no-untyped-call] # the SDK has no type for it
    return None if is_taken else session.last
