"""What can become of a span: the closed set of a metric's label."""

from typing import Final, Literal, get_args

__all__ = ["SPAN_OUTCOMES", "SpanOutcome"]

SpanOutcome = Literal["exported", "failed", "dropped"]
"""Taken by the collector; not taken; not even sent, as the queue was full or the process ended."""
SPAN_OUTCOMES: Final[tuple[SpanOutcome, ...]] = get_args(SpanOutcome)
