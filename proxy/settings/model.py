"""Every setting of the proxy: type, default, unit and meaning.

`proxy.settings.loader` fills the model from all sources.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from proxy.net.addresses import ListenAddress
from proxy.net.egress import read_egress_url
from proxy.net.tls_server import TlsFiles
from proxy.settings import values
from proxy.settings.caller_table import CallerTable
from proxy.settings.client_table import (
    ClientAuth,
    ClientId,
    ClientSettings,
    ClientTable,
    KeyId,
    Methods,
    RouteSettings,
    RouteTable,
    Secret,
    Url,
    Word,
)
from proxy.settings.names import TABLES, setting_name

__all__ = ["ListenAddress", "Settings", "setting_names"]

_NOT_SET_BY_NAME: Final = frozenset((*TABLES, "service_links"))


def _checked_egress(value: SecretStr) -> SecretStr:
    values.egress_proxy(value.get_secret_value())
    return value


Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
SecondsOrNone = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Hosts = Annotated[tuple[str, ...], BeforeValidator(values.words(values.allowed_host))]
Origins = Annotated[tuple[str, ...], BeforeValidator(values.words(values.origin))]
Paths = Annotated[tuple[str, ...], BeforeValidator(values.words(values.path_prefix))]
Names = Annotated[tuple[str, ...], BeforeValidator(values.words(str))]
Listen = Annotated[
    tuple[ListenAddress, ...],
    BeforeValidator(values.listen_addresses),
    Field(min_length=1),
]

AdminListen = Annotated[ListenAddress, BeforeValidator(values.listen_address)]


def _setting(default: Any, text: str, unit: str = "", **limits: Any) -> Any:
    return Field(default=default, description=text, json_schema_extra={"unit": unit}, **limits)


class Settings(BaseSettings):
    """All settings, checked one by one; `proxy.settings.loader` checks them together."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    client_id: ClientId | None = _setting(
        None, "Id of the API client, from the Signicat Dashboard."
    )
    client_secret: Secret | None = _setting(
        None, "Secret of the API client; better in a file, see CLIENT_SECRET_FILE."
    )
    client_secret_file: Path | None = _setting(
        None, "File that holds the secret; read again at every token request."
    )
    previous_secret_file: Path | None = _setting(
        None, "File with the secret before that one; tried at a start where the new one is refused."
    )
    client_key_file: Path | None = _setting(
        None, "The client's private key, in place of a secret; read when it changes."
    )
    client_key_id: KeyId | None = _setting(
        None, "Its id, the kid that the server knows it by; a JWK may hold it itself."
    )
    client_cert_file: Path | None = _setting(
        None, "Certificate and chain (PEM) of that key, with tls_client_auth; read when it changes."
    )
    client_auth: ClientAuth = _setting(
        "client_secret_basic", "How the client authenticates at the token endpoint."
    )
    token_url: Url = _setting(
        "https://api.signicat.com/auth/open/connect/token", "The token endpoint."
    )
    scope: str = _setting("signicat-api", "Scope to request.")
    upstream_url: Url = _setting(
        "https://api.signicat.com", "Where requests go; its path is prefixed to the caller's path."
    )
    environment: Annotated[Literal["sandbox", "production"], Word] | None = _setting(
        None, "Refuse to start if the client id has the prefix of the other environment."
    )
    listen: Listen = _setting(
        "localhost:8080",
        "Addresses for callers: host:port, [IPv6]:port, unix:/path or systemd; localhost: IPv4 and "
        "IPv6.",
    )
    admin_listen: AdminListen = _setting(
        "localhost:8081", "Address for health, metrics and status."
    )
    placeholder_token: bool = _setting(
        default=False,
        text="Respond to an application's own token requests, with a token that is worth nothing.",
    )
    tls_cert_file: Path | None = _setting(
        None, "Certificate and chain (PEM) for TLS on the TCP addresses in LISTEN."
    )
    tls_key_file: Path | None = _setting(None, "The private key of that certificate (PEM).")
    tls_client_ca_file: Path | None = _setting(
        None, "PEM bundle: callers must show a certificate that one of these authorities signed."
    )
    allowed_hosts: Hosts = _setting(
        "localhost,127.0.0.1,[::1]",
        "Names that callers may use in Host, on any port; * turns the check off.",
    )
    allowed_origins: Origins = _setting("", "Browser origins that are allowed.")
    allowed_paths: Paths = _setting("", "Path prefixes that are allowed; empty means all.")
    allowed_methods: Methods = _setting("", "Methods that are allowed; empty means all.")
    connect_timeout_seconds: Seconds = _setting(
        5.0, "For a connection to the upstream: DNS, TCP and TLS together.", "seconds"
    )
    read_timeout_seconds: Seconds = _setting(
        60.0, "Longest silence of the upstream, before and during a response.", "seconds"
    )
    head_timeout_seconds: Seconds = _setting(
        10.0, "Time for a caller to send one request head, from its first byte.", "seconds"
    )
    caller_idle_seconds: Seconds = _setting(
        75.0, "How long a caller's kept-alive connection may be idle.", "seconds"
    )
    upstream_idle_seconds: Seconds = _setting(
        30.0, "How long a pooled connection to the upstream may be idle.", "seconds"
    )
    token_timeout_seconds: Seconds = _setting(10.0, "Total time for one token request.", "seconds")
    token_wait_seconds: Seconds = _setting(
        5.0, "How long a request waits when there is no token at all.", "seconds"
    )
    max_upstream_connections: Annotated[int, Field(ge=1, le=10_000)] = _setting(
        100, "Above it, requests wait up to CONNECT_TIMEOUT_SECONDS, then get 503.", "connections"
    )
    max_replay_bytes: Annotated[int, Field(ge=0, le=16 * 1024 * 1024)] = _setting(
        65_536, "Request bodies up to this size are kept for the one replay after a 401.", "bytes"
    )
    drain_seconds: SecondsOrNone = _setting(
        25.0, "Time for running requests to finish after SIGTERM.", "seconds"
    )
    shutdown_delay_seconds: SecondsOrNone = _setting(
        0.0, "Time after SIGTERM in which the proxy is not ready but still listens.", "seconds"
    )
    startup_deadline_seconds: Seconds | None = _setting(
        None,
        "Exit with code 1 if there is no token by then, and hold /startupz back; for Jobs.",
        "seconds",
    )
    ca_file: Path | None = _setting(
        None, "PEM bundle that is trusted instead of the system's certificates."
    )
    egress_proxy: Annotated[SecretStr, AfterValidator(_checked_egress)] | None = _setting(
        None, "CONNECT proxy for upstream and token endpoint; default: HTTPS_PROXY."
    )
    egress_proxy_file: Path | None = _setting(None, "File with that URL; read when it changes.")
    no_proxy: Names = _setting(
        "", "Hosts, suffixes and networks that bypass EGRESS_PROXY; default: NO_PROXY."
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Word] = _setting(
        "info", "Minimum level that is logged."
    )
    log_format: Annotated[Literal["auto", "json", "console"], Word] = _setting(
        "auto", "auto means console on a terminal, JSON elsewhere."
    )
    access_log: Annotated[Literal["all", "errors", "off"], Word] = _setting(
        "all", "Which requests are logged."
    )
    unsafe_plain_http: bool = _setting(
        default=False, text="Allow http:// to a token endpoint or upstream that is not loopback."
    )
    admin_quit: bool = _setting(default=False, text="Enable POST /-/quit on the admin port.")
    client_tables: dict[str, ClientTable] = Field(default={}, exclude=True)
    route_tables: tuple[RouteTable, ...] = Field(default=(), exclude=True)
    caller_tables: dict[str, CallerTable] = Field(default={}, exclude=True)
    service_links: tuple[str, ...] = Field(default=(), exclude=True)
    """Variables of Kubernetes that begin like settings and are none."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load` has read and merged, and nothing behind its back."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)

    def egress_url(self) -> str | None:
        """Return the URL of the egress proxy, None for none; raise `UnusableFileError`."""
        if self.egress_proxy_file is not None:
            return read_egress_url(self.egress_proxy_file)
        return None if self.egress_proxy is None else self.egress_proxy.get_secret_value()

    @property
    def tls_files(self) -> TlsFiles | None:
        """The files for TLS on the traffic ports, None where callers speak plain HTTP."""
        if self.tls_cert_file is None or self.tls_key_file is None:
            return None
        return TlsFiles(self.tls_cert_file, self.tls_key_file, self.tls_client_ca_file)

    @property
    def clients(self) -> tuple[ClientSettings, ...]:
        """The API clients, complete; the flat settings alone are the client `default`."""
        if not self.client_tables:
            return (self._complete("default", ClientTable()),)
        return tuple(self._complete(name, table) for name, table in self.client_tables.items())

    def _complete(self, name: str, table: ClientTable) -> ClientSettings:
        source = table if table.has_own_proof else self
        return ClientSettings(
            name=name,
            client_id=table.client_id or self.client_id or "",
            client_secret=source.client_secret,
            client_secret_file=source.client_secret_file,
            previous_secret_file=table.previous_secret_file or source.previous_secret_file,
            client_key_file=source.client_key_file,
            client_key_id=table.client_key_id or source.client_key_id,
            client_cert_file=source.client_cert_file,
            client_auth=table.client_auth or self.client_auth,
            token_url=table.token_url or self.token_url,
            scope=self.scope if table.scope is None else table.scope,
        )

    def name_of(self, client: ClientSettings, name: str) -> str:
        """Return the name of a client's setting as its owner wrote it.

        What the client's table leaves out has the name of the setting that it
        comes from; what stands nowhere has that of its place in the table.
        """
        return setting_name(*self.place_of(client, name))

    def place_of(self, client: ClientSettings, name: str) -> tuple[str, ...]:
        """Return the field that a client's setting comes from, and its keys there."""
        table = self.client_tables.get(client.name)
        if table is None:
            return (name,)
        is_flat = getattr(table, name) is None and getattr(self, name) is not None
        # A client that proves itself takes no proof from elsewhere.
        if is_flat and getattr(client, name) is not None:
            return (name,)
        return ("client_tables", client.name, name)

    def file_of(self, client: ClientSettings, name: str) -> str:
        """Return what a client's file is called in `UnusableFileError.file`."""
        field, *keys = self.place_of(client, name)
        return setting_name(field, *keys) if keys else field

    @property
    def routes(self) -> tuple[RouteSettings, ...]:
        """The routes; one client without routes has the route `/`."""
        if not self.route_tables:
            return tuple(RouteSettings(path="/", client=client.name) for client in self.clients[:1])
        return tuple(
            RouteSettings(path=route.path, client=route.client, methods=route.methods)
            for route in self.route_tables
        )


def setting_names() -> tuple[str, ...]:
    """Return the names of all settings, in lower case, in the order of the documentation."""
    return tuple(name for name in Settings.model_fields if name not in _NOT_SET_BY_NAME)
