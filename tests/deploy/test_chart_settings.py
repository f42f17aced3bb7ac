"""The proxy itself reads what the chart makes of values: the same settings, and no error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import pytest
import trustme

from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import Settings, load
from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.chart_cases import FULL, fitting

CONFIG: Final = "/etc/signicat-proxy/config.toml"
SECRET: Final = "s3cret-of-the-test"
CLIENTS: Final = ("auth", "sign", "shop")
KEY: Final = "a-key-that-is-long-enough-for-the-proxy"
MOUNTS: Final = ("ca", "callers", "tls", "client-ca")
CA: Final = {"caBundle": {"configMapName": "authority", "key": "bundle.pem"}}


def read_by_the_proxy(manifests: list[Manifest], folder: Path) -> Settings:
    """Load the settings as the container would, its mounts being in `folder`."""
    for client in CLIENTS:
        file = folder / "run" / "secrets" / client / "client-secret"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SECRET, "utf-8")
    authority = folder / "etc" / "signicat-proxy-ca" / "ca.crt"
    authority.parent.mkdir(parents=True, exist_ok=True)
    trustme.CA().cert_pem.write_to_path(authority)
    put_proofs(folder)
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = [
        container
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        if container["name"] == "signicat-proxy"
    ]
    environ = {
        variable["name"]: as_the_kubelet(variable["value"], folder)
        for variable in container.get("env", [])
        if "value" in variable and not variable["name"].startswith("OTEL_")
    }
    assert container["args"] == ["run"]
    if "SIGNICAT_PROXY_CONFIG_FILE" in environ:
        assert environ["SIGNICAT_PROXY_CONFIG_FILE"] == CONFIG
        config = folder / "config.toml"
        text = only(manifests, "ConfigMap")["data"]["config.toml"]
        config.write_text(in_folder(text, folder), "utf-8")
        environ["SIGNICAT_PROXY_CONFIG_FILE"] = str(config)
    return load(environ=environ, directory=folder).settings


def put_proofs(folder: Path) -> None:
    """Write the key of a caller, and what TLS needs, where the chart mounts them."""
    authority = trustme.CA()
    server = authority.issue_cert("demo-signicat-proxy.prod")
    files = {
        "callers/shop/key": KEY.encode(),
        "tls/tls.crt": server.cert_chain_pems[0].bytes(),
        "tls/tls.key": server.private_key_pem.bytes(),
        "client-ca/ca.crt": authority.cert_pem.bytes(),
    }
    for name, content in files.items():
        file = folder / "etc" / f"signicat-proxy-{name}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


def in_folder(text: str, folder: Path) -> str:
    """Put the mounts' paths under `folder`."""
    for mount in ("/run/secrets/", *(f"/etc/signicat-proxy-{name}/" for name in MOUNTS)):
        text = text.replace(mount, f"{folder}{mount}")
    return text


def as_the_kubelet(value: str, folder: Path) -> str:
    """Return a variable's value as the kubelet passes it: `$$(` stands for `$(`."""
    assert "$(" not in value.replace("$$(", "")
    return in_folder(value.replace("$$(", "$("), folder)


def as_given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings of values as the proxy holds them."""
    return {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}


def test_a_gateway_has_the_settings_of_its_values(tmp_path: Path) -> None:
    """Every setting, client and route arrives; what the chart gives itself stands beside them."""
    settings = read_by_the_proxy(render(merged(fitting(FULL), CA)), tmp_path)
    given = as_given(FULL["settings"])
    assert {name: getattr(settings, name) for name in given} == given
    assert list(map(str, settings.listen)) == ["*:8080"]
    assert str(settings.admin_listen) == "*:8081"
    assert settings.allowed_hosts == (
        *("localhost", "127.0.0.1", "[::1]"),
        *("demo-signicat-proxy", "demo-signicat-proxy.prod", "demo-signicat-proxy.prod.svc"),
        *("demo-signicat-proxy.prod.svc.cluster.local", "signicat.internal"),
    )
    assert (settings.shutdown_delay_seconds, settings.drain_seconds) == (10, 25)
    assert settings.ca_file == tmp_path / "etc" / "signicat-proxy-ca" / "ca.crt"
    auth, sign = settings.clients
    assert (auth.name, auth.client_id) == ("auth", "sandbox-round-apple-123")
    assert auth.client_auth == "client_secret_post"
    assert (sign.name, sign.client_id) == ("sign", "sandbox-calm-otter-101")
    assert sign.client_secret_file == tmp_path / "run" / "secrets" / "sign" / "client-secret"
    assert [(route.path, route.client, route.methods) for route in settings.routes] == [
        ("/auth/rest", "auth", ("GET",)),
        ("/sign", "sign", None),
    ]


def test_a_sidecar_has_the_settings_of_its_values(tmp_path: Path) -> None:
    """In the environment too, lists, numbers and switches arrive as they were given."""
    values = merged(SIDECAR_VALUES, {**CA, "settings": FULL["settings"]})
    settings = read_by_the_proxy(render_application(values), tmp_path)
    given = as_given(FULL["settings"])
    assert {name: getattr(settings, name) for name in given} == given
    assert list(map(str, settings.listen)) == ["localhost:8080"]
    assert settings.allowed_hosts == ("localhost", "127.0.0.1", "[::1]")
    (client,) = settings.clients
    assert client.client_id == "sandbox-round-apple-123"
    assert client.client_secret_file == tmp_path / "run" / "secrets" / "shop" / "client-secret"


def test_a_sidecar_with_routes_reads_them(tmp_path: Path) -> None:
    """With routes the settings stand in a file, and the traffic port stays on loopback."""
    values = merged(SIDECAR_VALUES, {"routes": [{"path": "/sign", "client": "shop"}]})
    settings = read_by_the_proxy(render_application(values), tmp_path)
    assert [(route.path, route.client) for route in settings.routes] == [("/sign", "shop")]
    assert list(map(str, settings.listen)) == ["localhost:8080"]


OWN_FILE: Final = """\
listen = "0.0.0.0:1"
admin_listen = "0.0.0.0:2"
read_timeout_seconds = 30
log_level = "error"
[clients.shop]
client_id = "sandbox-of-the-file"
client_secret_file = "/run/secrets/shop/client-secret"
[[routes]]
path = "/sign"
client = "shop"
"""


@pytest.mark.parametrize("example", [GATEWAY_VALUES, SIDECAR_VALUES], ids=["gateway", "sidecar"])
def test_a_file_of_ones_own_fits_the_pod(example: dict[str, Any], tmp_path: Path) -> None:
    """Ports, names and times are the chart's whatever the file says; settings of values win too."""
    values = {
        **example,
        "clients": {"shop": {"secretName": "signicat-shop"}},
        "routes": [],
        "settings": {"log_level": "warning"},
        "existingConfigMap": "own",
        "extraObjects": [
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "own"},
                "data": {"config.toml": OWN_FILE},
            }
        ],
    }
    manifests = render_application(values) if example is SIDECAR_VALUES else render(values)
    settings = read_by_the_proxy(manifests, tmp_path)
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    sources = [volume["configMap"] for volume in pod["volumes"] if "configMap" in volume]
    assert sources == [{"name": "own"}]
    host = "localhost" if example is SIDECAR_VALUES else "*"
    assert list(map(str, settings.listen)) == [f"{host}:8080"]
    assert str(settings.admin_listen) == "*:8081"
    assert settings.drain_seconds == (5 if example is SIDECAR_VALUES else 25)
    assert (settings.read_timeout_seconds, settings.log_level) == (30, "warning")
    (client,) = settings.clients
    assert client.client_id == "sandbox-of-the-file"
    assert [(route.path, route.client) for route in settings.routes] == [("/sign", "shop")]


@pytest.mark.parametrize("example", [GATEWAY_VALUES, SIDECAR_VALUES], ids=["gateway", "sidecar"])
def test_the_families_of_a_cluster_are_listened_on(example: dict[str, Any], tmp_path: Path) -> None:
    """Every family by default; `ipFamily` says which one, where it must be one."""
    for family, host in (("", "*"), ("IPv4", "0.0.0.0"), ("IPv6", "[::]")):
        values = merged(example, {"ipFamily": family})
        manifests = render_application(values) if example is SIDECAR_VALUES else render(values)
        settings = read_by_the_proxy(manifests, tmp_path)
        assert str(settings.admin_listen) == f"{host}:8081"
        local = "localhost" if example is SIDECAR_VALUES else host
        assert list(map(str, settings.listen)) == [f"{local}:8080"]


def test_credentials_of_the_egress_proxy_stand_in_no_manifest() -> None:
    """A URL with credentials is refused in values; the Secret's comes in by reference."""
    with pytest.raises(helm.HelmError, match="/egressProxy/url"):
        render(merged(GATEWAY_VALUES, {"egressProxy": {"url": "http://user:pass@proxy:3128"}}))
    manifests = render(merged(GATEWAY_VALUES, {"egressProxy": {"secretName": "egress"}}))
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["env"] == [
        {"name": "SIGNICAT_PROXY_CONFIG_FILE", "value": CONFIG},
        {
            "name": "SIGNICAT_PROXY_EGRESS_PROXY",
            "valueFrom": {"secretKeyRef": {"name": "egress", "key": "url"}},
        },
    ]


def test_an_egress_proxy_without_credentials_is_a_plain_setting(tmp_path: Path) -> None:
    """It stands in the file with the others."""
    own = {
        "egressProxy": {"url": "http://proxy.example.com:3128"},
        "networkPolicy": {"egressPorts": [3128]},
    }
    settings = read_by_the_proxy(render(merged(GATEWAY_VALUES, own)), tmp_path)
    assert settings.egress_proxy is not None
    assert settings.egress_proxy.get_secret_value() == "http://proxy.example.com:3128"


SAMPLES: Final = (
    ("token_url", "https://api.signicat.com/auth/open/connect/token", True),
    ("token_url", "http://localhost:9090", True),
    ("token_url", "https://[2001:db8::1]:8443/a", True),
    ("token_url", "https://user:pass@api.signicat.com/", False),
    ("token_url", "https://api.signicat.com/?a=b", False),
    ("token_url", "https://api.signicat.com/#a", False),
    ("token_url", "https://api.signicat.com:port/", False),
    ("token_url", "ftp://api.signicat.com", False),
    ("token_url", "https:///token", False),
    ("token_url", "api.signicat.com", False),
    ("upstream_url", "https://api.signicat.com/v1", True),
    ("upstream_url", "https://api.signicat.com/a b", False),
    ("scope", "signicat-api", True),
    ("scope", "one two", True),
    ("allowed_origins", ["https://shop.example.com:8443", "null"], True),
    ("allowed_origins", ["https://shop.example.com/"], False),
    ("allowed_origins", ["*"], False),
    ("allowed_paths", ["/sign", "/a$(b)", "/"], True),
    ("allowed_paths", ["/a/../b"], False),
    ("allowed_paths", ["/a//b"], False),
    ("allowed_paths", ["/a/."], False),
    ("allowed_paths", ["/a%2Fb"], False),
    ("allowed_paths", ["sign"], False),
    ("allowed_methods", ["GET", "M-SEARCH"], True),
    ("allowed_methods", ["CONNECT"], False),
    ("allowed_methods", ["TRACE"], False),
    ("allowed_methods", ["get"], False),
    ("read_timeout_seconds", 0.5, True),
    ("read_timeout_seconds", 0, False),
    ("read_timeout_seconds", 86401, False),
    ("max_replay_bytes", 0, True),
    ("max_replay_bytes", 16777217, False),
    ("max_upstream_connections", 0, False),
    ("environment", "sandbox", True),
    ("environment", "test", False),
    ("log_level", "critical", False),
    ("unsafe_plain_http", True, True),
)


@pytest.mark.parametrize(("name", "value", "expected"), SAMPLES)
@pytest.mark.parametrize("mode", ["gateway", "sidecar"])
def test_chart_and_proxy_agree_on_a_value(
    mode: str, name: str, value: Any, tmp_path: Path, *, expected: bool
) -> None:
    """What the chart takes the proxy can start with; what the proxy would refuse it refuses."""
    values = {"settings": {name: value}, "networkPolicy": {"egressPorts": [443, 8443, 9090]}}
    if expected and mode == "gateway":
        settings = read_by_the_proxy(render(merged(GATEWAY_VALUES, values)), tmp_path)
    elif expected:
        settings = read_by_the_proxy(render_application(merged(SIDECAR_VALUES, values)), tmp_path)
    else:
        with pytest.raises(helm.HelmError, match=f"/settings/{name}"):
            render(merged(GATEWAY_VALUES, values))
        environ = {
            "SIGNICAT_PROXY_CLIENT_ID": "a",
            "SIGNICAT_PROXY_CLIENT_SECRET": SECRET,
            f"SIGNICAT_PROXY_{name.upper()}": ",".join(value)
            if isinstance(value, list)
            else str(value),
        }
        with pytest.raises(ConfigurationError, match=name.upper()):
            load(environ=environ, directory=tmp_path)
        return
    assert getattr(settings, name) == as_given({name: value})[name]


CLIENT_SAMPLES: Final = (
    ({"clientId": "a$(HOME)b"}, True),
    ({"clientId": 'quote"and\\back'}, True),
    ({"clientId": "<&>é"}, False),
    ({"clientId": "a b"}, False),
    ({"clientId": ""}, False),
    ({"clientAuth": "client_secret_jwt"}, False),
    ({"scope": ""}, False),
)


@pytest.mark.parametrize(("client", "expected"), CLIENT_SAMPLES)
def test_a_client_arrives_as_it_was_given(
    client: dict[str, str], tmp_path: Path, *, expected: bool
) -> None:
    """Quotes, backslashes and what looks like a variable come through both ways unchanged."""
    for values, make in ((GATEWAY_VALUES, render), (SIDECAR_VALUES, render_application)):
        name = next(iter(values["clients"]))
        changed = merged(values, {"clients": {name: client}})
        if not expected:
            with pytest.raises(helm.HelmError, match=f"/clients/{name}"):
                make(changed)
            continue
        settings = read_by_the_proxy(make(changed), tmp_path)
        assert settings.clients[0].client_id == client["clientId"]
