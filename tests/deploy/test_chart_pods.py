"""The pods of the chart: shut as promised, probed, in time, and as values say."""

import copy
from typing import Any

import pytest

from proxy.settings.loader import Settings
from tests.deploy.chart import (
    DEFAULTS,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.chart_cases import (
    CASES,
    EVERYTHING,
    FULL,
    RENDERED,
    containers,
    fitting,
    pod_of,
    proxy_of,
)


@pytest.mark.parametrize("case", CASES)
def test_it_keeps_the_restricted_pod_security_standard(case: str) -> None:
    """Every rule of the level `restricted`, each container by itself."""
    pod = pod_of(case)
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"secret", "configMap", "projected"}
    for container, of_pod in containers(case):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context.get("privileged", False) is False
        assert {**of_pod, **context}["runAsNonRoot"] is True
        assert context["runAsUser"] >= 10_000
        assert {**of_pod, **context}["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not any("hostPort" in port for port in container.get("ports", []))


@pytest.mark.parametrize("case", CASES)
def test_the_proxy_needs_no_trust_of_its_pod(case: str) -> None:
    """Read-only root, bounded memory, and no token of the Kubernetes API in the pod."""
    container = proxy_of(case)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert set(container["resources"]["limits"]) >= {"cpu", "memory"}
    assert pod_of(case)["automountServiceAccountToken"] is False
    assert all(mount["readOnly"] for mount in container["volumeMounts"])


@pytest.mark.parametrize("case", CASES)
def test_secrets_are_files_that_rotate(case: str) -> None:
    """Each Secret is mounted as a folder in the proxy alone; the kubelet swaps no `subPath`."""
    pod = pod_of(case)
    secrets = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
    assert secrets
    for container, _ in containers(case):
        mounts = container.get("volumeMounts", [])
        assert not any("subPath" in mount for mount in mounts)
        mounted = {mount["name"] for mount in mounts} & secrets
        assert mounted == (secrets if container["name"] == "signicat-proxy" else set())


@pytest.mark.parametrize("case", CASES)
def test_volumes_and_mounts_match(case: str) -> None:
    """What is mounted is there, once; what is there is mounted."""
    names = [volume["name"] for volume in pod_of(case)["volumes"]]
    mounts = [
        mount for container, _ in containers(case) for mount in container.get("volumeMounts", [])
    ]
    assert sorted(mount["name"] for mount in mounts) == sorted(set(names)) == sorted(names)
    assert len({mount["mountPath"] for mount in mounts}) == len(mounts)


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("sidecar")])
def test_the_sidecar_is_native(case: str) -> None:
    """It starts before the application, which waits for its start-up probe, and stops after it."""
    pod = pod_of(case)
    (sidecar,) = pod["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["startupProbe"]["httpGet"] == {"path": "/startupz", "port": "proxy-admin"}
    assert [container["name"] for container in pod["containers"]] == ["shop"]
    assert [port["name"] for port in sidecar["ports"]] == ["proxy-admin"]


@pytest.mark.parametrize("case", CASES)
def test_probes_ask_the_admin_port(case: str) -> None:
    """Each probe has its meaning; none asks the traffic port."""
    container = proxy_of(case)
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expected = {"startupProbe": "/startupz", "livenessProbe": "/livez"}
    if case.startswith("gateway"):
        expected["readinessProbe"] = "/readyz?require=first-token"
    if case == "sidecar with everything":  # gatesReadiness: true
        expected["readinessProbe"] = "/readyz"
    probes = {name: probe["httpGet"] for name, probe in container.items() if "Probe" in name}
    assert probes == {
        name: {"path": path, "port": "proxy-admin"} for name, path in expected.items()
    }
    assert ports["proxy-admin"] == DEFAULTS["ports"]["admin"]


PROBES = {True: "/readyz", False: "/startupz", "first-token": "/readyz?require=first-token"}


@pytest.mark.parametrize(("gates", "path"), PROBES.items())
def test_a_value_says_which_token_readiness_waits_for(*, gates: bool | str, path: str) -> None:
    """The gateway always has a probe, so that it leaves its Service when it drains."""
    values = merged(GATEWAY_VALUES, {"gateway": {"gatesReadiness": gates}})
    pod = only(render(values), "Deployment")["spec"]["template"]["spec"]
    probe = pod["containers"][0]["readinessProbe"]
    assert probe["httpGet"] == {"path": path, "port": "proxy-admin"}


@pytest.mark.parametrize(("gates", "path"), PROBES.items())
def test_a_sidecar_gates_its_pod_only_if_told_to(*, gates: bool | str, path: str) -> None:
    """Without a probe, no outage of the token endpoint takes the application out of service."""
    values = merged(SIDECAR_VALUES, {"sidecar": {"gatesReadiness": gates}})
    pod = only(render_application(values), "Deployment")["spec"]["template"]["spec"]
    probe = pod["initContainers"][0].get("readinessProbe")
    assert (probe and probe["httpGet"]["path"]) == (path if gates else None)


def test_the_start_up_probe_outlasts_the_first_token_request() -> None:
    """A slow token endpoint gets the proxy no restart: TOKEN_TIMEOUT_SECONDS and 30 more."""
    assert proxy_of("gateway")["startupProbe"]["failureThreshold"] == (
        Settings.model_fields["token_timeout_seconds"].default + 30
    )
    values = merged(GATEWAY_VALUES, {"settings": {"token_timeout_seconds": 60.5}})
    assert start_up_seconds(values) == 61 + 30


def test_the_start_up_probe_outlasts_the_start_up_deadline() -> None:
    """The proxy ends by itself then, and says why: the kubelet must not have killed it before."""
    settings = {"token_timeout_seconds": 20, "startup_deadline_seconds": 120.5}
    assert start_up_seconds(merged(GATEWAY_VALUES, {"settings": settings})) == 121 + 30
    settings = {"token_timeout_seconds": 20, "startup_deadline_seconds": 5}
    assert start_up_seconds(merged(GATEWAY_VALUES, {"settings": settings})) == 20 + 30


def start_up_seconds(values: dict[str, Any]) -> int:
    """Return how long the kubelet waits for the start of a gateway."""
    pod = only(render(values), "Deployment")["spec"]["template"]["spec"]
    probe = pod["containers"][0]["startupProbe"]
    return int(probe["failureThreshold"] * probe["periodSeconds"])


@pytest.mark.parametrize(
    ("case", "mode"),
    [("gateway", "gateway"), ("sidecar", "sidecar"), ("sidecar by hand", "sidecar")],
)
def test_the_grace_period_is_long_enough(case: str, mode: str) -> None:
    """Application, delay and drain are over before the pod is killed."""
    times = DEFAULTS[mode]
    spent = times["shutdownDelaySeconds"] + times["drainSeconds"]
    spent += times.get("applicationStopSeconds", 0)
    assert spent + 5 <= pod_of(case)["terminationGracePeriodSeconds"]


@pytest.mark.parametrize("case", CASES)
def test_services_leave_no_variables(case: str) -> None:
    """A Service called signicat-proxy would put unknown settings into the environment."""
    assert pod_of(case)["enableServiceLinks"] is False


def test_what_values_say_of_the_pods_arrives() -> None:
    """Scheduling, annotations and pull secrets stand in the pods as they were given."""
    pod, template = pod_of("gateway with everything"), EVERYTHING["gateway"]
    assert pod["nodeSelector"] == template["nodeSelector"]
    assert pod["tolerations"] == template["tolerations"]
    assert pod["priorityClassName"] == template["priorityClassName"]
    assert pod["imagePullSecrets"] == [{"name": "mirror"}, {"name": "registry"}]
    deployment = only(RENDERED["gateway with everything"], "Deployment")["spec"]
    annotations = deployment["template"]["metadata"]["annotations"]
    assert template["podAnnotations"].items() <= annotations.items()
    assert pod["serviceAccountName"] == "signicat"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, "demo-signicat-proxy"),
        ({"name": "own"}, "own"),
        ({"create": False}, "default"),
        ({"create": False, "name": "existing"}, "existing"),
    ],
)
def test_the_pods_have_the_account_that_is_named(values: dict[str, Any], expected: str) -> None:
    """Created or existing, the account is the one of values; its token is never mounted."""
    manifests = render(merged(GATEWAY_VALUES, {"serviceAccount": values}))
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    assert (pod["serviceAccountName"], pod["automountServiceAccountToken"]) == (expected, False)


def test_secrets_and_bundles_are_read_by_the_keys_of_values() -> None:
    """Whatever a key is called, its file has the name that the settings have."""
    bundle = {"caBundle": {"configMapName": "authority", "key": "bundle.pem"}}
    own = {key: value for key, value in fitting(FULL).items() if key not in {"callers", "tls"}}
    values = merged(own, {**bundle, "extraVolumes": [], "extraVolumeMounts": []})
    pod = only(render(values), "Deployment")["spec"]["template"]["spec"]
    assert {volume["name"]: volume for volume in pod["volumes"]} == {
        "signicat-secret-auth": {
            "name": "signicat-secret-auth",
            "projected": {
                "defaultMode": 0o440,
                "sources": [
                    {
                        "secret": {
                            "name": "signicat-auth",
                            "items": [{"key": "secret", "path": "client-secret"}],
                        }
                    },
                    {
                        "secret": {
                            "name": "signicat-auth",
                            "optional": True,
                            "items": [{"key": "previous", "path": "previous-secret"}],
                        }
                    },
                ],
            },
        },
        "signicat-secret-sign": {
            "name": "signicat-secret-sign",
            "secret": {
                "secretName": "signicat-sign",
                "defaultMode": 0o440,
                "items": [{"key": "client-secret", "path": "client-secret"}],
            },
        },
        "signicat-proxy-config": {
            "name": "signicat-proxy-config",
            "configMap": {"name": "demo-signicat-proxy"},
        },
        "signicat-proxy-ca": {
            "name": "signicat-proxy-ca",
            "configMap": {
                "name": "authority",
                "items": [{"key": "bundle.pem", "path": "ca.crt"}],
            },
        },
    }
    assert (
        pod["securityContext"]["fsGroup"] == pod["containers"][0]["securityContext"]["runAsGroup"]
    )


def test_own_labels_win_over_those_of_values() -> None:
    """A pod label of values cannot take the pods out of the Service or the NetworkPolicy."""
    stolen = {"gateway": {"podLabels": {"app.kubernetes.io/name": "shop"}}}
    manifests = render(merged(GATEWAY_VALUES, stolen))
    deployment = only(manifests, "Deployment")["spec"]
    assert deployment["selector"]["matchLabels"].items() <= (
        deployment["template"]["metadata"]["labels"].items()
    )


def test_a_changed_setting_starts_new_pods() -> None:
    """The checksum of the settings stands in the pods' annotations, whatever stands there too."""

    def checksum(values: dict[str, Any]) -> str:
        template = only(render(merged(GATEWAY_VALUES, values)), "Deployment")["spec"]["template"]
        text = template["metadata"]["annotations"]["checksum/config"]
        assert isinstance(text, str)
        return text

    first = checksum({})
    assert first == checksum({"service": {"port": 81}})
    assert first != checksum({"settings": {"read_timeout_seconds": 30}})
    assert first == checksum({"gateway": {"podAnnotations": {"checksum/config": "theirs"}}})


@pytest.mark.parametrize("client", ["proxy-config", "proxy-ca", "secret", "a" * 40])
def test_a_client_of_any_name_has_its_own_volume(client: str) -> None:
    """No name of a client meets the name of another volume, or is too long for one."""
    values = merged(
        SIDECAR_VALUES,
        {
            "clients": {client: {"clientId": "sandbox-a", "secretName": "a"}},
            "routes": [{"path": "/a", "client": client}, {"path": "/", "client": "shop"}],
            "caBundle": {"configMapName": "authority"},
        },
    )
    pod = only(render_application(values), "Deployment")["spec"]["template"]["spec"]
    names = [volume["name"] for volume in pod["volumes"]]
    assert len(set(names)) == len(names) == 4
    assert max(map(len, names)) <= 63


def test_the_example_by_hand_is_what_the_template_makes() -> None:
    """examples/sidecar.yaml and the named template say the same, field by field."""
    (by_hand,) = RENDERED["sidecar by hand"]
    by_chart = copy.deepcopy(only(RENDERED["sidecar"], "Deployment"))
    del by_chart["spec"]["template"]["metadata"]["annotations"]  # of the settings: here they stand
    for manifest in (by_hand, by_chart):
        (sidecar,) = manifest["spec"]["template"]["spec"]["initContainers"]
        sidecar["env"].sort(key=lambda variable: variable["name"])
    assert by_hand == by_chart
