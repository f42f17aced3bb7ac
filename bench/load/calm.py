"""Was the machine calm: of all rounds, those in a row that lie closest together."""

from bench.load.figures import Cell, Results, spread
from bench.load.scenarios import Scenario

__all__ = ["MOST_SPREAD", "is_calm", "keep_calmest"]

MOST_SPREAD = 0.10
"""How far the rounds of one peer may lie apart, as a share of their median."""


def is_calm(results: Results, scenario: Scenario, rounds: int) -> bool:
    """Whether there are so many rounds in a row in which no peer's lie further apart."""
    return not _calmest(results, scenario, rounds)[0]


def keep_calmest(results: Results, scenario: Scenario, rounds: int) -> None:
    """Let so many rounds in a row count: those in which the fewest peers' lie too far apart.

    Among such, those whose largest spread is the least. They are the same rounds for all peers,
    so none of them is measured at a better time than another, and nothing is chosen by how fast
    it was.
    """
    _, _, first = _calmest(results, scenario, rounds)
    for cell in _measured(results, scenario):
        cell.window = (first, first + rounds)


def _calmest(results: Results, scenario: Scenario, rounds: int) -> tuple[int, float, int]:
    """Return how many peers' lie too far apart, the largest spread, and the first of the rounds."""
    figures = [cell.values(scenario.main) for cell in _measured(results, scenario)]
    taken = min(map(len, figures), default=0)
    windows = range(max(1, taken - rounds + 1))
    return min((*_apart(figures, first, rounds), first) for first in windows)


def _apart(figures: list[list[float]], first: int, rounds: int) -> tuple[int, float]:
    # A single round has no spread, and more of them are not asked for.
    spreads = [spread(values[first : first + rounds]) or 0.0 for values in figures]
    return sum(each > MOST_SPREAD for each in spreads), max(spreads, default=0.0)


def _measured(results: Results, scenario: Scenario) -> list[Cell]:
    cells = [results.cell(scenario.name, peer) for peer in results.peers(scenario.name)]
    return [cell for cell in cells if cell.values(scenario.main)]
