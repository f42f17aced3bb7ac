"""Interleaved rounds: each scenario, each round, each peer in turn; more where some lie apart."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bench.failures import Refused
from bench.load.calm import is_calm, keep_calmest
from bench.load.figures import Cell, Results
from bench.load.progress import WARM_UP_SECONDS, Progress, expected_seconds, round_seconds
from bench.load.samples import Subject
from bench.load.scenarios import Scenario
from bench.peers.peer import Peer
from bench.peers.upstream import Upstream

__all__ = ["Plan", "in_turn", "measure_all"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: scenarios, peers, how long, and how often: more often where rounds lie apart."""

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    more_rounds: int
    seconds: int
    proxy_core: int

    def expected(self, scenario: Scenario) -> float:
        """Return about how many seconds a scenario takes on a calm machine."""
        return expected_seconds(scenario, self.peers, rounds=self.rounds, seconds=self.seconds)

    def of_one_round(self, scenario: Scenario) -> float:
        """Return about how many seconds one more round takes."""
        return round_seconds(scenario, self.peers, seconds=self.seconds)


def in_turn(names: Sequence[str], number: int) -> list[str]:
    """Return the order of one round: each begins with another peer."""
    first = number % max(len(names), 1)
    return [*names[first:], *names[:first]]


def measure_all(plan: Plan, upstream: Upstream) -> Results:
    """Run the plan, first with the plain upstream, then with the TLS upstream."""
    results = Results()
    progress = Progress(plan.expected(scenario) for scenario in plan.scenarios)
    for tls in (False, True):
        _measure_mode(plan, upstream, results, progress, tls=tls)
    return results


def _measure_mode(
    plan: Plan, upstream: Upstream, results: Results, progress: Progress, *, tls: bool
) -> None:
    """Start once whoever takes part in one of the scenarios, and run all of them."""
    scenarios = [scenario for scenario in plan.scenarios if scenario.tls == tls]
    subjects: dict[str, Subject] = {}
    core, seconds = plan.proxy_core, plan.seconds
    with ExitStack() as stack:
        for peer in plan.peers:
            concerned = [scenario for scenario in scenarios if scenario.concerns(peer.name)]
            if not concerned:
                continue
            cells = [results.cell(scenario.name, peer.name) for scenario in concerned]
            try:
                running = stack.enter_context(peer.started(upstream, tls=tls, core=core))
            except Refused as refusal:
                progress.say(f"{peer.name}: {refusal}")
                for cell in cells:
                    cell.refusal = str(refusal)
            else:
                subjects[peer.name] = Subject(peer, running, upstream, core, seconds)
        for scenario in scenarios:
            _measure_scenario(plan, scenario, subjects, results, progress)


def _measure_scenario(
    plan: Plan,
    scenario: Scenario,
    subjects: dict[str, Subject],
    results: Results,
    progress: Progress,
) -> None:
    """Take all rounds; while they lie apart, take more, and let those in a row count that are calm.

    A disturbance of the machine is over some time, and then costs time, not the figure. A failure
    costs the figure in any round.
    """
    taking_part = [name for name in subjects if scenario.concerns(name)]
    if scenario.has_warm_up:
        for name in taking_part:
            _warm_up(scenario, subjects[name])
    expected, why = plan.expected(scenario), ""
    for number in range(plan.rounds + plan.more_rounds):
        if number >= plan.rounds:
            if is_calm(results, scenario, plan.rounds):
                break
            progress.done(expected)
            expected, why = plan.of_one_round(scenario), ", since rounds lie apart"
            progress.more(expected)
        for name in in_turn(taking_part, number):
            cell = results.cell(scenario.name, name)
            if not cell.refusal:
                taken = _take(plan, scenario, subjects[name], cell)
                progress.say(f"{scenario.name}: round {number + 1}{why}: {name}: {taken}")
    progress.done(expected)
    keep_calmest(results, scenario, plan.rounds)


def _take(plan: Plan, scenario: Scenario, subject: Subject, cell: Cell) -> str:
    """Add one sample to the cell, or refuse it; return what to say of it."""
    seconds = max(plan.seconds, scenario.least_seconds)
    try:
        sample = scenario.measure(replace(subject, seconds=seconds))
    except Refused as refusal:
        cell.refusal = str(refusal)
        return f"refused: {refusal}"
    cell.samples.append(sample)
    return f"{scenario.main} {sample[scenario.main]:,.1f}"


def _warm_up(scenario: Scenario, subject: Subject) -> None:
    """Let connections open and caches fill; a failure shows again in the first round."""
    try:
        scenario.measure(replace(subject, seconds=WARM_UP_SECONDS))
    except Refused:
        return
