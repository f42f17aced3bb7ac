"""Values and what Helm makes of them, for the tests that look at manifests."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.deploy.chart import (
    DEFAULTS,
    EXAMPLE,
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    Manifest,
    documents,
    merged,
    only,
    render,
    render_application,
)

__all__ = [
    "CASES",
    "EVERYTHING",
    "EVERYTHING_BESIDE",
    "FULL",
    "OWN",
    "RENDERED",
    "ROUTED",
    "SCRAPED",
    "containers",
    "fitting",
    "pod_of",
    "proxy_of",
]

OWN: Final = {
    "labels": {"release": "prometheus"},
    "annotations": {"example.com/note": "any text"},
}
"""Labels and annotations that values give to an object."""

RESOURCES: Final = {
    "requests": {"cpu": 0.25, "memory": 134217728, "ephemeral-storage": "16Mi"},
    "limits": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "32Mi"},
}
HELPER: Final = {
    "image": "images.example.com/helper:1.0.0",
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsUser": 10003,
    },
}
"""Another container of the pod, as shut as the proxy's."""


def peer() -> dict[str, Any]:
    """Return a policy's peer with every key; that not all go together is Kubernetes' to say."""
    block = {"cidr": "192.0.2.0/24", "except": ["192.0.2.9/32"]}
    return {"namespaceSelector": {}, "podSelector": {}, "ipBlock": block}


LOAD: Final = {"type": "Utilization", "averageUtilization": 80}
SCRAPED: Final = {
    "namespace": "monitoring",
    "scrapeTimeout": "10s",
    "jobLabel": "app.kubernetes.io/name",
    "scheme": "https",
    "tlsConfig": {"insecureSkipVerify": True},
    "relabelings": [{"targetLabel": "cluster", "replacement": "north"}],
    "metricRelabelings": [
        {"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"},
    ],
}
"""How Prometheus asks, with every value of a monitor."""

FULL: Final = merged(
    merged(DEFAULTS, GATEWAY_VALUES),
    {
        "x-note": [{"of": "ours"}],
        "commonLabels": {"cost-centre": "42"},
        "commonAnnotations": {"example.com/owner": "identity"},
        "global": {
            "of": "a parent",
            "imageRegistry": "images.example.com/hub",
            "imagePullSecrets": ["mirror"],
        },
        "imagePullSecrets": ["registry", {"name": "mirror"}],
        "configMap": OWN,
        "extraAllowedHosts": ["signicat.internal"],
        "callers": {
            "shop": {
                "keySecretName": "shop-key",
                "keySecretKey": "value",
                "keySha256": ["0123456789abcdef" * 4],
                "certificate": ["spiffe://example.com/ns/shop/sa/default", "shop.example.com"],
                "clients": ["sign"],
                "maxInFlight": 40,
            },
            "batch": {"keySha256": ["fedcba9876543210" * 4, "0123456789abcdef" * 4]},
        },
        "tls": {"secretName": "gateway-tls", "clientCA": {"enabled": True}},
        "otel": {
            "endpoint": "http://collector.observability:4318",
            "headersSecret": {"name": "collector-key"},
            "sampler": "parentbased_traceidratio",
            "samplerArg": 0.25,
            "resourceAttributes": {"deployment.environment.name": "a, b=$(HOME)"},
        },
        "clients": {
            "auth": {
                "secretKey": "secret",
                "secretFile": "/vault/secrets/auth",
                "previousSecretKey": "previous",
                "previousSecretFile": "/vault/secrets/auth-before",
                "volume": {"csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}},
                "keyId": "k1",
                "certFile": "/vault/secrets/auth.crt",
                "clientAuth": "client_secret_post",
                "tokenUrl": "https://api.signicat.com/auth/open/connect/token",
                "scope": "signicat-api",
            }
        },
        "routes": [
            {"path": "/auth/rest", "client": "auth", "methods": ["GET"]},
            {"path": "/sign", "client": "sign"},
        ],
        "settings": {
            "client_auth": "client_secret_basic",
            "token_url": "https://api.signicat.com/auth/open/connect/token",
            "scope": "signicat-api",
            "upstream_url": "https://api.signicat.com",
            "environment": "sandbox",
            "placeholder_token": True,
            "allowed_origins": ["https://shop.example.com"],
            "allowed_paths": ["/auth/rest", "/sign"],
            "allowed_methods": ["GET", "POST"],
            "connect_timeout_seconds": 4,
            "read_timeout_seconds": 50.5,
            "head_timeout_seconds": 9,
            "caller_idle_seconds": 60,
            "upstream_idle_seconds": 20,
            "token_timeout_seconds": 12.5,
            "token_wait_seconds": 4,
            "startup_deadline_seconds": 60,
            "max_upstream_connections": 200,
            "max_replay_bytes": 16777216,
            "no_proxy": ["10.0.0.0/8", "internal"],
            "log_level": "debug",
            "log_format": "json",
            "access_log": "errors",
            "unsafe_plain_http": False,
        },
        "lifecycle": {"preStop": {"exec": {"command": ["signicat-proxy", "health"]}}},
        "extraEnv": [
            {
                "name": "NODE",
                "value": "",  # the two exclude each other, unless it is empty
                "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}},
            },
            {"name": "TZ", "value": "Europe/Oslo"},
        ],
        "extraVolumes": [{"name": "extra", "configMap": {"name": "extra"}}],
        "extraVolumeMounts": [{"name": "extra", "mountPath": "/extra", "readOnly": True}],
        "sidecar": {"injection": OWN, "resources": RESOURCES, "container": {"workingDir": "/app"}},
        "gateway": {
            **OWN,
            "resources": RESOURCES,
            "podLabels": {"team": "identity"},
            "podAnnotations": {"example.com/note": "any text"},
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [
                {
                    "key": "dedicated",
                    "operator": "Equal",
                    "value": "identity",
                    "effect": "NoExecute",
                    "tolerationSeconds": 60,
                }
            ],
            "priorityClassName": "high",
            "affinity": {"podAntiAffinity": {}},
            "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["api.signicat.com"]}],
            "minReadySeconds": 5,
            "extraContainers": [{**HELPER, "name": "exporter"}],
            "extraInitContainers": [{**HELPER, "name": "fetch"}],
            "container": {"workingDir": "/app"},
            "podSpec": {"schedulerName": "batch"},
        },
        "helmTest": {**OWN, "resources": RESOURCES},
        "service": {
            **OWN,
            "ipFamilyPolicy": "PreferDualStack",
            "ipFamilies": ["IPv4", "IPv6"],
            "trafficDistribution": "",
        },
        "metricsService": OWN,
        "serviceAccount": {"name": "signicat", **OWN},
        "autoscaling": {
            "saturation": {"enabled": True},
            "metrics": [{"type": "Resource", "resource": {"name": "memory", "target": LOAD}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
            "keda": {
                "serverAddress": "http://prometheus.monitoring:9090",
                "query": "vector(1)",
                "authenticationRef": "prometheus",
                "triggers": [{"type": "cron"}],
            },
            **OWN,
        },
        "podDisruptionBudget": OWN,
        "networkPolicy": {
            "callerNamespaces": ["shop"],
            "callers": [peer()],
            "monitoring": [peer()],
            "egress": [peer()],
            "collector": [peer()],
            "extraIngress": [{"from": [peer()]}],
            "extraEgress": [{"to": [peer()]}],
            "cilium": {"names": ["*.example.com"]},
            **OWN,
        },
        "serviceMonitor": {**SCRAPED, **OWN},
        "podMonitor": {
            "podLabels": {"app": "shop"},
            "namespaces": ["shop", "bank"],
            **SCRAPED,
            **OWN,
        },
        "prometheusRule": {
            **OWN,
            "runbookUrl": "https://git.example.com/docs/runbook.md",
            "alertLabels": {"team": "identity"},
            "rules": {
                "SignicatProxyDown": {
                    "disabled": False,
                    "for": "10m",
                    "severity": "page",
                    "labels": {"page": "true"},
                }
            },
        },
        "grafanaDashboard": OWN,
        "extraObjects": [
            "{apiVersion: v1, kind: Secret, metadata: {name: '{{ .Release.Name }}-text'}}",
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "{{ .Release.Name }}-table"},
            },
        ],
    },
)
"""Every value there is, each valid; `fitting` takes away what does not go together."""


def fitting(values: dict[str, Any]) -> dict[str, Any]:
    """Return the full values with one place of the secret for each client, and of each key."""
    found: dict[str, Any] = copy.deepcopy(values)
    for place in ("secretFile", "previousSecretFile", "keyId", "certFile", "volume"):
        del found["clients"]["auth"][place]
    del found["callers"]["shop"]["keySha256"]
    return found


EVERYTHING: Final = merged(
    fitting(FULL),
    {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "grafanaDashboard")},
)
"""A gateway with every object."""

EVERYTHING_BESIDE: Final = merged(
    {name: value for name, value in EVERYTHING.items() if name not in {"callers", "tls"}},
    {
        "mode": "sidecar",
        "serviceMonitor": {"enabled": False},
        "podMonitor": {"enabled": True},
    },
)
"""A sidecar with every object; on loopback no caller needs a proof."""

ROUTED: Final = {"routes": [{"path": "/", "client": "shop"}]}
RENDERED: Final[Mapping[str, list[Manifest]]] = {
    "gateway": render(GATEWAY_VALUES),
    "gateway with everything": render(EVERYTHING),
    "sidecar": render_application(SIDECAR_VALUES),
    "sidecar with a file": render_application(merged(SIDECAR_VALUES, ROUTED)),
    "sidecar with everything": render_application(
        merged(
            EVERYTHING_BESIDE,
            {
                "sidecar": {"gatesReadiness": True},
                "routes": [*EVERYTHING["routes"], {"path": "/shop", "client": "shop"}],
            },
        )
    ),
    "sidecar by hand": documents(EXAMPLE.read_text("utf-8")),
}
CASES: Final = list(RENDERED)


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


def containers(case: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each container of a case's pods, with what its pod says."""
    pod = pod_of(case)
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        yield container, pod.get("securityContext", {})
