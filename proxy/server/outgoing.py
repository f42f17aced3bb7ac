"""From settings to the parts that reach out: token endpoint, connections."""

import ssl
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from proxy.clock import Clock
from proxy.http1.grammar import DEFAULT_PORTS
from proxy.net.dialer import Dialer
from proxy.net.egress import (
    EgressProxy,
    is_bypassed,
    parse_egress_proxy,
    read_egress_url,
    secrets_in,
)
from proxy.net.name_cache import NameCache
from proxy.net.tls import ClientContext, client_context
from proxy.oauth.endpoint import TokenEndpoint
from proxy.server.file_watch import FileWatch, WatchedFiles
from proxy.settings.loader import ClientSettings, Settings

__all__ = [
    "Outgoing",
    "egress_for",
    "host_and_port",
    "new_dialer",
    "new_token_endpoint",
    "new_upstream_dialer",
]


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL of the settings leads."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def egress_for(url: str, settings: Settings) -> EgressProxy | None:
    """Return the egress proxy for `url`, None where NO_PROXY says so or there is none.

    Raises `UnusableFileError`, as EGRESS_PROXY_FILE is read.
    """
    return _on_the_way(url, settings.egress_url(), settings)


def _on_the_way(url: str, egress_url: str | None, settings: Settings) -> EgressProxy | None:
    if egress_url is None or is_bypassed(*host_and_port(url), settings.no_proxy):
        return None
    return parse_egress_proxy(egress_url)


def new_token_endpoint(
    client: ClientSettings,
    settings: Settings,
    tls: ClientContext,
    clock: Clock,
    names: NameCache,
) -> TokenEndpoint:
    """Return the token endpoint as this client uses it."""
    return TokenEndpoint(
        url=client.token_url,
        client_id=client.client_id,
        client_auth=client.client_auth,
        scope=client.scope,
        timeout_seconds=settings.token_timeout_seconds,
        tls=tls,
        egress=egress_for(client.token_url, settings),
        names=names,
        wall=clock.wall,
    )


def new_dialer(
    url: str,
    settings: Settings,
    tls: ssl.SSLContext,
    names: NameCache,
    *,
    setting: str,
    timeout_seconds: float,
) -> Dialer:
    """Return what makes connections to the host of `url`, which stands in `setting`."""
    host, port = host_and_port(url)
    return Dialer(
        host,
        port,
        names=names,
        tls=tls if url.startswith("https:") else None,
        egress=egress_for(url, settings),
        egress_tls=tls,
        connect_timeout_seconds=timeout_seconds,
        setting=setting,
    )


def new_upstream_dialer(settings: Settings, tls: ssl.SSLContext, names: NameCache) -> Dialer:
    """Return what makes connections to the upstream."""
    return new_dialer(
        settings.upstream_url,
        settings,
        tls,
        names,
        setting="SIGNICAT_PROXY_UPSTREAM_URL",
        timeout_seconds=settings.connect_timeout_seconds,
    )


class Outgoing:
    """Owns how the world is reached: whom TLS trusts, and through which egress proxy (C4).

    Hands it to all who connect, when the process starts and whenever the files change;
    `watch` looks at these. Raises `UnusableFileError`.
    """

    def __init__(
        self, settings: Settings, names: NameCache, clock: Clock, watch: FileWatch
    ) -> None:
        self._settings = settings
        self._egress_url = settings.egress_url()
        self._secrets = secrets_in(self._egress_url or "")
        is_watched = settings.ca_file is not None
        # One that trusts nobody, until the file is read below.
        self._tls = ClientContext(ssl.PROTOCOL_TLS_CLIENT) if is_watched else client_context(None)
        self.dialer = new_upstream_dialer(settings, self._tls, names)
        self.endpoints = tuple(
            new_token_endpoint(client, settings, self._tls, clock, names)
            for client in settings.clients
        )
        for files in self._files():
            watch.add(files)

    def _files(self) -> Iterator[WatchedFiles[Any]]:
        ca, egress = self._settings.ca_file, self._settings.egress_proxy_file
        if ca is not None:
            yield WatchedFiles({"ca_file": ca}, partial(client_context, ca), self._trust)
        if egress is not None:
            load = partial(read_egress_url, egress)
            yield WatchedFiles({"egress_proxy_file": egress}, load, self._go_through)

    def _trust(self, tls: ClientContext) -> None:
        self._tls = tls
        self._reach_by_now()

    def _go_through(self, egress_url: str) -> None:
        # The one before may still be in what a connection that is being made brings to tell.
        self._secrets = secrets_in(self._egress_url or "") + secrets_in(egress_url)
        self._egress_url = egress_url
        self._reach_by_now()

    def _reach_by_now(self) -> None:
        settings, egress_url = self._settings, self._egress_url
        self.dialer.reach_by(self._tls, _on_the_way(settings.upstream_url, egress_url, settings))
        for endpoint, client in zip(self.endpoints, settings.clients, strict=True):
            endpoint.reach_by(self._tls, _on_the_way(client.token_url, egress_url, settings))

    def secrets_in_use(self) -> Iterator[str]:
        """Yield what must not be logged (G7).

        That is of the egress proxy's URL, of the one before, and the assertions of clients.
        """
        yield from self._secrets
        for endpoint in self.endpoints:
            yield from endpoint.secrets_in_use()

    async def close(self) -> None:
        """Close the connections to the token endpoints."""
        for endpoint in self.endpoints:
            await endpoint.close()
