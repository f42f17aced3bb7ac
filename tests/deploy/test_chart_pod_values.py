"""What values say of the gateway's pods and of the container in both modes."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest

from tests.deploy.chart import (
    CHART,
    DEFAULTS,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.chart_cases import EVERYTHING, RENDERED, pod_of, proxy_of

BIG: Final = 1_000_680_000  # as OpenShift gives them


def deployment(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gateway's Deployment, which the newest Kubernetes accepts."""
    found = only(render(merged(GATEWAY_VALUES, values)), "Deployment")
    kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    spec: dict[str, Any] = found["spec"]
    return spec


def pod(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the gateway's pod."""
    found: dict[str, Any] = deployment(values)["template"]["spec"]
    return found


def proxies(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the container of both modes."""
    application = only(render_application(merged(SIDECAR_VALUES, values)), "Deployment")
    kubernetes_validate.validate(application, kubernetes_validate.latest_version(), strict=True)
    (sidecar,) = application["spec"]["template"]["spec"]["initContainers"]
    return [pod(values)["containers"][0], sidecar]


def test_what_is_for_kubernetes_arrives_as_it_is() -> None:
    """Each part of the pod that values name stands in it."""
    found, given = pod_of("gateway with everything"), EVERYTHING["gateway"]
    for name in ("affinity", "hostAliases", "nodeSelector", "tolerations", "dnsConfig"):
        assert found[name] == given[name]
    assert found["securityContext"] == given["podSecurityContext"]
    assert found["schedulerName"] == "batch"
    assert [entry["name"] for entry in found["containers"]] == ["signicat-proxy", "exporter"]
    assert [entry["name"] for entry in found["initContainers"]] == ["fetch"]
    spec = only(RENDERED["gateway with everything"], "Deployment")["spec"]
    assert (spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (5, 3)
    assert spec["strategy"] == given["strategy"]


@pytest.mark.parametrize("case", ["gateway with everything", "sidecar with everything"])
def test_both_modes_take_the_same_keys(case: str) -> None:
    """Variables, volumes, mounts and handlers reach the container wherever it stands."""
    container = proxy_of(case)
    assert container["env"][-2:] == EVERYTHING["extraEnv"]
    assert container["volumeMounts"][-1:] == EVERYTHING["extraVolumeMounts"]
    assert pod_of(case)["volumes"][-1:] == EVERYTHING["extraVolumes"]
    assert container["lifecycle"] == EVERYTHING["lifecycle"]
    assert container["workingDir"] == "/app"
    assert container["securityContext"] == DEFAULTS["containerSecurityContext"]


def test_null_removes_a_key_of_a_security_context() -> None:
    """A platform that gives the ids itself refuses fixed ones."""
    without = {"runAsUser": None, "runAsGroup": None}
    for container in proxies({"containerSecurityContext": without}):
        context = container["securityContext"]
        assert context.keys() == DEFAULTS["containerSecurityContext"].keys() - without.keys()
    given = {"gateway": {"podSecurityContext": {**without, "fsGroup": BIG}}}
    assert pod(given)["securityContext"] == {
        "fsGroup": BIG,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_null_removes_what_is_named() -> None:
    """The whole of a security context, and of each other part that has a default."""
    for container in proxies({"containerSecurityContext": None}):
        assert "securityContext" not in container
    names = ("podSecurityContext", "dnsConfig", "topologySpreadConstraints")
    found = pod({"gateway": dict.fromkeys(names)})
    assert found.keys().isdisjoint({"securityContext", *names})
    assert pod({}).keys() > {"securityContext", "dnsConfig", "topologySpreadConstraints"}


@pytest.mark.parametrize(("group", "mode"), [(10001, 0o440), (BIG, 0o440), (None, 0o444)])
def test_the_secret_can_be_read_without_a_group(group: int | None, mode: int) -> None:
    """If nobody gives the files to a group, the proxy is one of the others."""
    volumes = pod({"gateway": {"podSecurityContext": {"fsGroup": group}}})["volumes"]
    modes = {volume["secret"]["defaultMode"] for volume in volumes if "secret" in volume}
    assert modes == {mode}


def test_names_are_looked_up_as_they_are() -> None:
    """Every name that the proxy needs is a full one; lookups in search domains are saved."""
    assert pod({})["dnsConfig"] == {"options": [{"name": "ndots", "value": "2"}]}


def test_the_pods_of_one_version_are_spread() -> None:
    """A constraint says what is different about it; the pods are the chart's unless it says."""
    own = {"labelSelector": {"matchLabels": {"app": "shop"}}}
    spread = pod(
        {
            "gateway": {
                "topologySpreadConstraints": [
                    {"topologyKey": "kubernetes.io/hostname", "maxSkew": 2},
                    {"topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule", **own},
                ]
            }
        }
    )["topologySpreadConstraints"]
    selector = deployment({})["selector"]
    assert spread == [
        {
            "topologyKey": "kubernetes.io/hostname",
            "maxSkew": 2,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": selector,
            "matchLabelKeys": ["pod-template-hash"],
        },
        {"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **own},
    ]
    both = pod({})["topologySpreadConstraints"]
    assert [entry["topologyKey"] for entry in both] == [
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    ]


def test_pods_can_be_replaced_all_at_once() -> None:
    """`Recreate` has no `rollingUpdate`, whatever the default says."""
    assert deployment({"gateway": {"strategy": {"type": "Recreate"}}})["strategy"] == {
        "type": "Recreate"
    }
    rolling = {"rollingUpdate": {"maxUnavailable": "25%", "maxSurge": 0}}
    assert deployment({"gateway": {"strategy": rolling}})["strategy"] == {
        "type": "RollingUpdate",
        **rolling,
    }


@pytest.mark.parametrize(
    ("startup", "expected"),
    [
        ({}, 40),
        ({"periodSeconds": 2}, 20),
        ({"periodSeconds": 3}, 14),
        ({"failureThreshold": 7}, 7),
    ],
)
def test_probes_have_the_times_of_values(startup: dict[str, int], expected: int) -> None:
    """However often the start is asked for, it has as long as the first token attempt needs."""
    values = {
        "probes": {
            "startup": startup,
            "readiness": {"periodSeconds": 9},
            "liveness": {"timeoutSeconds": 8, "failureThreshold": 5},
        }
    }
    gateway, sidecar = proxies(values)
    for container in (gateway, sidecar):
        assert container["startupProbe"]["failureThreshold"] == expected
        assert container["livenessProbe"]["periodSeconds"] == 10
        assert container["livenessProbe"]["timeoutSeconds"] == 8
        assert container["livenessProbe"]["failureThreshold"] == 5
    assert gateway["readinessProbe"]["periodSeconds"] == 9


def test_the_last_resort_is_a_merge_patch() -> None:
    """RFC 7396: tables are merged, null removes, a list is replaced, false stands."""
    patch = {
        "securityContext": {"runAsUser": BIG, "privileged": None},
        "args": ["run", "--log-level=debug"],
        "livenessProbe": None,
        "tty": False,
        "startupProbe": {"failureThreshold": 99},
    }
    both = {"gateway": {"container": patch}, "sidecar": {"container": patch}}
    for plain, container in zip(proxies({}), proxies(both), strict=True):
        assert container["args"] == patch["args"]
        assert container["tty"] is False
        assert "livenessProbe" not in container
        assert container["startupProbe"] == {**plain["startupProbe"], "failureThreshold": 99}
        expected = {**plain["securityContext"], "runAsUser": BIG}
        del expected["privileged"]
        assert container["securityContext"] == expected
    found = pod(
        {"gateway": {"podSpec": {"automountServiceAccountToken": True, "enableServiceLinks": None}}}
    )
    expected = {**pod({}), "automountServiceAccountToken": True}
    del expected["enableServiceLinks"]
    assert found == expected


def test_further_objects_are_templates() -> None:
    """As tables or as text, with the values and names of the release, in both modes."""
    for case in ("gateway with everything", "sidecar with everything"):
        names = [
            manifest["metadata"]["name"]
            for manifest in RENDERED[case]
            if manifest["kind"] == "Secret"
        ]
        assert names == ["demo-text", "demo-table"]
    text = '{kind: List, of: {{ include "signicat-proxy.fullname" . }}:{{ .Values.service.port }}}'
    manifests = render(merged(GATEWAY_VALUES, {"extraObjects": [text]}))
    assert only(manifests, "List") == {"kind": "List", "of": "demo-signicat-proxy:80"}


@pytest.mark.parametrize(
    ("wanted", "version", "expected"),
    [
        ("", "v1.36.0", False),
        ("PreferClose", "v1.30.9", False),
        ("PreferClose", "v1.31.0", True),
        ("PreferSameZone", "v1.33.4", False),
        ("PreferSameNode", "v1.34.0", True),
    ],
)
def test_traffic_is_kept_near_where_kubernetes_can(
    wanted: str, version: str, tmp_path: Path, *, expected: bool
) -> None:
    """A field that an older version does not know is left out.

    Only the lint takes a version, so a template that is no YAML with the field tells of it.
    """
    copied = shutil.copytree(CHART, tmp_path / CHART.name)
    (copied / "templates" / "tell.yaml").write_text(
        '{{- with include "signicat-proxy.trafficDistribution" . }}told: [{{ . }}{{ end }}', "utf-8"
    )
    values = merged(GATEWAY_VALUES, {"service": {"trafficDistribution": wanted}})
    report = helm.lint(copied, values, kube_version=version)
    told = [entry for entry in report["messages"] if entry["path"] == "templates/tell.yaml"]
    assert bool([entry for entry in told if entry["severity"] == 3]) is expected


def test_traffic_distribution_stands_in_the_service_of_the_callers() -> None:
    """And Kubernetes accepts it there."""
    values = merged(GATEWAY_VALUES, {"service": {"trafficDistribution": "PreferClose"}})
    callers, metrics = (m for m in render(values) if m["kind"] == "Service")
    assert callers["spec"]["trafficDistribution"] == "PreferClose"
    assert "trafficDistribution" not in metrics["spec"]
    kubernetes_validate.validate(callers, kubernetes_validate.latest_version(), strict=True)
