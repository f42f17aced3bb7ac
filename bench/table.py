"""Aligned Markdown tables, which read as well on a terminal as in a page."""

from collections.abc import Sequence

__all__ = ["exact", "fixed", "grouped", "percent", "render", "times"]

MISSING = "-"


def render(headings: Sequence[str], rows: Sequence[Sequence[str]], *, names: int) -> str:
    """Return the table; the first columns, as many as `names`, are text, the rest figures."""
    grid = [list(headings), *[list(row) for row in rows]]
    widths = [max(3, *(len(row[column]) for row in grid)) for column in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        cells = [
            cell.ljust(width) if column < names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        return f"| {' | '.join(cells)} |"

    rule = [
        "-" * width if column < names else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join([line(headings), line(rule), *[line(row) for row in rows]])


def grouped(value: float | None) -> str:
    """Return a whole number with commas between thousands."""
    return MISSING if value is None else f"{value:,.0f}"


def fixed(value: float | None) -> str:
    """Return a number with one digit after the point."""
    return MISSING if value is None else f"{value:,.1f}"


def times(value: float | None) -> str:
    """Return a ratio."""
    return MISSING if value is None else f"{value:.2f}"


def exact(value: float | None) -> str:
    """Return a ratio to a tenth of a per cent."""
    return MISSING if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """Return a share in per cent."""
    return MISSING if value is None else f"{value * 100:.0f} %"
