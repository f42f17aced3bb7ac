"""The configuration of Envoy with `credential_injector` and OAuth 2.0."""

from pathlib import Path
from typing import Any

__all__ = ["configuration"]

TYPE = "type.googleapis.com/envoy.extensions."


def configuration(
    *,
    port: int,
    upstream_port: int,
    token_port: int,
    ca_file: Path | None,
    shown: tuple[Path, Path] | None = None,
) -> dict[str, Any]:
    """Return Envoy's bootstrap; TLS to the upstream if a CA file is named.

    `shown` is certificate and key for callers that speak TLS.
    """
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "callers",
                    "address": _address(port),
                    "filter_chains": [{"filters": [_connection_manager()]} | _shown(shown)],
                }
            ],
            "clusters": [
                _cluster("upstream", upstream_port) | _transport_socket(ca_file),
                _cluster("token", token_port),
            ],
            "secrets": [
                {"name": "secret", "generic_secret": {"secret": {"inline_string": "bench"}}}
            ],
        }
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _typed(name: str, type_name: str, **values: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": TYPE + type_name, **values}}


def _connection_manager() -> dict[str, Any]:
    # A transfer of 200 MiB may take its time: no timeout for a whole request.
    route = {"match": {"prefix": "/"}, "route": {"cluster": "upstream", "timeout": "0s"}}
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="callers",
        codec_type="HTTP1",
        route_config={"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
        http_filters=[
            _credential_injector(),
            _typed("envoy.filters.http.router", "filters.http.router.v3.Router"),
        ],
    )


def _credential_injector() -> dict[str, Any]:
    oauth2 = _typed(
        "envoy.http.injected_credentials.oauth2",
        "http.injected_credentials.oauth2.v3.OAuth2",
        token_endpoint={"cluster": "token", "timeout": "3s", "uri": "127.0.0.1/token"},
        scopes=["signicat-api"],
        client_credentials={"client_id": "bench", "client_secret": {"name": "secret"}},
    )
    return _typed(
        "envoy.filters.http.credential_injector",
        "filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=oauth2,
    )


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(port)}}
    many = {"max_connections": 4096, "max_requests": 4096, "max_pending_requests": 4096}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [many]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    }


def _shown(pair: tuple[Path, Path] | None) -> dict[str, Any]:
    if pair is None:
        return {}
    certificate, key = ({"filename": str(path)} for path in pair)
    socket = _typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.DownstreamTlsContext",
        common_tls_context={
            "tls_certificates": [{"certificate_chain": certificate, "private_key": key}],
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["http/1.1"],
        },
    )
    return {"transport_socket": socket}


def _transport_socket(ca_file: Path | None) -> dict[str, Any]:
    if ca_file is None:
        return {}
    names = {"san_type": "DNS", "matcher": {"exact": "localhost"}}
    validation = {
        "trusted_ca": {"filename": str(ca_file)},
        "match_typed_subject_alt_names": [names],
    }
    socket = _typed(
        "envoy.transport_sockets.tls",
        "transport_sockets.tls.v3.UpstreamTlsContext",
        sni="localhost",
        common_tls_context={
            "validation_context": validation,
            # Envoy's own default for upstreams ends at TLS 1.2.
            "tls_params": {"tls_maximum_protocol_version": "TLSv1_3"},
        },
    )
    return {"transport_socket": socket}
