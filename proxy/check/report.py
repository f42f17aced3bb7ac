"""The results as lines for people and scripts, or as JSON; nothing secret in them."""

import json
import re
from collections.abc import Iterable
from typing import Final, TextIO

from proxy.check.result import Result
from proxy.telemetry.redaction import Redactor

__all__ = ["Report"]

_COLOURS: Final = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}
_SPACES: Final = re.compile(r"\s{2,}")
_WIDTHS: Final = (7, 12, 30, 7)


class Report:
    """Writes each result as soon as it is there; as JSON, all of them at the end.

    Columns are separated by two spaces or more and hold no such pair
    themselves: state, check, target, milliseconds, detail, and a fix where
    there is one. Colour is for terminals, and not where NO_COLOR is set.
    """

    def __init__(
        self, stream: TextIO, redact: Redactor, *, as_json: bool, no_color: bool = False
    ) -> None:
        self._stream = stream
        self._redact = redact
        self._as_json = as_json
        self._has_colour = stream.isatty() and not no_color
        self._shown: list[dict[str, object]] = []
        self._states: list[str] = []

    @property
    def has_failed(self) -> bool:
        """Did any check fail."""
        return "failed" in self._states

    def _clean(self, text: str) -> str:
        """Return text without secrets and without characters that command a terminal."""
        return _SPACES.sub(" ", "".join(map(_printable, self._redact(text)))).strip()

    def add(self, result: Result) -> None:
        """Take one result; write its line."""
        milliseconds = round(result.seconds * 1000)
        target, detail = self._clean(result.target), self._clean(result.detail)
        fix = None if result.fix is None else self._clean(result.fix)
        self._states.append(result.state)
        if self._as_json:
            self._shown.append(
                {
                    "id": result.check,
                    "state": result.state,
                    "target": target,
                    "detail": detail,
                    "fix": fix,
                    "milliseconds": milliseconds,
                }
            )
            return
        cells = (result.state, result.check, target or "-", f"{milliseconds} ms")
        padded = [f"{cell:<{width}}" for cell, width in zip(cells, _WIDTHS, strict=True)]
        if self._has_colour:
            padded[0] = f"\x1b[{_COLOURS[result.state]}m{padded[0]}\x1b[0m"
        self._write("  ".join((*padded, detail, *([f"fix: {fix}"] if fix else []))))

    def end(self) -> None:
        """Write what is written at the end."""
        if self._as_json:
            self._write(json.dumps(self._shown, indent=2))

    def summary(self) -> str:
        """Count the states, for people."""
        return ", ".join(_counts(self._states))

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()


def _printable(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode("ascii")


def _counts(states: list[str]) -> Iterable[str]:
    return (f"{states.count(state)} {state}" for state in _COLOURS if state in states)
