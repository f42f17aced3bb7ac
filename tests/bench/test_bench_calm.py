"""When the rounds of the bench lie so close together that their figures are published."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench.client import Endpoint
from bench.failures import BenchError, Refused
from bench.load.calm import is_calm, keep_calmest
from bench.load.figures import Results, Sample
from bench.load.rounds import Plan, measure_all
from bench.load.samples import Subject, measure_memory
from bench.load.scenarios import SCENARIOS
from bench.peers.peer import DIRECT, PROXY, Direct, Running
from bench.peers.upstream import Upstream
from bench.report.page import PAGE, page_with, publish
from bench.report.published import published

GET_16 = next(scenario for scenario in SCENARIOS if scenario.name == "get-1k-16")
NOWHERE = Upstream(1, 2, 3, 4, Path("ca.pem"), Path())


def rounds(*rates: float, **others: tuple[float, ...]) -> Results:
    """Return results of one scenario, a rate for each round of this proxy and of others."""
    results = Results()
    for peer, figures in {PROXY: rates, **others}.items():
        results.cell(GET_16.name, peer).samples.extend({"rate": rate} for rate in figures)
    return results


@pytest.mark.parametrize("rates", [(100.0, 105.0, 110.0), (40.0, 40.0)])
def test_a_calm_machine_publishes(rates: tuple[float, ...]) -> None:
    """Rounds that lie up to ten per cent apart may be published."""
    kept = published(rounds(*rates), [GET_16])
    assert kept.cell(GET_16.name, PROXY).values("rate") == list(rates)


@pytest.mark.parametrize("rates", [(100.0, 112.0, 100.0), (40.0,)])
def test_a_disturbed_machine_does_not(rates: tuple[float, ...]) -> None:
    """Who ran it is told which figures lie apart; a single round shows nothing."""
    with pytest.raises(BenchError, match=f"{GET_16.name}, {PROXY}"):
        published(rounds(*rates), [GET_16])


def test_one_figure_of_many_that_lies_apart_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The others are on the page and in the picture; its row is empty, and the reason is said."""
    many = {f"calm-{number}": (100.0, 100.0) for number in range(8)}
    results = rounds(100.0, 112.0, envoy=(50.0, 50.0), **many)
    page = tmp_path / "page.md"
    page.write_text(PAGE.read_text(encoding="utf-8"), encoding="utf-8")
    publish(page, "facts", results, [GET_16], "budget")
    text = page.read_text(encoding="utf-8")
    assert f"- Requests: {GET_16.title}, {PROXY}: rounds 11.3 % apart" in text
    assert re.search(rf"\| {PROXY} +\| +- \|", text)
    assert re.search(r"\| calm-7 +\| +100 \|", text)
    drawn = "".join(ET.parse(tmp_path / "page.svg").getroot().itertext())
    assert "calm-7" in drawn
    assert PROXY not in drawn.replace("Throughput of signicat-proxy", "")
    assert f"{GET_16.name}, {PROXY}: rounds 11.3 % apart" in capsys.readouterr().err
    assert results.median(GET_16.name, PROXY, "rate") == 106.0


def test_what_failed_counts_as_lost_too() -> None:
    """A page with hardly any figures replaces none; one refused of ten is shown as such."""
    many = {f"calm-{number}": (100.0, 100.0) for number in range(9)}
    results = rounds(100.0, 112.0, **many)
    results.cell(GET_16.name, "calm-8").refusal = "3 read errors of 9 requests"
    with pytest.raises(BenchError, match="of 10 figures, 2 are refused") as raised:
        published(results, [GET_16])
    assert f"{GET_16.name}, calm-8: 3 read errors of 9 requests" in str(raised.value)
    results = rounds(100.0, 100.0, **many)
    results.cell(GET_16.name, "calm-8").refusal = "3 read errors of 9 requests"
    assert published(results, [GET_16]).cell(GET_16.name, "calm-8").refusal


def test_the_peak_of_memory_counts_in_every_round() -> None:
    """Neither a round that does not count nor a figure that is left out hides it."""
    many = {f"calm-{number}": (100.0, 100.0, 100.0) for number in range(9)}
    results = rounds(**many)
    samples = [
        {"rate": rate, "peak": peak} for rate, peak in ((50.0, 66.0), (100.0, 60.0), (90.0, 61.0))
    ]
    results.cell(GET_16.name, PROXY).samples.extend(samples)
    keep_calmest(results, GET_16, 2)
    assert 66.0 not in results.cell(GET_16.name, PROXY).values("peak")
    kept = published(results, [GET_16])
    assert kept.cell(GET_16.name, PROXY).refusal == "rounds 10.5 % apart"
    assert kept.largest(PROXY, "peak") == 66.0


def test_a_disturbed_machine_publishes_the_budget_alone(tmp_path: Path) -> None:
    """Its figures are the least of many; what a calm machine showed before stays."""
    page = tmp_path / "page.md"
    before = page_with(PAGE.read_text(encoding="utf-8"), "bench", "figures before")
    page.write_text(before, encoding="utf-8")
    with pytest.raises(BenchError, match="calm machine"):
        publish(page, "facts", rounds(100.0, 112.0), [GET_16], "the new budget")
    assert page.read_text(encoding="utf-8") == page_with(before, "budget", "the new budget")
    assert [file.name for file in tmp_path.iterdir()] == ["page.md"]
    calm = rounds(100.0, 105.0)
    publish(page, "facts", calm, [GET_16], "a newer budget")
    after = page.read_text(encoding="utf-8")
    assert "figures before" not in after
    assert all(text in after for text in ("facts", "a newer budget", GET_16.title))
    assert ET.parse(tmp_path / "page.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("rates", "others", "kept"),
    [
        ((100.0, 101.0, 110.0, 90.0, 91.0), (30.0, 50.0, 50.0, 51.0, 52.0), (90.0, 91.0)),
        ((100.0, 101.0, 102.0, 80.0), (10.0, 14.0, 18.0, 20.5), (101.0, 102.0)),
        ((100.0, 100.0, 85.0, 70.0), (10.0, 13.1, 10.0, 12.0), (100.0, 100.0)),
        ((100.0,), (50.0,), (100.0,)),
    ],
    ids=["the calmest", "of those as bad", "the fewest apart", "one round"],
)
def test_the_calmest_rounds_in_a_row_count(
    rates: tuple[float, ...], others: tuple[float, ...], kept: tuple[float, ...]
) -> None:
    """Those with the fewest peers apart, then with the least spread; for all peers the same."""
    results = rounds(*rates, envoy=others)
    results.cell(GET_16.name, "nginx").samples.append({"rate": 1.0})
    results.cell(GET_16.name, "nginx").refusal = "3 read errors of 9 requests"
    keep_calmest(results, GET_16, 2)
    assert tuple(results.cell(GET_16.name, PROXY).values("rate")) == kept
    first = rates.index(kept[0])
    assert tuple(results.cell(GET_16.name, "envoy").values("rate")) == others[first : first + 2]


def test_machines_are_calm_when_all_peers_are() -> None:
    """In the same rounds: two that are calm one after the other are not."""
    assert is_calm(rounds(100.0, 150.0, 150.0, envoy=(50.0, 90.0, 91.0)), GET_16, 2)
    assert not is_calm(rounds(100.0, 100.0, 150.0, envoy=(50.0, 90.0, 91.0)), GET_16, 2)


def measured(plan: Plan, figures: dict[str, list[float | None]]) -> Results:
    """Return what the plan measures where these are the figures; None for a failure."""
    left = {peer: iter(of_peer) for peer, of_peer in figures.items()}

    def measure(subject: Subject) -> Sample:
        figure = next(left[subject.peer.name])
        if figure is None:
            raise Refused("3 read errors of 9 requests")
        return {"rate": figure}

    scenario = replace(plan.scenarios[0], measure=measure)
    results = measure_all(replace(plan, scenarios=[scenario]), NOWHERE)
    assert not [figure for of_peer in left.values() for figure in of_peer]
    return results


@pytest.mark.parametrize(
    ("rates", "more_rounds", "kept"),
    [
        ([100.0, 101.0, 102.0], 9, [100.0, 101.0, 102.0]),
        ([100.0, 150.0, 102.0, 103.0, 104.0], 9, [102.0, 103.0, 104.0]),
        ([100.0, 200.0, 100.0, 150.0], 1, [200.0, 100.0, 150.0]),
        ([100.0, 200.0, 100.0], 0, [100.0, 200.0, 100.0]),
    ],
    ids=["calm", "calm later", "never calm", "no more"],
)
def test_rounds_are_taken_until_some_are_calm(
    rates: list[float], more_rounds: int, kept: list[float]
) -> None:
    """A disturbance costs time; there are no more rounds than are allowed, the same for all."""
    plan = Plan([GET_16], [Direct(PROXY), Direct("envoy")], 3, more_rounds, 1, 0)
    # The first of each is not measured: what is cold gets warm.
    calm = [50.0 + number / 10 for number in range(len(rates))]
    results = measured(plan, {PROXY: [9.0, *rates], "envoy": [9.0, *calm]})
    assert results.cell(GET_16.name, PROXY).values("rate") == kept
    first = rates.index(kept[0])
    assert results.cell(GET_16.name, "envoy").values("rate") == calm[first : first + 3]


def test_a_failure_refuses_the_figure_in_any_round(capsys: pytest.CaptureFixture[str]) -> None:
    """Also in one that was taken since the rounds of another peer lay apart, and that is said."""
    plan = Plan([GET_16], [Direct(PROXY), Direct("envoy")], 2, 9, 1, 0)
    rates: list[float | None] = [9.0, 100.0, 150.0, 102.0, 103.0]
    results = measured(plan, {PROXY: rates, "envoy": [9.0, 50.0, 50.0, None]})
    assert results.cell(GET_16.name, PROXY).values("rate") == [102.0, 103.0]
    assert results.cell(GET_16.name, "envoy").refusal == "3 read errors of 9 requests"
    said = capsys.readouterr().err
    assert "round 2: envoy" in said
    assert "round 3, since rounds lie apart: envoy: refused: 3 read errors" in said


@dataclass(frozen=True)
class Counted:
    """No proxy: counts how often it is started."""

    starts: list[int] = field(default_factory=list)
    name: str = DIRECT

    @contextmanager
    def started(self, upstream: Upstream, *, tls: bool, core: int) -> Iterator[Running]:
        """Count, and give out what has no process."""
        self.starts.append(core)
        yield Running(upstream.direct(tls=tls), None)


def test_memory_is_that_of_a_new_process() -> None:
    """What the process before took, or a round before, is not in it."""
    peer = Counted()
    with pytest.raises(Refused, match="no process"):
        measure_memory(Subject(peer, Running(Endpoint(1), None), NOWHERE, 5, 1))
    assert peer.starts == [5]
