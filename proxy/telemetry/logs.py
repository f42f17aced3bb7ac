"""Logs: structlog, JSON or for a terminal, behind the redaction filter (L, G7)."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from proxy.telemetry.redaction import Redactor, redaction_filter, without_queries

__all__ = ["LogFormat", "Logs", "open_logs", "route_library_logs"]

LogFormat = Literal["auto", "json", "console"]
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_LIBRARIES: Final = ("aiohttp", "asyncio", "py.warnings")


class _LineWriter:
    """Writes whole lines to a stream; a broken stream never disturbs a request.

    A full pipe blocks, as it does for any program: whoever reads the log
    must keep reading.
    """

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact
        self._waiting: list[str] = []

    def msg(self, line: str) -> None:
        """Write one line, whose values went through the filter, after those that wait."""
        self._waiting.append(line)
        self.flush()

    def write_later(self, line: str) -> None:
        """Keep one line of JSON that was rendered elsewhere, without the secrets in use by now."""
        self._waiting.append(self._redact.json_line(line))

    def flush(self) -> None:
        """Write all lines that wait, at once: a system call costs as much as many of them."""
        # Others may log from a thread: what they add meanwhile is in the next list.
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        waiting.append("")
        try:
            self._stream.write("\n".join(waiting))
            self._stream.flush()
        except (OSError, ValueError):  # closed, or nobody reads: there is nowhere to say so
            return

    log = debug = info = warning = warn = error = critical = fatal = exception = msg


def _is_console(log_format: LogFormat, stream: TextIO) -> bool:
    """Say whether lines are for people: `auto` is for people on a terminal only."""
    return log_format == "console" or (log_format == "auto" and stream.isatty())


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def _escape_unprintable(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep one event one line on a terminal too, whatever a value holds.

    A traceback keeps its lines, each indented: what an exception says can
    look like no event.
    """
    for key, value in event.items():
        if isinstance(value, str):
            lines = value.split("\n") if key == "exception" else [value]
            indent = "    " if key == "exception" else ""
            event[key] = "\n".join(indent + _printable(line) for line in lines)
    return event


def _in_order(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put what every event has first; leave out facts that are None."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return first | {key: value for key, value in event.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Logs:
    """Where events go: `log` at the level set, `access` at every level.

    `write_line` is for lines that are JSON already, None on a console: the
    filter looks only for the secrets in use in them. `redact` learns these.
    Such lines wait for `flush` or for the next event of another kind.
    """

    log: FilteringBoundLogger
    access: FilteringBoundLogger
    write_line: Callable[[str], None] | None
    flush: Callable[[], None]
    redact: Redactor


def open_logs(
    *, level: str, log_format: LogFormat, stream: TextIO, redact: Redactor | None = None
) -> Logs:
    """Return loggers on `stream`; `level` is debug, info, warning or error.

    JSON is one object a line: `timestamp` (ISO 8601, UTC), `level`, `event`
    and the facts. Nothing global is configured.
    """
    redact = redact or Redactor()
    writer = _LineWriter(stream, redact)
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _in_order,
        redaction_filter(redact),
    ]
    for_people = _is_console(log_format, stream)
    if for_people:
        renderer: list[Processor] = [
            _escape_unprintable,
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
    else:
        renderer = [structlog.processors.JSONRenderer()]
    log, access = (
        structlog.wrap_logger(
            writer,
            processors=[*shared, *renderer],
            wrapper_class=structlog.make_filtering_bound_logger(minimum),
            context_class=dict,
        ).bind()
        for minimum in (level, "debug")
    )
    write_line = None if for_people else writer.write_later
    return Logs(log, access, write_line, writer.flush, redact)


def _is_about_malformed_bytes(record: logging.LogRecord) -> bool:
    """Say whether aiohttp logs bytes that are not a request, which it would quote at length.

    The error is known by the name of its class: an import would load aiohttp at every start.
    """
    error = record.exc_info[1] if record.exc_info else None
    return record.name == "aiohttp.server" and any(
        kind.__name__ == "HttpProcessingError" for kind in type(error).__mro__
    )


class _LibraryHandler(logging.Handler):
    """Passes what libraries log on to our logger, without the queries that URLs may hold."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record; one whose arguments do not fit disturbs nobody."""
        if _is_about_malformed_bytes(record):
            self._log.warning(
                "admin_request_malformed",
                hint="what reached the admin port is not HTTP/1.1; call it with http://",
            )
            return
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            text = str(record.msg)
        self._log.log(
            max(record.levelno, logging.DEBUG),
            "library",
            logger=record.name,
            message=without_queries(text),
            exc_info=record.exc_info,
        )


def route_library_logs(log: FilteringBoundLogger) -> Callable[[], None]:
    """Send warnings of asyncio and aiohttp through `log`; the result undoes it."""
    handler = _LibraryHandler(log)
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.WARNING)
        logger.propagate = False

    def undo() -> None:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate

    return undo
