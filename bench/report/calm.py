"""Was the machine calm: figures from a disturbed one are shown, but not published."""

from collections.abc import Iterator, Sequence

from bench.failures import BenchError
from bench.load.figures import Results
from bench.load.scenarios import Scenario
from bench.table import percent

__all__ = ["MOST_SPREAD", "require_calm"]

MOST_SPREAD = 0.10
"""How far the rounds of one peer may lie apart, as a share of their median."""


def require_calm(results: Results, scenarios: Sequence[Scenario]) -> None:
    """Raise `BenchError` naming each peer and scenario whose rounds differ by more than that."""
    disturbed = list(_disturbed(results, scenarios))
    if disturbed:
        raise BenchError(
            f"the page was not written: rounds of the same proxy differ by more than "
            f"{percent(MOST_SPREAD)}, or there was only one; run it again on a calm machine:\n  "
            + "\n  ".join(disturbed)
        )


def _disturbed(results: Results, scenarios: Sequence[Scenario]) -> Iterator[str]:
    for scenario in scenarios:
        for peer in results.peers(scenario.name):
            cell = results.cell(scenario.name, peer)
            if not cell.values(scenario.main):
                continue  # refused, or not measured by this figure: there is none to publish
            spread = cell.spread(scenario.main)
            if spread is None or spread > MOST_SPREAD:
                yield f"{scenario.title}, {peer}: {percent(spread)}"
