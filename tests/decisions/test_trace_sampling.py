"""Samplers decide as those of the SDK do, and the standard variables choose among them (O2)."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.util.re import parse_env_headers

from proxy.http1.trace_context import TraceParent
from proxy.tracing.ids import RandomIds
from proxy.tracing.sampling import SAMPLERS, Sampler
from proxy.tracing.settings import read_trace_settings

LOW, HIGH = b"0" * 31 + b"1", b"f" * 32
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ON = {ENDPOINT: "http://collector:4318"}


def parent(flags: int, trace_id: bytes = LOW) -> TraceParent:
    """Return a caller's place in a trace."""
    return TraceParent(trace_id, b"1" * 16, flags)


@pytest.mark.parametrize(
    ("name", "decisions"),
    [
        ("always_on", (True, True, True, True)),
        ("always_off", (False, False, False, False)),
        ("traceidratio", (True, False, True, False)),
        ("parentbased_always_on", (True, True, True, False)),
        ("parentbased_always_off", (False, False, True, False)),
        ("parentbased_traceidratio", (True, False, True, False)),
    ],
)
def test_samplers(name: str, decisions: tuple[bool, ...]) -> None:
    """Without a caller's trace, low and high id; below one that is sampled, and one that is not."""
    sampler = Sampler.named(name, 0.5)
    high = name == "traceidratio"
    assert decisions == (
        sampler.is_sampled(None, LOW),
        sampler.is_sampled(None, HIGH),
        sampler.is_sampled(parent(1), LOW),
        sampler.is_sampled(parent(0), HIGH if high else LOW),
    )
    assert name in SAMPLERS


@given(st.integers(min_value=1, max_value=2**128 - 1), st.floats(min_value=0, max_value=1))
def test_a_ratio_is_measured_as_the_sdk_does(trace_id: int, ratio: float) -> None:
    """So services of one trace agree on it."""
    theirs = TraceIdRatioBased(ratio).should_sample(None, trace_id, "GET").decision
    ours = Sampler.named("traceidratio", ratio).is_sampled(None, b"%032x" % trace_id)
    assert ours == (theirs is Decision.RECORD_AND_SAMPLE)


def test_ids_are_random_digits() -> None:
    """And differ."""
    ids = RandomIds()
    traces = {ids.trace_id() for _ in range(1000)}
    spans = {ids.span_id() for _ in range(1000)}
    assert len(traces) == len(spans) == 1000
    assert all(re.fullmatch(rb"[0-9a-f]{32}", each) for each in traces)
    assert all(re.fullmatch(rb"[0-9a-f]{16}", each) for each in spans)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {ENDPOINT: " "},
        {"OTEL_SERVICE_NAME": "shop"},
        {**ON, "OTEL_SDK_DISABLED": "true"},
        {**ON, "OTEL_SDK_DISABLED": " TRUE "},
        {**ON, "OTEL_TRACES_EXPORTER": "none"},
    ],
)
def test_traces_are_off_without_a_word(environ: dict[str, str]) -> None:
    """Unless an endpoint is set and nothing says otherwise (O2)."""
    assert read_trace_settings(environ) == (None, ())


@pytest.mark.parametrize(
    ("environ", "variable"),
    [
        ({ENDPOINT: "collector:4318"}, ENDPOINT),
        ({ENDPOINT: "http://[collector"}, ENDPOINT),
        ({ENDPOINT: "unix:/run/collector"}, ENDPOINT),
        ({**ON, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
        ({**ON, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({**ON, "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
    ],
)
def test_what_cannot_be_used_is_warned_about(environ: dict[str, str], variable: str) -> None:
    """A variable for all containers of a cluster never stops the proxy."""
    settings, (warning,) = read_trace_settings(environ)
    assert settings is None
    assert warning.variable == variable
    assert warning.hint


@pytest.mark.parametrize(
    ("environ", "expected", "warned"),
    [
        ({}, Sampler(follows_parent=True, bound=1 << 64), []),
        ({"OTEL_TRACES_EXPORTER": "otlp,console"}, Sampler(follows_parent=True, bound=1 << 64), []),
        ({"OTEL_TRACES_SAMPLER": "Always_Off"}, Sampler(follows_parent=False, bound=0), []),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"},
            Sampler(follows_parent=False, bound=1 << 62),
            [],
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"},
            Sampler(follows_parent=False, bound=1 << 64),
            ["OTEL_TRACES_SAMPLER_ARG"],
        ),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "half"},
            Sampler(follows_parent=False, bound=1 << 64),
            ["OTEL_TRACES_SAMPLER_ARG"],
        ),
        (
            {"OTEL_TRACES_SAMPLER": "jaeger_remote"},
            Sampler(follows_parent=True, bound=1 << 64),
            ["OTEL_TRACES_SAMPLER"],
        ),
    ],
)
def test_the_sampler_is_the_one_that_is_named(
    environ: dict[str, str], expected: Sampler, warned: list[str]
) -> None:
    """As the specification says, an unknown one is the default, with a warning."""
    settings, warnings = read_trace_settings({**ON, **environ})
    assert settings is not None
    assert settings.sampler == expected
    assert [warning.variable for warning in warnings] == warned


def test_the_environment_may_name_the_service() -> None:
    """Else it is `signicat-proxy` (O2)."""
    named = ({"OTEL_SERVICE_NAME": "a"}, {"OTEL_RESOURCE_ATTRIBUTES": "x=1, service.name=a"})
    for environ in named:
        settings, _ = read_trace_settings({**ON, **environ})
        assert settings is not None
        assert settings.names_service
    settings, _ = read_trace_settings({**ON, "OTEL_BSP_MAX_QUEUE_SIZE": "7"})
    assert settings is not None
    assert not settings.names_service
    assert settings.queue_size == 7


@pytest.mark.parametrize("size", ["", "0", "-1", "many", "9" * 5_000])
def test_a_size_that_is_none_is_the_default(size: str) -> None:
    """As the specification says; none of these variables stops the proxy."""
    settings, _ = read_trace_settings({**ON, "OTEL_BSP_MAX_QUEUE_SIZE": size})
    assert settings is not None
    assert settings.queue_size == 2048


@pytest.mark.parametrize("value", ["many", "0", "-1", "2.5"])
@pytest.mark.parametrize(
    "variable",
    ["OTEL_BSP_MAX_QUEUE_SIZE", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "OTEL_BSP_SCHEDULE_DELAY"],
)
def test_a_number_that_is_none_is_the_default(variable: str, value: str) -> None:
    """With a warning that names the variable; spans are sent all the same (O2)."""
    plain, _ = read_trace_settings(ON)
    settings, (warning,) = read_trace_settings({**ON, variable: value})
    assert settings == plain
    assert warning.variable == variable
    assert "is used instead" in warning.hint


HEADERS = "OTEL_EXPORTER_OTLP_HEADERS"


@given(st.text('aB1=,; \t"\\%:_-é', max_size=30))
@example("Authorization: Bearer secret,api-key=1")
@example(" a = b , c=d\n")
def test_headers_that_are_not_sent_are_warned_about(text: str) -> None:
    """Those of which the SDK's own reader makes nothing, and no others; by their place alone."""
    entries = [entry for entry in text.strip().split(",") if entry.strip(" \t")]
    lost = [
        f"entry {place} of {len(entries)} "
        for place, entry in enumerate(entries, 1)
        if not parse_env_headers(entry, liberal=True)
    ]
    _, warnings = read_trace_settings({**ON, HEADERS: text})
    assert len(warnings) == len(lost)
    assert all(each.hint.startswith(place) for each, place in zip(warnings, lost, strict=True))
    assert {warning.variable for warning in warnings} <= {HEADERS}


def test_the_headers_for_traces_stand_in_place_of_the_general_ones() -> None:
    """They alone are sent, so they alone are warned about."""
    environ = {HEADERS: "nonsense", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "api-key=1"}
    assert read_trace_settings({**ON, **environ})[1] == ()
