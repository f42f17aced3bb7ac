"""The chart's probes, asked as a kubelet asks them, while the token endpoint fails (A)."""

import asyncio
import itertools
from typing import Any, Final

import pytest

from tests.deploy.chart import GATEWAY_VALUES, SIDECAR_VALUES, merged, only, render
from tests.deploy.chart import render_application as render_sidecar
from tests.support.messages import assert_problem, reply, request
from tests.support.peers import Channel
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import within

pytestmark = pytest.mark.usefixtures("no_leaks")

WRONG_SECRET: Final = reply("400 Bad Request", body=b'{"error": "invalid_client"}')
SHORT_SECONDS: Final = 1.0
"""The life of a token that an outage outlasts."""


def gateway(**values: Any) -> dict[str, Any]:
    """Return the container of a gateway's pods; `values` are for the gateway."""
    manifests = render(merged(GATEWAY_VALUES, {"gateway": values}))
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


def sidecar(**settings: Any) -> dict[str, Any]:
    """Return the sidecar of the example application; `settings` are the proxy's."""
    manifests = render_sidecar(merged(SIDECAR_VALUES, {"settings": settings}))
    (container,) = only(manifests, "Deployment")["spec"]["template"]["spec"]["initContainers"]
    assert isinstance(container, dict)
    return container


async def asked(container: dict[str, Any], probe: str, proxy: RunningProxy) -> int:
    """Ask a probe of a container once, by the pod's address; return the status."""
    caller = await Channel.connect("127.0.0.1", proxy.admin_port)
    try:
        answer = await caller.ask(
            f"GET {container[probe]['httpGet']['path']} HTTP/1.1\r\n"
            "Host: 10.244.0.7:8081\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\n"
            "Connection: close\r\n\r\n".encode()
        )
    finally:
        caller.close()
    return answer.status


async def becomes(container: dict[str, Any], probe: str, proxy: RunningProxy, status: int) -> None:
    """Ask a probe until it has that status."""

    async def poll() -> None:
        for pause in itertools.repeat(0.02):
            if await asked(container, probe, proxy) == status:
                return
            await asyncio.sleep(pause)

    await within(poll(), f"{probe} to become {status}")


async def test_an_outage_of_the_token_endpoint_takes_no_gateway_out_of_its_service(
    tokens: TokenServer,
) -> None:
    """By default: callers get our 503 and not a refused connection; `true` gates on a token."""
    by_default, on_a_token = gateway(), gateway(gatesReadiness=True)
    tokens.expires_in = SHORT_SECONDS
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        assert (await proxy.ask(request("GET /"))).status == 200
        for container in (by_default, on_a_token):
            assert await asked(container, "readinessProbe", proxy) == 200
        tokens.failure = reply("503 Service Unavailable")
        await proxy.admin("POST /-/refresh")
        await becomes(on_a_token, "readinessProbe", proxy, 503)
        assert await asked(by_default, "readinessProbe", proxy) == 200
        assert_problem(await proxy.ask(request("GET /")), 503, "token_unavailable")
        assert await asked(by_default, "livenessProbe", proxy) == 200


@pytest.mark.parametrize("values", [{}, {"gatesReadiness": True}], ids=["default", "token"])
async def test_a_wrong_secret_stops_a_rollout(tokens: TokenServer, values: dict[str, Any]) -> None:
    """A new pod that never had a token is not ready, so the old ones stay (A)."""
    container = gateway(**values)
    tokens.failure = WRONG_SECRET
    async with proxied(tokens, reply(), token_wait_seconds=0.1) as (proxy, _):
        await becomes(container, "startupProbe", proxy, 200)
        assert await asked(container, "readinessProbe", proxy) == 503
        tokens.failure = None
        await proxy.admin("POST /-/refresh")
        await becomes(container, "readinessProbe", proxy, 200)


async def test_a_gateway_that_drains_is_not_ready(tokens: TokenServer) -> None:
    """The first token of long ago keeps no draining pod in the Service (C2)."""
    container = gateway()
    async with proxied(tokens, reply(), shutdown_delay_seconds=60) as (proxy, _):
        await becomes(container, "readinessProbe", proxy, 200)
        proxy.stop()
        assert await asked(container, "readinessProbe", proxy) == 503
        assert (await proxy.ask(request("GET /"))).status == 200


async def test_behind_a_start_up_deadline_no_application_starts_without_a_token(
    tokens: TokenServer,
) -> None:
    """The kubelet starts the application of a Job once the sidecar's start-up probe succeeds."""
    container = sidecar(startup_deadline_seconds=60)
    tokens.failure = reply("503 Service Unavailable")
    async with proxied(tokens, reply(), startup_deadline_seconds=60) as (proxy, _):
        await proxy.metric_becomes(1, "token_consecutive_failures")
        assert await asked(container, "startupProbe", proxy) == 503
        tokens.failure = None
        await becomes(container, "startupProbe", proxy, 200)
        assert await asked(container, "livenessProbe", proxy) == 200
    assert container["startupProbe"]["failureThreshold"] > 60


async def test_without_a_deadline_an_outage_holds_no_application_back(tokens: TokenServer) -> None:
    """The first attempt is enough: an application that serves people can do without Signicat."""
    tokens.failure = reply("503 Service Unavailable")
    async with proxied(tokens, reply()) as (proxy, _):
        await becomes(sidecar(), "startupProbe", proxy, 200)
