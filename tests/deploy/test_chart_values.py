"""The templates refuse what is wrong together; the schema knows each value by itself."""

from typing import Any

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
            SIDECAR_VALUES,
            {"podMonitor": {"enabled": True}},
            "podMonitor.podLabels: name the labels",
        ),
    ],
)
def test_values_that_do_not_go_together_are_refused(
    example: dict[str, Any], values: dict[str, Any], message: str
) -> None:
    """The refusal names the value; nothing is rendered."""
    with pytest.raises(helm.HelmError, match=message):
        render(merged(example, values))


def test_a_gateway_is_not_included_as_a_sidecar() -> None:
    """The named template says which value to set."""
    with pytest.raises(helm.HelmError, match="mode: set it to sidecar"):
        render_application(merged(SIDECAR_VALUES, {"mode": "gateway"}))
