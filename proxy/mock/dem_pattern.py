"""MOCK of Digital Evidence Management: regular expressions that no input can make slow.

Python's own engine goes back and tries again, and a pattern such as `(a+)+$` makes it try for
ever. This one follows all ways at once: its work is at most the states of the pattern times the
letters of the text, and both have a bound. It knows the plain subset: letters, `.`, classes,
groups, `|`, `^`, `$` and the quantifiers; no lookaround, no back reference, no flag.
"""

import re
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

__all__ = ["MOST_LETTERS", "Pattern", "PatternError", "new_pattern"]

MOST_LETTERS: Final = 1000
"""How many letters of a text are looked at."""
_MOST_PATTERN_LETTERS: Final = 200
_MOST_STATES: Final = 500
_TOKEN: Final = re.compile(
    r"""
    \[\^?\]?(?:\\.|[^\]\\])*\]        # a class
    | \\(?:[dDwWsSnrtfv]|[^A-Za-z0-9])  # an escape that stands for one letter
    | \(\?:
    | [*+?]\??                        # lazy or not: it finds the same texts
    | \{(?=[\d,])\d*,?\d*\}\??
    | [^\\\[]
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_QUANTIFIER: Final = re.compile(r"[*+?]\??|\{(\d*)(,?)(\d*)\}\??", re.ASCII)
_NAMED: Final[dict[str, tuple[int, int | None]]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}

_Test: TypeAlias = Callable[[str, int], bool]
_Part: TypeAlias = Callable[[int], int]
"""Adds the states of a part of a pattern before the state of that number; returns the first."""


class PatternError(Exception):
    """The pattern has no sense, is none of the subset, or is too long."""


@dataclass(slots=True)
class _State:
    """`step` may be taken at a place in a text: it uses one letter up, or (`is_free`) none."""

    step: _Test
    following: list[int]
    is_free: bool


@dataclass(slots=True)
class Pattern:
    """A pattern, as states; state 0 is the end, and `first` the beginning."""

    states: list[_State] = field(default_factory=list)
    first: int = 0

    def add(self, step: _Test, following: list[int], *, is_free: bool = True) -> int:
        """Add a state; return its number. Raise `PatternError` if there are too many."""
        if len(self.states) >= _MOST_STATES:
            raise PatternError
        self.states.append(_State(step, following, is_free))
        return len(self.states) - 1

    def is_in(self, text: str) -> bool:
        """Say whether the pattern is found anywhere in the first `MOST_LETTERS` of a text."""
        text = text[:MOST_LETTERS]
        reached: set[int] = set()
        for place in range(len(text) + 1):
            steps = self._steps(text, place, {*reached, self.first})
            if steps is None:
                return True
            reached = {number for state in steps for number in state.following}
        return False

    def _steps(self, text: str, place: int, numbers: Iterable[int]) -> list[_State] | None:
        """Return the states that use up the letter at a place; None where the end is reached."""
        waiting, seen = list(numbers), set(numbers)
        steps = []
        while waiting:
            number = waiting.pop()
            if number == 0:
                return None
            state = self.states[number]
            if not state.step(text, place):
                continue
            if state.is_free:
                fresh = set(state.following) - seen
                waiting += fresh
                seen |= fresh
            else:
                steps.append(state)
        return steps


def new_pattern(written: str) -> Pattern:
    """Return a pattern of what a client wrote; raise `PatternError`."""
    if len(written) > _MOST_PATTERN_LETTERS:
        raise PatternError
    pattern = Pattern()
    end = pattern.add(_always, [])
    reader = _Reader(pattern, _tokens(written))
    part = reader.alternatives()
    if reader.tokens:
        raise PatternError
    pattern.first = part(end)
    return pattern


def _tokens(written: str) -> list[str]:
    """Return the tokens of a pattern, the last one first."""
    tokens, place = [], 0
    while place < len(written):
        match = _TOKEN.match(written, place)
        if match is None:
            raise PatternError
        tokens.append(match[0])
        place = match.end()
    return tokens[::-1]


@dataclass(slots=True)
class _Reader:
    """Reads the tokens of a pattern. Each part adds a state at least: so all work is bounded."""

    pattern: Pattern
    tokens: list[str]

    def alternatives(self) -> _Part:
        branches = [self._sequence()]
        while self.tokens and self.tokens[-1] == "|":
            self.tokens.pop()
            branches.append(self._sequence())
        return lambda after: self.pattern.add(_always, sorted({add(after) for add in branches}))

    def _sequence(self) -> _Part:
        parts: list[_Part] = []
        while self.tokens and self.tokens[-1] not in {"|", ")"}:
            is_anchor = self.tokens[-1] in _ANCHORS
            part = self._one()
            parts.append(part if is_anchor else self._repeated(part))

        def add(after: int) -> int:
            for part in reversed(parts):
                after = part(after)
            return after

        return add

    def _one(self) -> _Part:
        token = self.tokens.pop()
        if _QUANTIFIER.fullmatch(token):
            raise PatternError
        if token in {"(", "(?:"}:
            part = self.alternatives()
            if not self.tokens:
                raise PatternError
            self.tokens.pop()
            return part
        test, is_free = _ANCHORS.get(token), token in _ANCHORS
        step = test or _letter(token)
        return lambda after: self.pattern.add(step, [after], is_free=is_free)

    def _repeated(self, part: _Part) -> _Part:
        match = _QUANTIFIER.fullmatch(self.tokens[-1]) if self.tokens else None
        if match is None:
            return part
        self.tokens.pop()
        least, most = _NAMED.get(match[0][0]) or _counted(match)

        def add(after: int) -> int:
            first = self.pattern.add(_always, [after])
            if most is None:
                self.pattern.states[first].following.append(part(first))
            for _ in range(0 if most is None else most - least):
                first = self.pattern.add(_always, [part(first), after])
            for _ in range(least):
                first = part(first)
            return first

        return add


def _counted(match: re.Match[str]) -> tuple[int, int | None]:
    """Return the bounds of a quantifier in braces; the second one is None where there is none."""
    least = int(match[1] or 0)
    most = (int(match[3]) if match[3] else None) if match[2] else least
    if most is not None and most < least:
        raise PatternError
    return least, most


def _letter(one: str) -> _Test:
    """Return what says whether the letter at a place is one that is meant."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Of one letter, with no quantifier: here the library has nothing to go back to.
            wanted = re.compile(one if len(one) > 1 or one == "." else re.escape(one))
    except re.error:
        raise PatternError from None
    return lambda text, place: place < len(text) and wanted.fullmatch(text[place]) is not None


def _always(_text: str, _place: int) -> bool:
    return True


def _is_end(text: str, place: int) -> bool:
    """Say whether a text ends here; a last newline is no part of it, as everywhere."""
    return text[place:] in {"", "\n"}


_ANCHORS: Final[dict[str, _Test]] = {"^": lambda _text, place: place == 0, "$": _is_end}
