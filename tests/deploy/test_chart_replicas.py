"""Who says how many pods there are, while a release is installed, upgraded and scaled."""

from typing import Any, Final

import helm_python as helm
import pytest

from tests.deploy.chart import CHART, GATEWAY_VALUES, Manifest, documents, merged, render
from tests.deploy.kube_api import cluster

OFF: Final = merged(GATEWAY_VALUES, {"autoscaling": {"enabled": False}})
KEDA: Final = merged(
    GATEWAY_VALUES,
    {"autoscaling": {"keda": {"enabled": True, "serverAddress": "http://prometheus:9090"}}},
)
NAME: Final = "demo-signicat-proxy"
KEPT: Final = {"signicat-proxy/replicas": "kept"}


def live(replicas: int, annotations: dict[str, str] | None = None) -> Manifest:
    """Return the Deployment as it is in the cluster."""
    about = {"name": NAME, "namespace": "prod", "annotations": annotations or {}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": about,
        "spec": {"replicas": replicas},
    }


def scaler(name: str = NAME) -> Manifest:
    """Return the HorizontalPodAutoscaler in the cluster."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": "prod"},
    }


def upgraded(values: dict[str, Any], *objects: Manifest) -> tuple[int | None, dict[str, str]]:
    """Return replicas and annotations of the Deployment of an upgrade beside these objects."""
    with (
        cluster(*objects) as access,
        helm.Config(kubeconfig_content=access, namespace="prod", storage_driver="memory") as config,
        helm.Chart.load(CHART) as chart,
    ):
        files = config.render(chart, dict(values), name="demo", namespace="prod", is_upgrade=True)
    (deployment,) = documents(files["signicat-proxy/templates/deployment.yaml"])
    return deployment["spec"].get("replicas"), deployment["metadata"].get("annotations", {})


@pytest.mark.parametrize("values", [GATEWAY_VALUES, KEDA])
def test_a_release_that_was_scaled_from_the_start_names_no_number(values: dict[str, Any]) -> None:
    """Neither its install nor an upgrade: a rollback then changes no number either."""
    assert upgraded(values) == (None, {})
    assert upgraded(values, live(4), scaler()) == (None, {})
    assert upgraded(values, live(4), scaler(f"keda-hpa-{NAME}")) == (None, {})


@pytest.mark.parametrize("values", [GATEWAY_VALUES, KEDA])
def test_turning_the_scaling_on_ends_no_pod(values: dict[str, Any]) -> None:
    """What runs is kept, by this upgrade and by every later one."""
    assert upgraded(OFF, live(5)) == (2, {})
    assert upgraded(values, live(5)) == (5, KEPT)
    assert upgraded(values, live(4, KEPT), scaler()) == (4, KEPT)
    assert upgraded(values, live(6, KEPT), scaler()) == (6, KEPT)


def test_turning_the_scaling_off_is_the_end_of_that() -> None:
    """The number is that of the values again."""
    assert upgraded(OFF, live(6, KEPT), scaler()) == (2, {})


def test_somebody_elses_scaler_is_not_ours() -> None:
    """The one of another Deployment says nothing about this one."""
    assert upgraded(GATEWAY_VALUES, live(3), scaler("other")) == (3, KEPT)


def test_without_a_cluster_nothing_is_kept() -> None:
    """`helm template`, and what renders with it, cannot know what runs."""
    (deployment,) = [m for m in render(GATEWAY_VALUES) if m["kind"] == "Deployment"]
    assert "replicas" not in deployment["spec"]
