"""What settings must be together, and what they name that cannot be used."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from proxy.files import UnusableFileError, all_faults
from proxy.guard.paths import lenient_path
from proxy.guard.routing import NO_CLIENT
from proxy.http1.grammar import DEFAULT_PORTS
from proxy.net.addresses import authority, is_loopback
from proxy.net.egress import is_bypassed, parse_egress_proxy
from proxy.net.inherited import NO_SOCKETS, Claims, Inherited
from proxy.net.tls import client_context
from proxy.net.tls_server import server_tls_faults
from proxy.settings.caller_checks import caller_errors
from proxy.settings.client_table import ClientSettings
from proxy.settings.credential_checks import credential_errors
from proxy.settings.errors import SettingError
from proxy.settings.listen_checks import listen_errors, listening
from proxy.settings.model import Settings
from proxy.settings.names import setting_name

__all__ = ["errors_between"]

_PREFIXES: Final = {"sandbox": ("sandbox-", "dev-"), "production": ("prod-",)}
_MAX_NAME: Final = 40


def errors_between(
    settings: Settings, failed: frozenset[str], inherited: Inherited | None = None
) -> list[SettingError]:
    """Return every error between settings, each once.

    Fields in `failed` hold a default in place of what cannot be read: that has
    been said, and nothing is said of the default. Without `inherited`, the sockets that
    systemd will hand over are not known.
    """
    claims = (inherited or NO_SOCKETS).claims((*settings.listen, settings.admin_listen))
    errors = [
        *_table_name_errors(settings),
        *caller_errors(settings, failed, claims),
        *_route_errors(settings, failed),
        *_url_errors(settings),
        *listen_errors(settings, failed, inherited),
        *_own_address_errors(settings, failed, claims),
        *_ca_errors(settings),
        *_egress_errors(settings, failed),
        *_tls_errors(settings, failed),
    ]
    if "client_tables" not in failed:
        for client in settings.clients:
            errors += _client_errors(client, settings, failed)
    return list(dict.fromkeys(errors))


def _client_errors(
    client: ClientSettings, settings: Settings, failed: frozenset[str]
) -> Iterator[SettingError]:
    if not client.client_id and "client_id" not in failed:
        yield SettingError(settings.name_of(client, "client_id"), "is required")
    yield from _environment_errors(client, settings)
    yield from credential_errors(client, settings, failed)


def _environment_errors(client: ClientSettings, settings: Settings) -> Iterator[SettingError]:
    for environment, prefixes in _PREFIXES.items():
        says_so = client.client_id.lower().startswith(prefixes)
        if says_so and settings.environment not in (None, environment):
            yield SettingError(
                setting_name("environment"),
                f"is {settings.environment}, but the client id {client.client_id} is for "
                f"{environment}",
            )


def _table_name_errors(settings: Settings) -> Iterator[SettingError]:
    tables = {"client": [*settings.client_tables], "caller": [*settings.caller_tables]}
    for kind, names in tables.items():
        for name in names:
            place = setting_name(f"{kind}_tables", name[:60])
            plain = name.replace("-", "").replace("_", "")
            if not (plain.isascii() and plain.isalnum()) or len(name) > _MAX_NAME:
                yield SettingError(place, f"a name is up to {_MAX_NAME} of a-z, 0-9, - and _")
            if name == NO_CLIENT:
                yield SettingError(place, f"this name is taken by requests without a {kind}")


def _route_error(message: str) -> SettingError:
    return SettingError(setting_name("route_tables"), message)


def _route_errors(settings: Settings, failed: frozenset[str]) -> Iterator[SettingError]:
    if "route_tables" in failed:
        return
    if "client_tables" in failed:  # so whose paths there may be cannot be known
        yield from _repeated_route_errors(settings)
        return
    if len(settings.client_tables) > 1 and not settings.route_tables:
        yield _route_error("several clients need [[routes]] that say which paths are whose")
    known = {client.name for client in settings.clients}
    for route in settings.route_tables:
        if route.client not in known:
            yield _route_error(
                f"{route.path} names the client '{route.client[:60]}', which there is not"
            )
    yield from _repeated_route_errors(settings)
    if settings.route_tables:
        for unused in sorted(known - {route.client for route in settings.route_tables}):
            yield _route_error(f"no route uses the client '{unused}'")


def _repeated_route_errors(settings: Settings) -> Iterator[SettingError]:
    """Find paths that stand twice, or that the upstream may take for one another (G4)."""
    paths = Counter(route.path for route in settings.route_tables)
    for path, amount in paths.items():
        if amount > 1:
            yield _route_error(f"{path} stands {amount} times")
    alike: dict[bytes, list[str]] = {}
    for path in paths:
        alike.setdefault(lenient_path(path.encode()), []).append(path)
    for same in alike.values():
        if len(same) > 1:
            yield _route_error(f"{' and '.join(same)} differ only in case or in dots at the end")


def _urls(settings: Settings) -> Mapping[str, str]:
    """Return upstream and token endpoints by the names of their settings."""
    urls = {setting_name("upstream_url"): settings.upstream_url}
    return urls | {settings.name_of(c, "token_url"): c.token_url for c in settings.clients}


def _url_errors(settings: Settings) -> Iterator[SettingError]:
    for name, url in _urls(settings).items():
        parts = urlsplit(url)
        is_private = parts.scheme == "https" or is_loopback(parts.hostname or "")
        if not is_private and not settings.unsafe_plain_http:
            yield SettingError(
                name,
                "http:// would send credentials readable; use https://, "
                f"or set {setting_name('unsafe_plain_http')}=true for a test",
            )


def _own_address_errors(
    settings: Settings, failed: frozenset[str], claims: Claims
) -> Iterator[SettingError]:
    """Find what would come back to the proxy itself, on its way or at its end (G10)."""
    own = {name: claims.places(entries) for name, entries in listening(settings).items()}
    for setting, host, port in _destinations(settings):
        for name, addresses in own.items():
            is_own = any(address.is_reached_at(host, port) for address in addresses)
            if is_own and name not in failed:
                yield SettingError(
                    setting,
                    f"{authority(host, port)} is an address of this proxy itself "
                    f"({setting_name(name)}); name the server that it stands before",
                )


def _destinations(settings: Settings) -> Iterator[tuple[str, str, int]]:
    """Yield what is connected to, by its setting: the egress proxy where one stands in between."""
    is_file = settings.egress_proxy_file is not None
    try:
        egress = settings.egress_url()
    except UnusableFileError:  # that is said, and where it leads is not known
        return
    for name, url in _urls(settings).items():
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
        if egress is None or is_bypassed(host, port, settings.no_proxy):
            yield name, host, port
        else:
            proxy = parse_egress_proxy(egress)
            setting = "egress_proxy_file" if is_file else "egress_proxy"
            yield setting_name(setting), proxy.host, proxy.port


def _ca_errors(settings: Settings) -> Iterator[SettingError]:
    if settings.ca_file is None:
        return
    try:
        client_context(settings.ca_file)
    except UnusableFileError as error:
        yield SettingError(setting_name(error.file), error.reason)


def _egress_errors(settings: Settings, failed: frozenset[str]) -> Iterator[SettingError]:
    if settings.egress_proxy_file is None:
        return
    if settings.egress_proxy is not None or "egress_proxy" in failed:
        text = f"give it or {setting_name('egress_proxy_file')}, not both"
        yield SettingError(setting_name("egress_proxy"), text)
    try:
        settings.egress_url()
    except UnusableFileError as error:
        yield SettingError(setting_name(error.file), error.reason)


_TLS_PARTNERS: Final = {
    "tls_cert_file": "tls_key_file",
    "tls_key_file": "tls_cert_file",
    "tls_client_ca_file": "tls_cert_file",
}


def _tls_errors(settings: Settings, failed: frozenset[str]) -> Iterator[SettingError]:
    for name, partner in _TLS_PARTNERS.items():
        is_alone = getattr(settings, name) is not None and getattr(settings, partner) is None
        if is_alone and partner not in failed:
            yield SettingError(setting_name(partner), f"is required with {setting_name(name)}")
    if settings.tls_files is not None:
        for fault in all_faults("tls_cert_file", server_tls_faults(settings.tls_files, time.time)):
            yield SettingError(setting_name(fault.file), fault.reason)
