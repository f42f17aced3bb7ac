"""How the official .NET SDK reads JSON: what it could not read in a response, and what it misses.

A check gets a value and its place, and yields complaints. Names, texts and
lists may be null; an enumeration, a boolean, a required number or date may
not, for .NET has no null for them and the SDK would fail.
"""

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

__all__ = [
    "ERROR",
    "Check",
    "anything",
    "day",
    "each",
    "exactly",
    "flag",
    "guid",
    "map_of",
    "may_have",
    "may_lack",
    "members",
    "misread",
    "moment",
    "number",
    "one_of",
    "or_null",
    "text",
    "texts",
    "whole",
]

Check: TypeAlias = Callable[[Any, str], Iterator[str]]

# What .NET reads of ISO 8601: a date, or a date with a time, whose offset has a colon.
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,16})?)?(Z|[+-]\d\d:\d\d)?)?")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_date(value: object) -> bool:
    return isinstance(value, str) and bool(_DATE.fullmatch(value)) and bool(_parsed(value))


def _parsed(value: str) -> datetime | None:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _is_guid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _check(what: str, fits: Callable[[Any], bool]) -> Check:
    def check(value: Any, place: str) -> Iterator[str]:
        if not fits(value):
            yield f"{place}: {value!r} is no {what}"

    return check


flag: Final = _check("boolean", lambda value: isinstance(value, bool))
number: Final = _check("number", _is_number)
whole: Final = _check("whole number", lambda value: _is_number(value) and value == int(value))
day: Final = _check("day", lambda value: _is_date(value) and len(value) == len("2026-01-31"))
moment: Final = _check("date", _is_date)
guid: Final = _check("GUID", _is_guid)
text: Final = _check("text", lambda value: value is None or isinstance(value, str))
anything: Final = _check("value", lambda _: True)


def one_of(*names: str) -> Check:
    """Return the check of an enumeration: any case, never null."""
    known = {name.lower() for name in names}
    return _check(
        f"one of {', '.join(names)}",
        lambda value: isinstance(value, str) and value.lower() in known,
    )


def exactly(*names: str) -> Check:
    """Return the check of an enumeration with a converter: what it does not know, it gets wrong."""
    return _check(f"one of {', '.join(names)}", lambda value: value in names)


def or_null(check: Check) -> Check:
    """Return the same check, for a value that may be null."""

    def either(value: Any, place: str) -> Iterator[str]:
        if value is not None:
            yield from check(value, place)

    return either


class _MayLack:
    def __init__(self, check: Check) -> None:
        self.check = check

    def __call__(self, value: Any, place: str) -> Iterator[str]:
        yield from self.check(value, place)


def may_lack(check: Check) -> Check:
    """Return the same check, for a member that may be left out."""
    return _MayLack(check)


def each(check: Check) -> Check:
    """Return the check of a list."""

    def every(value: Any, place: str) -> Iterator[str]:
        if value is not None and not isinstance(value, list):
            yield f"{place}: {value!r} is no list"
        for index, item in enumerate(value or []):
            yield from check(item, f"{place}[{index}]")

    return every


def members(checks: Mapping[str, Check]) -> Check:
    """Return the check of an object that has these members and no other."""

    def all_of(value: Any, place: str) -> Iterator[str]:
        if value is None:
            return
        if not isinstance(value, dict):
            yield f"{place}: {value!r} is no object"
            return
        for name in sorted(set(value) - set(checks)):
            yield f"{place}.{name}: the SDK does not know it"
        for name, check in checks.items():
            if name in value:
                yield from check(value[name], f"{place}.{name}")
            elif not isinstance(check, _MayLack):
                yield f"{place}.{name}: is missing"

    return all_of


def may_have(checks: Mapping[str, Check]) -> Check:
    """Return the check of an object that has some of these members, and no other."""
    return members({name: may_lack(check) for name, check in checks.items()})


def map_of(check: Check) -> Check:
    """Return the check of an object whose members have any names, and are all of a kind."""

    def every(value: Any, place: str) -> Iterator[str]:
        if value is not None and not isinstance(value, dict):
            yield f"{place}: {value!r} is no object"
            return
        for name, item in (value or {}).items():
            yield from check(item, f"{place}.{name}")

    return every


def texts(*names: str) -> dict[str, Check]:
    """Return the checks of members that are texts."""
    return dict.fromkeys(names, text)


def misread(value: Any, check: Check) -> list[str]:
    """Return what the SDK could not read, and what it would miss; a null response is one."""
    return ["there is nothing"] if value is None else list(check(value, "$"))


ERROR: Final = may_have(
    {
        **texts("title", "message", "code", "detail", "type", "traceId"),
        **texts("error", "error_description"),
        "status": anything,
        "invalidParams": each(members(texts("name", "reason"))),
        "violations": each(members(texts("propertyPath", "message"))),
        "errors": each(members(texts("field", "message"))),
    }
)
"""What is read of an error, whatever product it is of."""
