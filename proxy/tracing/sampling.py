"""Who is sampled: decided from the bytes of the caller's `traceparent`, before any span is made.

The samplers are those that OpenTelemetry's specification names for OTEL_TRACES_SAMPLER, and they
decide as the SDK's do. A service that stands in the same trace comes to the same decision.
"""

from collections.abc import Mapping
from typing import Final

from proxy.http1.trace_context import TraceParent

__all__ = ["DEFAULT_SAMPLER", "SAMPLERS", "Sampler"]

DEFAULT_SAMPLER: Final = "parentbased_always_on"
_PARENT_BASED: Final = "parentbased_"
_ALL: Final = 1 << 64
_LOW_HALF: Final = 16  # digits of a trace's id that the ratio is measured by
_ROOTS: Final[Mapping[str, float | None]] = {
    "always_on": 1.0,
    "always_off": 0.0,
    "traceidratio": None,
}
SAMPLERS: Final = (*_ROOTS, *(_PARENT_BASED + name for name in _ROOTS))
"""The values of OTEL_TRACES_SAMPLER that mean something here."""


_EVERY: Final = b"g"  # behind all digits


class Sampler:
    """Decides by the caller, or by the trace's id: below `bound`, of 2 to the power of 64, it is.

    With `follows_parent` a caller's decision stands, and ours is for requests that begin a trace.
    """

    __slots__ = ("_bound_digits", "bound", "follows_parent")

    def __init__(self, *, follows_parent: bool, bound: int) -> None:
        self.follows_parent = follows_parent
        self.bound = bound
        # Digits stand in the order of the numbers, so that no number is made of any id.
        self._bound_digits = _EVERY if bound >= _ALL else b"%016x" % bound

    def __eq__(self, other: object) -> bool:
        """Say whether the other one decides alike."""
        if not isinstance(other, Sampler):
            return NotImplemented
        return self.follows_parent == other.follows_parent and self.bound == other.bound

    def __hash__(self) -> int:
        """Return the same for those that decide alike."""
        return hash((self.follows_parent, self.bound))

    @classmethod
    def named(cls, name: str, ratio: float = 1.0) -> "Sampler":
        """Return one of `SAMPLERS`; `ratio`, from 0 to 1, is for those that have one."""
        share = _ROOTS[name.removeprefix(_PARENT_BASED)]
        bound = round((ratio if share is None else share) * _ALL)
        return cls(follows_parent=name.startswith(_PARENT_BASED), bound=bound)

    def is_sampled(self, parent: TraceParent | None, trace_id: bytes) -> bool:
        """Say whether a request is; `trace_id` is the parent's where there is one."""
        if self.follows_parent and parent is not None:
            return parent.is_sampled
        return trace_id[_LOW_HALF:] < self._bound_digits
