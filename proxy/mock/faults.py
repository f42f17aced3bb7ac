"""Faults on demand: what goes wrong, where, how often."""

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

__all__ = ["KINDS", "TARGETS", "Fault", "FaultError", "Faults"]

KINDS: Final = {
    "latency": "wait `milliseconds` before answering",
    "status": "answer with `status` (400 to 599), with `retry_after` as Retry-After",
    "unauthorized": "answer 401 invalid_token, whatever the token",
    "empty": "answer 200 with an empty body",
    "html": "answer 200 with an HTML page",
    "reset": "reset the connection before any answer",
    "truncate": "send half of an answer's body, then reset the connection",
}
TARGETS: Final = ("token", "api", "all")
_LATENCY, _STATUS = "latency", "status"


class FaultError(ValueError):
    """A fault as described cannot be done; the text names the member."""


@dataclass(slots=True)
class Fault:
    """One fault: `times` None means until it is cleared; `probability` from 0 to 1."""

    kind: str
    target: str = "all"
    milliseconds: float = 0
    status: int = 503
    retry_after: str | None = None
    times: int | None = None
    probability: float = 1

    @classmethod
    def from_json(cls, value: object) -> "Fault":
        """Read a fault from JSON; raise `FaultError` naming the member that is wrong."""
        if not isinstance(value, Mapping):
            raise FaultError("a fault must be an object")
        unknown = set(value) - set(cls.__dataclass_fields__)
        if unknown:
            raise FaultError(f"'{min(unknown)}' is no member of a fault")
        fault = cls(**{"kind": "", **value})
        fault.check()
        return fault

    def check(self) -> None:
        """Raise `FaultError` for values that mean nothing."""
        if self.kind not in KINDS:
            raise FaultError(f"'kind' must be one of {', '.join(KINDS)}")
        if self.target not in TARGETS:
            raise FaultError(f"'target' must be one of {', '.join(TARGETS)}")
        _check_number("milliseconds", self.milliseconds, 0, 600_000)
        _check_number("status", self.status, 400, 599)
        _check_number("probability", self.probability, 0, 1)
        if self.times is not None:
            _check_number("times", self.times, 1, 1_000_000)
        if self.retry_after is not None:
            self.retry_after = str(self.retry_after)


def _check_number(name: str, value: object, least: float, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not least <= value <= most:  # type: ignore[operator]  # is_number says so
        raise FaultError(f"'{name}' must be a number from {least:g} to {most:g}")


class Faults:
    """The faults in force; a request takes those that hit it."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._faults: list[Fault] = []

    def put(self, faults: list[Fault]) -> None:
        """Replace all faults."""
        self._faults = list(faults)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults that are left."""
        return [asdict(fault) for fault in self._faults]

    def take(self, target: str) -> list[Fault]:
        """Return the faults that hit one request to `target`; each costs one of its times."""
        hits = []
        for fault in self._faults:
            if fault.target not in (target, "all") or self._dice.random() >= fault.probability:
                continue
            hits.append(fault)
            if fault.times is not None:
                fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return hits
