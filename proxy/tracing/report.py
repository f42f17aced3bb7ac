"""The OTEL_* variables in force, as people and programs read them, with secrets left out."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from proxy.tracing.settings import ENDPOINTS, HEADERS, read_trace_settings

__all__ = ["collector_address", "trace_report", "trace_rows"]

_VARIABLES: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_EXPORTER",
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
)
"""Those that change something here."""


def collector_address(endpoint: str) -> str:
    """Return scheme, host and port: nothing of a URL that can be secret."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _shown(name: str, value: str) -> str:
    if name in HEADERS:
        return "(set)"
    if name not in ENDPOINTS:
        return value
    try:
        return collector_address(value) + urlsplit(value).path
    except ValueError:
        return "(no URL)"


def _variables(environ: Mapping[str, str]) -> dict[str, str]:
    given = {name: environ.get(name, "").strip() for name in _VARIABLES}
    return {name: _shown(name, value) for name, value in given.items() if value}


def trace_report(environ: Mapping[str, str]) -> Mapping[str, object]:
    """Return whether traces are on, the variables that are set, and what is of no use in them."""
    settings, warnings = read_trace_settings(environ)
    return {
        "on": settings is not None,
        "variables": _variables(environ),
        "warnings": [{"variable": each.variable, "hint": each.hint} for each in warnings],
    }


def trace_rows(environ: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the same as name, value and origin."""
    settings, warnings = read_trace_settings(environ)
    yield "traces", "off" if settings is None else "on", ""
    for name, value in _variables(environ).items():
        yield name, value, "environment"
    for warning in warnings:
        yield warning.variable, f"warning: {warning.hint}", ""
