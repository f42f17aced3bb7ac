"""The standard OTEL_* variables that decide whether and what is traced (O2).

Where spans go, with which headers, certificates, timeouts and limits, the SDK reads for itself.
These variables are often set for every container of a cluster, by somebody who never heard of
this proxy. So none of them stops it: what cannot be used is warned about.
"""

import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from proxy.tracing.sampling import DEFAULT_SAMPLER, SAMPLERS, Sampler

__all__ = [
    "ENDPOINTS",
    "HEADERS",
    "TraceSettings",
    "TraceWarning",
    "endpoint_in",
    "read_trace_settings",
]

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""What switches traces on, the stronger one first."""
HEADERS: Final = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
"""What goes with the spans, mostly a key: secrets. The stronger one first."""
_DISABLED: Final = "OTEL_SDK_DISABLED"
_EXPORTER: Final = "OTEL_TRACES_EXPORTER"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_PROTOCOL: Final = "http/protobuf"
_SAMPLER: Final = "OTEL_TRACES_SAMPLER"
_SAMPLER_ARG: Final = "OTEL_TRACES_SAMPLER_ARG"
_SERVICE_NAME: Final = "OTEL_SERVICE_NAME"
_RESOURCE: Final = "OTEL_RESOURCE_ATTRIBUTES"
_QUEUE: Final = "OTEL_BSP_MAX_QUEUE_SIZE"
_BATCH: Final = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
_DELAY: Final = "OTEL_BSP_SCHEDULE_DELAY"
_NUMBERS: Final[Mapping[str, int]] = {_QUEUE: 2048, _BATCH: 512, _DELAY: 5000}
"""Their defaults are the specification's."""
_TIMEOUTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
_TIMEOUT_SECONDS: Final = 10.0
_OFF: Final = "no trace is recorded; "
# What the SDK reads of a header; it drops any other, and we keep it from saying which.
_HEADER: Final = re.compile(r"[ \t]*[!#-'*+.0-9A-Z^-z|~-]+[ \t]*=[ \t]*[ !#-+\--:<-\[\]-~]*[ \t]*")


@dataclass(frozen=True, slots=True)
class TraceWarning:
    """A variable whose value is of no use here, and what follows from that."""

    variable: str
    hint: str


@dataclass(frozen=True, slots=True)
class TraceSettings:
    """What is traced. `endpoint` is where spans go, in full; None leaves it to the SDK.

    `names_service`: the environment says what the service is called. `queue_size` is how many
    spans may wait, `batch_size` how many of them go at a time at most; they wait for others for
    no longer than `delay_millis`. `timeout_seconds` is for one batch, with all its retries.
    """

    sampler: Sampler
    endpoint: str | None = None
    names_service: bool = False
    queue_size: int = _NUMBERS[_QUEUE]
    batch_size: int = _NUMBERS[_BATCH]
    delay_millis: float = _NUMBERS[_DELAY]
    timeout_seconds: float = _TIMEOUT_SECONDS


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """Return the first variable that is set, and its value; an empty one counts as unset."""
    for name in names:
        value = environ.get(name, "").strip()
        if value:
            return name, value
    return "", ""


def endpoint_in(environ: Mapping[str, str]) -> str:
    """Return the URL that switches traces on, empty for none."""
    return _first(environ, ENDPOINTS)[1]


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
    numbers = {name: _positive(environ, name) or default for name, default in _NUMBERS.items()}
    settings = TraceSettings(
        sampler,
        names_service=_names_service(environ),
        queue_size=numbers[_QUEUE],
        batch_size=numbers[_BATCH],
        delay_millis=numbers[_DELAY],
        timeout_seconds=_timeout(environ) or _TIMEOUT_SECONDS,
    )
    return settings, (*warnings, *_unusable_numbers(environ), *_unreadable_headers(environ))


def _positive(environ: Mapping[str, str], name: str) -> int | None:
    try:
        number = int(environ.get(name, "").strip())
    except ValueError:
        return None
    return number if number > 0 else None


def _timeout(environ: Mapping[str, str]) -> float | None:
    """Return seconds, as the SDK for Python reads them, whatever the specification says."""
    try:
        seconds = float(_first(environ, _TIMEOUTS)[1])
    except ValueError:
        return None
    return seconds if 0 < seconds <= threading.TIMEOUT_MAX else None


def _unusable_numbers(environ: Mapping[str, str]) -> Iterator[TraceWarning]:
    for name, default in _NUMBERS.items():
        if environ.get(name, "").strip() and _positive(environ, name) is None:
            yield TraceWarning(name, f"{default} is used instead; set it to a whole number above 0")
    name, value = _first(environ, _TIMEOUTS)
    if value and _timeout(environ) is None:
        yield TraceWarning(name, f"{_TIMEOUT_SECONDS:g} is used instead; set it to seconds above 0")


def _unreadable_headers(environ: Mapping[str, str]) -> Iterator[TraceWarning]:
    """Warn of entries that are not sent; what stands in them is secret, so only by their place."""
    name, text = _first(environ, HEADERS)
    entries = [entry for entry in text.split(",") if entry.strip(" \t")]
    for place, entry in enumerate(entries, 1):
        if _HEADER.fullmatch(entry.strip()) is None:
            yield TraceWarning(
                name,
                f"entry {place} of {len(entries)} cannot be read, and is not sent; write "
                "name=value,name=value, and in a value %2C for a comma, %3B for a semicolon, "
                "%22 for a quotation mark, %5C for a backslash",
            )


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
