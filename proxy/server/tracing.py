"""From the standard OTEL_* variables to the parts that trace; without them nothing is imported."""

import asyncio
from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import urlsplit

from structlog.typing import FilteringBoundLogger

from proxy.clock import Clock
from proxy.extras import with_extra
from proxy.server.outgoing import host_and_port
from proxy.settings.loader import Settings
from proxy.tracing.ended_span import EndedSpan
from proxy.tracing.outcomes import SpanCounters
from proxy.tracing.settings import TraceSettings
from proxy.tracing.tracer import Tracer

__all__ = ["Traces"]

_CLOSE_SECONDS: Final = 2.0  # once all requests are over
_HURRIED_SECONDS: Final = 0.1


class _WayOut(Protocol):
    """How spans leave the process: `tracing.export`, whose import costs what it brings."""

    def emit(self, span: EndedSpan) -> None:
        """Queue one span."""

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged."""

    def where(self) -> str:
        """Return the collector's address, without what may be secret."""

    async def close(self, seconds: float, hurry: asyncio.Event) -> None:
        """Send what is left, for so long or until `hurry` is set."""


def _way_out(
    traces: TraceSettings, counters: SpanCounters, log: FilteringBoundLogger
) -> _WayOut | None:
    try:
        from proxy.tracing.export import SpanExport

        return SpanExport(traces, count=counters.count, log=log)
    except ImportError:
        hint = f"no trace is recorded; install {with_extra('otel')}"
        log.warning("traces_unavailable", cause="OpenTelemetry is not installed", hint=hint)
    except Exception as error:  # noqa: BLE001 - variables name plug-ins, which raise what they like
        hint = "no trace is recorded; look at the OTEL_* variables"
        log.warning("traces_unavailable", cause=type(error).__name__, hint=hint)
    return None


def _address(url: str) -> dict[str, str | int]:
    host, port = host_and_port(url)
    return {"server.address": host, "server.port": port, "url.scheme": url.partition(":")[0]}


class Traces:
    """Owns what traces: `tracer` is None where traces are off, or cannot be sent.

    `counters` count spans by outcome, and stay 0 then.
    """

    def __init__(
        self,
        traces: TraceSettings | None,
        settings: Settings,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self.counters = SpanCounters()
        self.tracer: Tracer | None = None
        self._way_out = None if traces is None else _way_out(traces, self.counters, log)
        if traces is not None and self._way_out is not None:
            log.info("traces_on", collector=self._way_out.where())
            token_urls = {client.name: client.token_url for client in settings.clients}
            self.tracer = Tracer(
                traces.sampler,
                self._way_out.emit,
                clock.wall,
                upstream=_address(settings.upstream_url),
                token_endpoints={
                    name: (f"POST {urlsplit(url).path}", _address(url))
                    for name, url in token_urls.items()
                },
            )

    def secrets(self) -> Iterator[str]:
        """Yield what must never be logged (G7)."""
        if self._way_out is not None:
            yield from self._way_out.secrets()

    async def close(self, hurry: asyncio.Event) -> None:
        """Send what is left; however the collector is, that takes no more than two seconds (O5).

        Once `hurry` is set, it takes next to no time (C2).
        """
        if self._way_out is not None:
            if hurry.is_set():
                await self._way_out.close(_HURRIED_SECONDS, asyncio.Event())
            else:
                await self._way_out.close(_CLOSE_SECONDS, hurry)
