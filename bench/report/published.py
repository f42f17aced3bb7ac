"""What is published: figures whose rounds lie apart are shown on the terminal only."""

import sys
from collections.abc import Iterator, Sequence

from bench.failures import BenchError
from bench.load.calm import MOST_SPREAD
from bench.load.figures import Results
from bench.load.scenarios import Scenario
from bench.table import percent

__all__ = ["LEAST_ROUNDS", "published"]

LEAST_ROUNDS = 3
"""Fewer say too little of how far they lie apart."""
MOST_LOST = 0.1
"""Share of the figures that may be lost, for whatever reason, before none is published."""


def published(results: Results, scenarios: Sequence[Scenario]) -> Results:
    """Return the results without the figures whose rounds lie apart, and name these on stderr.

    Raise `BenchError` if so many are lost that the machine was not calm.
    """
    cells = [(each, peer) for each in scenarios for peer in results.peers(each.name)]
    lost = dict(_lost(results, cells))
    lines = "".join(f"\n  {scenario}, {peer}: {why}" for (scenario, peer), why in lost.items())
    if not cells or len(lost) > MOST_LOST * len(cells):
        raise BenchError(
            f"the page was not written: of {len(cells)} figures, {len(lost)} are refused, or their "
            f"rounds lie more than {percent(MOST_SPREAD)} apart; if it was these, run it again on "
            f"a calm machine{lines}"
        )
    if lines:
        print(f"bench: left out of the page:{lines}", file=sys.stderr)
    return results.refusing(lost)


def _lost(
    results: Results, cells: Sequence[tuple[Scenario, str]]
) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield scenario and peer of each figure that cannot be published, and why."""
    for scenario, peer in cells:
        cell = results.cell(scenario.name, peer)
        values, spread = cell.values(scenario.main), cell.spread(scenario.main)
        if cell.refusal is not None:
            yield (scenario.name, peer), cell.refusal
        elif len(values) == 1:
            yield (scenario.name, peer), "only one round"
        elif spread is not None and spread > MOST_SPREAD:
            yield (scenario.name, peer), f"rounds {spread * 100:.1f} % apart"
