"""The access log: one event per request, and nothing in it that names a person (L).

Neither path nor query is written: both can hold identity numbers. The line
is the same as the logger's, but made with less work, since it is on the path of
every request. Under load the lines of a hundredth of a second are written together.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Final, Literal

from structlog.typing import FilteringBoundLogger

__all__ = ["AccessLog", "AccessMode"]

AccessMode = Literal["all", "errors", "off"]
_FIRST_ERROR: Final = 400
_SPACING_SECONDS: Final = 0.01  # between two flushes: each is a turn of the loop and a system call
_MILLION: Final = 1_000_000
_LONGEST_SECONDS: Final = 1e9  # what is written digit by digit


class AccessLog:
    """Writes the events `request`.

    With `write_line`, events are JSON lines handed to it, and `flush` is
    called through `later` (the loop's `call_later`) after the first of them: in
    the same turn of the loop, or a little after the flush before; without, they
    go through `log`, for people. `wall` is the time, in Unix seconds.
    """

    def __init__(
        self,
        mode: AccessMode,
        *,
        log: FilteringBoundLogger,
        write_line: Callable[[str], None] | None,
        flush: Callable[[], None],
        later: Callable[[float, Callable[[], None]], object],
        wall: Callable[[], float],
    ) -> None:
        self._mode = mode
        self._log = log
        self._write_line = write_line
        self._flush = flush
        self._later = later
        self._wall = wall
        self._is_flush_due = False
        self._flushed = 0.0
        self._second = -1
        self._second_text = ""

    def is_enabled_for(self, status: int, outcome: str) -> bool:
        """Say whether a request that ended so is logged."""
        if self._mode == "all":
            return True
        return self._mode == "errors" and (status >= _FIRST_ERROR or outcome != "ok")

    def write(self, facts: dict[str, object]) -> None:
        """Write one event; facts that are None are left out, durations are in microseconds."""
        if self._write_line is None:
            rounded = {
                key: round(value, 6) if isinstance(value, float) else value
                for key, value in facts.items()
                if value is not None
            }
            self._log.info("request", **rounded)
            return
        members = ", ".join(_members(facts))
        now = self._wall()
        head = f'{{"timestamp": "{self._timestamp(now)}", "level": "info", "event": "request"'
        self._write_line(f"{head}, {members}}}")
        if not self._is_flush_due:
            self._is_flush_due = True
            is_dense = 0 <= now - self._flushed < _SPACING_SECONDS
            self._later(_SPACING_SECONDS if is_dense else 0, self._write_out)

    def _write_out(self) -> None:
        self._is_flush_due = False
        self._flushed = self._wall()
        self._flush()

    def _timestamp(self, now: float) -> str:
        """Return the time in ISO 8601; most of it is the same for all lines of a second."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{_six_digits(int((now - second) * 1e6))}Z"


def _members(facts: dict[str, object]) -> list[str]:
    """Return the members of a JSON object, by what is cheapest for each type."""
    members = []
    for key, value in facts.items():
        if value is None:
            continue
        if isinstance(value, str):
            members.append(f'"{key}": {encode_basestring_ascii(value)}')
        elif isinstance(value, float):
            members.append(f'"{key}": {_microseconds(value)}')
        elif isinstance(value, bool):
            members.append(f'"{key}": {"true" if value else "false"}')
        elif isinstance(value, int):
            members.append(f'"{key}": {value}')
        else:
            members.append(f'"{key}": {json.dumps(value)}')
    return members


def _six_digits(number: int) -> str:
    """Return a number below a million with its zeros in front."""
    return str(_MILLION + number)[1:]


def _microseconds(seconds: float) -> str:
    """Return seconds with six digits behind the point, as a format would, but sooner."""
    if not 0 <= seconds < _LONGEST_SECONDS:
        return f"{seconds:.6f}"
    micros = int(seconds * 1e6 + 0.5)
    return f"{micros // _MILLION}.{_six_digits(micros % _MILLION)}"
