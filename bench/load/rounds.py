"""Interleaved rounds: each scenario, each round, each peer in turn."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bench.failures import Refused
from bench.load.figures import Results
from bench.load.progress import WARM_UP_SECONDS, Progress, expected_seconds
from bench.load.samples import Subject
from bench.load.scenarios import Scenario
from bench.peers.peer import Peer
from bench.peers.upstream import Upstream

__all__ = ["Plan", "in_turn", "measure_all"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run: scenarios, peers, and how often and how long."""

    scenarios: Sequence[Scenario]
    peers: Sequence[Peer]
    rounds: int
    seconds: int
    proxy_core: int

    def expected(self, scenario: Scenario) -> float:
        """Return about how many seconds a scenario takes."""
        return expected_seconds(scenario, self.peers, rounds=self.rounds, seconds=self.seconds)


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
            progress.done(plan.expected(scenario))


def _measure_scenario(
    plan: Plan,
    scenario: Scenario,
    subjects: dict[str, Subject],
    results: Results,
    progress: Progress,
) -> None:
    taking_part = [name for name in subjects if scenario.concerns(name)]
    if scenario.is_repeated and scenario.has_warm_up:
        for name in taking_part:
            _warm_up(scenario, subjects[name])
    for number, name in _schedule(plan, scenario, taking_part):
        cell = results.cell(scenario.name, name)
        if cell.refusal:
            continue
        try:
            seconds = max(plan.seconds, scenario.least_seconds)
            sample = scenario.measure(replace(subjects[name], seconds=seconds))
        except Refused as refusal:
            cell.refusal = str(refusal)
            progress.say(f"{scenario.name}: round {number + 1}: {name}: refused: {refusal}")
        else:
            cell.samples.append(sample)
            figure = sample[scenario.main]
            progress.say(
                f"{scenario.name}: round {number + 1}: {name}: {scenario.main} {figure:,.1f}"
            )


def _schedule(plan: Plan, scenario: Scenario, names: list[str]) -> Iterator[tuple[int, str]]:
    for number in range(plan.rounds if scenario.is_repeated else 1):
        for name in in_turn(names, number):
            yield number, name


def _warm_up(scenario: Scenario, subject: Subject) -> None:
    """Let connections open and caches fill; a failure shows again in the first round."""
    try:
        scenario.measure(replace(subject, seconds=WARM_UP_SECONDS))
    except Refused:
        return
