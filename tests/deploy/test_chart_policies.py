"""What outsiders' tools say of the chart's manifests.

checkov and the models of the Prometheus operator live in an environment of their own.
"""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Final

import yaml

from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.chart_cases import RENDERED
from tests.deploy.containers import need

TOOLS: Final = Path(sys.prefix) / "manifests" / "bin"
PINNED: Final = {"image": {"digest": f"sha256:{'0' * 64}", "pullPolicy": "Always"}}
SKIPPED: Final = {
    "CKV2_K8S_6": "who reaches an application's pods is the application's to say; "
    "docs/kubernetes.md has a policy for a pod with a sidecar",
    "CKV_K8S_9": "whether an outage of the token endpoint takes the application out of its "
    "Service is the application's to say; sidecar.gatesReadiness brings a readiness probe",
}
"""Checks of the sidecar's pod that are not ours to keep. The gateway keeps them all."""
ENDS: Final = {"CKV2_K8S_6", "CKV_K8S_8", "CKV_K8S_9"}
"""Those that are not for the pod of `helm test`: it serves nobody, and ends by itself."""
MODELLED: Final = """
import json, sys
from cloudcoil.models.prometheus_operator import v1
for document in json.load(sys.stdin):
    model = getattr(v1, document["kind"]).model_validate(document)
    kept = model.model_dump(mode="json", by_alias=True, exclude_unset=True)
    print(document["kind"], kept == document)
"""


def environment(program: str) -> str:
    """Return a program of the environment of the manifests' tools; without it, skip."""
    path = TOOLS / program
    need("" if path.exists() else f"not installed: {program} (make test-deploy does it)")
    return str(path)


def sidecar_alone() -> Manifest:
    """Return the example's Deployment with the sidecar as its only, ordinary container."""
    deployment = copy.deepcopy(
        only(render_application(merged(SIDECAR_VALUES, PINNED)), "Deployment")
    )
    deployment["metadata"]["namespace"] = "prod"
    pod = deployment["spec"]["template"]["spec"]
    (sidecar,) = pod.pop("initContainers")
    del sidecar["restartPolicy"]
    pod["containers"] = [sidecar]
    return deployment


def failed_checks(folder: Path) -> dict[str, set[str]]:
    """Return the ids of checkov's failed checks by the name of the file."""
    done = subprocess.run(
        [
            *(environment("checkov"), "--skip-download", "--framework", "kubernetes"),
            *("--directory", str(folder), "-o", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    report = json.loads(done.stdout)
    assert report["summary"]["parsing_errors"] == 0, done.stderr
    found: dict[str, set[str]] = {path.stem: set() for path in folder.iterdir()}
    for check in report["results"]["failed_checks"]:
        found[Path(check["file_path"]).stem].add(check["check_id"])
    passed = {Path(check["file_path"]).stem for check in report["results"]["passed_checks"]}
    assert passed == set(found)
    return found


def test_the_policy_scan_finds_nothing(tmp_path: Path) -> None:
    """Checkov passes every check of the gateway, and every one of the sidecar that is its own."""
    lax = sidecar_alone()
    lax["spec"]["template"]["spec"]["containers"][0]["securityContext"]["privileged"] = True
    gateway = render(merged(GATEWAY_VALUES, PINNED))
    for name, manifests in (
        ("gateway", [manifest for manifest in gateway if manifest["kind"] != "Pod"]),
        ("test", [only(gateway, "Pod")]),
        ("sidecar", [sidecar_alone()]),
        ("lax", [lax]),
    ):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(manifests), "utf-8")
    found = failed_checks(tmp_path)
    assert found["gateway"] == set()
    assert found["test"] == ENDS
    assert found["sidecar"] == set(SKIPPED)
    assert found["lax"] > found["sidecar"], "the scan is not blind"


def test_the_prometheus_operator_accepts_it() -> None:
    """Its models keep every field of what we make for it; they would drop one they do not know."""
    python = environment("python")
    ours = [
        manifest
        for case in ("gateway with everything", "sidecar with everything")
        for manifest in RENDERED[case]
        if manifest["apiVersion"] == "monitoring.coreos.com/v1"
    ]
    assert [manifest["kind"] for manifest in ours] == [
        *("ServiceMonitor", "PrometheusRule", "PodMonitor", "PrometheusRule")
    ]
    unknown = merged(ours[0], {"spec": {"endpoint": []}})
    done = subprocess.run(
        [python, "-c", MODELLED],
        input=json.dumps([*ours, unknown]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        *(f"{manifest['kind']} True" for manifest in ours),
        "ServiceMonitor False",
    ]


def test_own_labels_of_monitors_and_rules_are_kept() -> None:
    """Prometheus selects by labels that values give; the chart's own stay beside them."""
    for kind in ("ServiceMonitor", "PrometheusRule"):
        labels = only(RENDERED["gateway with everything"], kind)["metadata"]["labels"]
        assert labels["release"] == "prometheus"
        assert labels["app.kubernetes.io/name"] == "signicat-proxy"


def test_what_can_be_switched_off_is_gone() -> None:
    """Each optional part goes away with its value, and nothing else with it."""
    whole = [manifest["kind"] for manifest in render(GATEWAY_VALUES)]
    for value, key, kind in (
        ("networkPolicy", "enabled", "NetworkPolicy"),
        ("autoscaling", "enabled", "HorizontalPodAutoscaler"),
        ("podDisruptionBudget", "enabled", "PodDisruptionBudget"),
        ("serviceAccount", "create", "ServiceAccount"),
    ):
        less = render(merged(GATEWAY_VALUES, {value: {key: False}}))
        assert [manifest["kind"] for manifest in less] == [k for k in whole if k != kind]
    fixed = only(render(merged(GATEWAY_VALUES, {"autoscaling": {"enabled": False}})), "Deployment")
    assert fixed["spec"]["replicas"] == 2
