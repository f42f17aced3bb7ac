"""A collector of spans for tests: OTLP over HTTP, decoded with OpenTelemetry's own messages."""

import asyncio
import gzip
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.support.messages import Message, reply
from tests.support.peers import ByteServer
from tests.support.suite_output import keep
from tests.support.waiting import eventually

__all__ = ["OtlpReceiver", "ReceivedSpan"]

_PATH: Final = "/v1/traces"


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One span as a collector reads it; ids are hexadecimal digits, `parent` is empty for none."""

    name: str
    kind: str
    trace: str
    span: str
    parent: str
    tracestate: str
    started: int
    ended: int
    is_error: bool
    attributes: Mapping[str, str | int | float]
    service: str


def _plain(value: AnyValue) -> str | int | float:
    kind = value.WhichOneof("value")
    assert kind in {"string_value", "int_value", "double_value"}
    found: str | int | float = getattr(value, kind)
    return found


def _facts(pairs: list[KeyValue]) -> dict[str, str | int | float]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _read(span: Span, service: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower(),
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        tracestate=span.trace_state,
        started=span.start_time_unix_nano,
        ended=span.end_time_unix_nano,
        is_error=span.status.code == 2,  # STATUS_CODE_ERROR
        attributes=_facts(list(span.attributes)),
        service=service,
    )


class OtlpReceiver(ByteServer):
    """Takes every batch, or answers with `failure` (a whole answer) while that is set.

    `gate` holds answers back while it is cleared. `bodies` are all bytes of spans, as they came
    and unpacked; at the end of a run they are searched for secrets (G7).
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(self._take, tls=tls)
        self.failure: bytes | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.spans: list[ReceivedSpan] = []
        self.bodies: list[bytes] = []

    @property
    def endpoint(self) -> str:
        """The URL for traces, in full."""
        return self.url + _PATH

    async def _take(self, message: Message) -> bytes:
        assert (message.method, message.target) == ("POST", _PATH)
        assert message.head.value("Content-Type") == "application/x-protobuf"
        await self.gate.wait()
        if self.failure is not None:
            return self.failure
        body = message.body
        if message.head.value("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.bodies += (message.body, body)
        keep(body.decode("latin-1"))
        batch = ExportTraceServiceRequest.FromString(body)
        for resource in batch.resource_spans:
            service = str(_facts(list(resource.resource.attributes))["service.name"])
            for scope in resource.scope_spans:
                self.spans += [_read(span, service) for span in scope.spans]
        return reply("200 OK", "Content-Type: application/x-protobuf")

    async def take(self, amount: int) -> list[ReceivedSpan]:
        """Wait for as many spans in all; return them in the order of their starts."""
        await eventually(lambda: len(self.spans) >= amount, f"{amount} spans")
        assert len(self.spans) == amount
        return sorted(self.spans, key=lambda span: (span.started, -span.ended))
