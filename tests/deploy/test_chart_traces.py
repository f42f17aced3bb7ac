"""What the chart makes of `otel`: the standard variables, and a way to the collector."""

import re
from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest
from opentelemetry.sdk.resources import OTELResourceDetector

from proxy.tracing.sampling import Sampler
from proxy.tracing.settings import read_trace_settings
from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    merged,
    notes,
    only,
    render,
    render_application,
)
from tests.deploy.network_policy import Host, Pod, lets_out

ENDPOINT: Final = "http://collector.observability:4318"
ON: Final = {"otel": {"endpoint": ENDPOINT}}
IN_OBSERVABILITY: Final = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}
}
COLLECTOR: Final = Pod("observability", {"app": "collector"})
FIELDS: Final = {
    "metadata.name": "shop-7d9c-x2x",
    "metadata.namespace": "prod",
    "metadata.uid": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "spec.nodeName": "node-7.example.com",
}
"""What the kubelet finds in a pod."""
MODES: Final = pytest.mark.parametrize("values", [GATEWAY_VALUES, SIDECAR_VALUES])


def variables(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the variables of the proxy's container."""
    sidecar = values["mode"] == "sidecar" if "mode" in values else False
    manifests = render_application(values) if sidecar else render(values)
    pod = only(manifests, "Deployment")["spec"]["template"]["spec"]
    (container,) = [
        container
        for container in [*pod.get("initContainers", []), *pod["containers"]]
        if container["name"] == "signicat-proxy"
    ]
    found: list[dict[str, Any]] = container.get("env", [])
    return found


def as_the_kubelet(env: list[dict[str, Any]]) -> dict[str, str]:
    """Return the values; `$(NAME)` stands for a variable before it, and `$$(` for `$(`."""
    found: dict[str, str] = {}
    for variable in env:
        source = variable.get("valueFrom")
        if source is None:
            found[variable["name"]] = re.sub(
                r"\$\$\(|\$\((\w+)\)",
                lambda match: found[match[1]] if match[1] else "$(",
                variable["value"],
            )
        elif "fieldRef" in source:
            found[variable["name"]] = FIELDS[source["fieldRef"]["fieldPath"]]
    return found


@MODES
def test_without_an_endpoint_there_is_no_variable(values: dict[str, Any]) -> None:
    """Whoever traces nothing has nothing of it in the pod."""
    assert not [each for each in variables(values) if each["name"].startswith("OTEL_")]


@MODES
def test_the_proxy_reads_what_the_chart_writes(values: dict[str, Any]) -> None:
    """Endpoint and sampler, without a warning; the key is not in the manifest."""
    given = {
        "otel": {
            "endpoint": ENDPOINT,
            "headersSecret": {"name": "collector-key"},
            "sampler": "parentbased_traceidratio",
            "samplerArg": 0.25,
        }
    }
    env = variables(merged(values, given))
    environ = as_the_kubelet(env)
    assert environ["OTEL_EXPORTER_OTLP_ENDPOINT"] == ENDPOINT
    settings, warnings = read_trace_settings(environ)
    assert warnings == ()
    assert settings is not None
    assert settings.sampler == Sampler.named("parentbased_traceidratio", 0.25)
    (headers,) = [each for each in env if each["name"] == "OTEL_EXPORTER_OTLP_HEADERS"]
    assert headers["valueFrom"] == {"secretKeyRef": {"name": "collector-key", "key": "headers"}}


@MODES
def test_spans_say_which_pod_they_are_from(
    values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names of OpenTelemetry's conventions; text in values stays text."""
    own = {"deployment.environment.name": "100 %, a=$(HOME)", "service.namespace": "shop"}
    env = variables(merged(values, merged(ON, {"otel": {"resourceAttributes": own}})))
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", as_the_kubelet(env)["OTEL_RESOURCE_ATTRIBUTES"])
    assert OTELResourceDetector().detect().attributes == {
        "k8s.container.name": "signicat-proxy",
        "k8s.namespace.name": "prod",
        "k8s.node.name": "node-7.example.com",
        "k8s.pod.name": "shop-7d9c-x2x",
        "k8s.pod.uid": "0f8fad5b-d9cb-469f-a165-70867728950e",
        **own,
    }


def policy(values: dict[str, Any]) -> Manifest:
    """Return the NetworkPolicy, of which Kubernetes has nothing to complain."""
    found = only(render(merged(GATEWAY_VALUES, values)), "NetworkPolicy")
    kubernetes_validate.validate(found, kubernetes_validate.latest_version(), strict=True)
    return found


@pytest.mark.parametrize(
    ("otel", "port"),
    [
        ({"endpoint": ENDPOINT}, 4318),
        ({"endpoint": "https://otlp.example.com/otlp"}, 443),
        ({"endpoint": "http://collector"}, 80),
        ({"endpoint": "http://[2001:db8::1]:4318/"}, 4318),
        ({"endpoint": ENDPOINT, "podPort": 14318}, 14318),
    ],
)
def test_the_way_to_the_collector_is_open(otel: dict[str, Any], port: int) -> None:
    """At its port alone, and to those whom values name."""
    named = {"networkPolicy": {"collector": [IN_OBSERVABILITY]}}
    anywhere, there = policy({"otel": otel}), policy(merged({"otel": otel}, named))
    for found in (anywhere, there):
        assert lets_out(found, COLLECTOR, port)
        assert not lets_out(found, COLLECTOR, 4317)
    if port != 443:
        assert lets_out(anywhere, Host("192.0.2.1"), port)
        assert not lets_out(there, Host("192.0.2.1"), port)
        assert not lets_out(policy({}), COLLECTOR, port)
    assert lets_out(there, Host("192.0.2.1"), 443)


@pytest.mark.parametrize(
    ("endpoint", "rule", "port"),
    [
        ("https://otlp.example.com", {"toFQDNs": [{"matchName": "otlp.example.com"}]}, "443"),
        ("http://192.0.2.7:4318", {"toCIDR": ["192.0.2.7/32"]}, "4318"),
        ("http://[2001:db8::1]:4318", {"toCIDR": ["2001:db8::1/128"]}, "4318"),
    ],
)
def test_cilium_knows_the_collector_by_name(endpoint: str, rule: dict[str, Any], port: str) -> None:
    """With its own port: Signicat is not to be had there."""
    values = {"otel": {"endpoint": endpoint}, "networkPolicy": {"cilium": {"enabled": True}}}
    manifests = render(merged(GATEWAY_VALUES, values))
    rules = only(manifests, "CiliumNetworkPolicy")["spec"]["egress"]
    assert {**rule, "toPorts": [{"ports": [{"port": port, "protocol": "TCP"}]}]} in rules
    assert only(manifests, "NetworkPolicy")["spec"]["policyTypes"] == ["Ingress"]


def test_with_cilium_a_collector_in_the_cluster_is_named_by_its_pods() -> None:
    """Cilium knows no name of it; the two policies add up."""
    values = {"networkPolicy": {"collector": [IN_OBSERVABILITY], "cilium": {"enabled": True}}}
    manifests = render(merged(GATEWAY_VALUES, merged(ON, values)))
    rules = only(manifests, "CiliumNetworkPolicy")["spec"]["egress"]
    assert "collector" not in str(rules)
    found = only(manifests, "NetworkPolicy")
    assert lets_out(found, COLLECTOR, 4318)
    assert not lets_out(found, Host("192.0.2.1"), 443)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"otel": {"headersSecret": {"name": "a"}}}, "otel.headersSecret.name: is of no use"),
        ({"otel": {"sampler": "always_on"}}, "otel.sampler: is of no use"),
        ({"otel": {"resourceAttributes": {"a": "b"}}}, "otel.resourceAttributes: is of no use"),
        ({"networkPolicy": {"collector": [IN_OBSERVABILITY]}}, "networkPolicy.collector: is of"),
        (
            merged(ON, {"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "x"}]}),
            "extraEnv: OTEL_EXPORTER_OTLP_ENDPOINT is set by the chart; give otel.endpoint instead",
        ),
        (
            merged(ON, {"extraEnv": [{"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "a=b"}]}),
            "give otel.resourceAttributes instead",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(values: dict[str, Any], message: str) -> None:
    """The refusal names the value."""
    with pytest.raises(helm.HelmError, match=re.escape(message)):
        render(merged(GATEWAY_VALUES, values))


def test_other_variables_can_be_given_beside() -> None:
    """And all of them, where the chart sets none."""
    more = {"extraEnv": [{"name": "OTEL_SERVICE_NAME", "value": "shop-proxy"}]}
    assert {"name": "OTEL_SERVICE_NAME", "value": "shop-proxy"} in variables(
        merged(GATEWAY_VALUES, merged(ON, more))
    )
    alone = {"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": ENDPOINT}]}
    assert alone["extraEnv"][0] in variables(merged(GATEWAY_VALUES, alone))


def test_the_notes_name_the_secret() -> None:
    """It must be there before the pods start."""
    given = merged(ON, {"otel": {"headersSecret": {"name": "collector-key"}}})
    assert "get secret collector-key -o name" in notes(merged(GATEWAY_VALUES, given))
