"""Whom the gateway's NetworkPolicy lets through, and what it lets the gateway reach."""

from typing import Any, Final

import helm_python as helm
import kubernetes_validate
import pytest

from tests.deploy.chart import GATEWAY_VALUES, Manifest, merged, notes, only, render
from tests.deploy.network_policy import Host, Pod, lets_in, lets_out, selects

CALLER: Final = {"signicat-proxy-client": "true", "app": "shop"}


@pytest.mark.parametrize(
    ("namespaces", "namespace", "labels", "port", "expected"),
    [
        ([], "prod", CALLER, 8080, True),
        ([], "prod", CALLER, 8081, False),
        ([], "prod", {"app": "shop"}, 8080, False),
        ([], "prod", {"signicat-proxy-client": "false"}, 8080, False),
        ([], "other", CALLER, 8080, False),
        ([], "monitoring", {}, 8081, True),
        ([], "monitoring", {}, 8080, False),
        ([], "monitoring", CALLER, 8080, False),
        (["shop", "bank"], "shop", CALLER, 8080, True),
        (["shop", "bank"], "bank", CALLER, 8080, True),
        (["shop", "bank"], "bank", {}, 8080, False),
        (["shop", "bank"], "prod", CALLER, 8080, False),
        (["shop", "bank"], "shop", CALLER, 8081, False),
        ([], "prod", CALLER, 22, False),
    ],
)
def test_only_labelled_callers_reach_the_traffic_port(
    namespaces: list[str], namespace: str, labels: dict[str, str], port: int, *, expected: bool
) -> None:
    """Label and namespace both count; the monitoring reaches the admin port and nothing else."""
    values = {"networkPolicy": {"callerNamespaces": namespaces}}
    policy = only(render(merged(GATEWAY_VALUES, values)), "NetworkPolicy")
    assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}
    assert lets_in(policy, Pod(namespace, labels), port) is expected


@pytest.mark.parametrize(
    ("namespaces", "namespace", "port", "expected"),
    [
        (["observability", "monitoring"], "observability", 8081, True),
        (["observability", "monitoring"], "monitoring", 8081, True),
        (["observability"], "monitoring", 8081, False),
        (["observability"], "observability", 8080, False),
        ([], "monitoring", 8081, False),
        ([], "prod", 8081, False),
    ],
)
def test_the_monitoring_is_where_the_values_say(
    namespaces: list[str], namespace: str, port: int, *, expected: bool
) -> None:
    """Each namespace that is named reaches the admin port, and no other; none is possible."""
    values = {"networkPolicy": {"monitoringNamespaces": namespaces}}
    policy = only(render(merged(GATEWAY_VALUES, values)), "NetworkPolicy")
    kubernetes_validate.validate(policy, kubernetes_validate.latest_version(), strict=True)
    assert lets_in(policy, Pod(namespace, {}), port) is expected


def test_the_gateway_reaches_dns_and_the_ports_that_are_named() -> None:
    """Whatever the process is made to do, it connects to no other port."""
    values = {"networkPolicy": {"egressPorts": [443, 3128]}}
    egress = only(render(merged(GATEWAY_VALUES, values)), "NetworkPolicy")["spec"]["egress"]
    open_ports = {(port["protocol"], port["port"]) for rule in egress for port in rule["ports"]}
    assert open_ports == {("UDP", 53), ("TCP", 53), ("TCP", 443), ("TCP", 3128)}


SHUT_PORTS: dict[str, tuple[dict[str, Any], str | None]] = {
    "upstream": ({"settings": {"upstream_url": "https://a.test:8443"}}, "8443"),
    "token endpoint": ({"settings": {"token_url": "https://a.test:9443/token"}}, "9443"),
    "a client's": ({"clients": {"sign": {"tokenUrl": "https://[2001:db8::1]:444/t"}}}, "444"),
    "plain": ({"settings": {"upstream_url": "http://a.test"}}, "80"),
    "in a file of your own": (
        {"existingConfigMap": "a", "routes": [], "networkPolicy": {"egressPorts": [8443]}},
        None,
    ),
    "of values": ({"settings": {"upstream_url": "https://[2001:db8::1]/443"}}, None),
    "by default": ({"networkPolicy": {"egressPorts": [8443]}}, "443"),
    "by rules of their own": (
        {"networkPolicy": {"egressPorts": [8443], "extraEgress": [{"to": [{"podSelector": {}}]}]}},
        None,
    ),
    "egress proxy": ({"egressProxy": {"url": "http://proxy.test:3128"}}, "3128"),
    "behind one": (
        {
            "egressProxy": {"url": "https://proxy.test"},
            "settings": {"upstream_url": "https://a.test:8443"},
        },
        None,
    ),
    "opened": (
        {
            "settings": {"upstream_url": "https://a.test:8443"},
            "networkPolicy": {"egressPorts": [443, 8443]},
        },
        None,
    ),
    "no policy": (
        {
            "settings": {"upstream_url": "https://a.test:8443"},
            "networkPolicy": {"enabled": False},
        },
        None,
    ),
}


@pytest.mark.parametrize(("values", "port"), SHUT_PORTS.values(), ids=SHUT_PORTS)
def test_a_port_that_the_policy_shuts_is_refused(values: dict[str, Any], port: str | None) -> None:
    """What the proxy must reach is open, or the chart says which port is not."""
    if port is None:
        assert render(merged(GATEWAY_VALUES, values))
    else:
        with pytest.raises(helm.HelmError, match=f"egressPorts: lacks {port}, the port of"):
            render(merged(GATEWAY_VALUES, values))


TEAM: Final = {"namespaceSelector": {"matchLabels": {"team": "shop"}}}
PEERS: Final[list[dict[str, Any]]] = [
    TEAM,
    {"podSelector": {"matchExpressions": [{"key": "role", "operator": "Exists"}]}},
    {
        "namespaceSelector": {
            "matchExpressions": [{"key": "stage", "operator": "NotIn", "values": ["test"]}]
        },
        "podSelector": {"matchLabels": {"app": "bank"}},
    },
    {"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.9.0.0/16"]}},
]


def policies(values: dict[str, Any]) -> dict[str, Manifest]:
    """Return the policies by kind; Kubernetes' own is valid."""
    found = {
        manifest["kind"]: manifest
        for manifest in render(merged(GATEWAY_VALUES, values))
        if manifest["kind"].endswith("NetworkPolicy")
    }
    for version in ("1.29", kubernetes_validate.latest_version()):
        kubernetes_validate.validate(found["NetworkPolicy"], version, strict=True)
    return found


@pytest.mark.parametrize(
    ("other", "as_caller", "as_monitoring"),
    [
        (Pod("shop", CALLER, {"team": "shop"}), True, True),
        (Pod("shop", {"app": "shop"}, {"team": "shop"}), False, True),
        (Pod("shop", CALLER, {"team": "other", "stage": "test"}), False, False),
        (Pod("prod", {"role": "any"}), True, True),
        (Pod("shop", {"role": "any"}), False, False),
        (Pod("bank", {"app": "bank"}, {"stage": "live"}), True, True),
        (Pod("bank", {"app": "bank"}, {"stage": "test"}), False, False),
        (Host("10.1.2.3"), True, True),
        (Host("10.9.2.3"), False, False),
        (Host("192.0.2.1"), False, False),
    ],
)
def test_selectors_and_addresses_let_in_whom_they_mean(
    other: Pod | Host, *, as_caller: bool, as_monitoring: bool
) -> None:
    """A namespace alone lets in its labelled callers; the monitoring needs no label."""
    policy = policies({"networkPolicy": {"callers": PEERS, "monitoring": PEERS}})["NetworkPolicy"]
    assert lets_in(policy, other, 8080) is as_caller
    assert lets_in(policy, other, 8081) is as_monitoring
    shut = policies({})["NetworkPolicy"]
    assert not lets_in(shut, other, 8080)
    assert not lets_in(shut, other, 8081)


def test_further_rules_are_added() -> None:
    """What no value foresees is a rule of its own, and takes nothing away."""
    peer = {"podSelector": {"matchLabels": {"app": "cache"}}}
    ports = [{"port": 6379, "protocol": "TCP"}]
    policy = policies(
        {
            "networkPolicy": {
                "extraIngress": [{"from": [peer], "ports": ports}],
                "extraEgress": [{"to": [peer], "ports": ports}],
            }
        }
    )["NetworkPolicy"]
    cache = Pod("prod", {"app": "cache"})
    assert lets_in(policy, cache, 6379)
    assert lets_out(policy, cache, 6379)
    assert not lets_out(policy, Host("192.0.2.1"), 6379)
    assert lets_in(policy, Pod("prod", CALLER), 8080)
    assert lets_out(policy, Host("192.0.2.1"), 443)
    assert not lets_out(policies({})["NetworkPolicy"], cache, 6379)


@pytest.mark.parametrize(
    ("target", "port", "expected"),
    [
        (Host("192.0.2.7"), 443, True),
        (Host("198.51.100.1"), 443, False),
        (Host("192.0.2.7"), 8443, False),
        (Pod("egress", {"app": "squid"}), 443, True),
        (Pod("egress", {"app": "other"}), 443, False),
    ],
)
def test_the_ports_can_be_held_to_addresses_and_pods(
    target: Pod | Host, port: int, *, expected: bool
) -> None:
    """The proxy connects to no other address; DNS stays open to all."""
    to = [
        {"ipBlock": {"cidr": "192.0.2.0/24"}},
        {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": "squid"}}},
    ]
    policy = policies({"networkPolicy": {"egress": to}})["NetworkPolicy"]
    assert lets_out(policy, target, port) is expected
    assert lets_out(policy, Host("169.254.20.10"), 53, "UDP")


def test_the_port_of_a_proxys_pods_is_open() -> None:
    """A policy sees a connection to a Service at the pod's port, which the URL does not say."""
    squid = Pod("egress", {"app": "squid"})
    proxy = {"url": "http://squid.egress:3128", "podPort": 8888}
    policy = policies({"egressProxy": proxy})["NetworkPolicy"]
    assert lets_out(policy, squid, 8888)
    assert not lets_out(policy, squid, 3128)
    in_a_secret = {"secretName": "egress", "podPort": 8888}
    assert lets_out(policies({"egressProxy": in_a_secret})["NetworkPolicy"], squid, 8888)


def test_the_dns_servers_of_openshift_can_be_reached() -> None:
    """Its pods listen on 5353, which a policy sees behind their Service's 53."""
    policy = policies({"networkPolicy": {"dnsPorts": [53, 5353]}})["NetworkPolicy"]
    for port, protocol in ((53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")):
        assert lets_out(policy, Pod("openshift-dns", {}), port, protocol)
    assert not lets_out(policies({})["NetworkPolicy"], Pod("openshift-dns", {}), 5353, "UDP")


BY_NAME: Final[list[tuple[dict[str, Any], list[dict[str, str]], list[str]]]] = [
    ({}, [{"matchName": "api.signicat.com"}], []),
    (
        {
            "settings": {"upstream_url": "https://a.test:443/x"},
            "clients": {"sign": {"tokenUrl": "https://b.test/token"}},
            "networkPolicy": {"cilium": {"names": ["*.c.test"]}},
        },
        [
            {"matchName": "b.test"},
            {"matchName": "api.signicat.com"},
            {"matchName": "a.test"},
            {"matchPattern": "*.c.test"},
        ],
        [],
    ),
    (
        {"settings": {"upstream_url": "https://[2001:db8::1]:443"}},
        [{"matchName": "api.signicat.com"}],
        ["2001:db8::1/128"],
    ),
    ({"egressProxy": {"url": "https://192.0.2.7"}}, [], ["192.0.2.7/32"]),
    (
        {
            "egressProxy": {"secretName": "egress"},
            "networkPolicy": {"cilium": {"names": ["proxy.test"]}},
        },
        [{"matchName": "proxy.test"}],
        [],
    ),
]


@pytest.mark.parametrize(("values", "names", "addresses"), BY_NAME)
def test_cilium_holds_the_ports_to_the_names_of_the_values(
    values: dict[str, Any], names: list[dict[str, str]], addresses: list[str]
) -> None:
    """Policies add up, so the other one then says nothing of what goes out."""
    cilium = {"networkPolicy": {"cilium": {"enabled": True}}}
    found = policies(merged(values, cilium))
    assert found["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress"]
    assert "egress" not in found["NetworkPolicy"]["spec"]
    spec = found["CiliumNetworkPolicy"]["spec"]
    assert set(spec) == {"endpointSelector", "egress"}
    pods = found["NetworkPolicy"]["spec"]["podSelector"]
    assert selects(spec["endpointSelector"], pods["matchLabels"])
    assert [rule for rule in spec["egress"] if "toFQDNs" in rule or "toCIDR" in rule] == [
        {kind: peers, "toPorts": [{"ports": [{"port": "443", "protocol": "TCP"}]}]}
        for kind, peers in (("toCIDR", addresses), ("toFQDNs", names))
        if peers
    ]
    (dns,) = [rule for rule in spec["egress"] if "toEndpoints" in rule]
    assert dns["toPorts"] == [
        {
            "ports": [{"port": "53", "protocol": "ANY"}],
            "rules": {"dns": [{"matchPattern": "*"}]},
        }
    ]


def test_cilium_and_addresses_add_up() -> None:
    """A proxy in the cluster has no name that Cilium knows: it is let through by its pods."""
    squid = {"podSelector": {"matchLabels": {"app": "squid"}}}
    found = policies(
        {
            "egressProxy": {"url": "http://squid:443"},
            "networkPolicy": {"egress": [squid], "cilium": {"enabled": True}},
        }
    )
    assert lets_out(found["NetworkPolicy"], Pod("prod", {"app": "squid"}), 443)
    assert not lets_out(found["NetworkPolicy"], Host("192.0.2.1"), 443)
    assert not lets_out(found["NetworkPolicy"], Host("192.0.2.1"), 53, "UDP")


@pytest.mark.parametrize(
    "where", [{"egressProxy": {"secretName": "egress"}}, {"existingConfigMap": "a", "routes": []}]
)
def test_a_name_that_nobody_knows_is_asked_for(where: dict[str, Any]) -> None:
    """A policy without the host in the Secret or ConfigMap would end in a silent timeout."""
    values = {**where, "networkPolicy": {"cilium": {"enabled": True}}}
    with pytest.raises(helm.HelmError, match=r"cilium\.names: name the hosts, which"):
        render(merged(GATEWAY_VALUES, values))


def test_the_notes_say_who_is_let_in() -> None:
    """Each peer stands in a line, in words."""
    text = notes(
        merged(
            GATEWAY_VALUES,
            {
                "networkPolicy": {
                    "callerNamespaces": ["shop", "bank"],
                    "callers": PEERS,
                    "monitoringNamespaces": [],
                    "monitoring": [{"podSelector": {}}],
                    "extraIngress": [{"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}],
                }
            },
        )
    )
    label = "signicat-proxy-client=true"
    named = "kubernetes.io/metadata.name in (shop,bank)"
    for line in (
        f"  - pods: {label}; namespaces: {named}",
        f"  - pods: {label}; namespaces: team=shop",
        "  - pods: role; namespace: prod",
        "  - pods: app=bank; namespaces: stage notin (test)",
        "  - addresses in 10.0.0.0/8, except 10.9.0.0/16",
        "  - pods: all; namespace: prod",
        "networkPolicy.extraIngress lets in more:",
    ):
        assert f"{line}\n" in text
    assert "nobody but the kubelet" not in text


@pytest.mark.parametrize("families", [["IPv6"], ["IPv4", "IPv6"]])
def test_the_services_have_the_families_of_the_values(families: list[str]) -> None:
    """Callers and Prometheus reach the pods by either; by default the cluster decides."""
    chosen = {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": families}
    for values, expected in ((chosen, chosen), ({}, {})):
        services = [
            manifest["spec"]
            for manifest in render(merged(GATEWAY_VALUES, {"service": values}))
            if manifest["kind"] == "Service"
        ]
        assert len(services) == 2
        for spec in services:
            assert {k: v for k, v in spec.items() if k.startswith("ipFamil")} == expected
