"""MOCK of Digital Evidence Management: which records a query finds."""

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from proxy.mock.body import ANY_CASE, Body
from proxy.mock.dem_pattern import Pattern, PatternError, new_pattern
from proxy.mock.errors import invalid_param

__all__ = ["Query", "found"]

_ROOTS: Final = ("metadata", "systemMetadata", "relations")
_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "le": operator.lt,
    "lte": operator.le,
}

Operator = Annotated[
    Literal["eq", "ne", "gt", "gte", "lt", "lte", "le", "regex", "in", "nin"], ANY_CASE
]


class Condition(Body):
    """One comparison; the official SDK writes `le` for what Signicat calls `lt`."""

    field: str
    operator: Operator
    value: Any = None


class Query(Body):
    """All of `and` hold, one of `or` does, none of `not`; what is empty or null asks nothing."""

    all_of: list[Condition] | None = Field(None, alias="and")
    any_of: list[Condition] | None = Field(None, alias="or")
    none_of: list[Condition] | None = Field(None, alias="not")

    @model_validator(mode="before")
    @classmethod
    def _null_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


def found(query: Query, records: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the records that a query finds, in their order; raise `ApiError` if it has no sense.

    A record has the members that a condition can name: `metadata`,
    `systemMetadata` and `relations`.
    """
    all_of = _tests("and", query.all_of)
    any_of = _tests("or", query.any_of)
    none_of = _tests("not", query.none_of)
    return [
        record
        for record in records
        if all(holds(record) for holds in all_of)
        and (not any_of or any(holds(record) for holds in any_of))
        and not any(holds(record) for holds in none_of)
    ]


def _tests(
    name: str, conditions: list[Condition] | None
) -> list[Callable[[Mapping[str, Any]], bool]]:
    return [_test(f"{name}[{index}]", one) for index, one in enumerate(conditions or ())]


def _test(place: str, condition: Condition) -> Callable[[Mapping[str, Any]], bool]:
    """Return what says whether a condition holds for a record."""
    root = condition.field.partition(".")[0]
    if root not in _ROOTS:
        raise invalid_param(f"{place}.field", f"must begin with one of: {', '.join(_ROOTS)}")
    is_negative = condition.operator in {"ne", "nin"}
    compare = _comparison(place, condition)

    def holds(record: Mapping[str, Any]) -> bool:
        value = _member(record, condition.field)
        values = value if isinstance(value, list) else [value]
        return any(map(compare, values)) is not is_negative

    return holds


def _member(record: Mapping[str, Any], field: str) -> Any:
    """Return what a field names; a name may have dots of its own. None where there is nothing."""
    value: Any = record
    rest = field
    while rest and isinstance(value, Mapping):
        if rest in value:
            return value[rest]
        name, _, rest = rest.partition(".")
        value = value.get(name)
    return None if rest else value


def _comparison(place: str, condition: Condition) -> Callable[[Any], bool]:
    """Return the comparison of a condition, without the negation of `ne` and `nin`."""
    wanted, name = condition.value, condition.operator
    if name in {"eq", "ne"}:
        return lambda value: value == wanted
    if name in {"in", "nin"}:
        if not isinstance(wanted, list):
            raise invalid_param(f"{place}.value", "must be a list")
        return lambda value: value in wanted
    if name == "regex":
        pattern = _pattern(place, wanted)
        return lambda value: isinstance(value, str) and pattern.is_in(value)
    fits = _ORDERINGS[name]
    return lambda value: _is_comparable(value, wanted) and fits(value, wanted)


def _is_comparable(one: Any, other: Any) -> bool:
    """Say whether one of two values is the greater one: texts, or numbers."""
    if isinstance(one, str):
        return isinstance(other, str)
    numbers = (int, float)
    are_numbers = isinstance(one, numbers) and isinstance(other, numbers)
    return are_numbers and not isinstance(one, bool) and not isinstance(other, bool)


def _pattern(place: str, wanted: Any) -> Pattern:
    if not isinstance(wanted, str):
        raise invalid_param(f"{place}.value", "must be a text")
    try:
        return new_pattern(wanted)
    except PatternError:
        reason = "must be a regular expression, a plain one and not too long"
        raise invalid_param(f"{place}.value", reason) from None
