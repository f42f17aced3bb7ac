"""Which trace a duration was of, as a scrape is told (O5)."""

import re

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.running_proxy import RunningProxy
from tests.support.token_server import TokenServer
from tests.support.traced import SAMPLED, TRACE, UNSAMPLED, traced
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

EXEMPLAR = re.compile(
    r"signicat_proxy_(\w+)_seconds_bucket\{(?:[^{}]*)\} \S+ # \{trace_id=\"(\w+)\"\} \S+ \S+"
)
OPENMETRICS = "application/openmetrics-text"


async def exemplars(proxy: RunningProxy) -> list[tuple[str, str]]:
    """Return histogram and trace id of each exemplar."""
    answer = await proxy.admin("GET /metrics", f"Accept: {OPENMETRICS};version=1.0.0, */*;q=0.1")
    assert answer.head.value("Content-Type") == f"{OPENMETRICS}; version=1.0.0; charset=utf-8"
    assert answer.body.endswith(b"\n# EOF\n")
    return EXEMPLAR.findall(answer.body.decode())


async def test_a_sampled_request_leaves_its_trace(tokens: TokenServer) -> None:
    """Beside its whole duration and the upstream's; the plain format is as it was."""
    async with traced(tokens, reply()) as (proxy, _, _):
        await proxy.ask(request("GET /", UNSAMPLED))
        assert await exemplars(proxy) == []
        await proxy.ask(request("GET /", SAMPLED))
        assert await exemplars(proxy) == [("request_duration", TRACE), ("upstream_duration", TRACE)]
        plain = await proxy.admin("GET /metrics")
        assert plain.head.value("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
        assert TRACE.encode() not in plain.body


async def test_a_token_request_leaves_its_own(tokens: TokenServer) -> None:
    """It is a trace of its own, so one of the collector's."""
    async with traced(tokens, reply(), "always_on") as (proxy, _, collector):
        await eventually(lambda: any(e["event"] == "token_request" for e in proxy.logs), "a token")
        ((name, trace),) = await exemplars(proxy)
        (span,) = await collector.take(1)
        assert (name, trace) == ("token_request_duration", span.trace)


async def test_a_refused_request_leaves_none(tokens: TokenServer) -> None:
    """The guard takes no time that there would be anything to learn of."""
    async with traced(tokens, reply()) as (proxy, _, _):
        refused = await proxy.ask(request("GET /", SAMPLED, host="evil.test"))
        assert_problem(refused, 421, "host_not_allowed")
        assert await exemplars(proxy) == []
