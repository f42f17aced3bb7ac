"""The access log: one event per request, and nothing in it that names a person (L).

Neither path nor query is written: both can hold identity numbers. The line
is the same as the logger's, made by a shorter way since it is on the path of
every request.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, Literal

from structlog.typing import FilteringBoundLogger

__all__ = ["AccessLog", "AccessMode"]

AccessMode = Literal["all", "errors", "off"]
_FIRST_ERROR: Final = 400
_encode = json.JSONEncoder(separators=(", ", ": ")).encode


class AccessLog:
    """Writes the events `request`.

    With `write_line`, events are JSON lines written through it; without, they
    go through `log`, for people. `wall` is the time, in Unix seconds.
    """

    def __init__(
        self,
        mode: AccessMode,
        *,
        log: FilteringBoundLogger,
        write_line: Callable[[str], None] | None,
        wall: Callable[[], float],
    ) -> None:
        self._mode = mode
        self._log = log
        self._write_line = write_line
        self._wall = wall

    def is_enabled_for(self, status: int, outcome: str) -> bool:
        """Say whether a request that ended so is logged."""
        if self._mode == "all":
            return True
        return self._mode == "errors" and (status >= _FIRST_ERROR or outcome != "ok")

    def write(self, facts: Mapping[str, object]) -> None:
        """Write one event; facts that are None are left out, durations are rounded."""
        kept = {
            key: round(value, 6) if isinstance(value, float) else value
            for key, value in facts.items()
            if value is not None
        }
        if self._write_line is None:
            self._log.info("request", **kept)
            return
        timestamp = datetime.fromtimestamp(self._wall(), UTC).isoformat()
        head = {"timestamp": timestamp.replace("+00:00", "Z"), "level": "info", "event": "request"}
        self._write_line(_encode(head | kept))
