"""A picture of the ratios to Envoy, as SVG without any library; readable on light and on dark."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from bench.load.figures import Results, ratio
from bench.load.scenarios import SCENARIOS
from bench.peers.peer import DIRECT, LOGGED, PROXY, PUMP
from bench.report.style import STYLE, WIDTH
from bench.report.targets import ENVOY

__all__ = ["Bar", "chart", "drawn"]

LABELS = 300  # pixels left of the bars
ROW = 22
BAR = 14
LEGEND = 46
GAP = 6
FIGURE = 32  # pixels of a ratio
TITLES = (
    "Throughput of signicat-proxy in each scenario, by that of Envoy",
    "GET 1 KiB, 16 connections: throughput of each proxy, by that of Envoy",
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One ratio to Envoy; `is_own` for this proxy."""

    label: str
    ratio: float
    is_own: bool


def chart(results: Results) -> str:
    """Return the picture: this proxy in each scenario, then all proxies in one of them."""
    return drawn([list(_by_scenario(results)), list(_by_peer(results))])


def _by_scenario(results: Results) -> Iterator[Bar]:
    for scenario in SCENARIOS:
        if scenario.kind in ("load", "transfer"):
            of_envoy = _of_envoy(results, scenario.name, PROXY)
            if of_envoy is not None:
                yield Bar(scenario.title, of_envoy, is_own=True)


def _by_peer(results: Results) -> Iterator[Bar]:
    for peer in results.peers("get-1k-16"):
        of_envoy = _of_envoy(results, "get-1k-16", peer)
        if of_envoy is not None and peer not in (DIRECT, LOGGED, PUMP):
            yield Bar(peer, of_envoy, is_own=peer == PROXY)


def _of_envoy(results: Results, scenario: str, peer: str) -> float | None:
    return ratio(results.median(scenario, peer, "rate"), results.median(scenario, ENVOY, "rate"))


def drawn(panels: list[list[Bar]]) -> str:
    """Return the panels that have bars below each other, on one scale with 1.0 marked."""
    shown = [(title, bars) for title, bars in zip(TITLES, panels, strict=True) if bars]
    largest = max([1.0, *(bar.ratio for _, bars in shown for bar in bars)])
    scale = (WIDTH - LABELS - 60) / largest
    height = sum(LEGEND + ROW * len(bars) for _, bars in shown) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        "<title>Throughput of the proxies, as a ratio to Envoy</title>",
        f"<style>\n{STYLE}\n</style>",
    ]
    top = 0
    for title, bars in shown:
        lines += _panel(title, bars, top, scale)
        top += LEGEND + ROW * len(bars)
    return "\n".join([*lines, "</svg>", ""])


def _panel(title: str, bars: list[Bar], top: int, scale: float) -> Iterator[str]:
    mark = LABELS + scale
    first = top + LEGEND
    yield f'<text class="title" x="12" y="{top + 22}">{escape(title)}</text>'
    for number, bar in enumerate(bars):
        y = first + ROW * number
        width = max(1.0, bar.ratio * scale)
        after = LABELS + width + GAP
        if after < mark < after + FIGURE:  # the figure would stand on the line
            after = mark + GAP
        kind = "own" if bar.is_own else "other"
        yield (
            f'<text x="{LABELS - 8}" y="{y + 12}" text-anchor="end">{escape(bar.label)}</text>'
            f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
            f'<text x="{after:.1f}" y="{y + 12}">{bar.ratio:.2f}</text>'
        )
    end = first + ROW * len(bars)
    yield f'<line class="mark" x1="{mark:.1f}" y1="{first - 6}" x2="{mark:.1f}" y2="{end}"/>'
    yield f'<text x="{mark:.1f}" y="{first - 10}" text-anchor="middle">1.0 = Envoy</text>'
