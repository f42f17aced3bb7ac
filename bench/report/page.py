"""The page that keeps the figures: what stands between its markers is generated."""

from collections.abc import Sequence
from pathlib import Path

from bench.failures import BenchError
from bench.install import ROOT
from bench.load.figures import Results
from bench.load.scenarios import Scenario
from bench.report.chart import chart
from bench.report.published import published
from bench.report.tables import tables

__all__ = ["PAGE", "page_with", "publish", "write_page"]

PAGE = ROOT / "docs" / "performance.md"


def page_with(page: str, block: str, generated: str) -> str:
    """Return the page with one block replaced, which lines named after it begin and end."""
    begin_line, end_line = f"<!-- {block}:begin -->", f"<!-- {block}:end -->"
    head, begin, rest = page.partition(begin_line)
    _, end, tail = rest.partition(end_line)
    if not begin or not end:
        raise BenchError(f"the page needs the lines {begin_line} and {end_line}")
    return f"{head}{begin}\n\n{generated.strip()}\n\n{end}{tail}"


def write_page(path: Path, block: str, generated: str) -> None:
    """Put a block into the page."""
    page = path.read_text(encoding="utf-8")
    path.write_text(page_with(page, block, generated), encoding="utf-8")


def publish(
    path: Path, facts: str, results: Results, scenarios: Sequence[Scenario], budget: str
) -> None:
    """Put facts and tables into the page, and draw the picture of these results beside it.

    Figures whose rounds lie apart are left out. Of a disturbed machine only the budget is taken,
    since each of its figures is the least of many; the rest raises `BenchError`.
    """
    write_page(path, "budget", budget)
    kept = published(results, scenarios)
    write_page(path, "bench", f"{facts}\n\n{tables(kept, scenarios)}")
    path.with_suffix(".svg").write_text(chart(kept), encoding="utf-8")
