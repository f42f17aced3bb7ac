"""The templates refuse what is wrong together; the schema knows each value by itself."""

from typing import Any, Final

import helm_python as helm
import pytest

from tests.deploy.chart import (
    GATEWAY_VALUES,
    SIDECAR_VALUES,
    merged,
    render,
    render_application,
)


@pytest.mark.parametrize(
    ("example", "values", "message"),
    [
        ({}, {"image": {"repository": "signicat-proxy"}}, "clients: name at least one"),
        (GATEWAY_VALUES, {"routes": []}, "routes: several clients need routes"),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "other"}]},
            'routes: /a names the client "other"',
        ),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "auth"}, {"path": "/a/", "client": "sign"}]},
            "routes: /a/ stands twice",
        ),
        (
            GATEWAY_VALUES,
            {"routes": [{"path": "/a", "client": "auth"}]},
            'routes: no route uses the client "sign"',
        ),
        (GATEWAY_VALUES, {"image": {"repository": ""}}, "image.repository: say where"),
        (GATEWAY_VALUES, {"ports": {"admin": 8080}}, "ports: traffic and admin must differ"),
        (
            GATEWAY_VALUES,
            {"egressProxy": {"url": "http://proxy:3128", "secretName": "proxy"}},
            "egressProxy: give url or secretName",
        ),
        (GATEWAY_VALUES, {"autoscaling": {"minReplicas": 7}}, "autoscaling: minReplicas must not"),
        (
            GATEWAY_VALUES,
            {"settings": {"environment": "production"}},
            'settings.environment: is production, but the id of the client "auth" is for sandbox',
        ),
        (
            SIDECAR_VALUES,
            {"clients": {"shop": {"clientId": "prod-a"}}},
            'settings.environment: is sandbox, but the id of the client "shop" is for production',
        ),
        (
            GATEWAY_VALUES,
            {"gateway": {"drainSeconds": 31}},
            "gateway.terminationGracePeriodSeconds: is 45, but",
        ),
        (
            GATEWAY_VALUES,
            {"gateway": {"shutdownDelaySeconds": 16}},
            "gateway.terminationGracePeriodSeconds: is 45, but",
        ),
        (
            SIDECAR_VALUES,
            {"sidecar": {"applicationStopSeconds": 31}},
            "sidecar.terminationGracePeriodSeconds: is 40, but",
        ),
        (
            SIDECAR_VALUES,
            {"sidecar": {"terminationGracePeriodSeconds": 39}},
            "applicationStopSeconds, shutdownDelaySeconds, drainSeconds and 5 make 40",
        ),
        (
            GATEWAY_VALUES,
            {"ipFamily": "IPv4", "service": {"ipFamilies": ["IPv6"]}},
            "service.ipFamilies: has IPv6, but the pods listen on IPv4 alone",
        ),
        (
            GATEWAY_VALUES,
            {"service": {"ipFamilies": ["IPv4", "IPv6"]}},
            "service.ipFamilyPolicy: two families need PreferDualStack or RequireDualStack",
        ),
        (
            SIDECAR_VALUES,
            {"serviceMonitor": {"enabled": True}},
            "serviceMonitor.enabled: a sidecar has no Service; use podMonitor",
        ),
        (
            GATEWAY_VALUES,
            {"podMonitor": {"enabled": True, "podLabels": {"app": "shop"}}},
            "podMonitor.enabled: it is for sidecars; use serviceMonitor for a gateway",
        ),
        (
            SIDECAR_VALUES,
            {"podMonitor": {"enabled": True}},
            "podMonitor.podLabels: name the labels",
        ),
        (
            GATEWAY_VALUES,
            {"clients": {"third": {"secretName": "signicat-third"}}},
            "clients.third.clientId: give the id of the API client",
        ),
        (
            GATEWAY_VALUES,
            {"existingConfigMap": "own"},
            r"routes: stand in the file of existingConfigMap \(own\), not in values",
        ),
        (
            GATEWAY_VALUES,
            {"extraEnv": [{"name": "TZ", "value": "UTC"}, {"name": "TZ", "value": "CET"}]},
            "extraEnv: TZ stands twice",
        ),
        (
            GATEWAY_VALUES,
            {"extraVolumes": [{"name": "signicat-secret-auth", "emptyDir": {}}]},
            "extraVolumes: signicat-secret-auth is a name of the chart's own volumes",
        ),
        (
            GATEWAY_VALUES,
            {"gateway": {"topologyKeys": ["kubernetes.io/hostname"]}},
            r"gateway\.topologyKeys: is gone; give gateway\.topologySpreadConstraints, a list",
        ),
        (
            SIDECAR_VALUES,
            {"gateway": {"whenUnsatisfiable": "DoNotSchedule"}},
            r"gateway\.whenUnsatisfiable: is gone; give gateway\.topologySpreadConstraints",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    example: dict[str, Any], values: dict[str, Any], message: str
) -> None:
    """The refusal names the value; nothing is rendered."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(example, values))


PREFIX: Final = "SIGNICAT_PROXY_"
OWNED: Final = {
    "CONFIG_FILE": "existingConfigMap",
    "CLIENT_ID": "clients",
    "CLIENT_SECRET": "clients",
    "CLIENT_SECRET_FILE": "clients",
    "LISTEN": "ports",
    "ADMIN_LISTEN": "ports",
    "ALLOWED_HOSTS": "extraAllowedHosts",
    "ENVIRONMENT": "settings.environment",
    "EGRESS_PROXY": "egressProxy",
    "CA_FILE": "caBundle",
    "TLS_CERT_FILE": "tls",
    "TLS_KEY_FILE": "tls",
    "TLS_CLIENT_CA_FILE": "tls",
}
"""What the values below give the proxy, and where; the times depend on the mode."""
GIVEN: Final = {
    "caBundle": {"configMapName": "authority"},
    "egressProxy": {"secretName": "egress"},
    "settings": {"environment": "sandbox"},
}


@pytest.mark.parametrize("example", [GATEWAY_VALUES, SIDECAR_VALUES], ids=["gateway", "sidecar"])
def test_a_variable_of_the_charts_own_is_refused(example: dict[str, Any]) -> None:
    """In the environment it would win over the file, or over the chart's, without a word."""
    mode = example.get("mode", "gateway")
    times = {
        name: f"{mode}.{value}"
        for name, value in (
            ("DRAIN_SECONDS", "drainSeconds"),
            ("SHUTDOWN_DELAY_SECONDS", "shutdownDelaySeconds"),
        )
    }
    for name, where in {**OWNED, **times}.items():
        for written in (f"{PREFIX}{name}", f"{PREFIX}{name}".lower()):
            given = {**GIVEN, "extraEnv": [{"name": written, "value": "x"}]}
            message = f"extraEnv: {written} is set by the chart; give {where} instead"
            with pytest.raises(helm.HelmError, match=message):
                render(merged(example, given))


@pytest.mark.parametrize("example", [GATEWAY_VALUES, SIDECAR_VALUES], ids=["gateway", "sidecar"])
def test_a_setting_that_the_chart_leaves_can_come_from_elsewhere(example: dict[str, Any]) -> None:
    """A ConfigMap of one's own can give it; once values give it as well, it is refused."""
    source = {"configMapKeyRef": {"name": "own", "key": "level"}}
    given = {"extraEnv": [{"name": f"{PREFIX}LOG_LEVEL", "valueFrom": source}]}
    assert render(merged(example, given)) is not None
    with pytest.raises(helm.HelmError, match=r"give settings\.log_level instead"):
        render(merged(example, {**given, "settings": {"log_level": "info"}}))


def test_a_file_of_ones_own_needs_no_client_in_values() -> None:
    """Its clients can have their secrets wherever the pod has them."""
    values = {**GATEWAY_VALUES, "clients": {}, "routes": [], "existingConfigMap": "own"}
    assert "ConfigMap" not in {manifest["kind"] for manifest in render(values)}


def test_a_gateway_is_not_included_as_a_sidecar() -> None:
    """The named template says which value to set."""
    with pytest.raises(helm.HelmError, match="mode: set it to sidecar"):
        render_application(merged(SIDECAR_VALUES, {"mode": "gateway"}))
