"""A proxy that traces, between an upstream and a collector; and what went up with a request."""

import contextlib
import re
from collections.abc import AsyncIterator
from typing import Final

from proxy.tracing.sampling import Sampler
from proxy.tracing.settings import TraceSettings
from tests.support.messages import Message
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.peers import Answer, ByteServer
from tests.support.running_proxy import RunningProxy, proxied
from tests.support.token_server import TokenServer

__all__ = ["CALLER", "SAMPLED", "TRACE", "UNSAMPLED", "gone_up", "traced"]

TRACE: Final = "0af7651916cd43dd8448eb211c80319c"
CALLER: Final = "b7ad6b7169203331"
"""The ids of a caller's span: of its trace, and its own."""
SAMPLED: Final = f"traceparent: 00-{TRACE}-{CALLER}-01"
UNSAMPLED: Final = f"traceparent: 00-{TRACE}-{CALLER}-00"
_TRACEPARENT: Final = re.compile("00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")


@contextlib.asynccontextmanager
async def traced(
    tokens: TokenServer,
    answer: bytes | Answer | None,
    sampler: str = "parentbased_always_off",
    *,
    endpoint: str | None = None,
    timeout_seconds: float = 10,
    **overrides: object,
) -> AsyncIterator[tuple[RunningProxy, ByteServer, OtlpReceiver]]:
    """Run proxy, upstream and collector; by default those alone are traced whose caller is.

    `endpoint` is where spans go in place of the collector. A batch has `timeout_seconds`.
    """
    async with OtlpReceiver() as collector:
        settings = TraceSettings(
            Sampler.named(sampler),
            endpoint or collector.endpoint,
            delay_millis=20,
            timeout_seconds=timeout_seconds,
        )
        async with proxied(tokens, answer, traces=settings, **overrides) as (proxy, upstream):
            yield proxy, upstream, collector


def gone_up(message: Message) -> tuple[str, str, str]:
    """Return trace, span and flags of the one `traceparent` that an upstream got."""
    match = _TRACEPARENT.fullmatch(message.head.value("traceparent") or "")
    assert match
    return match[1], match[2], match[3]
