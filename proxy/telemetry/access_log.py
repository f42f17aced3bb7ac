"""The access log: one event per request, and nothing in it that names a person (L).

Neither path nor query is written: both can hold identity numbers. The line
is the same as the logger's, but made with less work, since it is on the path of
every request. Under load the lines of a hundredth of a second are written together.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from structlog.typing import FilteringBoundLogger

__all__ = ["AccessLog", "AccessMode"]

AccessMode = Literal["all", "errors", "off"]
_FIRST_ERROR: Final = 400
_SPACING_SECONDS: Final = 0.01  # between two flushes: each is a turn of the loop and a system call
_encode = json.JSONEncoder().encode


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

    def write(self, facts: Mapping[str, object]) -> None:
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
        return f"{self._second_text}.{int((now - second) * 1e6):06d}Z"


def _members(facts: Mapping[str, object]) -> list[str]:
    """Return the members of a JSON object, by what is cheapest for each type."""
    members = []
    for key, value in facts.items():
        kind = type(value)
        if kind is str:
            members.append(f'"{key}": {_encode(value)}')
        elif kind is int:
            members.append(f'"{key}": {value}')
        elif kind is float:
            members.append(f'"{key}": {value:.6f}')
        elif value is not None:
            members.append(f'"{key}": {_encode(value)}')
    return members
