"""The standard OTEL_* variables that decide whether and what is traced (O2).

Where spans go, with which headers, certificates, timeouts and limits, the SDK reads for itself.
These variables are often set for every container of a cluster, by somebody who never heard of
this proxy. So none of them stops it: what cannot be used is warned about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proxy.tracing.sampling import DEFAULT_SAMPLER, SAMPLERS, Sampler

__all__ = ["ENDPOINTS", "TraceSettings", "TraceWarning", "read_trace_settings"]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""What switches traces on, the stronger one first."""
_DISABLED: Final = "OTEL_SDK_DISABLED"
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
_SERVICE_NAME: Final = "OTEL_SERVICE_NAME"
_RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_QUEUE_SIZE: Final = 2048  # the specification's
_OFF: Final = "no trace is recorded; "


@dataclass(frozen=True, slots=True)
class TraceWarning:
    """A variable whose value is of no use here, and what follows from that."""

    variable: str
    hint: str


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """What is traced. `endpoint` is where spans go, in full; None leaves it to the SDK.

    `names_service`: the environment says what the service is called. `queue_size` is how many
    spans may wait. `delay_millis` is how long they wait for others, None leaves it to the SDK.
    """

    sampler: Sampler
    endpoint: str | None = None
    names_service: bool = False
    queue_size: int = _QUEUE_SIZE
    delay_millis: float | None = None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first variable that is set, and its value; an empty one counts as unset."""
    for name in names:
        value = environ.get(name, "").strip()
        if value:
            return name, value
    return "", ""


def read_trace_settings(
    environ: Mapping[str, str],
) -> tuple[TraceSettings | None, tuple[TraceWarning, ...]]:
    """Return what is to be traced, None where traces are off; and what is to be warned about."""
    variable, endpoint = _first(environ, ENDPOINTS)
    if not endpoint or environ.get(_DISABLED, "").strip().lower() == "true":
        return None, ()
    exporters = [each.strip() for each in environ.get(_EXPORTER, "").split(",")]
    if exporters == ["none"]:
        return None, ()
    why_not = _why_not(environ, variable, endpoint, exporters)
    if why_not is not None:
        return None, (why_not,)
    sampler, warnings = _sampler(environ)
    settings = TraceSettings(
        sampler,
        names_service=_names_service(environ),
        queue_size=_queue_size(environ),
    )
    return settings, warnings


def _queue_size(environ: Mapping[str, str]) -> int:
    try:
        size = int(environ.get(_QUEUE, "").strip())
    except ValueError:
        return _QUEUE_SIZE
    return size if size > 0 else _QUEUE_SIZE


def _why_not(
    environ: Mapping[str, str], variable: str, endpoint: str, exporters: list[str]
) -> TraceWarning | None:
    """Return why spans cannot be sent as the variables ask for, None if they can."""
    if exporters != [""] and "otlp" not in exporters:
        return TraceWarning(_EXPORTER, _OFF + "set it to otlp, or leave it unset")
    protocol, value = _first(environ, _PROTOCOLS)
    if value and value != _PROTOCOL:
        return TraceWarning(
            protocol, f"{_OFF}the proxy speaks {_PROTOCOL} only, mostly on port 4318"
        )
    try:
        parts = urlsplit(endpoint)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        return TraceWarning(variable, _OFF + "set it to a URL such as http://collector:4318")
    return None


def _sampler(environ: Mapping[str, str]) -> tuple[Sampler, tuple[TraceWarning, ...]]:
    """Return the sampler; as the specification says, one that is unknown is the default."""
    name = environ.get(_SAMPLER, "").strip().lower() or DEFAULT_SAMPLER
    if name not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        hint = f"{DEFAULT_SAMPLER} is used instead; known are {known}"
        return Sampler.named(DEFAULT_SAMPLER), (TraceWarning(_SAMPLER, hint),)
    text = environ.get(_SAMPLER_ARG, "").strip()
    if not name.endswith("traceidratio") or not text:
        return Sampler.named(name), ()
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1.0
    if 0 <= ratio <= 1:
        return Sampler.named(name, ratio), ()
    return Sampler.named(name), (
        TraceWarning(_SAMPLER_ARG, "1.0 is used instead; set it to a number from 0 to 1"),
    )


def _names_service(environ: Mapping[str, str]) -> bool:
    names = [pair.partition("=")[0].strip() for pair in environ.get(_RESOURCE, "").split(",")]
    return bool(environ.get(_SERVICE_NAME, "").strip()) or "service.name" in names
