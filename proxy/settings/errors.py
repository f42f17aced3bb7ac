"""What is wrong with settings, as values.

Imports nothing but the standard library, so that a command can catch
`ConfigurationError` without waiting for what reads settings.
"""

from dataclasses import dataclass

__all__ = ["ConfigurationError", "SettingError"]


@dataclass(frozen=True, slots=True)
class SettingError:
    """One thing that is wrong; `str()` gives the line that operators read.

    `setting` is the place as its owner wrote it: a variable, a key of the TOML
    file, `.env` or `--config`. `message` says what to write instead, and quotes
    a value only where it cannot be a secret.
    """

    setting: str
    message: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.message}"


class ConfigurationError(Exception):
    """The settings cannot be used; `errors` holds every reason there is (C1)."""

    def __init__(self, errors: tuple[SettingError, ...]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = errors
