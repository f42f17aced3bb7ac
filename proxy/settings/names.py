"""What a setting is called where people read of it."""

from collections.abc import Mapping
from typing import Final

__all__ = ["CONFIG_FILE", "PREFIX", "TABLES", "file_name", "setting_name"]

PREFIX: Final = "SIGNICAT_PROXY_"
"""What the names of all environment variables begin with."""

CONFIG_FILE: Final = PREFIX + "CONFIG_FILE"
"""The variable that names the TOML file where `--config` does not; a variable and no setting."""

TABLES: Final[Mapping[str, str]] = {
    "client_tables": "clients",
    "route_tables": "routes",
    "caller_tables": "callers",
}
"""The fields of `Settings` that only a TOML file can set, and their keys there."""


def setting_name(field: str, *keys: str | int) -> str:
    """Return the name of a field of `Settings`: its environment variable, whatever set it.

    What only a TOML file can set is named by its keys there, as in
    `clients.auth.token_url`: `keys` lead from the table to the value.
    """
    table = TABLES.get(field)
    return PREFIX + field.upper() if table is None else ".".join((table, *map(str, keys)))


def file_name(file: str) -> str:
    """Return the name of a setting as people write it, of one as `UnusableFileError.file` has it.

    Keys of a table stay as they are.
    """
    return file if "." in file else setting_name(file)
