"""The sidecar by a MutatingAdmissionPolicy: its expressions, evaluated as far as possible here.

cel-python lives in an environment of its own. It does not know the API server's type JSONPatch,
so those are turned into tables, and applied by the test; everything else is as it is installed.
"""

import copy
import json
import re
import subprocess
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest

from tests.deploy.chart import (
    CHART,
    DEFAULTS,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    merged,
    only,
    render,
    render_application,
)
from tests.deploy.kube_api import cluster
from tests.deploy.test_chart_policies import environment

ON: Final = {"sidecar": {"injection": {"enabled": True}}}
EVALUATED: Final = """
import json, sys
import celpy
def plain(value):
    if isinstance(value, celpy.celtypes.BoolType):
        return bool(value)
    if isinstance(value, dict):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return int(value) if isinstance(value, int) else str(value)
environment = celpy.Environment()
found = []
for expression, pod in json.load(sys.stdin):
    program = environment.program(environment.compile(expression))
    found.append(plain(program.evaluate({"object": celpy.json_to_cel(pod)})))
print(json.dumps(found))
"""
ASKS: Final = {"signicat-proxy/inject": "true"}
APPLICATION: Final = {"name": "shop", "image": "images.example.com/shop:1.0.0"}


def installed(values: dict[str, Any] | None = None) -> list[Manifest]:
    """Return policy and binding, which the newest Kubernetes accepts."""
    found = render(merged(merged(SIDECAR_VALUES, ON), values or {}))
    for manifest in found:
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
    return found


def evaluated(expressions: list[str], pod: Manifest) -> list[Any]:
    """Return what each expression gives for a pod."""
    as_tables = [
        re.sub(
            r'JSONPatch\{op: ("\w+"), path: ("[^"]*"), value: ',
            r'{"op": dyn(\1), "path": dyn(\2), "value": ',
            expression,
        )
        for expression in expressions
    ]
    done = subprocess.run(
        [environment("python"), "-c", EVALUATED],
        input=json.dumps([[expression, pod] for expression in as_tables]),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found: list[Any] = json.loads(done.stdout)
    return found


def is_meant(policy: Manifest, pod: Manifest) -> bool:
    """Say whether the policy changes a pod: every condition holds."""
    conditions = [condition["expression"] for condition in policy["spec"]["matchConditions"]]
    return all(evaluated(conditions, pod))


def mutated(policy: Manifest, pod: Manifest) -> Manifest:
    """Return the pod as the API server would store it (RFC 6902, `add` alone)."""
    found = copy.deepcopy(pod)
    for mutation in policy["spec"]["mutations"]:
        assert mutation["patchType"] == "JSONPatch"
        (patches,) = evaluated([mutation["jsonPatch"]["expression"]], found)
        for patch in patches:
            assert patch["op"] == "add"
            *parents, last = patch["path"].removeprefix("/").split("/")
            place: Any = found
            for name in parents:
                place = place[name]
            if isinstance(place, list):
                place.insert(len(place) if last == "-" else int(last), patch["value"])
            else:
                place[last] = patch["value"]
    return found


def pod(annotations: dict[str, str] | None = None, **spec: Any) -> Manifest:
    """Return an application's pod."""
    metadata: dict[str, Any] = {"name": "shop", "namespace": "shop"}
    if annotations is not None:
        metadata["annotations"] = annotations
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [APPLICATION], **spec},
    }


def expected() -> dict[str, Any]:
    """Return the pod of the example, into which the named templates put the sidecar."""
    deployment = only(render_application(SIDECAR_VALUES), "Deployment")
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


def test_a_bare_pod_gets_what_the_templates_make() -> None:
    """Container, volumes and time are those of a sidecar in a chart."""
    policy = only(installed(), "MutatingAdmissionPolicy")
    assert is_meant(policy, pod(ASKS))
    changed = mutated(policy, pod(ASKS))
    for version in ("1.36", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(changed, version, strict=True)
    for key in ("initContainers", "volumes", "terminationGracePeriodSeconds"):
        assert changed["spec"][key] == expected()[key], key
    assert changed["spec"]["containers"] == [APPLICATION]


def test_what_a_pod_has_is_kept() -> None:
    """The sidecar is before its init containers; a longer time to stop stays."""
    own = {"name": "migrate", "image": "images.example.com/shop:1.0.0"}
    cache = {"name": "cache", "emptyDir": {}}
    policy = only(installed(), "MutatingAdmissionPolicy")
    given = pod(ASKS, initContainers=[own], volumes=[cache], terminationGracePeriodSeconds=120)
    spec = mutated(policy, given)["spec"]
    assert spec["initContainers"] == [*expected()["initContainers"], own]
    assert spec["volumes"] == [cache, *expected()["volumes"]]
    assert spec["terminationGracePeriodSeconds"] == 120
    short = mutated(policy, pod(ASKS, terminationGracePeriodSeconds=30))["spec"]
    assert short["terminationGracePeriodSeconds"] == 40


@pytest.mark.parametrize(
    "other",
    [
        pod(),
        pod({}),
        pod({"signicat-proxy/inject": "false"}),
        pod({"other": "true"}),
        pod(ASKS, initContainers=[{"name": "signicat-proxy"}]),
    ],
)
def test_others_are_left_alone(other: Manifest) -> None:
    """A pod that does not ask, and one that has the sidecar, stay as they are."""
    assert not is_meant(only(installed(), "MutatingAdmissionPolicy"), other)


def test_text_in_values_stays_text() -> None:
    """Quotes, line ends and what looks like an expression come out as they went in."""
    odd = 'a"b\\c\n${x} {{ y }} é'
    values = {"extraEnv": [{"name": "ODD", "value": odd}]}
    changed = mutated(only(installed(values), "MutatingAdmissionPolicy"), pod(ASKS))
    (sidecar,) = changed["spec"]["initContainers"]
    assert {"name": "ODD", "value": odd} in sidecar["env"]


def test_only_labelled_namespaces_are_bound() -> None:
    """The binding names the policy; a pod that asks there never starts without the sidecar."""
    manifests = installed()
    policy, binding = manifests
    assert [m["kind"] for m in manifests] == [
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
    ]
    assert binding["spec"]["policyName"] == policy["metadata"]["name"]
    assert binding["spec"]["matchResources"] == {
        "namespaceSelector": {"matchLabels": DEFAULTS["sidecar"]["injection"]["namespaceLabels"]}
    }
    assert not any("namespace" in m["metadata"] for m in manifests)
    assert policy["spec"]["failurePolicy"] == "Fail"
    (rule,) = policy["spec"]["matchConstraints"]["resourceRules"]
    assert (rule["operations"], rule["resources"]) == (["CREATE"], ["pods"])
    assert render(SIDECAR_VALUES) == []


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (merged(GATEWAY_VALUES, ON), "injection.enabled: needs mode: sidecar"),
        (
            merged(merged(SIDECAR_VALUES, ON), {"routes": [{"path": "/", "client": "shop"}]}),
            "needs one client without routes",
        ),
        (
            {
                **merged(SIDECAR_VALUES, ON),
                "sidecar": {"injection": {"enabled": True, "namespaceLabels": None}},
            },
            "namespaceLabels",
        ),
    ],
)
def test_what_cannot_be_injected_is_refused(values: dict[str, Any], message: str) -> None:
    """A ConfigMap of the release is in one namespace, and all namespaces are too many."""
    with pytest.raises(helm.HelmError, match=message):
        render(values)


def refusal(version: str) -> str:
    """Return why an install in a cluster of this version ends; the stand-in has no schemas."""
    with (
        cluster(version=version) as access,
        helm.Config(kubeconfig_content=access, namespace="prod", storage_driver="memory") as config,
        pytest.raises(helm.HelmError) as refused,
    ):
        config.install(CHART, "demo", merged(SIDECAR_VALUES, ON), dry_run="server")
    return str(refused.value)


def test_an_older_kubernetes_is_refused() -> None:
    """The kind is in 1.36; without it Helm's own message would name no value."""
    assert "sidecar.injection.enabled: needs Kubernetes 1.36" in refusal("1.35.9")
    assert "failed to download openapi" in refusal("1.36.0")
