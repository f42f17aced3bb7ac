"""What can become of a span: the closed set of a metric's label."""

from typing import Final, Literal, get_args

__all__ = ["SPAN_OUTCOMES", "SpanCounters", "SpanOutcome"]

SpanOutcome = Literal["exported", "failed", "dropped"]
"""Taken by the collector; not taken; not even sent, as the queue was full or the process ended."""
SPAN_OUTCOMES: Final[tuple[SpanOutcome, ...]] = get_args(SpanOutcome)


class SpanCounters:
    """Owns what is counted of spans: those of the loop's thread, and those of the SDK's.

    Each outcome is counted in one thread, but for the last ones of a stop.
    """

    __slots__ = ("spans",)

    def __init__(self) -> None:
        self.spans: dict[SpanOutcome, int] = dict.fromkeys(SPAN_OUTCOMES, 0)

    def count(self, outcome: SpanOutcome, amount: int) -> None:
        """Count spans."""
        self.spans[outcome] += amount
