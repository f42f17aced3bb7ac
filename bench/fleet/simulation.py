"""One fleet of one policy in one scenario, from its first start to the end."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from bench.fleet.endpoint import TokenEndpoint, Window
from bench.fleet.policies import POLICIES, Member
from bench.fleet.readiness import Gap, Readiness
from bench.fleet.scenarios import FLEET, Change, CrashLoop, Scenario
from bench.fleet.sidecar import SecretFile, World
from bench.fleet.timeline import Timeline

__all__ = ["Run", "simulate"]

_FIRST_WAIT_SECONDS: Final = 10.0
_LONGEST_WAIT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class Run:
    """What happened: calls and grants in each second, and who was without a token when."""

    scenario: Scenario
    policy: str
    size: int
    calls: Sequence[int]
    grants: Sequence[int]
    gaps: Sequence[Gap]


def simulate(scenario: Scenario, policy: str, *, size: int, seed: int) -> Run:
    """Return what a fleet of that size does; the same for the same arguments.

    The capacity of the endpoint is in proportion to the size. The fleets of all policies start,
    and crash, at the same moments.
    """
    with tempfile.TemporaryDirectory() as folder:
        return _Fleet(scenario, policy, size, seed, Path(folder)).run()


class _Fleet:
    def __init__(self, scenario: Scenario, policy: str, size: int, seed: int, folder: Path) -> None:
        self._scenario, self._policy, self._size = scenario, policy, size
        self._folder = folder
        self._timeline = Timeline()
        service = replace(scenario.service, capacity=scenario.service.capacity * size / FLEET)
        self._endpoint = TokenEndpoint(self._timeline, service, scenario.end)
        self._readiness = Readiness(size)
        self._draw = Random(f"draws of {policy} {seed}").random
        self._events = Random(f"events of {scenario.name} {seed}")

    def run(self) -> Run:
        """Run to the end."""
        change = self._scenario.change
        secrets = [] if change is None else [*self._rotated(change)]
        world = World(self._timeline, self._endpoint, self._readiness, self._draw, secrets)
        members = [POLICIES[self._policy](world, number) for number in range(self._size)]
        starts = Window(0.0, self._scenario.starts_within)
        for member in members:
            self._timeline.at(self._moment(starts), member.start)
        if self._scenario.crashes is not None:
            self._crash(self._scenario.crashes, members)
        self._timeline.run(self._scenario.end)
        self._readiness.end(self._timeline.now)
        return Run(
            self._scenario,
            self._policy,
            self._size,
            self._endpoint.calls,
            self._endpoint.grants,
            self._readiness.gaps,
        )

    def _moment(self, window: Window) -> float:
        return window.begin + self._events.random() * (window.end - window.begin)

    def _rotated(self, change: Change) -> list[SecretFile]:
        """Write the secret of each sidecar, and arrange for another one to come."""
        files = []
        for first in range(0, self._size, change.sidecars_of_a_file):
            file = SecretFile(self._folder / f"secret-{first}", self._moment(change.window))
            file.write("the first secret")
            self._timeline.at(file.changes_at, partial(file.write, "the second secret"))
            files += [file] * change.sidecars_of_a_file
        return files[: self._size]

    def _crash(self, loop: CrashLoop, members: Sequence[Member]) -> None:
        for member in members[: round(loop.share * len(members))]:
            moment, wait = self._moment(loop.first), _FIRST_WAIT_SECONDS
            while moment < self._scenario.end:
                self._timeline.at(moment, member.stop)
                self._timeline.at(moment + wait, member.start)
                moment += wait + loop.lives_seconds
                wait = min(_LONGEST_WAIT_SECONDS, 2 * wait)
