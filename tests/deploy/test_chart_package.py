"""What is packed: presets, values for chart-testing, and what a catalogue of charts shows."""

import base64
import re
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import CHART, DEFAULTS, GATEWAY_VALUES, Manifest, documents, merged, only
from tests.support.source_tree import ROOT, read

ABOUT: Final[dict[str, Any]] = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))
LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
VERSIONS: Final = ("1.29", kubernetes_validate.latest_version())


def values_of(path: Path) -> dict[str, Any]:
    """Return the values in a file."""
    (values,) = documents(path.read_text("utf-8"))
    return values


PRESETS: Final = {path.stem: values_of(path) for path in sorted(CHART.glob("values-*.yaml"))}
TESTED: Final = {path.stem: values_of(path) for path in sorted((CHART / "ci").glob("*.yaml"))}
PRODUCTION: Final = {"clients": {"auth": {"clientId": "prod-a"}, "sign": {"clientId": "prod-b"}}}


def preset(name: str) -> dict[str, Any]:
    """Return a preset below the values of the example, as `-f` twice makes them."""
    example = {key: value for key, value in GATEWAY_VALUES.items() if key != "settings"}
    return merged(merged(PRESETS[name], example), PRODUCTION if "production" in name else {})


ALL: Final = {**{name: preset(name) for name in PRESETS}, **TESTED}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the chart as `helm package` packs it after the example was tried in its folder."""
    folder = tmp_path_factory.mktemp("package")
    copied = shutil.copytree(CHART, folder / CHART.name)
    helm.dependency_update(copied / "examples" / "application")
    assert (copied / "examples" / "application" / "Chart.lock").exists()
    return Path(helm.package(copied, destination=folder))


def packed(archive: Path) -> dict[str, str]:
    """Return the text of each file in the package, by its path in the chart."""
    with tarfile.open(archive) as tar:
        return {
            member.name.partition("/")[2]: extracted.read().decode()
            for member in tar
            if (extracted := tar.extractfile(member))
        }


def manifests_of(archive: Path, values: dict[str, Any]) -> Iterator[Manifest]:
    """Yield what Helm makes of the package."""
    with helm.Chart.load(archive) as chart:
        for name, text in chart.render(dict(values), name="demo", namespace="prod").items():
            if name.endswith(".yaml"):
                yield from documents(text)


@pytest.mark.parametrize("name", ALL)
def test_each_file_of_values_makes_valid_manifests(name: str, archive: Path) -> None:
    """Presets and values for chart-testing keep every schema, and lint finds nothing."""
    found = list(manifests_of(archive, ALL[name]))
    assert found
    for manifest in found:
        if not manifest["apiVersion"].startswith("monitoring.coreos.com/"):
            for version in VERSIONS:
                kubernetes_validate.validate(manifest, version, strict=True)
    for version in ("v1.29.0", "v1.36.0"):
        report = helm.lint(CHART, ALL[name], strict=True, kube_version=version)
        assert report["messages"] == []


def test_there_are_values_for_chart_testing() -> None:
    """Each has the name that `ct` looks for."""
    assert set(TESTED) == {"gateway-values", "monitoring-values", "sidecar-values"}


def test_presets_go_together(archive: Path) -> None:
    """OpenShift's is for each of the others, too."""
    for name in ("values-small", "values-production"):
        assert list(manifests_of(archive, merged(PRESETS["values-openshift"], preset(name))))


def test_the_small_one_is_one_pod(archive: Path) -> None:
    """Nothing scales it, and it asks for less than the default."""
    found = list(manifests_of(archive, preset("values-small")))
    deployment = only(found, "Deployment")["spec"]
    assert deployment["replicas"] == 1
    assert {"HorizontalPodAutoscaler", "PodDisruptionBudget"}.isdisjoint(
        manifest["kind"] for manifest in found
    )
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "50m", "memory": "64Mi"}


def test_the_one_for_production_refuses_the_sandbox(archive: Path) -> None:
    """A client of the wrong environment is an error before anything is installed."""
    kinds = [manifest["kind"] for manifest in manifests_of(archive, preset("values-production"))]
    assert {"ServiceMonitor", "PrometheusRule", "HorizontalPodAutoscaler"} <= set(kinds)
    sandbox = {key: value for key, value in GATEWAY_VALUES.items() if key != "settings"}
    with pytest.raises(helm.HelmError, match="is production, but the id of the client"):
        list(manifests_of(archive, merged(PRESETS["values-production"], sandbox)))


def test_openshift_may_give_the_ids(archive: Path) -> None:
    """No user and no group is fixed, and the secret can be read whichever it is."""
    found = list(manifests_of(archive, preset("values-openshift")))
    pod = only(found, "Deployment")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    fixed = {"runAsUser", "runAsGroup", "fsGroup"}
    for context, default in (
        (pod["securityContext"], DEFAULTS["gateway"]["podSecurityContext"]),
        (container["securityContext"], DEFAULTS["containerSecurityContext"]),
    ):
        assert context == {key: value for key, value in default.items() if key not in fixed}
    secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert {secret["defaultMode"] for secret in secrets} == {0o444}


def test_openshift_lets_names_be_looked_up(archive: Path) -> None:
    """Its policies are compared with the port that its name servers listen on, 5353."""
    found = list(manifests_of(archive, preset("values-openshift")))
    egress = only(found, "NetworkPolicy")["spec"]["egress"]
    dns = {(port["protocol"], port["port"]) for rule in egress for port in rule["ports"]}
    assert {("UDP", 5353), ("TCP", 5353), ("UDP", 53), ("TCP", 53)} <= dns


def test_links_of_the_readme_work_in_the_package(archive: Path) -> None:
    """Each leads to a file that is packed, to a heading of the page, or to a full address."""
    files = packed(archive)
    targets = LINK.findall(files["README.md"])
    assert targets
    lost = [
        target
        for target in targets
        if not target.startswith(("https://", "#")) and target.partition("#")[0] not in files
    ]
    assert lost == []


def test_the_readme_says_first_how_to_install() -> None:
    """With the file that `helm package` writes."""
    first = read("helm/signicat-proxy/README.md").partition("\n## ")[0]
    name = f"{ABOUT['name']}-{ABOUT['version']}.tgz"
    assert f"helm install gateway ./{name} -n signicat -f values.yaml" in first


def test_the_package_has_what_it_needs_and_no_more(archive: Path) -> None:
    """Licence, examples and presets are in it; what is for tests of the chart is not."""
    files = packed(archive)
    assert files["LICENSE"] == (ROOT / "LICENSE").read_text("utf-8")
    assert {f"{name}.yaml" for name in PRESETS} <= set(files)
    assert {"examples/sidecar.yaml", "examples/application/Chart.yaml"} <= set(files)
    assert not any(name.startswith(("ci/", "examples/application/charts/")) for name in files)
    assert "examples/application/Chart.lock" not in files


def test_the_icon_is_the_one_beside_it() -> None:
    """It is part of the chart, so it is there wherever the chart is."""
    kind, _, content = ABOUT["icon"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    assert base64.b64decode(content) == (CHART / "icon.svg").read_bytes()


def test_a_catalogue_learns_what_is_true() -> None:
    """Licence, links and changes are there; an address that nobody can reach is not."""
    notes = ABOUT["annotations"]
    assert notes["artifacthub.io/license"] == "Apache-2.0"
    assert ABOUT["maintainers"]
    kinds = {change["kind"] for change in yaml.safe_load(notes["artifacthub.io/changes"])}
    assert kinds <= {"added", "changed", "deprecated", "removed", "fixed", "security"}
    addresses = [link["url"] for link in yaml.safe_load(notes["artifacthub.io/links"])]
    assert addresses
    assert all(address in read("docs/api-client.md") for address in addresses)
