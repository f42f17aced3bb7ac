"""Each setting for itself: checked against the model, its errors in the words of the product."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.settings.errors import SettingError
from proxy.settings.model import Settings, setting_names
from proxy.settings.names import TABLES, setting_name
from proxy.settings.values import NO_TEXT, is_text

__all__ = ["Validated", "validate"]

_MESSAGES: Final = {
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text",
    "missing": "is required",
    "extra_forbidden": "is no setting",
    "too_short": "must name at least one",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "tuple_type": "must be a list",
}
_BOUNDS: Final = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}


@dataclass(frozen=True, slots=True)
class Validated:
    """What the model makes of values.

    `settings` has the default in place of each field in `failed`, which
    `errors` tells of: nothing is to be said of that default.
    """

    settings: Settings
    failed: frozenset[str] = frozenset()
    errors: tuple[SettingError, ...] = ()


def validate(values: Mapping[str, Any]) -> Validated:
    """Check values by the names of their fields, each for itself."""
    damaged = [name for name, value in values.items() if _is_damaged(name, value)]
    errors = tuple(SettingError(setting_name(name), NO_TEXT) for name in damaged)
    whole = {name: value for name, value in values.items() if name not in damaged}
    try:
        return Validated(Settings(**whole), frozenset(damaged), errors)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    failed = frozenset((*damaged, *(str(detail["loc"][0]) for detail in details)))
    good = {name: value for name, value in whole.items() if name not in failed}
    return Validated(Settings(**good), failed, (*errors, *map(_as_error, details)))


def _is_damaged(name: str, value: object) -> bool:
    """Say whether it is no text, which only a path may be; pydantic's encoder would raise."""
    return isinstance(value, str) and not name.endswith("_file") and not is_text(value)


def _as_error(detail: ErrorDetails) -> SettingError:
    field, *keys = detail["loc"]
    message = _misplaced(str(field), keys, detail["type"]) or _message(detail)
    return SettingError(setting_name(str(field), *keys), message)


def _misplaced(field: str, keys: Sequence[str | int], kind: str) -> str | None:
    """Say what to do about a setting that stands below a table, None for anything else.

    In TOML all that follows the head of a table is part of the table, however it is indented.
    """
    is_unknown = field in TABLES and kind in ("extra_forbidden", "model_type")
    if not is_unknown or keys[-1] not in setting_names():
        return None
    head = "[[routes]]" if field == "route_tables" else f"[{setting_name(field, *keys[:-1])}]"
    return f"stands below {head} and so is part of it; move it above the first table"


def _message(detail: ErrorDetails) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return "must be " + str(context["expected"]).replace("'", "")
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]:g}"
    return _MESSAGES.get(kind, "has the wrong type")
