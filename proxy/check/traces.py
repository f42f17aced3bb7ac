"""The check of traces: whether the collector would take spans; it never fails the proxy (O5)."""

import asyncio
from collections.abc import Mapping
from typing import Final

from proxy.check.result import Result
from proxy.extras import with_extra
from proxy.settings.loader import Settings
from proxy.tracing.report import collector_address
from proxy.tracing.settings import ENDPOINTS, TraceSettings, endpoint_in, read_trace_settings

__all__ = ["trace_results"]

_HEADERS_FIX: Final = "Look at OTEL_EXPORTER_OTLP_HEADERS: the collector does not take the key."
_FIXES: Final = {
    "ConnectionError": "Check host and port: mostly 4318, since 4317 does not speak HTTP.",
    "ConnectTimeout": "Check host and port, and the firewall or NetworkPolicy on the way.",
    "SSLError": "If an authority of your own signed the collector's certificate, name its file in "
    "OTEL_EXPORTER_OTLP_CERTIFICATE.",
    "ProxyError": "List the collector in NO_PROXY, if it is not behind the proxy in HTTPS_PROXY.",
    "status 401": _HEADERS_FIX,
    "status 403": _HEADERS_FIX,
    "status 404": "Check the path: /v1/traces is added to OTEL_EXPORTER_OTLP_ENDPOINT, and nothing "
    "to OTEL_EXPORTER_OTLP_TRACES_ENDPOINT.",
}
_OTHER_FIX: Final = "Look at the collector's own log. The proxy works without it."


async def trace_results(environ: Mapping[str, str], settings: Settings) -> list[Result]:
    """Return a result for each variable that is of no use, and one for the collector."""
    traces, warnings = read_trace_settings(environ)
    results = [
        Result("traces", "warning", each.variable, "of no use as it is", each.hint)
        for each in warnings
    ]
    if traces is not None:
        seconds = settings.connect_timeout_seconds
        results.append(await _collector_result(environ, traces, seconds))
    elif not results:
        detail = "not set, or switched off: no traces"
        results.append(Result("traces", "skipped", ENDPOINTS[1], detail))
    return results


async def _collector_result(
    environ: Mapping[str, str], settings: TraceSettings, seconds: float
) -> Result:
    target = collector_address(endpoint_in(environ))
    try:
        from proxy.tracing.probe import ask_collector

        cause = await asyncio.to_thread(ask_collector, settings, seconds)
    except ImportError:
        fix = f"Install {with_extra('otel')}."
        return Result("traces", "warning", target, "OpenTelemetry is not installed", fix)
    except Exception as error:  # noqa: BLE001 - variables name plug-ins, which raise what they like
        return Result("traces", "warning", target, type(error).__name__, "Look at OTEL_*.")
    if cause is None:
        return Result("traces", "ok", target, "takes spans")
    return Result("traces", "warning", target, cause, _FIXES.get(cause, _OTHER_FIX))
