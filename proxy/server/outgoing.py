"""From settings to the parts that reach out: secret, token endpoint, connections."""

import ssl
from urllib.parse import urlsplit

from proxy.clock import Clock
from proxy.http1.grammar import DEFAULT_PORTS
from proxy.net.dialer import Dialer
from proxy.net.egress import EgressProxy, is_bypassed, parse_egress_proxy
from proxy.net.name_cache import NameCache
from proxy.oauth.endpoint import TokenEndpoint
from proxy.oauth.secret import SecretSource
from proxy.settings.loader import ClientSettings, Settings

__all__ = [
    "egress_for",
    "host_and_port",
    "new_dialer",
    "new_secret_source",
    "new_token_endpoint",
    "new_upstream_dialer",
]


def host_and_port(url: str) -> tuple[str, int]:
    """Return where a URL of the settings leads."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]


def egress_for(url: str, settings: Settings) -> EgressProxy | None:
    """Return the egress proxy for `url`, None where NO_PROXY says so or there is none."""
    if settings.egress_proxy is None or is_bypassed(*host_and_port(url), settings.no_proxy):
        return None
    return parse_egress_proxy(settings.egress_proxy.get_secret_value())


def new_secret_source(client: ClientSettings) -> SecretSource:
    """Return where the client's secret is read from."""
    value = client.client_secret
    return SecretSource(
        value=None if value is None else value.get_secret_value(), path=client.client_secret_file
    )


def new_token_endpoint(
    client: ClientSettings,
    settings: Settings,
    tls: ssl.SSLContext,
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
