"""What the chart makes: accepted by every supported Kubernetes, its parts fit, and it is shut."""

import copy
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from proxy import __version__
from proxy.settings import Settings
from tests.deploy.chart import (
    CHART,
    DEFAULTS,
    EXAMPLE,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    application_chart,
    documents,
    merged,
    notes,
    only,
    render,
    render_application,
)
from tests.deploy.test_chart_values import FULL

OLDEST: Final = (1, 29)
VERSIONS: Final = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(map(int, version.split(".")))[:2] >= OLDEST
]
EVERYTHING: Final = merged(
    FULL,
    {
        name: {"enabled": True}
        for name in ("serviceMonitor", "podMonitor", "prometheusRule", "grafanaDashboard")
    },
)
ROUTED: Final = {"routes": [{"path": "/", "client": "shop"}]}
RENDERED: Final[Mapping[str, list[Manifest]]] = {
    "gateway": render(GATEWAY_VALUES),
    "gateway with everything": render(EVERYTHING),
    "sidecar": render_application(SIDECAR_VALUES),
    "sidecar with a file": render_application(merged(SIDECAR_VALUES, ROUTED)),
    "sidecar with everything": render_application(
        merged(
            EVERYTHING,
            {
                "mode": "sidecar",
                "sidecar": {"gatesReadiness": False},
                "routes": [*EVERYTHING["routes"], {"path": "/shop", "client": "shop"}],
            },
        )
    ),
    "sidecar by hand": documents(EXAMPLE.read_text("utf-8")),
}
OF_GATEWAY: Final = [
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ConfigMap",
    "Deployment",
    "NetworkPolicy",
    "Service",
    "Service",
    "ServiceAccount",
]
KINDS: Final = {
    "gateway": OF_GATEWAY,
    "gateway with everything": [
        *OF_GATEWAY[:4],
        *("ServiceMonitor", "PrometheusRule", "ConfigMap"),
        *OF_GATEWAY[4:],
    ],
    "sidecar": ["Deployment"],
    "sidecar with a file": ["ConfigMap", "Deployment"],
    "sidecar with everything": [
        *("ConfigMap", "PodMonitor", "PrometheusRule", "ConfigMap", "Deployment")
    ],
    "sidecar by hand": ["Deployment"],
}
CASES: Final = list(RENDERED)
RELEASES: Final = ("demo", "signicat-proxy", "a" * 53)


def pod_of(case: str) -> dict[str, Any]:
    """Return the specification of the pods."""
    spec: dict[str, Any] = only(RENDERED[case], "Deployment")["spec"]["template"]["spec"]
    return spec


def proxy_of(case: str) -> dict[str, Any]:
    """Return the proxy's container, wherever it stands."""
    pod = pod_of(case)
    (found,) = [
        container
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        if container["name"] == "signicat-proxy"
    ]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("version", ["v1.29.0", "v1.36.0"])
def test_lint_finds_nothing(version: str, tmp_path: Path) -> None:
    """Helm's strict lint has no warning and no error, for this chart and one that includes it."""
    for chart, values in (
        (CHART, GATEWAY_VALUES),
        (application_chart(tmp_path), {}),
        (CHART, EVERYTHING),
    ):
        report = helm.lint(chart, values, strict=True, kube_version=version)
        worse = [entry for entry in report["messages"] if entry["severity"] >= 2]
        assert worse == []


def test_lint_reports_a_wrong_value() -> None:
    """The lint is not blind."""
    report = helm.lint(CHART, merged(GATEWAY_VALUES, {"mode": "daemon"}), strict=True)
    assert [entry for entry in report["messages"] if entry["severity"] == 3]


@pytest.mark.parametrize("case", CASES)
def test_it_makes_these_kinds(case: str) -> None:
    """No document is lost, and none comes in unseen."""
    assert [manifest["kind"] for manifest in RENDERED[case]] == KINDS[case]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_kubernetes_accepts_it(case: str, version: str) -> None:
    """Each manifest keeps the schema of each version from 1.29 on, unknown fields refused."""
    for manifest in RENDERED[case]:
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_newest_version_is_among_those() -> None:
    """The list of versions has an end that moves with the tool."""
    assert VERSIONS[0].startswith("1.29")
    assert VERSIONS[-1] == kubernetes_validate.latest_version()
    assert len(VERSIONS) >= 9


def test_an_unknown_field_of_the_sidecar_is_seen() -> None:
    """The validation is not blind."""
    wrong = copy.deepcopy(only(RENDERED["sidecar"], "Deployment"))
    wrong["spec"]["template"]["spec"]["initContainers"][0]["restartsPolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_a_kubernetes_without_native_sidecars_is_refused(tmp_path: Path) -> None:
    """The chart says which Kubernetes it needs, and Helm holds an install to that."""
    wanted = 'kubeVersion: ">=1.29.0-0"'
    copied = shutil.copytree(CHART, tmp_path / CHART.name)
    about = (copied / "Chart.yaml").read_text("utf-8")
    assert wanted in about
    newer = about.replace(wanted, 'kubeVersion: ">=1.99.0-0"')
    (copied / "Chart.yaml").write_text(newer, "utf-8")
    with (
        helm.Config(namespace="prod", storage_driver="memory") as config,
        pytest.raises(helm.HelmError, match="incompatible with Kubernetes"),
    ):
        config.install(copied, "demo", GATEWAY_VALUES, dry_run="client")


def test_the_example_finds_the_chart(tmp_path: Path) -> None:
    """`helm dependency update` resolves the example application's chart where it stands."""
    copied = shutil.copytree(CHART, tmp_path / CHART.name)
    application = copied / "examples" / "application"
    helm.dependency_update(application)
    with helm.Chart.load(application) as loaded:
        files = loaded.render({}, name="demo", namespace="prod")
    (deployment,) = documents(files["shop/templates/deployment.yaml"])
    assert deployment == only(RENDERED["sidecar"], "Deployment")


def test_the_chart_has_the_version_of_the_proxy() -> None:
    """Chart and image are released together; the tag that it asks for is there."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
    assert about["version"] == about["appVersion"] == __version__
    assert proxy_of("gateway")["image"] == f"registry.example.com/signicat-proxy:{__version__}"


def test_a_package_makes_the_same(tmp_path: Path) -> None:
    """What `helm package` packs is enough, and the examples are not in it."""
    archive = helm.package(CHART, destination=tmp_path)
    with helm.Chart.load(archive) as packed:
        files = packed.render(dict(EVERYTHING), name="demo", namespace="prod")
    found = [
        document
        for name, text in sorted(files.items())
        if name.endswith(".yaml")
        for document in documents(text)
    ]
    assert found == RENDERED["gateway with everything"]


def containers(case: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each container of a case's pods, with what its pod says."""
    pod = pod_of(case)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        yield container, pod.get("securityContext", {})


@pytest.mark.parametrize("case", CASES)
def test_it_keeps_the_restricted_pod_security_standard(case: str) -> None:
    """Every rule of the level `restricted`, each container by itself."""
    pod = pod_of(case)
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC"))
    kinds = {kind for volume in pod["volumes"] for kind in volume if kind != "name"}
    assert kinds <= {"secret", "configMap"}
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
    assert set(container["resources"]["limits"]) == {"cpu", "memory"}
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
    expected = {"startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    if case == "sidecar with everything":  # gatesReadiness: false
        del expected["readinessProbe"]
    probes = {name: probe["httpGet"] for name, probe in container.items() if "Probe" in name}
    assert probes == {
        name: {"path": path, "port": "proxy-admin"} for name, path in expected.items()
    }
    assert ports["proxy-admin"] == DEFAULTS["ports"]["admin"]


def test_the_start_up_probe_outlasts_the_first_token_request() -> None:
    """A slow token endpoint gets the proxy no restart: TOKEN_TIMEOUT_SECONDS and 30 more."""
    assert proxy_of("gateway")["startupProbe"]["failureThreshold"] == (
        Settings.model_fields["token_timeout_seconds"].default + 30
    )
    values = merged(GATEWAY_VALUES, {"settings": {"token_timeout_seconds": 60.5}})
    pod = only(render(values), "Deployment")["spec"]["template"]["spec"]
    assert pod["containers"][0]["startupProbe"]["failureThreshold"] == 61 + 30


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


def test_the_parts_of_the_gateway_find_each_other() -> None:
    """Every selector selects the pods, and every name and port is one that there is."""
    manifests = RENDERED["gateway with everything"]
    deployment = only(manifests, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    services = [manifest for manifest in manifests if manifest["kind"] == "Service"]
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        only(manifests, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only(manifests, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(service["spec"]["selector"] for service in services),
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod_of("gateway")["topologySpreadConstraints"]
        ),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    ports = {port["name"] for port in proxy_of("gateway")["ports"]}
    assert {
        port["targetPort"] for service in services for port in service["spec"]["ports"]
    } == ports
    scaled = only(manifests, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert scaled["name"] == deployment["metadata"]["name"]
    assert "replicas" not in deployment["spec"]
    account = only(manifests, "ServiceAccount")
    assert account["metadata"]["name"] == pod_of("gateway with everything")["serviceAccountName"]
    assert account["automountServiceAccountToken"] is False
    monitor = only(manifests, "ServiceMonitor")["spec"]
    (scraped,) = [
        service
        for service in services
        if monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    assert [port["name"] for port in scraped["spec"]["ports"]] == [monitor["endpoints"][0]["port"]]
    assert labels["team"] == "identity"


def test_own_labels_win_over_those_of_values() -> None:
    """A pod label of values cannot take the pods out of the Service or the NetworkPolicy."""
    stolen = {"gateway": {"podLabels": {"app.kubernetes.io/name": "shop"}}}
    manifests = render(merged(GATEWAY_VALUES, stolen))
    deployment = only(manifests, "Deployment")["spec"]
    assert deployment["selector"]["matchLabels"].items() <= (
        deployment["template"]["metadata"]["labels"].items()
    )


def test_a_changed_setting_starts_new_pods() -> None:
    """The checksum of the settings stands in the pods' annotations."""

    def checksum(values: dict[str, Any]) -> str:
        template = only(render(merged(GATEWAY_VALUES, values)), "Deployment")["spec"]["template"]
        text = template["metadata"]["annotations"]["checksum/config"]
        assert isinstance(text, str)
        return text

    first = checksum({})
    assert first == checksum({"service": {"port": 81}})
    assert first != checksum({"settings": {"read_timeout_seconds": 30}})


@pytest.mark.parametrize("release", RELEASES)
def test_names_are_valid_and_unique(release: str) -> None:
    """However long the release's name is, no two objects of a kind have one name."""
    found = [
        (manifest["kind"], manifest["metadata"]["name"])
        for manifest in render(EVERYTHING, name=release)
    ]
    assert len(set(found)) == len(found)
    assert all(0 < len(name) <= 63 and not name.endswith("-") for _, name in found)


@pytest.mark.parametrize("release", ["9demo", "a.demo"])
def test_a_name_that_no_service_can_have_is_refused(release: str) -> None:
    """Helm allows releases such names, Kubernetes no Service; the refusal names the way out."""
    with pytest.raises(helm.HelmError, match="fullnameOverride: no Service can be called"):
        render(GATEWAY_VALUES, name=release)
    named = merged(GATEWAY_VALUES, {"fullnameOverride": "signicat"})
    assert only(render(named, name=release), "Deployment")["metadata"]["name"] == "signicat"


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


def test_several_sidecars_can_share_a_namespace() -> None:
    """What the sidecar installs is named after the release."""
    first, second = (
        only(render({**merged(SIDECAR_VALUES, ROUTED)}, name=name), "ConfigMap")["metadata"]["name"]
        for name in ("shop", "bank")
    )
    assert first != second


@pytest.mark.parametrize(
    ("values", "expected", "absent"),
    [
        (
            GATEWAY_VALUES,
            [
                "http://demo-signicat-proxy.prod:80\n",
                'with the label signicat-proxy-client: "true"',
                "kubectl -n prod get secret signicat-auth -o name",
                "kubectl -n prod get secret signicat-sign -o name",
                "kubectl -n prod rollout status deployment/demo-signicat-proxy",
                "-- signicat-proxy check --config /etc/signicat-proxy/config.toml\n",
                "curl http://localhost:8081/readyz",
            ],
            "networkPolicy.enabled is false",
        ),
        (
            merged(GATEWAY_VALUES, {"networkPolicy": {"enabled": False}}),
            ["networkPolicy.enabled is false: every pod that reaches the Service acts as your"],
            "with the label",
        ),
        (
            merged(GATEWAY_VALUES, {"networkPolicy": {"callerNamespaces": ["shop", "bank"]}}),
            ["(in shop, bank)"],
            "(in prod)",
        ),
        (
            SIDECAR_VALUES,
            [
                "logs POD -c signicat-proxy | grep token_request\n",
                "exec POD -c signicat-proxy -- signicat-proxy check\n",
            ],
            "deployment/",
        ),
        (
            merged(SIDECAR_VALUES, ROUTED),
            ["-- signicat-proxy check --config /etc/signicat-proxy/config.toml\n"],
            "deployment/",
        ),
    ],
)
def test_the_notes_say_how_to_check(
    values: dict[str, Any], expected: list[str], absent: str
) -> None:
    """After an install Helm prints commands for what was installed, and who can use it."""
    text = notes(values)
    assert [line for line in expected if line not in text] == []
    assert absent not in text


def test_the_example_by_hand_is_what_the_template_makes() -> None:
    """examples/sidecar.yaml and the named template say the same, field by field."""
    (by_hand,) = RENDERED["sidecar by hand"]
    by_chart = copy.deepcopy(only(RENDERED["sidecar"], "Deployment"))
    del by_chart["spec"]["template"]["metadata"]["annotations"]  # of the settings: here they stand
    for manifest in (by_hand, by_chart):
        (sidecar,) = manifest["spec"]["template"]["spec"]["initContainers"]
        sidecar["env"].sort(key=lambda variable: variable["name"])
    assert by_hand == by_chart
