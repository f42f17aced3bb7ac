"""The gateway is scaled by what limits it: its upstream connections, and the processor."""

import asyncio
import contextlib
import itertools
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import aiohttp
import helm_python as helm
import kubernetes_validate
import pytest
import yaml

from tests.deploy.chart import CHART, DEFAULTS, GATEWAY_VALUES, Manifest, merged, only, render
from tests.deploy.scene import scene, send_for_ever
from tests.deploy.test_chart_policies import environment
from tests.deploy.watch import Watch, watching
from tests.support.waiting import task_group, within

KEDA: Final = {"enabled": True, "serverAddress": "http://prometheus.monitoring:9090"}
ADAPTER: Final = yaml.safe_load(
    (CHART / "examples" / "prometheus-adapter-values.yaml").read_text("utf-8")
)
POD: Final = "demo-signicat-proxy-6d4cf56db6-x7zq2"
MODELLED: Final = """
import json, sys
from cloudcoil.models.keda import v1alpha1
for document in json.load(sys.stdin):
    model = v1alpha1.ScaledObject.model_validate(document)
    print(model.model_dump(mode="json", by_alias=True, exclude_unset=True) == document)
"""


def scaled(kind: str = "HorizontalPodAutoscaler", **values: Any) -> Manifest:
    """Return what scales the gateway with these values of `autoscaling`."""
    found = only(render(merged(GATEWAY_VALUES, {"autoscaling": values})), kind)
    if kind == "HorizontalPodAutoscaler":
        for version in ("1.29", kubernetes_validate.latest_version()):
            kubernetes_validate.validate(found, version, strict=True)
    return found


def cpu(percent: int) -> dict[str, Any]:
    """Return the target of the processor."""
    return {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}


def test_the_processor_alone_by_default() -> None:
    """No cluster has a metric of ours before somebody installs an adapter."""
    spec = scaled()["spec"]
    assert spec["metrics"] == [{"type": "Resource", "resource": cpu(70)}]
    assert "behavior" not in spec


def test_the_saturation_is_a_metric_of_the_pods() -> None:
    """It is a share, so the target stays right whatever the limit of connections is."""
    memory = {"type": "Resource", "resource": {**cpu(80), "name": "memory"}}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 600}}
    spec = scaled(
        saturation={"enabled": True, "targetPercent": 65},
        targetCPUPercent=150,
        containerResource=True,
        metrics=[memory],
        behavior=behavior,
    )["spec"]
    container = {**cpu(150), "container": "signicat-proxy"}
    target = {"type": "AverageValue", "averageValue": "650m"}
    (rule,) = ADAPTER["rules"]["custom"]
    assert spec["metrics"] == [
        {"type": "ContainerResource", "containerResource": container},
        {"type": "Pods", "pods": {"metric": {"name": rule["name"]["as"]}, "target": target}},
        memory,
    ]
    assert spec["behavior"] == behavior


def test_the_processor_can_be_left_out() -> None:
    """A target of 0 is none."""
    only_saturation = {"saturation": {"enabled": True}, "targetCPUPercent": 0}
    values = {"autoscaling": only_saturation}
    metrics = only(render(merged(GATEWAY_VALUES, values)), "HorizontalPodAutoscaler")["spec"]
    assert [metric["type"] for metric in metrics["metrics"]] == ["Pods"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"autoscaling": {"targetCPUPercent": 0}}, "autoscaling: there is nothing to scale by"),
        ({"autoscaling": {"keda": {"enabled": True}}}, r"keda\.serverAddress: say where"),
        (
            {"autoscaling": {"keda": KEDA, "metrics": [{"type": "Resource"}]}},
            r"autoscaling\.metrics: a ScaledObject takes none; use autoscaling\.keda\.triggers",
        ),
    ],
)
def test_what_scales_nothing_is_refused(values: dict[str, Any], message: str) -> None:
    """The HorizontalPodAutoscaler would say so too, but only in its status."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(GATEWAY_VALUES, values))
    off = {"autoscaling": {"enabled": False}}
    assert render(merged(GATEWAY_VALUES, merged(values, off)))


def test_null_is_an_empty_list() -> None:
    """Null removes what an earlier file of values added, here as in every other list."""
    assert scaled(metrics=None)["spec"] == scaled()["spec"]
    found = scaled("ScaledObject", keda={**KEDA, "triggers": None})
    assert found["spec"] == scaled("ScaledObject", keda=KEDA)["spec"]


@pytest.mark.parametrize("length", [20, 46, 47, 52])
def test_keda_finds_the_pods_of_a_long_name(length: int) -> None:
    """Kubernetes keeps 58 characters of Deployment, hash and hyphens, and adds five of its own."""
    name = "n" * length
    values = {"fullnameOverride": name, "autoscaling": {"keda": KEDA}}
    spec = only(render(merged(GATEWAY_VALUES, values)), "ScaledObject")["spec"]
    (pods,) = set(re.findall(r'pod=~"([^"]+)"', spec["triggers"][0]["metadata"]["query"]))
    assert re.fullmatch(pods, f"{name}-6d4cf56db6-"[:58] + "x7zq2")
    assert not re.fullmatch(pods, f"{name}-other-6d4cf56db6-x7zq2")


def test_keda_makes_its_own_autoscaler() -> None:
    """Two of them for one Deployment would fight."""
    manifests = render(
        merged(
            GATEWAY_VALUES,
            {
                "autoscaling": {
                    "keda": {
                        **KEDA,
                        "authenticationRef": "prometheus",
                        "triggers": [{"type": "cron", "metadata": {"start": "0 7 * * *"}}],
                    },
                    "behavior": {"scaleUp": {"stabilizationWindowSeconds": 0}},
                    "containerResource": True,
                }
            },
        )
    )
    assert "HorizontalPodAutoscaler" not in {manifest["kind"] for manifest in manifests}
    spec = only(manifests, "ScaledObject")["spec"]
    assert spec["scaleTargetRef"]["name"] == only(manifests, "Deployment")["metadata"]["name"]
    assert "replicas" not in only(manifests, "Deployment")["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 6)
    prometheus, processor, cron = spec["triggers"]
    assert prometheus["metadata"]["serverAddress"] == KEDA["serverAddress"]
    assert prometheus["metadata"]["threshold"] == "0.7"
    assert prometheus["authenticationRef"] == {"name": "prometheus"}
    assert processor == {
        "type": "cpu",
        "metricType": "Utilization",
        "metadata": {"value": "70", "containerName": "signicat-proxy"},
    }
    assert cron["type"] == "cron"
    own = scaled("ScaledObject", keda={**KEDA, "query": "sum(x)"})["spec"]["triggers"][0]
    assert own["metadata"]["query"] == "sum(x)"


def test_the_model_of_keda_accepts_it() -> None:
    """It keeps every field of what we make; it would drop one that it does not know."""
    python = environment("python")
    ours = scaled("ScaledObject", keda={**KEDA, "authenticationRef": "a"}, behavior={"scaleUp": {}})
    wrong = merged(ours, {"spec": {"pollingIntervall": 30}})
    done = subprocess.run(
        [python, "-c", MODELLED],
        input=json.dumps([ours, wrong]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False"]


def adapters_query() -> str:
    """Return what the adapter asks Prometheus for the gateway's pods."""
    (rule,) = ADAPTER["rules"]["custom"]
    series, _, _ = rule["seriesQuery"].partition("{")
    query: str = rule["metricsQuery"]
    for name, text in (
        ("Series", series),
        ("LabelMatchers", f'namespace="prod", pod=~"{POD}"'),
        ("GroupBy", "pod"),
    ):
        query = query.replace(f"<<.{name}>>", text)
    assert "<<" not in query
    return query


@contextlib.asynccontextmanager
async def crowd(folder: Path, callers: int) -> AsyncIterator[Watch]:
    """Have so many callers of one proxy before an upstream that takes half a second."""
    async with (
        scene(folder / "scene", max_upstream_connections=100, connect_timeout_seconds=1) as running,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
        watching(
            [running.admin], folder, labels={"namespace": "prod", "pod": POD, "container": "proxy"}
        ) as watch,
        task_group() as tasks,
    ):
        await running.break_it({"kind": "latency", "milliseconds": 500, "target": "api"})
        port, _ = await running.process.ports()
        url = f"http://127.0.0.1:{port}/mock/echo"
        asking = [
            tasks.create_task(send_for_ever(session, url), name="peer") for _ in range(callers)
        ]
        try:
            yield watch
        finally:
            for task in asking:
                task.cancel()


async def reached(watch: Watch, query: str, minimum: float) -> None:
    """Wait until a query has at least this value."""

    async def poll() -> None:
        for pause in itertools.repeat(0.2):
            value = await watch.value(query)
            if value is not None and value >= minimum:
                return
            await asyncio.sleep(pause)

    await within(poll(), query, 40)


CPU_OF_REQUEST: Final = 'sum(rate(process_cpu_seconds_total{pod!=""}[10s])) / 0.25'


async def test_a_crowd_is_seen_where_the_processor_rests(tmp_path: Path) -> None:
    """Upstream 0.5 s, 400 callers, 100 connections: requests fail, and the processor has time.

    Both queries are over their targets then; the target of the processor would take pods away.
    """
    metadata = scaled("ScaledObject", keda=KEDA)["spec"]["triggers"][0]["metadata"]
    threshold = float(metadata["threshold"])
    async with crowd(tmp_path, 400) as watch:
        rejected = 'sum(signicat_proxy_rejected_total{reason="overloaded"})'
        await reached(watch, rejected, 50)
        await reached(watch, metadata["query"], 0.95)
        await reached(watch, adapters_query(), 0.95)
        assert threshold < 0.95
        await reached(watch, CPU_OF_REQUEST, 0.01)
        share = await watch.value(CPU_OF_REQUEST)
    request = DEFAULTS["gateway"]["resources"]["requests"]["cpu"]
    assert request == "250m"
    assert share is not None
    assert share < DEFAULTS["autoscaling"]["targetCPUPercent"] / 100


async def test_a_few_callers_are_no_crowd(tmp_path: Path) -> None:
    """The queries are not over their targets whatever happens."""
    metadata = scaled("ScaledObject", keda=KEDA)["spec"]["triggers"][0]["metadata"]
    async with crowd(tmp_path, 20) as watch:
        for query in (metadata["query"], adapters_query()):
            await reached(watch, query, 0.05)
            value = await watch.value(query)
            assert value is not None
            assert value <= 0.25 < float(metadata["threshold"])
