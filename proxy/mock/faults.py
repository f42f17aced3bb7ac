"""Faults on demand: what goes wrong, where, how often."""

import random
from collections.abc import Mapping
from dataclasses import asdict
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

__all__ = ["Fault", "FaultError", "Faults"]

_PATTERN_LETTERS: Final = "*?["


class FaultError(ValueError):
    """A fault as described cannot be done; the text names the member."""


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@dataclass(config=ConfigDict(strict=True, extra="forbid"))
class Fault:
    """One fault. It hits a request that fits `target`, `path` and `method`.

    `path` is a prefix on segment boundaries, or a pattern where it has `*`, `?`
    or `[`; `*` passes slashes. `times` None means until it is cleared.
    """

    kind: Literal["latency", "status", "unauthorized", "empty", "html", "reset", "truncate"]
    target: Literal["token", "api", "all"] = "all"
    path: Annotated[str, Field(pattern="^/")] | None = None
    method: Annotated[str, Field(pattern="^[A-Z]+$")] | None = None
    milliseconds: Annotated[float, Field(ge=0, le=600_000)] = 0
    status: Annotated[int, Field(ge=400, le=599)] = 503
    retry_after: (
        Annotated[str, Field(pattern="^[\x20-\x7e]*$"), BeforeValidator(_as_text)] | None
    ) = None
    times: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    probability: Annotated[float, Field(ge=0, le=1)] = 1

    @classmethod
    def from_json(cls, value: object) -> "Fault":
        """Read a fault from JSON; raise `FaultError` naming the member that is wrong."""
        if not isinstance(value, Mapping):
            raise FaultError("a fault must be an object")
        try:
            return cls(**value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            member = first["loc"][0] if first["loc"] else "fault"
            raise FaultError(f"'{member}': {first['msg']}") from None

    def fits(self, target: str, method: str, path: str) -> bool:
        """Say whether a request to `target` is one that this fault may hit."""
        return (
            self.target in {target, "all"}
            and self.method in {method, None}
            and (self.path is None or _is_within(path, self.path))
        )


def _is_within(path: str, wanted: str) -> bool:
    if any(letter in wanted for letter in _PATTERN_LETTERS):
        return fnmatchcase(path, wanted)
    return path == wanted or path.startswith(wanted.rstrip("/") + "/")


class Faults:
    """The faults in force; a request takes those that hit it."""

    def __init__(self, dice: random.Random, at_start: tuple[Fault, ...] = ()) -> None:
        self._dice = dice
        self._start = [asdict(fault) for fault in at_start], dice.getstate()
        self._faults = list(at_start)

    def reset(self) -> None:
        """Put back the faults that were in force at the start, and the dice with them."""
        faults, dice = self._start
        self._faults = [Fault(**members) for members in faults]
        self._dice.setstate(dice)

    def put(self, faults: list[Fault]) -> None:
        """Replace all faults."""
        self._faults = list(faults)

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults that are left."""
        return [asdict(fault) for fault in self._faults]

    def take(self, target: str, method: str, path: str) -> list[Fault]:
        """Return the faults that hit one request; each costs one of its times."""
        hits = []
        for fault in self._faults:
            if not fault.fits(target, method, path) or self._dice.random() >= fault.probability:
                continue
            hits.append(fault)
            if fault.times is not None:
                fault.times -= 1
        self._faults = [fault for fault in self._faults if fault.times != 0]
        return hits
