"""What the operator can find of a request that was refused (L)."""

from typing import Any

import pytest

from tests.support.messages import reply, request
from tests.support.running_proxy import proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_the_line_of_a_refusal_names_the_trace(tokens: TokenServer) -> None:
    """The access log has the caller's `traceparent` and `X-Request-ID` there too (L)."""
    async with proxied(tokens, reply()) as (proxy, _):
        lines = (f"traceparent: {TRACEPARENT}", "X-Request-ID: mine")
        assert (await proxy.ask(request("GET /", *lines, host="evil.example"))).status == 421

        def refusals() -> list[dict[str, Any]]:
            return [line for line in proxy.logs if line.get("status") == 421]

        await eventually(lambda: bool(refusals()), "the line of the refusal")
        (line,) = refusals()
        assert (line["traceparent"], line["request_id"]) == (TRACEPARENT, "mine")
