"""The simulated fleet: that it is made of the real refresher, and that its figures are true."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from bench.fleet.__main__ import main
from bench.fleet.chart import picture
from bench.fleet.endpoint import LATENCY_SECONDS, Respond, Service, TokenEndpoint, Window
from bench.fleet.figures import at_most, figures, without_token
from bench.fleet.policies import OURS, POLICIES
from bench.fleet.readiness import Gap, Readiness
from bench.fleet.report import PAGE, PICTURES, table, write
from bench.fleet.scenarios import SCENARIOS, Scenario
from bench.fleet.sidecar import SecretFile, Sidecar, World
from bench.fleet.simulation import Run, simulate
from bench.fleet.timeline import Timeline
from bench.report.page import page_with
from proxy.oauth.credential import Credential
from proxy.oauth.endpoint import Attempt
from proxy.oauth.refresher import TokenRefresher
from proxy.oauth.response import Failure, Grant
from tests.support.fake_clock import FakeClock, RefresherRig

SMALL = 100
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
GRANTED = Attempt(Grant("a-token", 600.0, "signicat-api"))
DOWN = Attempt(Failure("connect_failed"))
BUSY = Attempt(Failure("http_429", retry_after_seconds=20.0))
REFUSED = Attempt(Failure("invalid_client", is_permanent=True))
# Outcomes of a token endpoint, in order; then it grants.
STORIES: dict[str, list[Attempt]] = {
    "all is well": [],
    "down at first": [DOWN, DOWN, DOWN, GRANTED, GRANTED],
    "down until the token has ended": [GRANTED, *[DOWN] * 40, GRANTED],
    "busy": [BUSY, GRANTED, BUSY, BUSY, DOWN, GRANTED, BUSY],
    "refused": [GRANTED, REFUSED, REFUSED, GRANTED, REFUSED, DOWN],
}
END, CHANGE = 4000.0, 2003.7


class Script:
    """A token endpoint of few words; `asked_at` holds the seconds since the start."""

    def __init__(self, timeline: Timeline, results: Sequence[Attempt]) -> None:
        self.asked_at: list[float] = []
        self._timeline = timeline
        self._results = iter(results)

    def call(self, respond: Respond) -> None:
        """Take one call."""
        self.asked_at.append(self._timeline.now)
        result = next(self._results, GRANTED)
        self._timeline.at(self._timeline.now + LATENCY_SECONDS, partial(respond, result))


class ScriptOnLoop:
    """The same, for a refresher that is a task of an event loop."""

    scope = "signicat-api"

    def __init__(self, fake: FakeClock, results: Sequence[Attempt]) -> None:
        self.asked_at: list[float] = []
        self._fake, self._began = fake, fake.monotonic
        self._results = iter(results)

    async def request(self, secret: Credential) -> Attempt:
        """Make one call."""
        del secret
        self.asked_at.append(self._fake.monotonic - self._began)
        await self._fake.sleep(asyncio.Event(), LATENCY_SECONDS)
        return next(self._results, GRANTED)


def simulated(results: Sequence[Attempt], secret: SecretFile) -> list[float]:
    """Return when the sidecar of a fleet asks."""
    timeline = Timeline()
    endpoint = Script(timeline, results)
    world = World(
        timeline, cast("TokenEndpoint", endpoint), Readiness(1), Random(7).random, [secret]
    )
    timeline.at(secret.changes_at, partial(secret.write, "second"))
    Sidecar(world, 0).start()
    timeline.run(END)
    return endpoint.asked_at


async def lived(results: Sequence[Attempt], secret: SecretFile) -> list[float]:
    """Return when a refresher asks that runs as it does in the product, but for its clock."""
    rig = RefresherRig()
    endpoint = ScriptOnLoop(rig.fake, results)
    rotated = RefresherRig(secret_file=secret.path).secrets
    refresher = TokenRefresher(
        rig.cache,
        backoff=rig.backoff,
        demand=rig.demand,
        endpoint=endpoint,
        secrets=rotated,
        clock=rig.fake.clock,
        draw=Random(7).random,
        metrics=rig,
        log=rig.recorded.log,
    )
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(refresher.run())
        await rig.fake.advance(secret.changes_at)
        secret.write("second")
        await rig.fake.advance(END - secret.changes_at)
        task.cancel()
    return endpoint.asked_at


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
async def test_a_simulated_sidecar_asks_when_the_product_asks(
    story: list[Attempt], tmp_path: Path
) -> None:
    """From the first call to the last: same draws, same instants, a new secret in the middle."""
    secret = SecretFile(tmp_path / "secret", CHANGE)
    secret.write("first")
    asked = simulated(story, secret)
    secret.write("first")
    assert asked == pytest.approx(await lived(story, secret), abs=1e-6)
    assert len(asked) >= len(story)
    assert [moment for moment in asked if CHANGE <= moment < CHANGE + 5]


# --- the endpoint ---


def responses(service: Service, moments: Sequence[float]) -> list[tuple[str, float]]:
    """Return what calls at these moments bring, and when."""
    timeline = Timeline()
    endpoint = TokenEndpoint(timeline, service, 100.0)
    got: list[tuple[str, float]] = []

    def note(attempt: Attempt) -> None:
        result = attempt.result
        said = "ok" if isinstance(result, Grant) else str(result.outcome)
        if isinstance(result, Failure) and result.retry_after_seconds is not None:
            said += f" {result.retry_after_seconds:g}"
        got.append((said, round(timeline.now - LATENCY_SECONDS, 6)))

    for moment in moments:
        timeline.at(moment, partial(endpoint.call, note))
    timeline.run()
    return sorted(got, key=lambda each: each[1])


def test_the_endpoint_handles_calls_one_after_the_other() -> None:
    """A call takes its share of a second, and begins when the one before is done."""
    assert responses(Service(2.0, 600.0), [0.0, 0.0, 0.25, 5.0]) == [
        *(("ok", 0.5), ("ok", 1.0), ("ok", 1.5), ("ok", 5.5))
    ]


@pytest.mark.parametrize(("wait", "said"), [(None, "http_5xx"), (10.0, "http_429 10")])
def test_the_endpoint_turns_away_what_would_wait_too_long(wait: float | None, said: str) -> None:
    """A call that would wait for more than two seconds is turned away, at once and for nothing."""
    service = Service(1.0, 600.0, retry_after_seconds=wait)
    assert responses(service, [0.0] * 5) == [
        *((said, 0.0), (said, 0.0), ("ok", 1.0), ("ok", 2.0), ("ok", 3.0))
    ]


def test_the_endpoint_is_away() -> None:
    """Nobody listens, or everybody is told when to come: the end of a window is no part of it."""
    down, closed = Window(1.0, 2.0), Window(1.0, 8.5)
    moments = [0.0, 1.0, 1.9, 2.0]
    outcomes = [said for said, _ in responses(Service(100.0, 600.0, down=down), moments)]
    assert outcomes == ["ok", "connect_failed", "connect_failed", "ok"]
    outcomes = [
        said for said, _ in responses(Service(100.0, 600.0, closed=closed), [1.0, 8.0, 8.5])
    ]
    assert outcomes == ["http_429 8", "http_429 1", "ok"]


# --- the others ---


def asked_by(policy: str, results: Sequence[Attempt], end: float) -> list[float]:
    """Return when a process of that policy asks that is started at 0, to a tenth of a second."""
    timeline = Timeline()
    endpoint = Script(timeline, results)
    world = World(timeline, cast("TokenEndpoint", endpoint), Readiness(1), lambda: 0.5)
    POLICIES[policy](world, 0).start()
    timeline.run(end)
    return [round(moment, 1) for moment in endpoint.asked_at]


def test_envoy_renews_at_half_the_lifetime_and_tries_again_after_two_seconds() -> None:
    """Whatever failed, and whatever `Retry-After` says."""
    asked = asked_by("Envoy", [DOWN, BUSY, REFUSED, GRANTED, GRANTED], 700.0)
    assert asked == pytest.approx([0, 2, 4.1, 6.2, 306.2, 606.3], abs=0.11)


def test_a_fixed_margin_renews_with_the_first_request_inside_it() -> None:
    """Ten seconds before the end, and with each request after a failure."""
    asked = asked_by("fixed margin", [DOWN, BUSY, GRANTED, GRANTED], 1200.0)
    assert asked == [0.0, 0.5, 1.5, 592.5, 1183.5]


def test_what_comes_to_a_process_that_has_ended_is_lost() -> None:
    """A killed process asks no more; the next one begins anew."""
    for policy in POLICIES:
        timeline = Timeline()
        endpoint = Script(timeline, [])
        readiness = Readiness(1)
        world = World(timeline, cast("TokenEndpoint", endpoint), readiness, lambda: 0.5)
        member = POLICIES[policy](world, 0)
        for moment, do in ((0.0, member.start), (0.01, member.stop), (9.0, member.start)):
            timeline.at(moment, do)
        timeline.run(100.0)
        readiness.end(100.0)
        assert endpoint.asked_at == [0.0, 9.0]
        assert [(gap.begin, round(gap.end, 2)) for gap in readiness.gaps] == [(0, 0.01), (9, 9.05)]


# --- fleets ---


@pytest.mark.parametrize("policy", POLICIES)
def test_a_seed_gives_the_same_run_again(policy: str) -> None:
    """Nothing but the seed decides."""
    first, again, other = (
        simulate(BY_NAME["cold-start"], policy, size=SMALL, seed=seed) for seed in (1, 1, 2)
    )
    assert (first.calls, first.grants, first.gaps) == (again.calls, again.grants, again.gaps)
    assert first.gaps != other.gaps


@pytest.mark.parametrize("name", [name for name in BY_NAME if name != "day"])
def test_a_fleet_gets_its_tokens(name: str) -> None:
    """No more are granted than can be; each sidecar has one in the end; nobody asks in vain."""
    scenario = BY_NAME[name]
    run = simulate(scenario, OURS, size=SMALL, seed=1)
    of = figures(run)
    capacity = scenario.service.capacity * SMALL / 10_000
    for first in range(len(run.grants) - 60):
        assert sum(run.grants[first : first + 60]) <= 60 * capacity + 2 * capacity + 1
    assert all(gap.end < scenario.end - 1 for gap in run.gaps)
    assert 0 < of.grants <= of.calls
    assert of.p99 <= of.peak
    assert of.p99_without_seconds <= of.longest_without_seconds
    assert of.p99_ready_seconds <= of.ready_seconds < 180
    for away in (scenario.service.down, scenario.service.closed):
        if away is not None:
            assert sum(run.grants[int(away.begin) : int(away.end)]) == 0


def test_renewals_spread_by_themselves() -> None:
    """T2: in the eighth hour, a fleet that began in a minute no longer comes in one.

    At half the lifetime without jitter, it does so for ever.
    """
    busiest = {}
    for policy in (OURS, "Envoy"):
        run = simulate(BY_NAME["day"], policy, size=SMALL, seed=1)
        end = int(run.scenario.end)
        busiest[policy] = max(sum(run.calls[at : at + 90]) for at in range(end - 3600, end - 90))
    assert busiest["Envoy"] == SMALL
    assert busiest[OURS] < SMALL / 2


@pytest.mark.parametrize(
    ("name", "most", "seconds"), [("retry-after", 2.5, 60.0), ("rate-limit", 6.5, 80.0)]
)
def test_a_fleet_that_is_told_a_moment_does_not_come_in_one(
    name: str, most: float, seconds: float
) -> None:
    """T5: after `Retry-After` it asks for a few times the capacity, and gets what there is.

    With a tenth of spread alone it was 4 and 29 times, and the last of them waited for 92 s.
    """
    scenario = BY_NAME[name]
    run = simulate(scenario, OURS, size=1000, seed=1)
    capacity = scenario.service.capacity / 10
    told = int(scenario.over_at) + 2  # past the first second of a start
    assert max(run.calls[told : int(scenario.end)]) <= most * capacity
    assert figures(run).ready_seconds < seconds


@pytest.mark.parametrize(("lifetime", "without"), [(600.0, True), (2400.0, False), (3600.0, False)])
def test_a_long_lifetime_outlives_an_outage(lifetime: float, *, without: bool) -> None:
    """T2, T3: ten minutes are less than 0.3 L - 30 s, so that nobody is ever without a token."""
    down = Window(2 * lifetime, 2 * lifetime + 600)
    scenario = replace(
        BY_NAME["outage"],
        since=down.begin,
        over_at=down.end,
        end=down.end + 600,
        starts_within=lifetime,
        service=Service(200.0, lifetime, down=down),
    )
    run = simulate(scenario, OURS, size=SMALL, seed=1)
    assert (figures(run).longest_without_seconds > 0) is without
    assert 0.3 * lifetime - 30 > 600 or without


# --- figures ---


def made_up(gaps: Sequence[Gap]) -> Run:
    """Return a run of four sidecars over ten seconds, told from the second one on."""
    scenario = Scenario("x", "X & `y`", end=10.0, since=2.0, over_at=4.0)
    calls = [9, 9, 0, 1, 2, 3, 4, 5, 6, 3, 0]
    return Run(scenario, OURS, 4, calls, [max(0, each - 1) for each in calls], gaps)


def test_figures_are_of_what_is_told() -> None:
    """Calls before it do not count, nor does the part of a gap that lies before it."""
    of = figures(made_up([Gap(0, 0.0, 5.0), Gap(1, 4.5, 5.0), Gap(2, 3.5, 7.5), Gap(0, 6.0, 6.5)]))
    assert (of.calls, of.grants, of.peak, of.mean, of.median, of.p99) == (24, 17, 6, 3.0, 3, 6)
    assert of.refused == pytest.approx(7 / 24)
    assert (of.longest_without_seconds, of.p99_without_seconds) == (4.0, 4.0)
    # Sidecar 1 had a token when it was over: what it lost later is no part of the recovery.
    assert (of.ready_seconds, of.p99_ready_seconds) == (3.5, 3.5)


@pytest.mark.parametrize(("share", "expected"), [(0.01, 1), (0.5, 2), (0.75, 3), (0.99, 4)])
def test_percentiles_are_values_that_there_are(share: float, expected: float) -> None:
    """The least value that so large a share does not exceed."""
    assert at_most(share, [4, 1, 3, 2]) == expected


def test_who_is_without_a_token_is_counted_each_second() -> None:
    """At the end of each second; a gap between two ends is not seen."""
    run = made_up([Gap(0, 0.0, 3.0), Gap(1, 1.5, 4.5), Gap(2, 5.1, 5.9), Gap(3, 9.0, 10.0)])
    assert without_token(run) == [1, 2, 1, 1, 0, 0, 0, 0, 1, 0]


# --- what is shown ---


def small_runs() -> list[Run]:
    """Return the runs of one scenario."""
    return [simulate(BY_NAME["outage"], policy, size=SMALL, seed=1) for policy in POLICIES]


def test_a_picture_shows_each_policy_twice() -> None:
    """It is well-formed; ours is drawn last, always in the same colour; the capacity is marked."""
    drawn = ET.fromstring(picture(small_runs()))
    svg = "{http://www.w3.org/2000/svg}"
    lines = [each.attrib["class"] for each in drawn.iter(f"{svg}polyline")]
    assert lines == ["line2", "line1", "line0", *["line0", "line1", "line2"] * 2]
    texts = [each.text for each in drawn.iter(f"{svg}text")]
    assert {"capacity 2", "Calls a second", "Sidecars without a token", *POLICIES} <= set(texts)
    points = [
        point.split(",")
        for each in drawn.iter(f"{svg}polyline")
        for point in each.attrib["points"].split()
    ]
    assert all(0 <= float(x) <= 800 and 0 <= float(y) <= 450 for x, y in points)
    plain = ET.fromstring(picture([made_up([])]))
    assert [each.text for each in plain.iter(f"{svg}title")] == ["X & y"]


def test_the_page_gets_tables_and_pictures(tmp_path: Path) -> None:
    """Only what stands between the markers is replaced; the picture has the scenario's name."""
    page = tmp_path / "scale.md"
    page.write_text("before\n<!-- outage:begin -->\nold\n<!-- outage:end -->\nafter\n", "utf-8")
    runs = small_runs()
    write(runs, page, tmp_path / "pictures")
    text = page.read_text("utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert table(runs) in text
    assert ET.parse(tmp_path / "pictures" / "outage.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("name", BY_NAME)
def test_the_page_in_the_repository_has_every_scenario(name: str) -> None:
    """Its table has a place, its picture is there and is shown."""
    page = PAGE.read_text("utf-8")
    assert "figures" in page_with(page, name, "figures")
    assert f"](scale/{name}.svg)" in page
    assert (PICTURES / f"{name}.svg").is_file()


@pytest.mark.parametrize("name", ["rollout", "rate-limit", "retry-after"])
def test_the_page_says_what_the_schedule_does(name: str) -> None:
    """Where this fails, the schedule has changed: `python -m bench.fleet --write` tells of it."""
    run = simulate(BY_NAME[name], OURS, size=10_000, seed=1)
    row = table([run]).splitlines()[-1]
    shown = [" ".join(line.split()) for line in PAGE.read_text("utf-8").splitlines()]
    assert " ".join(row.split()) in shown


def test_the_command_prints_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """One for each scenario that is asked for."""
    asked = ["--fleet", "100", "--jobs", "1", "--scenario", "rollout"]
    assert main(asked) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("A rollout of all within a minute (rollout)\n\n|")
    assert [printed.count(f"| {policy}") for policy in POLICIES] == [1, 1, 1]


def test_the_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    """All figures of all runs; several processes change none of them."""
    asked = ["--fleet", "100", "--json", "--seed", "3", "--scenario", "rollout"]
    printed = []
    for jobs in ("1", "2"):
        assert main([*asked, "--jobs", jobs]) == 0
        printed.append(json.loads(capsys.readouterr().out))
    assert printed[0] == printed[1]
    assert printed[0]["seed"] == 3
    assert [run["policy"] for run in printed[0]["runs"]] == [*POLICIES]
    assert {run["sidecars"] for run in printed[0]["runs"]} == {100}


@pytest.mark.parametrize(
    "arguments",
    [["--scenario", "nothing"], ["--fleet", "10"], ["--jobs", "0"], ["--write", "--fleet", "100"]],
)
def test_wrong_options_end_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option ends the command before it simulates anything."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err
