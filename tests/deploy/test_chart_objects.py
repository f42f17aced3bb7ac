"""Every object of the chart: its labels, annotations and namespace, and where images come from."""

import re
from collections.abc import Iterator
from typing import Any, Final

import helm_python as helm
import pytest

from proxy import __version__
from tests.deploy.chart import (
    CHART,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    documents,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.chart_cases import EVERYTHING, EVERYTHING_BESIDE, OWN, RENDERED

ALL: Final = ("gateway with everything", "sidecar with everything")
COMMON: Final = {"commonLabels": {"team": "a"}, "commonAnnotations": {"example.com/a": "b"}}


def ours(case: str) -> list[dict[str, Any]]:
    """Return the objects of this chart, without those that others have written."""
    return [
        found
        for found in RENDERED[case]
        if found["metadata"]["name"] not in {"shop", "demo-text", "demo-table"}
    ]


@pytest.mark.parametrize("case", ALL)
def test_every_object_takes_labels_and_annotations(case: str) -> None:
    """Its own and the common ones, beside those of the chart."""
    for manifest in ours(case):
        metadata = manifest["metadata"]
        expected = {
            "cost-centre": "42",
            "app.kubernetes.io/name": "signicat-proxy",
            **OWN["labels"],
        }
        assert expected.items() <= metadata["labels"].items(), manifest["kind"]
        given = {
            key: text
            for key, text in metadata["annotations"].items()
            if not key.startswith("helm.sh/hook")  # the chart's own, of the test
        }
        assert given == {"example.com/owner": "identity", **OWN["annotations"]}
    template = only(RENDERED["gateway with everything"], "Deployment")["spec"]["template"]
    assert template["metadata"]["labels"]["cost-centre"] == "42"
    assert template["metadata"]["annotations"]["example.com/owner"] == "identity"


def test_labels_of_values_change_no_selector() -> None:
    """An upgrade with other labels finds the same pods: Kubernetes forbids to change a selector."""
    stolen = {"app.kubernetes.io/name": "shop", "app.kubernetes.io/instance": "x", "new": "label"}
    values = merged(GATEWAY_VALUES, {"commonLabels": stolen, "gateway": {"labels": stolen}})
    before, after = (only(render(given), "Deployment") for given in (GATEWAY_VALUES, values))
    assert after["spec"]["selector"] == before["spec"]["selector"]
    assert after["metadata"]["labels"] == {**before["metadata"]["labels"], "new": "label"}
    selector = after["spec"]["selector"]["matchLabels"]
    assert selector.items() <= after["spec"]["template"]["metadata"]["labels"].items()


def test_the_more_exact_value_wins() -> None:
    """A label or annotation of one object stands in place of the common one; null removes it."""
    own = {"labels": {"team": "b"}, "annotations": {"example.com/a": "c"}}
    services = [
        manifest["metadata"]
        for manifest in render(merged(GATEWAY_VALUES, {**COMMON, "service": own}))
        if manifest["kind"] == "Service"
    ]
    assert [found["labels"]["team"] for found in services] == ["b", "a"]
    assert [found["annotations"]["example.com/a"] for found in services] == ["c", "b"]


@pytest.mark.parametrize("example", [GATEWAY_VALUES, SIDECAR_VALUES], ids=["gateway", "sidecar"])
def test_a_namespace_of_values_is_everybodys(example: dict[str, Any]) -> None:
    """Objects, names in `Host` and monitors all mean it."""
    everything = EVERYTHING_BESIDE if example.get("mode") == "sidecar" else EVERYTHING
    values: dict[str, Any] = {"namespaceOverride": "identity", "extraObjects": []}
    values["serviceMonitor"] = {"namespace": ""}
    values["podMonitor"] = {"namespace": "", "namespaces": []}
    manifests = render(merged(everything, values))
    assert {manifest["metadata"]["namespace"] for manifest in manifests} == {"identity"}
    config = only([m for m in manifests if "config.toml" in m.get("data", {})], "ConfigMap")
    if example is GATEWAY_VALUES:
        assert "demo-signicat-proxy.identity.svc" in config["data"]["config.toml"]
    (monitor,) = [m for m in manifests if m["kind"] in {"ServiceMonitor", "PodMonitor"}]
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["identity"]}


@pytest.mark.parametrize(
    ("registry", "repository", "expected"),
    [
        ("", "images.example.com/signicat-proxy", "images.example.com/signicat-proxy"),
        ("mirror.test", "images.example.com/team/proxy", "mirror.test/team/proxy"),
        ("mirror.test/hub/", "images.example.com:5000/proxy", "mirror.test/hub/proxy"),
        ("mirror.test:5000", "localhost/proxy", "mirror.test:5000/proxy"),
        ("mirror.test", "team/proxy", "mirror.test/team/proxy"),
        ("mirror.test", "proxy", "mirror.test/proxy"),
    ],
)
def test_a_registry_of_the_whole_release_is_used(
    registry: str, repository: str, expected: str
) -> None:
    """`global.imageRegistry` stands in place of the registry; tag or digest stay."""
    values = {"image": {"repository": repository}, "global": {"imageRegistry": registry}}
    (container,) = only(render(merged(GATEWAY_VALUES, values)), "Deployment")["spec"]["template"][
        "spec"
    ]["containers"]
    assert container["image"] == f"{expected}:{__version__}"


def test_what_a_parent_chart_shares_reaches_the_sidecar() -> None:
    """`global` of the application's chart counts for the sidecar too, with other keys in it."""
    for shared, expected in (
        ({"imageRegistry": "mirror.test", "of": "others"}, "mirror.test/signicat-proxy"),
        ({"of": "others"}, "images.example.com/signicat-proxy"),
    ):
        manifests = render_application(SIDECAR_VALUES, own={"global": shared})
        (sidecar,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["initContainers"]
        assert sidecar["image"] == f"{expected}:{__version__}"


def test_pull_secrets_are_names_or_objects() -> None:
    """Those of the release come first; none stands twice."""
    values = {
        "imagePullSecrets": ["a", {"name": "b"}, {"name": "c"}],
        "global": {"imagePullSecrets": [{"name": "c"}, "d"]},
    }
    pod = only(render(merged(GATEWAY_VALUES, values)), "Deployment")["spec"]["template"]["spec"]
    assert [entry["name"] for entry in pod["imagePullSecrets"]] == ["c", "d", "a", "b"]


@pytest.mark.parametrize("version", ["1.2.3+build.5", "1.2.3-rc.1+sha.0123456789abcdef"])
def test_a_version_of_a_build_makes_valid_labels(version: str, tmp_path: Any) -> None:
    """Neither a label nor a tag may have the `+` that a version may have."""
    archive = helm.package(CHART, destination=tmp_path, version=version, app_version=version)
    with helm.Chart.load(archive) as packed:
        files = packed.render(dict(GATEWAY_VALUES), name="demo", namespace="prod")
    (deployment,) = documents(files["signicat-proxy/templates/deployment.yaml"])
    written = version.replace("+", "_")
    labels = deployment["metadata"]["labels"]
    assert labels["app.kubernetes.io/version"] == written
    assert labels["helm.sh/chart"] == f"signicat-proxy-{written}"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == f"images.example.com/signicat-proxy:{written}"


def test_amounts_can_be_numbers_and_can_be_taken_away() -> None:
    """No limit of CPU is a choice of many; a number is what it is in a manifest."""
    changed = {
        "requests": {"cpu": 1, "memory": 134217728},
        "limits": {"cpu": None, "memory": "1Gi", "ephemeral-storage": "1Gi"},
    }
    for values, expected in (
        (
            changed,
            {
                "requests": {"cpu": "1", "memory": "134217728"},
                "limits": {"memory": "1Gi", "ephemeral-storage": "1Gi"},
            },
        ),
        ({"limits": None}, {"requests": {"cpu": "250m", "memory": "96Mi"}}),
        ({"limits": None, "requests": None}, {}),
    ):
        # Scaling by CPU needs to know what is kept; a fixed number of pods does not.
        given = {"gateway": {"resources": values}, "autoscaling": {"enabled": False}}
        pod = only(render(merged(GATEWAY_VALUES, given)), "Deployment")["spec"]["template"]["spec"]
        assert pod["containers"][0]["resources"] == expected
    manifests = render_application(
        merged(SIDECAR_VALUES, {"sidecar": {"resources": {"limits": {"cpu": None}}}})
    )
    (sidecar,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["initContainers"]
    assert sidecar["resources"]["limits"] == {"memory": "128Mi"}


NUMBERED: Final = {
    "nameOverride": "7",
    "namespaceOverride": "7",
    "serviceAccount": {"name": "7"},
    "egressProxy": {"secretName": "7", "secretKey": "7"},
    "caBundle": {"configMapName": "7", "key": "7"},
    "otel": {"endpoint": "http://collector:4318", "headersSecret": {"name": "7", "key": "7"}},
    "sidecar": {"containerName": "7"},
}
"""Names that YAML takes for numbers, where nothing says that they are text."""


def texts(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value that stands where Kubernetes has a name, with its key."""
    if isinstance(node, dict):
        for name, inner in node.items():
            yield from texts(inner, name)
    elif isinstance(node, list):
        for inner in node:
            yield from texts(inner, key)
    elif re.search(r"name$|Name$|^(namespace|key|jobLabel)$|^app\.kubernetes\.io/", key):
        yield key, node


@pytest.mark.parametrize(
    ("example", "more"),
    [
        (
            GATEWAY_VALUES,
            {"fullnameOverride": "a", "serviceMonitor": {"enabled": True, "jobLabel": "7"}},
        ),
        (GATEWAY_VALUES, {"fullnameOverride": "a", "existingConfigMap": "7", "routes": []}),
        (SIDECAR_VALUES, {"podMonitor": {"enabled": True, "podLabels": {"a": "b"}}}),
    ],
)
def test_a_name_of_digits_is_text(example: dict[str, Any], more: dict[str, Any]) -> None:
    """Kubernetes refuses a number there, and says nothing of the value that it came from."""
    values = merged(example, merged(NUMBERED, more))
    values["clients"] = {
        name: {**client, "secretName": "7", "secretKey": "7"}
        for name, client in example["clients"].items()
    }
    sidecar = values.get("mode") == "sidecar"
    found = list(texts(render_application(values) if sidecar else render(values)))
    assert ("secretName", "7") in found
    assert [(key, value) for key, value in found if not isinstance(value, str)] == []
