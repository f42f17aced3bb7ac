"""What the chart makes is accepted by every supported Kubernetes, and its parts fit."""

import copy
import shutil
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from proxy import __version__
from tests.deploy.chart import (
    CHART,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    application_chart,
    documents,
    merged,
    notes,
    only,
    render,
)
from tests.deploy.chart_cases import (
    CASES,
    EVERYTHING,
    RENDERED,
    ROUTED,
    pod_of,
    proxy_of,
)

OLDEST: Final = (1, 29)
VERSIONS: Final = [
    version
    for version in kubernetes_validate.utils.all_versions()
    if tuple(map(int, version.split(".")))[:2] >= OLDEST
]
OF_GATEWAY: Final = [
    "HorizontalPodAutoscaler",
    "PodDisruptionBudget",
    "ConfigMap",
    "Deployment",
    "NetworkPolicy",
    "Service",
    "Service",
    "ServiceAccount",
    "Pod",
]
KINDS: Final = {
    "gateway": OF_GATEWAY,
    "gateway with everything": [
        *OF_GATEWAY[:3],
        *(
            "ConfigMap",
            "Deployment",
            "Secret",
            "Secret",
            "ServiceMonitor",
            "NetworkPolicy",
            "PrometheusRule",
        ),
        *OF_GATEWAY[5:],
    ],
    "sidecar": ["Deployment"],
    "sidecar with a file": ["ConfigMap", "Deployment"],
    "sidecar with everything": [
        *(
            "ConfigMap",
            "ConfigMap",
            "Secret",
            "Secret",
            "PodMonitor",
            "PrometheusRule",
            "Deployment",
        )
    ],
    "sidecar by hand": ["Deployment"],
}
RELEASES: Final = ("demo", "signicat-proxy", "a" * 53)


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
    assert proxy_of("gateway")["image"] == f"images.example.com/signicat-proxy:{__version__}"


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
    """Helm allows releases such names, Kubernetes no Service; the refusal says what to do."""
    with pytest.raises(helm.HelmError, match="fullnameOverride: no Service can be called"):
        render(GATEWAY_VALUES, name=release)
    named = merged(GATEWAY_VALUES, {"fullnameOverride": "signicat"})
    assert only(render(named, name=release), "Deployment")["metadata"]["name"] == "signicat"


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
                "  - pods: signicat-proxy-client=true; namespace: prod\n",
                "  - pods: all; namespaces: kubernetes.io/metadata.name in (monitoring)\n",
                "kubectl -n prod get secret signicat-auth -o name",
                "kubectl -n prod get secret signicat-sign -o name",
                "kubectl -n prod rollout status deployment/demo-signicat-proxy",
                "-- signicat-proxy check\n",
                "curl http://localhost:8081/readyz",
            ],
            "networkPolicy.enabled is false",
        ),
        (
            merged(GATEWAY_VALUES, {"networkPolicy": {"enabled": False}}),
            ["networkPolicy.enabled is false: every pod that reaches the Service acts as your"],
            "get through",
        ),
        (
            merged(GATEWAY_VALUES, {"networkPolicy": {"callerNamespaces": ["shop", "bank"]}}),
            ["namespaces: kubernetes.io/metadata.name in (shop,bank)\n"],
            "namespace: prod",
        ),
        (
            merged(GATEWAY_VALUES, {"networkPolicy": {"monitoringNamespaces": []}}),
            ["  - nobody but the kubelet\n"],
            "in (monitoring)",
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
            ["-- signicat-proxy check\n"],
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
