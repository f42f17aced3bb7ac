"""Settings from all their sources: read, merged, and checked together.

Precedence: flag, environment, `.env` in the working directory, TOML file,
default. All errors are reported at once, one line each, and each line names
the setting; a value is quoted only where it cannot be a secret.

The sources of pydantic-settings are not used. They pass over a variable that is
no setting, so that a typing error goes unnoticed; they replace `$NAME` in
`.env`, and so change a secret; a TOML file that is missing counts as empty, and
one with a byte order mark as broken; they read `os.environ` and nothing else;
and what cannot be read is raised there and then, before any other error is known.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.net.addresses import ListenAddress
from proxy.net.inherited import Inherited
from proxy.settings.checks import errors_between
from proxy.settings.client_table import ClientSettings, RouteSettings
from proxy.settings.errors import ConfigurationError, SettingError
from proxy.settings.model import Settings, setting_names
from proxy.settings.names import CONFIG_FILE, PREFIX, TABLES, setting_name
from proxy.settings.service_links import service_links
from proxy.settings.validation import validate

__all__ = [
    "ClientSettings",
    "ListenAddress",
    "Loaded",
    "RouteSettings",
    "Settings",
    "load",
    "setting_names",
]

_FIELD_OF_TABLE: Final = {key: field for field, key in TABLES.items()}
_ENCODING: Final = "utf-8-sig"  # editors on Windows write a byte order mark; dotenv knows it
_LOOPBACK_NO_PROXY: Final = "localhost,127.0.0.0/8,::1"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and where each came from, by name in lower case."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    *,
    config_file: Path | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    directory: Path,
    inherited: Inherited | None = None,
) -> Loaded:
    """Return the settings; raise `ConfigurationError` with every error there is.

    `flags` are by lower-case name; `directory` is where `.env` may be. Without
    `config_file`, the environment may name one in `CONFIG_FILE`. `inherited` are the sockets
    that systemd hands over, None in a command to which it hands none.
    """
    errors: list[SettingError] = []
    links = service_links(environ)
    environ = {name: value for name, value in environ.items() if name not in links}
    values: dict[str, Any] = {"service_links": links}
    origins = dict.fromkeys(setting_names(), "default")
    toml = _TomlFile.named(config_file, environ)
    for origin, found in _sources(toml, flags or {}, environ, directory, errors):
        values |= found
        origins |= dict.fromkeys(found, origin)
    _take_usual_proxy(values, origins, environ)
    checked = validate(values)
    errors += checked.errors
    errors += errors_between(checked.settings, checked.failed, inherited)
    if errors:
        raise ConfigurationError(tuple(errors))
    return Loaded(checked.settings, {name: origins[name] for name in setting_names()})


@dataclass(frozen=True, slots=True)
class _TomlFile:
    """The TOML file, and what names it: for the operator who has to correct that."""

    path: Path
    named_by: str

    @classmethod
    def named(cls, config_file: Path | None, environ: Mapping[str, str]) -> "_TomlFile | None":
        if config_file is not None:
            return cls(config_file, "--config")
        path = environ.get(CONFIG_FILE)
        return cls(Path(path), CONFIG_FILE) if path else None


def _sources(
    toml: _TomlFile | None,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    directory: Path,
    errors: list[SettingError],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what each source says, the weakest first; `errors` gets what cannot be read."""
    if toml is not None:
        yield toml.path.name, _from_toml(toml, errors)
    dotenv = directory / ".env"
    if dotenv.is_file():
        from dotenv import dotenv_values

        try:
            found = dotenv_values(dotenv, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            errors.append(SettingError(".env", f"cannot be read ({type(error).__name__})"))
        else:
            if found.pop(CONFIG_FILE, None):
                text = "is read from the environment, not from .env: that file would come too late"
                errors.append(SettingError(CONFIG_FILE, text))
            yield ".env", _from_environment(found, errors)
    rest = {name: value for name, value in environ.items() if name != CONFIG_FILE}
    yield "environment", _from_environment(rest, errors)
    yield "flag", flags


def _from_environment(
    environ: Mapping[str, str | None], errors: list[SettingError]
) -> Mapping[str, str]:
    """Pick our names; an empty value counts as none, as compose files produce them."""
    found = {}
    for key, value in environ.items():
        if not key.upper().startswith(PREFIX):
            continue
        name = key[len(PREFIX) :].lower()
        if name not in setting_names() or not key.startswith(PREFIX):
            meant = _closest(name, (*setting_names(), CONFIG_FILE.removeprefix(PREFIX).lower()))
            errors.append(_no_setting(key, meant and setting_name(meant)))
        elif value:
            found[name] = value
    return found


def _from_toml(toml: _TomlFile, errors: list[SettingError]) -> Mapping[str, Any]:
    import tomllib

    path = toml.path
    try:
        content = tomllib.loads(path.read_bytes().decode(_ENCODING))
    except OSError as error:
        errors.append(SettingError(toml.named_by, f"{path} cannot be read ({error.strerror})"))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = f"{path} is no TOML ({error})".splitlines()[0]
        errors.append(SettingError(toml.named_by, line))
        return {}
    fields = {name: name for name in setting_names()} | _FIELD_OF_TABLE
    found = {}
    for key, value in content.items():
        if key in fields:
            found[fields[key]] = value
        else:
            errors.append(_no_setting(f"{key} in {path.name}", _closest(key, fields)))
    return found


def _closest(name: str, names: Iterable[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(name, names, n=1)), None)


def _no_setting(place: str, meant: str | None) -> SettingError:
    suggestion = f"; did you mean {meant}?" if meant else ""
    return SettingError(place, f"is no setting{suggestion}")


def _take_usual_proxy(
    values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]
) -> None:
    """Fall back to HTTPS_PROXY and NO_PROXY; then loopback is never proxied."""
    usual = {
        name: environ.get(name.upper()) or environ.get(name) for name in ("https_proxy", "no_proxy")
    }
    is_given = values.keys() & {"egress_proxy", "egress_proxy_file"}
    if not is_given and usual["https_proxy"]:
        values["egress_proxy"] = usual["https_proxy"]
        origins["egress_proxy"] = "environment (HTTPS_PROXY)"
        usual["no_proxy"] = ",".join(filter(None, (usual["no_proxy"], _LOOPBACK_NO_PROXY)))
    if "no_proxy" not in values and usual["no_proxy"]:
        values["no_proxy"] = usual["no_proxy"]
        origins["no_proxy"] = "environment (NO_PROXY)"
