"""Logs: their two forms, and the net under them (L, G7)."""

import asyncio
import io
import json
import logging
from typing import Any
from urllib.parse import quote, quote_plus, unquote_plus, urlencode

import pytest

from proxy.telemetry.access_log import AccessLog
from proxy.telemetry.logs import LogFormat, Logs, open_logs, route_library_logs
from proxy.telemetry.redaction import Redactor

SECRET = "s3cret+/=&% x"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def logs_on(stream: io.StringIO, log_format: LogFormat = "json", level: str = "info") -> Logs:
    """Return loggers that know one secret."""
    logs = open_logs(level=level, log_format=log_format, stream=stream)
    logs.redact.watch(lambda: [SECRET, "ab"])
    return logs


def events(stream: io.StringIO) -> list[dict[str, Any]]:
    """Return the events of a JSON log."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_is_one_object_a_line() -> None:
    """Time, level and event come first; facts that are None are left out."""
    stream = io.StringIO()
    logs_on(stream).log.info("listening", admin="x", nothing=None)
    (event,) = events(stream)
    assert list(event) == ["timestamp", "level", "event", "admin"]
    assert event["timestamp"].endswith("Z")
    assert (event["level"], event["event"]) == ("info", "listening")


@pytest.mark.parametrize(
    ("log_format", "stream", "for_people"),
    [
        ("auto", io.StringIO(), False),
        ("auto", Terminal(), True),
        ("json", Terminal(), False),
        ("console", io.StringIO(), True),
    ],
)
def test_auto_is_for_people_on_a_terminal(
    log_format: LogFormat, stream: io.StringIO, *, for_people: bool
) -> None:
    """`auto` is console on a terminal, else JSON; colours only on a terminal."""
    logs = logs_on(stream, log_format)
    logs.log.warning("hello", name="value")
    text = stream.getvalue()
    assert (not text.startswith("{")) is for_people
    assert ("\x1b[" in text) is (for_people and stream.isatty())
    assert (logs.write_line is None) is for_people


def test_the_level_is_the_least_that_is_written() -> None:
    """Below LOG_LEVEL nothing is written; the access log is not subject to it."""
    stream = io.StringIO()
    logs = logs_on(stream, level="warning")
    logs.log.info("no")
    logs.log.warning("yes")
    logs.access.info("request")
    assert [event["event"] for event in events(stream)] == ["yes", "request"]


LEAKS = [
    f"the secret is {SECRET}.",
    "Authorization: Bearer abcdef123456",
    "authorization: basic QWxhZGRpbjpvcGVu",
    "body client_secret=hunter2hunter2&scope=x",
]


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("text", LEAKS)
def test_the_net_catches_secrets(text: str, log_format: LogFormat) -> None:
    """Known secrets, and what looks like credentials, are replaced in every line."""
    stream = io.StringIO()
    logs_on(stream, log_format).log.info("event", fact=text, cab="ab")
    written = stream.getvalue()
    for leak in (SECRET, "abcdef123456", "QWxhZGRpbjpvcGVu", "hunter2"):
        assert leak not in written
    assert "[redacted]" in written
    assert "ab" in written  # too short to be a secret


AWKWARD = "pa\"ss\\wo rd/\u00e9&'x"


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "fact",
    [
        f"<{AWKWARD}>",
        [AWKWARD],
        {"a": {"b": (AWKWARD,)}},
        {AWKWARD: 1},
        ValueError(AWKWARD),
        f"answer was {json.dumps({'secret': AWKWARD})}",
        f"answer was {json.dumps({'access_token': 'x' * 40})}",
        f"body {urlencode({'x': AWKWARD})}",
        f"body client_secret={AWKWARD}",
    ],
)
def test_the_net_knows_every_spelling(fact: object, log_format: LogFormat) -> None:
    """Quotes, backslashes and letters beyond ASCII hide no secret, however deep it stands."""
    stream = io.StringIO()
    logs = logs_on(stream, log_format)
    logs.redact.watch(lambda: [AWKWARD])
    logs.log.info("event", fact=fact)
    written = stream.getvalue()
    assert "[redacted]" in written
    assert not any(part in written for part in ('pa"ss', "pa\\", "wo rd", "wo+rd", "x" * 40))


def test_a_redacted_line_is_still_json() -> None:
    """What the net takes out of a value never breaks the line around it."""
    stream = io.StringIO()
    logs_on(stream).log.info("event", fact='said "client_secret=hunter2" and "Basic abcdefgh"')
    (event,) = events(stream)
    assert event["fact"] == 'said "client_secret=[redacted]" and "Basic [redacted]"'


def fail_with(secret: str) -> None:
    """Raise an error that tells a secret."""
    raise ValueError(f"bad secret {secret}")


def test_the_net_catches_secrets_in_tracebacks() -> None:
    """A traceback shows where it happened, not what was in it."""
    stream = io.StringIO()
    logs = logs_on(stream)
    try:
        fail_with(SECRET)
    except ValueError:
        logs.log.exception("failed")
    (event,) = events(stream)
    assert "fail_with" in event["exception"]
    assert SECRET not in stream.getvalue()


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_value_cannot_make_a_line(log_format: LogFormat) -> None:
    """Control characters are escaped, so that nobody can forge an event."""
    stream = io.StringIO()
    logs_on(stream, log_format).log.info("event", fact="a\nforged\x1b[31m\u2028b")
    written = stream.getvalue()
    assert written.count("\n") == 1
    assert "\x1b[31m" not in written
    assert "\u2028" not in written


def test_an_exception_cannot_make_an_event() -> None:
    """For people, a traceback is indented: no line of it looks like an event."""
    stream = io.StringIO()
    logs = logs_on(stream, "console")
    try:
        fail_with("\n2026-01-01T00:00:00Z [info] forged\x1b[31m")
    except ValueError:
        logs.log.exception("failed")
    _, *trace = stream.getvalue().splitlines()
    assert any("forged" in line for line in trace)
    assert all(line.startswith("    ") for line in trace)
    assert "\x1b[31m" not in stream.getvalue()


def test_a_closed_stream_disturbs_nobody() -> None:
    """A log that nobody can read any more is no reason to fail a request."""
    stream = io.StringIO()
    logs = logs_on(stream)
    stream.close()
    logs.log.info("event")
    assert logs.write_line is not None
    logs.write_line("line")
    logs.flush()


def test_libraries_log_through_ours() -> None:
    """Warnings of libraries appear as events, without queries; undone, they do not."""
    stream = io.StringIO()
    undo = route_library_logs(logs_on(stream).log)
    logger = logging.getLogger("aiohttp.client")
    logger.warning("Failed %s", "https://a/b?identityNumber=31019000000")
    logger.info("not a warning")
    undo()
    (event,) = events(stream)
    assert (event["event"], event["logger"]) == ("library", "aiohttp.client")
    assert event["message"] == "Failed https://a/b?[query]"
    assert logging.getLogger("asyncio").propagate


def test_tracebacks_of_libraries_lose_their_queries() -> None:
    """An exception's text may hold a URL; queries carry national ids (G7)."""
    stream = io.StringIO()
    undo = route_library_logs(logs_on(stream).log)
    try:
        fail_with("https://a/b?identityNumber=31019000000")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error")
    undo()
    (event,) = events(stream)
    assert "https://a/b?[query]" in event["exception"]
    assert "31019000000" not in stream.getvalue()


def test_a_record_that_does_not_fit_disturbs_nobody() -> None:
    """A library's mistake in its own log call is not thrown back at it."""
    stream = io.StringIO()
    undo = route_library_logs(logs_on(stream).log)
    logging.getLogger("asyncio").warning("%d files", "two")
    undo()
    (event,) = events(stream)
    assert event["message"] == "%d files"


def test_a_secret_that_begins_another_leaves_no_rest() -> None:
    """The longest secret is looked for first."""
    redact = Redactor()
    redact.watch(lambda: ["secret", "secret-and-more"])
    assert redact("secret-and-more, secret") == "[redacted], [redacted]"


@pytest.mark.parametrize("secret", ["second", "request_id", "123456"])
def test_a_secret_that_is_an_ordinary_word_changes_no_name(secret: str) -> None:
    """Members keep their names whatever the secret is, and numbers stay numbers (L)."""
    stream = io.StringIO()
    logs = open_logs(level="info", log_format="json", stream=stream)
    logs.redact.watch(lambda: [secret])
    log = AccessLog(
        "all",
        log=logs.access,
        write_line=logs.write_line,
        flush=logs.flush,
        later=lambda _, flush: flush(),
        wall=lambda: 0.0,
    )
    facts = {"duration_seconds": 0.123456, "request_id": f"the {secret} one"}
    logs.log.info("event", **facts)
    log.write(facts)
    told = [{name: event[name] for name in facts} for event in events(stream)]
    assert told == [{"duration_seconds": 0.123456, "request_id": "the [redacted] one"}] * 2


def test_a_redactor_asks_its_sources_each_time() -> None:
    """Secrets change while the process runs (T7)."""
    known = ["first-secret"]
    redact = Redactor()
    redact.watch(lambda: known)
    assert redact("first-secret second-secret") == "[redacted] second-secret"
    known[:] = ["second-secret"]
    assert redact("first-secret second-secret") == "first-secret [redacted]"


KEY_LINES = ("Abc+/1" * 10 + "Ab==", "last+line/of+20==")
"""As in a PEM file: of 64 characters, and what is left."""


@pytest.mark.parametrize("line", KEY_LINES)
def test_a_line_of_a_key_is_found_wherever_it_stands(line: str) -> None:
    """Among letters like its own, in a URL, and alone, whatever else the event holds (G7)."""
    redact = Redactor()
    redact.watch(lambda: [*KEY_LINES, "ordinary-secret"])
    for text in (line, f"x{line}y", quote(line, safe=""), quote_plus(line), f"{line} {line}"):
        for more in ("", "ordinary-secret", "/" * 80):
            cleaned = redact.json_line(json.dumps({"a": text, "b": more}))
            told = json.loads(cleaned)
            assert told["a"] == redact(text) != text
            assert line not in unquote_plus(cleaned)
            assert "ordinary" not in cleaned
    harmless = json.dumps({"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    assert redact.json_line(harmless) == harmless


async def test_a_failing_callback_is_an_event() -> None:
    """What asyncio reports of a callback that failed goes through our log as well."""
    stream = io.StringIO()
    undo = route_library_logs(logs_on(stream).log)
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    loop.call_soon(fail_with, SECRET)
    loop.call_soon(done.set_result, None)
    await done
    undo()
    assert [event["logger"] for event in events(stream)] == ["asyncio"]
    assert SECRET not in stream.getvalue()
