"""Whom a NetworkPolicy lets in, read as Kubernetes defines it."""

from collections.abc import Mapping
from typing import Any

from tests.deploy.chart import Manifest

__all__ = ["lets_in"]


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Say whether a label selector selects, as Kubernetes defines it: every requirement holds."""
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(
        labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()
    ) and all(labels.get(expression["key"]) in expression["values"] for expression in expressions)


def lets_in(policy: Manifest, namespace: str, labels: Mapping[str, str], port: int) -> bool:
    """Say whether a policy lets a pod reach a port, as Kubernetes defines it.

    A peer without `namespaceSelector` is in the policy's own namespace, one without
    `podSelector` any pod; a rule without `from` or `ports` is for everybody, or every port.
    """
    names = {"kubernetes.io/metadata.name": namespace}
    return any(
        any(entry["port"] == port for entry in rule.get("ports", [{"port": port}]))
        and any(
            _selects(peer.get("podSelector", {}), labels)
            and (
                _selects(peer["namespaceSelector"], names)
                if "namespaceSelector" in peer
                else namespace == policy["metadata"]["namespace"]
            )
            for peer in rule.get("from", [{"namespaceSelector": {}}])
        )
        for rule in policy["spec"]["ingress"]
    )
