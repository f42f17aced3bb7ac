"""What the runs become: tables, JSON, the page and its pictures."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench.fleet.chart import picture
from bench.fleet.figures import Figures, figures
from bench.fleet.scenarios import FLEET
from bench.fleet.simulation import Run
from bench.install import ROOT
from bench.report.page import write_page
from bench.table import fixed, grouped, percent, render

__all__ = ["PAGE", "PICTURES", "as_json", "table", "write"]

PAGE: Final = ROOT / "docs" / "scale.md"
PICTURES: Final = ROOT / "docs" / "scale"
_HEADINGS: Final = (
    "",
    "calls",
    "refused",
    "busiest second",
    "mean/s",
    "p50/s",
    "p99/s",
    "longest without token s",
    "p99 s",
    "all ready s",
    "99 % s",
)


def table(runs: Sequence[Run]) -> str:
    """Return the table of one scenario, with a row for each policy."""
    return render(_HEADINGS, [[run.policy, *_cells(figures(run))] for run in runs], names=1)


def _cells(of: Figures) -> list[str]:
    return [
        grouped(of.calls),
        percent(of.refused),
        grouped(of.peak),
        fixed(of.mean),
        grouped(of.median),
        grouped(of.p99),
        fixed(of.longest_without_seconds),
        fixed(of.p99_without_seconds),
        fixed(of.ready_seconds),
        fixed(of.p99_ready_seconds),
    ]


def as_json(runs: Sequence[Run], seed: int) -> dict[str, object]:
    """Return all figures, and from what they were taken."""
    return {
        "seed": seed,
        "runs": [
            {
                "scenario": run.scenario.name,
                "policy": run.policy,
                "sidecars": run.size,
                "capacity": run.scenario.service.capacity * run.size / FLEET,
                "lifetime_seconds": run.scenario.service.lifetime_seconds,
                **asdict(figures(run)),
            }
            for run in runs
        ],
    }


def write(runs: Sequence[Run], page: Path = PAGE, pictures: Path = PICTURES) -> None:
    """Put the table of one scenario into the page, and its picture beside it."""
    name = runs[0].scenario.name
    write_page(page, name, table(runs))
    pictures.mkdir(exist_ok=True)
    (pictures / f"{name}.svg").write_text(picture(runs), encoding="utf-8")
