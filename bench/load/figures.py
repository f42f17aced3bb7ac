"""Arithmetic on samples: medians, spreads, ratios."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median

__all__ = ["Cell", "Results", "Sample", "ratio", "spread"]

Sample = Mapping[str, float]


def spread(values: list[float]) -> float | None:
    """Return (max - min) / median; None for fewer than two values."""
    if len(values) < 2 or not median(values):
        return None
    return (max(values) - min(values)) / median(values)


def ratio(value: float | None, base: float | None) -> float | None:
    """Return value / base; None if either is missing, or base is zero."""
    return None if value is None or not base else value / base


@dataclass(slots=True)
class Cell:
    """The samples of one peer in one scenario, one per round; one failure refuses them all."""

    samples: list[Sample] = field(default_factory=list)
    refusal: str | None = None

    def values(self, metric: str) -> list[float]:
        """Return the metric's values, without any if the cell is refused."""
        if self.refusal:
            return []
        return [sample[metric] for sample in self.samples if metric in sample]

    def median(self, metric: str) -> float | None:
        """Return the median over the rounds; None if there is no valid sample."""
        values = self.values(metric)
        return median(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Return how far the rounds lie apart, as a share of the median."""
        return spread(self.values(metric))


class Results:
    """All cells by scenario and peer; filled by the rounds, read by the report."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], Cell] = {}

    def cell(self, scenario: str, peer: str) -> Cell:
        """Return the cell, made empty if it is new."""
        return self._cells.setdefault((scenario, peer), Cell())

    def peers(self, scenario: str) -> list[str]:
        """Return the peers that took part in a scenario, in order."""
        return [peer for name, peer in self._cells if name == scenario]

    def median(self, scenario: str, peer: str, metric: str) -> float | None:
        """Return the median of a cell; None if it is missing or refused."""
        cell = self._cells.get((scenario, peer))
        return cell.median(metric) if cell else None

    def largest(self, peer: str, metric: str) -> float | None:
        """Return the largest value of a peer over all scenarios; None if there is none."""
        return max(self._values(peer, metric), default=None)

    def _values(self, peer: str, metric: str) -> Iterator[float]:
        for (_, name), cell in self._cells.items():
            if name == peer:
                yield from cell.values(metric)
