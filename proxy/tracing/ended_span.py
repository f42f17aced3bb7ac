"""The facts of a span that is over, as they wait for the SDK's thread to make a span of them."""

from typing import Final

__all__ = ["Attributes", "EndedSpan"]

Attributes = dict[str, str | int | float]
"""Facts of a span by name; the names are those of OpenTelemetry's HTTP conventions."""


class _Flags:
    """The SDK asks every span for its flags, and hands on those alone that are sampled."""

    sampled: Final = True


class _Context:
    trace_flags: Final = _Flags()


_SAMPLED_CONTEXT: Final = _Context()


class EndedSpan:
    """The facts of one span that is over; times are Unix nanoseconds.

    `error` is why its status is "error", None where it is unset. `context` is there for the
    SDK, whose queue takes this object in place of a span of its own.
    """

    __slots__ = (
        "attributes",
        "ended",
        "error",
        "is_server",
        "name",
        "parent_id",
        "span_id",
        "started",
        "trace_id",
        "tracestate",
    )

    def __init__(
        self,
        name: str,
        trace_id: bytes,
        span_id: bytes,
        parent_id: bytes | None,
        started: int,
        ended: int,
        attributes: Attributes,
        error: str | None,
        *,
        is_server: bool = False,
        tracestate: bytes | None = None,
    ) -> None:
        self.name = name
        self.trace_id = trace_id
        self.span_id = span_id
        self.parent_id = parent_id
        self.started = started
        self.ended = ended
        self.attributes = attributes
        self.error = error
        self.is_server = is_server
        self.tracestate = tracestate

    @property
    def context(self) -> _Context:
        """Say that it is sampled."""
        return _SAMPLED_CONTEXT
