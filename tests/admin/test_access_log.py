"""The access log: which requests it writes, what a line holds, and what it never holds (L)."""

import io
import json
from collections.abc import Callable

import pytest

from proxy.telemetry.access_log import AccessLog, AccessMode
from proxy.telemetry.logs import LogFormat, Logs, open_logs

SECRET = 'a-"secret"\\'
FACTS: dict[str, object] = {
    "method": "GET",
    "status": 200,
    "duration_seconds": 0.12345678,
    "replayed": None,
}


def logs_on(stream: io.StringIO, log_format: LogFormat) -> Logs:
    """Return loggers that know one secret, at a level above the access log's."""
    logs = open_logs(level="error", log_format=log_format, stream=stream)
    logs.redact.watch(lambda: [SECRET])
    return logs


def access_log(
    logs: Logs,
    mode: AccessMode = "all",
    *,
    later: Callable[[float, Callable[[], None]], object] = lambda _, __: None,
    wall: Callable[[], float] = lambda: 0.0,
) -> AccessLog:
    """Return an access log at the beginning of time."""
    return AccessLog(
        mode,
        log=logs.access,
        write_line=logs.write_line,
        flush=logs.flush,
        later=later,
        wall=wall,
    )


def written(facts: dict[str, object], log_format: LogFormat = "json") -> str:
    """Return what the log says of one request."""
    stream = io.StringIO()
    logs = logs_on(stream, log_format)
    access_log(logs).write(facts)
    logs.flush()
    return stream.getvalue()


def test_a_line_is_one_json_object() -> None:
    """Time, level and event come first; None is left out, durations are in microseconds."""
    line = written(FACTS)
    assert line.count("\n") == 1
    assert list(json.loads(line).items()) == [
        ("timestamp", "1970-01-01T00:00:00.000000Z"),
        ("level", "info"),
        ("event", "request"),
        ("method", "GET"),
        ("status", 200),
        ("duration_seconds", 0.123457),
    ]


def test_the_time_is_exact_within_a_second_and_beyond() -> None:
    """What is kept of the second before never shows in the next."""
    stream = io.StringIO()
    logs = logs_on(stream, "json")
    times = [1.25, 1.9999995, 2.0, 86400.0, 1.5]
    log = access_log(logs, wall=iter(times).__next__)
    for _ in times:
        log.write(FACTS)
    logs.flush()
    assert [json.loads(line)["timestamp"] for line in stream.getvalue().splitlines()] == [
        "1970-01-01T00:00:01.250000Z",
        "1970-01-01T00:00:01.999999Z",
        "1970-01-01T00:00:02.000000Z",
        "1970-01-02T00:00:00.000000Z",
        "1970-01-01T00:00:01.500000Z",
    ]


def test_every_kind_of_value_is_json() -> None:
    """Texts are escaped, numbers and truths are themselves."""
    facts: dict[str, object] = {"a": 'é"\\', "b": True, "c": False, "d": 10**12, "e": -1.5, "f": ""}
    line = json.loads(written(facts))
    assert {key: line[key] for key in facts} == facts


def test_lines_are_written_together() -> None:
    """A flush is asked for once, the next time after it has been; an event does not overtake."""
    stream = io.StringIO()
    logs = open_logs(level="info", log_format="json", stream=stream)
    due: list[Callable[[], None]] = []
    log = access_log(logs, later=lambda _, call: due.append(call))
    log.write(FACTS)
    log.write(FACTS)
    assert (len(due), stream.getvalue()) == (1, "")
    due.pop()()
    assert stream.getvalue().count("\n") == 2
    log.write(FACTS)
    logs.log.info("later")
    events = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    assert (events, len(due)) == (["request", "request", "request", "later"], 1)


def test_flushes_keep_a_distance_under_load_alone() -> None:
    """A line after a pause is written at once, one right after a flush a little later."""
    stream = io.StringIO()
    clock = [100.0]
    due: list[tuple[float, Callable[[], None]]] = []
    log = access_log(
        logs_on(stream, "json"), later=lambda *item: due.append(item), wall=lambda: clock[0]
    )
    delays = []
    for moment in (100.0, 100.001, 100.009, 100.1, 99.0):  # the last one: the clock was set
        clock[0] = moment
        log.write(FACTS)
        delay, flush = due.pop()
        delays.append(delay)
        flush()
    assert delays == [0, 0.01, 0.01, 0, 0]
    assert stream.getvalue().count("\n") == 5


def test_lines_for_people_say_the_same() -> None:
    """On a terminal the event goes through the logger."""
    line = written(FACTS, "console")
    assert line.count("\n") == 1
    assert "request" in line
    assert "method=GET" in line
    assert "status=200" in line
    assert "duration_seconds=0.123457" in line
    assert "replayed" not in line


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_the_net_is_under_the_short_way_too(log_format: LogFormat) -> None:
    """A secret that a caller sends as its request id is not written (G7)."""
    line = written({**FACTS, "request_id": f"<{SECRET}>"}, log_format)
    assert "[redacted]" in line
    assert "secret" not in line
    if log_format == "json":
        assert json.loads(line)["request_id"] == "<[redacted]>"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_value_cannot_make_a_line(log_format: LogFormat) -> None:
    """A caller forges no event with what it sends."""
    line = written({**FACTS, "request_id": 'x"}\n{"event": "forged\x1b[31m'}, log_format)
    assert line.count("\n") == 1
    assert "\x1b[31m" not in line
    if log_format == "json":
        assert json.loads(line)["request_id"] == 'x"}\n{"event": "forged\x1b[31m'


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("all", [True, True, True, True]),
        ("errors", [False, True, True, True]),
        ("off", [False] * 4),
    ],
)
def test_the_mode_decides_what_is_written(mode: AccessMode, expected: list[bool]) -> None:
    """`errors` is 400 and more, and whatever did not end well."""
    log = access_log(logs_on(io.StringIO(), "json"), mode)
    ends = [(200, "ok"), (404, "ok"), (200, "upstream_closed"), (0, "client_left")]
    assert [log.is_enabled_for(status, outcome) for status, outcome in ends] == expected
