"""Logs: structlog, JSON or for a terminal, with a net under it that catches secrets (L, G7).

Secrets never get as far as a logger; the net is for the day when somebody
forgets that. It knows the secrets and tokens in use and the look of
credentials, and works on the finished line, tracebacks included.
"""

import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

__all__ = ["LogFormat", "Logs", "Redactor", "open_logs", "route_library_logs"]

LogFormat = Literal["auto", "json", "console"]
_REDACTED: Final = "[redacted]"
_CREDENTIALS: Final = re.compile(
    r"(?i)\b((?:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}|(client_secret=)[^&\s\"']+"
)
_QUERY: Final = re.compile(r"\?[^\s\"'>)\]]+")
_LEAST_SECRET: Final = 6  # shorter ones are no secrets, but parts of ordinary words
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_LIBRARIES: Final = ("aiohttp", "asyncio", "py.warnings")


class Redactor:
    """Replaces secrets in finished lines; its sources are asked each time, as secrets change."""

    def __init__(self) -> None:
        self._sources: list[Callable[[], Iterable[str]]] = []

    def watch(self, source: Callable[[], Iterable[str]]) -> None:
        """Redact from now on what `source` names as well."""
        self._sources.append(source)

    def __call__(self, line: str) -> str:
        """Return `line` without any secret in use and without credentials of the usual look."""
        line = _CREDENTIALS.sub(lambda match: (match[1] or match[2]) + _REDACTED, line)
        for source in self._sources:
            for secret in source():
                if len(secret) >= _LEAST_SECRET and secret in line:
                    line = line.replace(secret, _REDACTED)
        return line


class _LineWriter:
    """Writes whole lines to a stream; a broken stream never disturbs a request.

    A full pipe blocks, as it does for any program: whoever reads the log
    must keep reading.
    """

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact

    def msg(self, line: str) -> None:
        """Write one line, redacted."""
        self.write(self._redact(line))

    def write(self, line: str) -> None:
        """Write one line that holds nothing to redact."""
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # closed, or nobody reads: there is nowhere to say so
            return

    log = debug = info = warning = warn = error = critical = fatal = exception = msg


def _is_console(log_format: LogFormat, stream: TextIO) -> bool:
    """Say whether lines are for people: `auto` is for people on a terminal only."""
    return log_format == "console" or (log_format == "auto" and stream.isatty())


def _escape_unprintable(
    _: object, __: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    """Keep one event one line on a terminal too, whatever a value holds; tracebacks are ours."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception" and _UNPRINTABLE.search(value):
            event[key] = _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", value)
    return event


def _in_order(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put what every event has first; leave out facts that are None."""
    first = {key: event.pop(key) for key in ("timestamp", "level", "event")}
    return first | {key: value for key, value in event.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Logs:
    """Where events go: `log` at the level set, `access` at every level.

    `write_line` is for lines that are JSON and clean already, None on a
    console; `redact` learns the secrets to look for.
    """

    log: FilteringBoundLogger
    access: FilteringBoundLogger
    write_line: Callable[[str], None] | None
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
            wrapper_class=structlog.make_filtering_bound_logger(least),
            context_class=dict,
        ).bind()
        for least in (level, "debug")
    )
    return Logs(log, access, None if for_people else writer.write, redact)


class _LibraryHandler(logging.Handler):
    """Passes what libraries log on to our logger, without the queries that URLs may hold."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        text = _QUERY.sub("?[query]", record.getMessage())
        self._log.log(
            max(record.levelno, logging.DEBUG),
            "library",
            logger=record.name,
            message=text,
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
