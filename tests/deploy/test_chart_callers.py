"""Callers that prove who they are, and TLS from them: what the chart makes of values."""

import re
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest

from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    documents,
    merged,
    notes,
    only,
    render,
)
from tests.deploy.test_chart_settings import read_by_the_proxy
from tests.support.source_tree import read

TLS: Final = {"secretName": "gateway-tls"}
ASKING: Final = {**TLS, "clientCA": {"enabled": True}}
KEYED: Final = {"shop": {"keySecretName": "shop-key", "clients": ["sign"], "maxInFlight": 40}}
SHOWN: Final = {"billing": {"certificate": ["spiffe://example.com/ns/billing/sa/default"]}}
DIGEST: Final = "0123456789abcdef" * 4


def rendered(values: dict[str, Any]) -> list[Manifest]:
    """Return a gateway with these values; its pods are valid in every version."""
    manifests = render(merged(GATEWAY_VALUES, values))
    for version in ("1.29", kubernetes_validate.latest_version()):
        for kind in ("Deployment", "Pod"):
            kubernetes_validate.validate(only(manifests, kind), version, strict=True)
    return manifests


def mounted(manifests: list[Manifest]) -> dict[str, dict[str, Any]]:
    """Return the volumes for callers and TLS, by the folder in the proxy's container."""
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert all(m["readOnly"] and "subPath" not in m for m in container["volumeMounts"])
    return {
        mount["mountPath"]: {k: v for k, v in volumes[mount["name"]].items() if k != "name"}
        for mount in container["volumeMounts"]
        if mount["mountPath"].startswith("/etc/signicat-proxy-")
    }


def traffic_port(manifests: list[Manifest]) -> dict[str, Any]:
    """Return the port of the Service that callers use."""
    (port,) = next(
        manifest["spec"]["ports"]
        for manifest in manifests
        if manifest["kind"] == "Service" and manifest["metadata"]["name"] == "demo-signicat-proxy"
    )
    assert isinstance(port, dict)
    return port


def test_a_gateway_knows_the_callers_of_its_values(tmp_path: Path) -> None:
    """The proxy reads them: proofs, clients and limit are those of values."""
    more = {"batch": {"keySha256": [DIGEST]}}
    manifests = rendered({"callers": {**KEYED, **SHOWN, **more}, "tls": ASKING})
    settings = read_by_the_proxy(manifests, tmp_path)
    tables = settings.caller_tables
    assert set(tables) == {"shop", "billing", "batch"}
    shop = tables["shop"]
    assert shop.key_file == tmp_path / "etc/signicat-proxy-callers/shop/key"
    assert (shop.clients, shop.max_in_flight) == (("sign",), 40)
    assert tables["billing"].certificate == ("URI:spiffe://example.com/ns/billing/sa/default",)
    assert tables["batch"].key_sha256 == (DIGEST,)
    assert settings.tls_cert_file == tmp_path / "etc/signicat-proxy-tls/tls.crt"
    assert settings.tls_key_file == tmp_path / "etc/signicat-proxy-tls/tls.key"
    assert settings.tls_client_ca_file == tmp_path / "etc/signicat-proxy-client-ca/ca.crt"


def test_keys_and_certificates_are_mounted_as_folders_that_rotate() -> None:
    """Readable to the proxy's group alone, each by its key; the authority is cert-manager's."""
    assert mounted(rendered({})) == {}
    found = mounted(rendered({"callers": KEYED, "tls": ASKING}))
    tls = [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}]
    for folder, name, items in (
        ("callers/shop", "shop-key", [{"key": "key", "path": "key"}]),
        ("tls", "gateway-tls", tls),
        ("client-ca", "gateway-tls", [{"key": "ca.crt", "path": "ca.crt"}]),
    ):
        secret = found.pop(f"/etc/signicat-proxy-{folder}")["secret"]
        assert secret == {"secretName": name, "defaultMode": 0o440, "items": items}
    assert found == {}


@pytest.mark.parametrize(
    ("place", "kind", "name"),
    [
        ({"secretName": "authority"}, "secret", "secretName"),
        ({"configMapName": "authority"}, "configMap", "name"),
    ],
)
def test_the_authority_can_be_elsewhere(place: dict[str, str], kind: str, name: str) -> None:
    """In a Secret or a ConfigMap of its own, under any key."""
    values = {"tls": {**TLS, "clientCA": {"enabled": True, "key": "bundle.pem", **place}}}
    volume = mounted(rendered(values))["/etc/signicat-proxy-client-ca"][kind]
    assert volume[name] == "authority"
    assert volume["items"] == [{"key": "bundle.pem", "path": "ca.crt"}]


def test_a_file_of_ones_own_gets_its_keys_mounted() -> None:
    """Who the callers are stands in that file; TLS is the chart's, as the ports are."""
    own = {"routes": [], "existingConfigMap": "own"}
    keys = {"shop": {"keySecretName": "shop-key", "keySecretKey": "value"}}
    manifests = rendered({**own, "callers": keys, "tls": ASKING})
    assert set(mounted(manifests)) == {
        f"/etc/signicat-proxy-{name}" for name in ("callers/shop", "tls", "client-ca")
    }
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    environ = {entry["name"]: entry["value"] for entry in container["env"]}
    assert environ["SIGNICAT_PROXY_TLS_CERT_FILE"] == "/etc/signicat-proxy-tls/tls.crt"
    with pytest.raises(helm.HelmError, match=r"callers\.shop\.clients: stands in the file of"):
        rendered({**own, "callers": KEYED})


def test_service_and_probes_agree_with_tls() -> None:
    """The Service says https, where the port speaks it; probes and metrics stay plain."""
    plain, secure = rendered({}), rendered({"tls": TLS})
    for manifests, scheme in ((plain, "http"), (secure, "https")):
        port = traffic_port(manifests)
        assert (port["name"], port["appProtocol"]) == (scheme, scheme)
    (container,) = only(secure, "Deployment")["spec"]["template"]["spec"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "proxy-admin"
        assert "scheme" not in container[probe]["httpGet"]


@pytest.mark.parametrize("values", [{"callers": KEYED}, {"tls": TLS}], ids=["callers", "tls"])
def test_the_test_pod_calls_only_what_it_can(values: dict[str, Any]) -> None:
    """It has no proof and trusts no authority of yours: it asks Signicat itself, and says so."""
    for given, names in (({}, ["check", "call"]), (values, ["check"])):
        spec = only(rendered(given), "Pod")["spec"]
        found = [c["name"] for c in [*spec.get("initContainers", []), *spec["containers"]]]
        assert found == names
        text = notes(merged(GATEWAY_VALUES, given))
        assert ("`helm test` asks Signicat itself" in text) is (names == ["check"])


def test_the_notes_say_who_must_prove_what() -> None:
    """Address, callers, proofs and Secrets; nobody acts as the organisation by reaching a port."""
    text = notes(merged(GATEWAY_VALUES, {"callers": {**KEYED, **SHOWN}, "tls": ASKING}))
    for line in (
        "    https://demo-signicat-proxy.prod:80\n",
        "  - billing, by a certificate\n",
        "  - shop, by a key, for the clients: sign\n",
        "    kubectl -n prod get secret shop-key -o name\n",
        "    kubectl -n prod get secret gateway-tls -o name\n",
    ):
        assert line in text
    assert "acts as your organisation" not in text
    assert "over plain HTTP" in notes(merged(GATEWAY_VALUES, {"callers": KEYED}))
    assert "whoever can acts as your organisation" in notes(merged(GATEWAY_VALUES, {"tls": ASKING}))


CA: Final = {"enabled": True}
TWICE: Final = {"a": {"certificate": ["Shop.test"]}, "b": {"certificate": ["shop.test"]}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"callers": {"a": {}}}, r"callers\.a: give a proof: keySecretName, keySha256 or cert"),
        ({"callers": SHOWN}, r"callers\.billing\.certificate: needs tls\.clientCA\.enabled"),
        ({"callers": SHOWN, "tls": TLS}, r"callers\.billing\.certificate: needs tls\.clientCA"),
        (
            {"callers": {"a": {"keySecretName": "a", "keySha256": [DIGEST]}}},
            r"callers\.a: give keySecretName or keySha256, not both",
        ),
        (
            {"callers": {"a": {"keySha256": [DIGEST], "keySecretKey": "a"}}},
            r"callers\.a\.keySecretKey: say in keySecretName",
        ),
        (
            {"callers": {"a": {"keySecretName": "a", "clients": ["other"]}}},
            r'callers\.a\.clients: names the client "other", which there is not',
        ),
        (
            {"callers": {"a": {"keySecretName": "k"}, "b": {"keySecretName": "k"}}},
            r"callers\.b: the key key of the Secret k is that of a already",
        ),
        (
            {"callers": {"a": {"keySha256": [DIGEST]}, "b": {"keySha256": [DIGEST.upper()]}}},
            r"callers\.b: the digest \w+ is that of a already",
        ),
        ({"callers": TWICE, "tls": ASKING}, r"callers\.b: the name shop\.test is that of a"),
        ({"tls": {"clientCA": CA}}, r"tls\.clientCA\.enabled: callers show certificates over TLS"),
        (
            {"tls": {**TLS, "clientCA": {**CA, "secretName": "a", "configMapName": "b"}}},
            r"tls\.clientCA: give secretName or configMapName, not both",
        ),
        (
            {"tls": {**TLS, "clientCA": {"configMapName": "b"}}},
            r"tls\.clientCA\.enabled: is false, so the authority",
        ),
        ({"callers": {"none": {"keySecretName": "a"}}}, "invalid propertyName 'none'"),
        ({"callers": {"a": {"certificate": ["*.example.com"]}}}, "/callers/a/certificate"),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    """In one line that names the value; nothing is rendered."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(GATEWAY_VALUES, values))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"callers": {"shop": {"keySecretName": "shop-key"}}}, "callers: a sidecar listens on"),
        ({"tls": TLS}, r"tls\.secretName: a sidecar listens on"),
    ],
)
def test_a_sidecar_takes_neither(values: dict[str, Any], message: str) -> None:
    """What would protect nothing is refused, not left out without a word."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(SIDECAR_VALUES, values))


def test_the_certificates_of_the_page_fit_its_values() -> None:
    """Secret, names of the Service and names of the caller are the same on both sides."""
    page = read("docs/kubernetes.md").partition("### Callers that prove")[2].partition("\n### ")[0]
    certificates, shown, keyed = (
        documents(block) for block in re.findall(r"```yaml[^\n]*\n(.*?)```", page, re.DOTALL)
    )
    (gateway, caller), (values,) = certificates, shown
    spec = gateway["spec"]
    assert spec["secretName"] == values["tls"]["secretName"] == keyed[0]["tls"]["secretName"]
    manifests = render(values, name="signicat", namespace=gateway["metadata"]["namespace"])
    text = only(manifests, "ConfigMap")["data"]["config.toml"]
    assert all(f'"{name}"' in text for name in spec["dnsNames"])
    assert caller["spec"]["uris"] == values["callers"]["shop"]["certificate"]
    assert caller["metadata"]["namespace"] in values["networkPolicy"]["callerNamespaces"]
    assert (spec["usages"], caller["spec"]["usages"]) == (["server auth"], ["client auth"])
