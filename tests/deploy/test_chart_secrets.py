"""Where a client's secret may come from: a Secret, a volume of another kind, a file."""

import tomllib
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import (
    CHART,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    notes,
    only,
    render,
    render_application,
)
from tests.deploy.network_policy import Pod, lets_out

EXAMPLES: Final = sorted((CHART / "examples").glob("secrets-*.yaml"))
CSI: Final = {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}


def client(**place: Any) -> dict[str, Any]:
    """Return a client whose secret is at this place."""
    return {"shop": {"clientId": "sandbox-round-apple-123", **place}}


def pod_of(manifests: list[Manifest]) -> dict[str, Any]:
    """Return the pod's specification, which is valid in every version."""
    deployment = only(manifests, "Deployment")
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(deployment, version, strict=True)
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def rendered(**place: Any) -> list[Manifest]:
    """Return a gateway with such a client."""
    return render({**GATEWAY_VALUES, "clients": client(**place), "routes": []})


def secret_file(manifests: list[Manifest]) -> str:
    """Return where the proxy of a gateway looks for its secret."""
    text = only(manifests, "ConfigMap")["data"]["config.toml"]
    (line,) = [line for line in text.splitlines() if line.startswith("client_secret_file")]
    return str(line.split('"')[1])


def mounts_of_secrets(pod: dict[str, Any]) -> dict[str, str]:
    """Return the folders of secrets in the proxy's container, by the name of the volume."""
    (container,) = [
        c for c in [*pod.get("initContainers", []), *pod["containers"]] if "signicat" in c["name"]
    ]
    return {
        mount["name"]: mount["mountPath"]
        for mount in container.get("volumeMounts", [])
        if mount["name"].startswith("signicat-secret-")
    }


def test_a_volume_of_another_kind_is_mounted() -> None:
    """The chart mounts it, and the file in it has the name of the key."""
    for key, name in ((None, "client-secret"), ("shop", "shop")):
        manifests = rendered(volume=CSI, **({"secretKey": key} if key else {}))
        pod = pod_of(manifests)
        assert {"name": "signicat-secret-shop", **CSI} in pod["volumes"]
        assert mounts_of_secrets(pod) == {"signicat-secret-shop": "/run/secrets/shop"}
        assert secret_file(manifests) == f"/run/secrets/shop/{name}"


def test_a_file_is_taken_where_it_is() -> None:
    """Nothing is mounted: an agent in the pod, or a volume of the user's own, puts it there."""
    manifests = rendered(secretFile="/vault/secrets/shop")
    pod = pod_of(manifests)
    assert mounts_of_secrets(pod) == {}
    assert not any("secret" in volume for volume in pod["volumes"])
    assert secret_file(manifests) == "/vault/secrets/shop"


def test_a_sidecar_takes_them_too() -> None:
    """Volume, mount and variable fit there as well."""
    for place, file, mounted in (
        ({"volume": CSI}, "/run/secrets/shop/client-secret", True),
        ({"secretFile": "/vault/secrets/shop"}, "/vault/secrets/shop", False),
    ):
        none = {"secretName": ""}  # instead of that in the application's own values
        clients = client(**none, **place)
        pod = pod_of(render_application({**SIDECAR_VALUES, "clients": clients}))
        (sidecar,) = pod["initContainers"]
        variables = {entry["name"]: entry.get("value") for entry in sidecar["env"]}
        assert variables["SIGNICAT_PROXY_CLIENT_SECRET_FILE"] == file
        assert bool(mounts_of_secrets(pod)) is mounted


def setting(manifests: list[Manifest], name: str) -> str | None:
    """Return a setting of the client in a gateway's file."""
    (table,) = tomllib.loads(only(manifests, "ConfigMap")["data"]["config.toml"])[
        "clients"
    ].values()
    found: str | None = table.get(name)
    return found


def test_the_previous_secret_may_be_missing() -> None:
    """T7: it is mounted beside the secret, and a Secret without it keeps no pod from starting."""
    manifests = rendered(secretName="signicat-shop", previousSecretKey="before")
    folder = "/run/secrets/shop"
    assert secret_file(manifests) == f"{folder}/client-secret"
    assert setting(manifests, "previous_secret_file") == f"{folder}/previous-secret"
    pod = pod_of(manifests)
    assert mounts_of_secrets(pod) == {"signicat-secret-shop": folder}
    (volume,) = [v["projected"] for v in pod["volumes"] if v["name"] == "signicat-secret-shop"]
    found = [
        (source["secret"]["name"], item["key"], item["path"], source["secret"].get("optional"))
        for source in volume["sources"]
        for item in source["secret"]["items"]
    ]
    assert found == [
        ("signicat-shop", "client-secret", "client-secret", None),
        ("signicat-shop", "before", "previous-secret", True),
    ]
    assert volume["defaultMode"] == 0o440


def test_the_previous_secret_is_where_its_secret_is() -> None:
    """In a volume of another kind it is a file; what puts files elsewhere puts this one too."""
    csi = rendered(volume=CSI, previousSecretKey="before")
    assert setting(csi, "previous_secret_file") == "/run/secrets/shop/before"
    agent = rendered(secretFile="/vault/new", previousSecretFile="/vault/old")
    assert setting(agent, "previous_secret_file") == "/vault/old"
    assert setting(rendered(secretName="a"), "previous_secret_file") is None
    clients = client(secretName="a", previousSecretKey="before")
    pod = pod_of(render_application({**SIDECAR_VALUES, "clients": clients}))
    (sidecar,) = pod["initContainers"]
    variables = {entry["name"]: entry.get("value") for entry in sidecar["env"]}
    assert variables["SIGNICAT_PROXY_PREVIOUS_SECRET_FILE"] == "/run/secrets/shop/previous-secret"


JWT: Final = {"clientAuth": "private_key_jwt"}


def test_a_private_key_is_where_a_secret_would_be() -> None:
    """T12: a Secret, a volume of another kind or a file, and the id of the key beside it."""
    manifests = rendered(secretName="signicat-shop", keyId="k1", **JWT)
    folder = "/run/secrets/shop"
    assert setting(manifests, "client_key_file") == f"{folder}/client-key"
    assert setting(manifests, "client_key_id") == "k1"
    assert setting(manifests, "client_auth") == "private_key_jwt"
    assert setting(manifests, "client_secret_file") is None
    pod = pod_of(manifests)
    (volume,) = [v["secret"] for v in pod["volumes"] if v["name"] == "signicat-secret-shop"]
    assert volume["items"] == [{"key": "client-key", "path": "client-key"}]
    named = rendered(secretName="a", secretKey="jwk", **JWT)
    (volume,) = [v["secret"] for v in pod_of(named)["volumes"] if "secret" in v]
    assert volume["items"] == [{"key": "jwk", "path": "client-key"}]
    csi = rendered(volume=CSI, secretKey="jwk", **JWT)
    assert setting(csi, "client_key_file") == f"{folder}/jwk"
    agent = rendered(secretFile="/vault/key", **JWT)
    assert setting(agent, "client_key_file") == "/vault/key"


MTLS: Final = {"clientAuth": "tls_client_auth"}


def test_a_certificate_comes_as_cert_manager_makes_it() -> None:
    """T12: a Secret with `tls.crt` and `tls.key`, a volume with these, or two files."""
    manifests = rendered(secretName="shop-client", **MTLS)
    folder = "/run/secrets/shop"
    assert setting(manifests, "client_cert_file") == f"{folder}/tls.crt"
    assert setting(manifests, "client_key_file") == f"{folder}/tls.key"
    assert setting(manifests, "client_secret_file") is None
    (volume,) = [v["secret"] for v in pod_of(manifests)["volumes"] if "secret" in v]
    assert volume["items"] == [{"key": name, "path": name} for name in ("tls.crt", "tls.key")]
    csi = rendered(volume=CSI, **MTLS)
    assert setting(csi, "client_cert_file") == f"{folder}/tls.crt"
    agent = rendered(secretFile="/vault/key", certFile="/vault/cert", **MTLS)
    assert setting(agent, "client_cert_file") == "/vault/cert"
    assert setting(agent, "client_key_file") == "/vault/key"


def test_the_method_of_all_clients_is_that_of_each() -> None:
    """T12: it may stand in the settings, and a client may have another."""
    clients = {"shop": {"clientId": "sandbox-a", "secretName": "a"}}
    values = {**GATEWAY_VALUES, "clients": clients, "routes": []}
    manifests = render({**values, "settings": {"client_auth": "private_key_jwt"}})
    assert setting(manifests, "client_key_file") == "/run/secrets/shop/client-key"
    clients["shop"]["clientAuth"] = "client_secret_post"
    manifests = render({**values, "settings": {"client_auth": "private_key_jwt"}})
    assert setting(manifests, "client_secret_file") == "/run/secrets/shop/client-secret"
    pod = pod_of(render_application({**SIDECAR_VALUES, "clients": client(secretName="a", **JWT)}))
    (sidecar,) = pod["initContainers"]
    variables = {entry["name"]: entry.get("value") for entry in sidecar["env"]}
    assert variables["SIGNICAT_PROXY_CLIENT_KEY_FILE"] == "/run/secrets/shop/client-key"
    assert "SIGNICAT_PROXY_CLIENT_SECRET_FILE" not in variables


@pytest.mark.parametrize(
    ("place", "message"),
    [
        (
            {"secretName": "a", "keyId": "k1"},
            "clients.shop.keyId: is of no use with the clientAuth client_secret_basic",
        ),
        (
            {"secretFile": "/a", **MTLS},
            "clients.shop.certFile: give the path of the certificate beside that of its key",
        ),
        (
            {"secretName": "a", "certFile": "/a", **MTLS},
            "certFile: goes with secretFile and the clientAuth tls_client_auth",
        ),
        (
            {"secretName": "a", "secretKey": "b", **MTLS},
            "secretKey: with tls_client_auth, the Secret or volume has tls.crt and tls.key",
        ),
        (
            {"secretName": "a", "previousSecretKey": "b", **JWT},
            "clients.shop: a previous secret is of no use with the clientAuth private_key_jwt",
        ),
        (
            {"secretName": "a", "previousSecretKey": "client-secret"},
            "previousSecretKey: client-secret is the key of the secret itself",
        ),
        (
            {"secretFile": "/a", "previousSecretKey": "b"},
            "previousSecretKey: secretFile is the whole path already; give previousSecretFile",
        ),
        (
            {"secretName": "a", "previousSecretKey": "b", "previousSecretFile": "/b"},
            "clients.shop: give previousSecretKey or previousSecretFile, not both",
        ),
        ({}, "clients.shop: give one of secretName, secretFile and volume; it has none"),
        (
            {"secretName": "a", "secretFile": "/a"},
            "volume; it has secretName and secretFile",
        ),
        ({"secretName": "a", "volume": CSI}, "it has secretName and volume"),
        ({"secretFile": "/a", "secretKey": "b"}, "secretKey: secretFile is the whole path"),
    ],
)
def test_a_secret_has_one_place(place: dict[str, Any], message: str) -> None:
    """None, or two, is refused with the names of those that are given."""
    with pytest.raises(helm.HelmError, match=message):
        rendered(**place)


def test_the_notes_name_each_place() -> None:
    """What is no Secret cannot be looked for with `kubectl get secret`."""
    clients = {**GATEWAY_VALUES["clients"], "auth": {"clientId": "sandbox-a", "volume": CSI}}
    text = notes({**GATEWAY_VALUES, "clients": clients})
    assert "    kubectl -n prod get secret signicat-sign -o name\n" in text
    assert "    auth: /run/secrets/auth/client-secret in the pod\n" in text
    assert "signicat-auth" not in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_makes_a_pod(path: Path) -> None:
    """The file that the proxy reads is where the example has it put."""
    values = yaml.safe_load(path.read_text("utf-8"))
    manifests = render(values)
    pod = pod_of(manifests)
    file = secret_file(manifests)
    extra = [m for m in manifests if m["metadata"].get("namespace") == "prod"]
    match path.stem:
        case "secrets-external":
            made = only(extra, "ExternalSecret")["spec"]
            (volume,) = [v["secret"] for v in pod["volumes"] if "secret" in v]
            assert made["target"]["name"] == volume["secretName"]
            assert [entry["secretKey"] for entry in made["data"]] == [volume["items"][0]["key"]]
        case "secrets-csi":
            provider = only(extra, "SecretProviderClass")
            (csi,) = [v["csi"] for v in pod["volumes"] if "csi" in v]
            assert csi["volumeAttributes"]["secretProviderClass"] == provider["metadata"]["name"]
            (entry,) = yaml.safe_load(provider["spec"]["parameters"]["objects"])
            assert file == f"/run/secrets/shop/{entry['objectName']}"
        case "secrets-vault":
            notes_of_pod = only(manifests, "Deployment")["spec"]["template"]["metadata"]
            asked = "vault.hashicorp.com/agent-inject-secret-"
            (name,) = [
                key.removeprefix(asked)
                for key in notes_of_pod["annotations"]
                if key.startswith(asked)
            ]
            assert file == f"/vault/secrets/{name}"
            assert pod["automountServiceAccountToken"] is True
            assert lets_out(only(manifests, "NetworkPolicy"), Pod("vault", {}), 8200)
            assert "Pod" not in {m["kind"] for m in manifests}, "helm test would find no secret"
        case other:
            raise AssertionError(other)
    assert mounts_of_secrets(pod) or path.stem == "secrets-vault"


def test_there_are_these_examples() -> None:
    """The test above has something to look at."""
    assert [path.stem for path in EXAMPLES] == ["secrets-csi", "secrets-external", "secrets-vault"]


def test_the_notes_name_a_file_of_ones_own() -> None:
    """Values need not name its clients then; what must be there first is the ConfigMap."""
    text = notes({"image": {"repository": "images.test/proxy"}, "existingConfigMap": "own"})
    assert "as a gateway, for the clients in the ConfigMap own.\n" in text
    assert "    kubectl -n prod get configmap own -o name\n" in text
