"""The tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.load.figures import Results, ratio
from bench.load.samples import IDLE_CONNECTIONS
from bench.load.scenarios import Scenario
from bench.peers.peer import PROXY
from bench.report.targets import ENVOY, NGINX, Target, targets
from bench.table import fixed, grouped, percent, render, times

__all__ = ["tables"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of figures: heading, metric, format.

    A ratio to another peer if one is named, or to the same peer in the
    scenario that is the base of this one.
    """

    heading: str
    metric: str
    show: Callable[[float | None], str]
    of: str | None = None
    is_of_base: bool = False

    def text(self, results: Results, scenario: Scenario, peer: str) -> str:
        """Return the cell's text."""
        value = results.median(scenario.name, peer, self.metric)
        if self.of:
            value = ratio(value, results.median(scenario.name, self.of, self.metric))
        if self.is_of_base:
            value = ratio(value, results.median(scenario.base, peer, self.metric))
        return self.show(value)


RATE = Column("req/s", "rate", grouped)
COST = (
    Column("p50 µs", "p50", grouped),
    Column("p99 µs", "p99", grouped),
    Column("CPU µs/req", "cpu", fixed),
    Column("core", "busy", percent),
    Column("RSS MiB", "rss", fixed),
)
COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "load": (
        "Requests",
        (
            RATE,
            Column("of Envoy", "rate", times, ENVOY),
            Column("of nginx", "rate", times, NGINX),
            Column("CPU of Envoy", "cpu", times, ENVOY),
            *COST,
        ),
    ),
    "transfer": (
        "200 MiB",
        (
            Column("MiB/s", "rate", grouped),
            Column("of Envoy", "rate", times, ENVOY),
            Column("CPU ms", "cpu", grouped),
            Column("core", "busy", percent),
            Column("RSS MiB", "rss", fixed),
        ),
    ),
    "log": ("Access log", (RATE, Column("of without", "rate", times, PROXY), *COST)),
    "traces": (
        "Traces",
        (
            RATE,
            Column("of off", "rate", times, PROXY),
            Column("CPU of off", "cpu", times, PROXY),
            *COST,
        ),
    ),
    "roll": (
        "Token roll-overs",
        (
            RATE,
            Column("of without", "rate", times, is_of_base=True),
            Column("new tokens", "tokens", grouped),
            *COST,
        ),
    ),
    "growth": (
        "Growth",
        (
            RATE,
            Column("p99 µs", "p99", grouped),
            Column("CPU µs/req", "cpu", fixed),
            Column("of base", "cpu", times, is_of_base=True),
            Column("RSS MiB", "rss", fixed),
        ),
    ),
    "memory": (
        "Memory",
        (
            Column("idle MiB", "idle", fixed),
            Column(f"{IDLE_CONNECTIONS:,} idle connections MiB", "connected", fixed),
        ),
    ),
    "start": ("Start to first response", (Column("ms", "milliseconds", grouped),)),
}


def tables(results: Results, scenarios: Sequence[Scenario]) -> str:
    """Return all tables that have rows, what was refused and why, and the targets."""
    parts = [
        f"### {title}\n\n{_table(results, chosen, columns)}"
        for kind, (title, columns) in COLUMNS.items()
        if (chosen := _shown(results, scenarios, kind))
    ]
    if refusals := _refusals(results, scenarios):
        parts.append("### Refused\n\n" + "\n".join(refusals))
    if any(target.measured is not None for target in targets(results)):
        parts.append(f"### Targets\n\n{_targets(targets(results))}")
    return "\n\n".join(parts)


def _shown(results: Results, scenarios: Sequence[Scenario], kind: str) -> list[Scenario]:
    return [each for each in scenarios if each.kind == kind and results.peers(each.name)]


def _table(results: Results, scenarios: Sequence[Scenario], columns: Sequence[Column]) -> str:
    headings = ["", "proxy", *[column.heading for column in columns], "spread", "rounds"]
    rows: list[list[str]] = []
    for scenario in scenarios:
        for number, peer in enumerate(results.peers(scenario.name)):
            figures = [column.text(results, scenario, peer) for column in columns]
            cell = results.cell(scenario.name, peer)
            spread, taken = percent(cell.spread(scenario.main)), str(len(cell.samples))
            rows.append(["" if number else scenario.title, peer, *figures, spread, taken])
    return render(headings, rows, names=2)


def _refusals(results: Results, scenarios: Sequence[Scenario]) -> list[str]:
    return [
        f"- {COLUMNS[scenario.kind][0]}: {scenario.title}, {peer}: {refusal}"
        for scenario in scenarios
        for peer in results.peers(scenario.name)
        if (refusal := results.cell(scenario.name, peer).refusal)
    ]


def _targets(aims: Sequence[Target]) -> str:
    rows = [
        [
            aim.title,
            f"{'≤' if aim.is_lower_better else '≥'} {aim.wanted:g}",
            times(aim.measured) if aim.wanted < 10 else fixed(aim.measured),
            aim.verdict,
        ]
        for aim in aims
    ]
    return render(["", "wanted", "measured", "reached"], rows, names=1)
