"""Settings from all their sources: read, merged, and checked together.

Precedence: flag, environment, `.env` in the working directory, TOML file,
default. All errors are reported at once, one line each, and each line names
the setting; a value is quoted only where it cannot be a secret.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from proxy.net.addresses import ListenAddress
from proxy.settings.checks import errors_between
from proxy.settings.model import ClientSettings, RouteSettings, Settings
from proxy.settings.names import PREFIX, TABLES, setting_name
from proxy.settings.service_links import service_links

__all__ = [
    "ClientSettings",
    "ConfigurationError",
    "ListenAddress",
    "Loaded",
    "RouteSettings",
    "Settings",
    "load",
    "setting_names",
]

_FIELD_OF_TABLE: Final = {key: field for field, key in TABLES.items()}
_NOT_SET_BY_NAME: Final = frozenset((*TABLES, "service_links"))
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
_ENCODING: Final = "utf-8-sig"  # editors on Windows write a byte order mark; dotenv knows it
_LOOPBACK_NO_PROXY: Final = "localhost,127.0.0.0/8,::1"


class ConfigurationError(Exception):
    """The settings cannot be used; `errors` has one line for each reason."""

    def __init__(self, errors: tuple[str, ...]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force and where each came from, by name in lower case."""

    settings: Settings
    origins: Mapping[str, str]


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings, in lower case, in the order of the documentation."""
    return tuple(name for name in Settings.model_fields if name not in _NOT_SET_BY_NAME)


def load(
    *,
    config_file: Path | None = None,
    flags: Mapping[str, str] | None = None,
    environ: Mapping[str, str],
    directory: Path,
) -> Loaded:
    """Return the settings; raise `ConfigurationError` with every error there is.

    `flags` are by lower-case name; `directory` is where `.env` may be.
    """
    errors: list[str] = []
    links = service_links(environ)
    environ = {name: value for name, value in environ.items() if name not in links}
    values: dict[str, Any] = {"service_links": links}
    origins = dict.fromkeys(setting_names(), "default")
    for origin, found in _sources(config_file, flags or {}, environ, directory, errors):
        values |= found
        origins |= dict.fromkeys(found, origin)
    _take_usual_proxy(values, origins, environ)
    settings = _checked(values, errors)
    errors += errors_between(settings, failed=_failed(errors))
    if errors:
        raise ConfigurationError(tuple(errors))
    return Loaded(settings, {name: origins[name] for name in setting_names()})


def _sources(
    config_file: Path | None,
    flags: Mapping[str, str],
    environ: Mapping[str, str],
    directory: Path,
    errors: list[str],
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what each source says, the weakest first; `errors` gets what cannot be read."""
    if config_file is not None:
        yield config_file.name, _from_toml(config_file, errors)
    dotenv = directory / ".env"
    if dotenv.is_file():
        try:
            found = dotenv_values(dotenv, interpolate=False)
        except (OSError, UnicodeDecodeError) as error:
            errors.append(f".env: cannot be read ({type(error).__name__})")
        else:
            yield ".env", _from_environment(found, errors)
    yield "environment", _from_environment(environ, errors)
    yield "flag", flags


def _from_environment(environ: Mapping[str, str | None], errors: list[str]) -> Mapping[str, str]:
    """Pick our names; an empty value counts as none, as compose files produce them."""
    found = {}
    for key, value in environ.items():
        if not key.upper().startswith(PREFIX):
            continue
        name = key[len(PREFIX) :].lower()
        if name not in setting_names() or not key.startswith(PREFIX):
            errors.append(f"{key}: is no setting{_suggestion(name, upper=True)}")
        elif value:
            found[name] = value
    return found


def _from_toml(path: Path, errors: list[str]) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(path.read_bytes().decode(_ENCODING))
    except OSError as error:
        errors.append(f"--config: {path} cannot be read ({error.strerror})")
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        errors.append(f"--config: {path} is no TOML ({error})".splitlines()[0])
        return {}
    found = {}
    for key, value in content.items():
        if key in _FIELD_OF_TABLE:
            found[_FIELD_OF_TABLE[key]] = value
        elif key in setting_names():
            found[key] = value
        else:
            errors.append(f"{key} in {path.name}: is no setting{_suggestion(key, upper=False)}")
    return found


def _suggestion(name: str, *, upper: bool) -> str:
    close = difflib.get_close_matches(name, setting_names(), n=1)
    if not close:
        return ""
    return f"; did you mean {setting_name(close[0]) if upper else close[0]}?"


def _take_usual_proxy(
    values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]
) -> None:
    """Fall back to HTTPS_PROXY and NO_PROXY; then loopback is never proxied."""
    usual = {
        name: environ.get(name.upper()) or environ.get(name) for name in ("https_proxy", "no_proxy")
    }
    if "egress_proxy" not in values and usual["https_proxy"]:
        values["egress_proxy"] = usual["https_proxy"]
        origins["egress_proxy"] = "environment (HTTPS_PROXY)"
        usual["no_proxy"] = ",".join(filter(None, (usual["no_proxy"], _LOOPBACK_NO_PROXY)))
    if "no_proxy" not in values and usual["no_proxy"]:
        values["no_proxy"] = usual["no_proxy"]
        origins["no_proxy"] = "environment (NO_PROXY)"


def _checked(values: Mapping[str, Any], errors: list[str]) -> Settings:
    """Return the settings without those that are wrong; their errors are added."""
    try:
        return Settings(**values)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    errors += [_line(detail) for detail in details]
    failed = {detail["loc"][0] for detail in details}
    return Settings(**{name: value for name, value in values.items() if name not in failed})


def _line(detail: ErrorDetails) -> str:
    """Say one error in one line, in the words of the product."""
    name, *inner = map(str, detail["loc"])
    context = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "value_error":
        message = str(context["error"])
    elif kind == "literal_error":
        message = "must be " + str(context["expected"]).replace("'", "")
    elif kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        message = f"must be {words} {context[bound]:g}"
    else:
        message = _MESSAGES.get(kind, "has the wrong type")
    return f"{setting_name(name, *inner)}: {message}"


def _failed(errors: list[str]) -> frozenset[str]:
    """Return the names of settings that have an error already."""
    return frozenset(line.partition(":")[0].removeprefix(PREFIX).lower() for line in errors)
