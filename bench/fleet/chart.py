"""A picture of one scenario: calls a second, and sidecars without a token, over time."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Final
from xml.sax.saxutils import escape

from bench.fleet.figures import without_token
from bench.fleet.policies import OURS
from bench.fleet.scenarios import FLEET, Scenario
from bench.fleet.simulation import Run
from bench.report.style import STYLE, WIDTH
from bench.table import grouped

__all__ = ["picture"]

_LEFT: Final = 64
_RIGHT: Final = 12
_LEGEND: Final = 44
_PANEL: Final = 150
_TITLE: Final = 34
_AXIS: Final = 34
_HEIGHT: Final = _LEGEND + 2 * (_TITLE + _PANEL) + _AXIS
_POINTS: Final = 240  # as many seconds are drawn as one, if there are more
_TICKS: Final = 6
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 240)  # minutes between ticks
_LINES: Final = """\
polyline { fill: none; stroke-width: 1.5; stroke-linejoin: round }
.line0 { stroke: #818b98 } .line1 { stroke: #bc4c00 } .line2 { stroke: #0969da; stroke-width: 2 }
.grid { stroke: #818b98; stroke-width: 0.5; stroke-opacity: 0.5 }
@media (prefers-color-scheme: dark) {
  .line0 { stroke: #767f8a } .line1 { stroke: #db6d28 } .line2 { stroke: #4493f8 }
}"""


@dataclass(frozen=True, slots=True)
class _Panel:
    """One diagram: its lines, from the top of its drawing area; `scale` maps values to 0 to 1."""

    title: str
    top: float
    lines: Sequence[Sequence[int]]
    largest: int
    is_logarithmic: bool

    def scale(self, value: float) -> float:
        """Return how high a value stands, as a share of the panel."""
        if self.is_logarithmic:
            return math.log10(max(1.0, value)) / math.log10(max(10.0, self.largest))
        return value / max(1, self.largest)

    def y(self, value: float) -> float:
        """Return where a value stands."""
        return self.top + _PANEL * (1 - self.scale(value))

    def marks(self) -> list[float]:
        """Return the values that get a line of the grid."""
        if not self.is_logarithmic:
            return [0, self.largest / 2, self.largest]
        return list(takewhile(lambda value: value <= self.largest, (10**n for n in count())))


def picture(runs: Sequence[Run]) -> str:
    """Return the SVG of one scenario; ours is drawn last, over the others."""
    scenario, size = runs[0].scenario, runs[0].size
    drawn = [run for run in runs if run.policy != OURS] + [r for r in runs if r.policy == OURS]
    capacity = scenario.service.capacity * size / FLEET
    calls = [_thinned(run.calls, scenario) for run in drawn]
    without = [_thinned(without_token(run), scenario) for run in drawn]
    top = _LEGEND + _TITLE
    panels = (
        _Panel("Calls a second", top, calls, max(map(max, calls)), is_logarithmic=True),
        _Panel(
            "Sidecars without a token",
            top + _PANEL + _TITLE,
            without,
            max(map(max, without)),
            is_logarithmic=False,
        ),
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(_plain(scenario.title))}</title>",
        f"<style>\n{STYLE}\n{_LINES}\n</style>",
        *_legend([run.policy for run in drawn], _plain(scenario.title)),
    ]
    for panel in panels:
        lines += _drawn(panel)
    lines += _capacity(panels[0], capacity)
    lines += _minutes(scenario)
    return "\n".join([*lines, "</svg>", ""])


def _plain(text: str) -> str:
    return text.replace("`", "")


def _thinned(values: Sequence[int], scenario: Scenario) -> list[int]:
    """Return the told part of a series, of each stretch of seconds the largest value."""
    told = values[int(scenario.since) : math.ceil(scenario.end)]
    stretch = math.ceil(len(told) / _POINTS)
    return [max(told[first : first + stretch]) for first in range(0, len(told), stretch)]


def _legend(policies: Sequence[str], title: str) -> Iterator[str]:
    yield f'<text class="title" x="12" y="18">{escape(title)}</text>'
    x = 12
    for number, policy in reversed([*enumerate(policies)]):
        yield f'<polyline class="line{_class(number, policies)}" points="{x},36 {x + 22},36"/>'
        yield f'<text x="{x + 28}" y="40">{escape(policy)}</text>'
        x += 140


def _class(number: int, policies: Sequence[str]) -> int:
    """Return the number of a line's style; ours, which is the last, always has the same."""
    return 2 if policies[number] == OURS else number


def _drawn(panel: _Panel) -> Iterator[str]:
    yield f'<text x="12" y="{panel.top - 10}">{escape(panel.title)}</text>'
    for value in panel.marks():
        y = panel.y(value)
        yield f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{grouped(value)}</text>'
    for number, line in enumerate(panel.lines):
        width = (WIDTH - _LEFT - _RIGHT) / len(line)
        points = " ".join(
            f"{_LEFT + width * (place + 0.5):.1f},{panel.y(value):.1f}"
            for place, value in enumerate(line)
        )
        kind = 2 if number == len(panel.lines) - 1 else number
        yield f'<polyline class="line{kind}" points="{points}"/>'


def _capacity(panel: _Panel, capacity: float) -> Iterator[str]:
    if capacity > panel.largest:
        return
    y = panel.y(capacity)
    right = WIDTH - _RIGHT
    yield f'<line class="mark" x1="{_LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
    yield f'<text x="{right}" y="{y - 4:.1f}" text-anchor="end">capacity {grouped(capacity)}</text>'


def _minutes(scenario: Scenario) -> Iterator[str]:
    minutes = (scenario.end - scenario.since) / 60
    step = next(step for step in _STEPS if minutes / step <= _TICKS or step == _STEPS[-1])
    top = _LEGEND + 2 * (_TITLE + _PANEL)
    for minute in range(0, int(minutes) + 1, step):
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * minute / minutes
        anchor = "end" if minute == minutes else "middle"
        said = f"{minute // 60} h" if step >= 60 else f"{minute} min"
        yield f'<text x="{x:.1f}" y="{top + 20}" text-anchor="{anchor}">{said}</text>'
