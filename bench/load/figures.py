"""Arithmetic on samples: medians, spreads, ratios."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
    """The samples of one peer in one scenario, one per round; one failure refuses them all.

    Of these rounds, those from the first to before the last of `window` count: all, until some
    are chosen.
    """

    samples: list[Sample] = field(default_factory=list)
    refusal: str | None = None
    window: tuple[int, int | None] = (0, None)

    def values(self, metric: str) -> list[float]:
        """Return the metric's values in the rounds that count; none if the cell is refused."""
        if self.refusal:
            return []
        return [sample[metric] for sample in self.samples[slice(*self.window)] if metric in sample]

    def median(self, metric: str) -> float | None:
        """Return the median over the rounds; None if there is no valid sample."""
        values = self.values(metric)
        return median(values) if values else None

    def spread(self, metric: str) -> float | None:
        """Return how far the rounds lie apart, as a share of the median."""
        return spread(self.values(metric))


class Results:
    """All cells by scenario and peer; filled by the rounds, only read by the report."""

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
        """Return the largest value of a peer, in whatever round and scenario; None for none."""
        samples = (sample for cell in self._of(peer) for sample in cell.samples)
        return max((sample[metric] for sample in samples if metric in sample), default=None)

    def refusing(self, reasons: Mapping[tuple[str, str], str]) -> "Results":
        """Return a copy in which these cells, by scenario and peer, are refused as well."""
        copy = Results()
        for key, cell in self._cells.items():
            copy._cells[key] = replace(cell, refusal=cell.refusal or reasons.get(key))
        return copy

    def _of(self, peer: str) -> Iterator[Cell]:
        return (cell for (_, name), cell in self._cells.items() if name == peer)
