"""The redacted settings as rows of a table."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

__all__ = ["SettingsRow", "settings_rows"]

_LEAF: Final = {"value", "origin"}


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """One value: as it is called in the environment or the TOML file, and where it came from."""

    HEADINGS: ClassVar = ("Setting", "Value", "From")

    name: str
    value: str
    origin: str

    @property
    def is_set(self) -> bool:
        """Whether somebody has set it."""
        return self.origin != "default"


def settings_rows(report: Mapping[str, object]) -> list[SettingsRow]:
    """Return a row for each setting of a `settings_report`, clients and routes included."""
    return list(_rows("", report))


def _rows(name: str, value: object) -> Iterator[SettingsRow]:
    if isinstance(value, Mapping) and set(value) == _LEAF:
        yield SettingsRow(name.upper(), _text(value["value"]), str(value["origin"]))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _rows(f"{name}.{key}" if name else str(key), inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value, 1):
            yield from _rows(f"{name}[{number}]", inner)
    else:
        yield SettingsRow(name, _text(value), "")


def _text(value: object) -> str:
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)
