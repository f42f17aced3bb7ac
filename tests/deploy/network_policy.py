"""Whom a NetworkPolicy lets in and out, read as Kubernetes defines it."""

import ipaddress
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.deploy.chart import Manifest

__all__ = ["Host", "Pod", "lets_in", "lets_out", "selects"]


class Pod(NamedTuple):
    """A pod at one end of a connection."""

    namespace: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str] = {}


class Host(NamedTuple):
    """An address at one end of a connection that is no pod's."""

    address: str


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector selects, as Kubernetes defines it: every requirement holds."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    return all(
        labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()
    ) and all(_holds(expression, labels) for expression in selector.get("matchExpressions", []))


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":  # also where there is no such label
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise AssertionError(expression)


def _is_meant(peer: Mapping[str, Any], other: Pod | Host, own_namespace: str) -> bool:
    """Say whether a peer of a rule is the one at the other end.

    A peer without `namespaceSelector` is in the policy's own namespace, one without
    `podSelector` any pod.
    """
    if "ipBlock" in peer:
        assert set(peer) == {"ipBlock"}, "Kubernetes takes no selector beside it"
        return isinstance(other, Host) and _is_in_block(other.address, peer["ipBlock"])
    assert peer, "Kubernetes takes no empty peer"
    if isinstance(other, Host):
        return False
    names = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
    return selects(peer.get("podSelector", {}), other.labels) and (
        selects(peer["namespaceSelector"], names)
        if "namespaceSelector" in peer
        else other.namespace == own_namespace
    )


def _is_in_block(address: str, block: Mapping[str, Any]) -> bool:
    found = ipaddress.ip_address(address)
    return found in ipaddress.ip_network(block["cidr"]) and not any(
        found in ipaddress.ip_network(hole) for hole in block.get("except", [])
    )


def _allows(
    policy: Manifest, direction: str, other: Pod | Host, port: int, protocol: str = "TCP"
) -> bool:
    """Say whether a rule allows it; one without peers is for everybody, without ports for all."""
    rules, peers = {"Ingress": ("ingress", "from"), "Egress": ("egress", "to")}[direction]
    if direction not in policy["spec"]["policyTypes"]:
        return True
    return any(
        any(
            entry["port"] == port and entry["protocol"] == protocol
            for entry in rule.get("ports", [{"port": port, "protocol": protocol}])
        )
        and (
            not rule.get(peers)
            or any(_is_meant(peer, other, policy["metadata"]["namespace"]) for peer in rule[peers])
        )
        for rule in policy["spec"].get(rules, [])
    )


def lets_in(policy: Manifest, caller: Pod | Host, port: int) -> bool:
    """Say whether a policy lets somebody reach a port of its pods, as Kubernetes defines it."""
    return _allows(policy, "Ingress", caller, port)


def lets_out(policy: Manifest, target: Pod | Host, port: int, protocol: str = "TCP") -> bool:
    """Say whether a policy lets its pods reach a port of somebody, as Kubernetes defines it."""
    return _allows(policy, "Egress", target, port, protocol)
