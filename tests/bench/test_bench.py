"""The bench: what it reads from wrk, what it computes, and what it writes. No load here."""

from xml.etree import ElementTree as ET

import pytest

from bench.__main__ import chosen_scenarios
from bench.__main__ import parse as parse_arguments
from bench.client import Endpoint
from bench.failures import BenchError, Refused
from bench.load.figures import Cell, Results, ratio, spread
from bench.load.rounds import in_turn
from bench.load.scenarios import SCENARIOS
from bench.load.wrk import Request, parse, script
from bench.peers.peer import DIRECT, PROXY
from bench.peers.token_endpoint import TOKEN
from bench.report.chart import Bar, chart, drawn
from bench.report.page import PAGE, page_with
from bench.report.tables import tables
from bench.report.targets import Target, targets
from bench.table import fixed, grouped, percent, render, times

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
GET_1K = Request("/1k", 1024)
RECORDED = """\
Running 2s test @ http://127.0.0.1:40433/1k
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   262.40us   57.35us   1.98ms   86.70%
    Req/Sec    55.85k     1.21k   57.40k    71.43%
  117284 requests in 2.10s, 139.71MB read
Requests/sec:  55847.92
Transfer/sec:     66.52MB
BENCH {"requests":117284,"microseconds":2100061,"bytes":146496520,"p50":262,"p99":467,\
"connect":0,"read":0,"write":0,"timeout":0,"status":0}
"""


def test_a_run_of_wrk_is_read() -> None:
    """Requests, time and latencies come from the script's own line."""
    load = parse(RECORDED, GET_1K)
    assert (load.requests, load.p50, load.p99) == (117284, 262, 467)
    assert load.requests / load.seconds == pytest.approx(55847.9, abs=0.1)


@pytest.mark.parametrize(
    ("was", "now", "reason"),
    [
        ('"status":0', '"status":3', "3 responses with an error status of 117284 requests"),
        ('"read":0', '"read":1', "1 read errors of 117284 requests"),
        ('"timeout":0', '"timeout":2', "2 timeouts of 117284 requests"),
        ('"requests":117284', '"requests":0', "no request got a response"),
        ('"bytes":146496520', '"bytes":9000', "responses were shorter"),
        ("BENCH {", "{", "wrk printed no figures"),
        (RECORDED, "unable to connect to 127.0.0.1:9 Connection refused\n", "unable to connect"),
        (RECORDED, "", "no output"),
    ],
)
def test_a_run_with_errors_is_refused(was: str, now: str, reason: str) -> None:
    """One failed request makes a run worthless, and the reason is named."""
    with pytest.raises(Refused, match=reason):
        parse(RECORDED.replace(was, now), GET_1K)


def test_the_load_carries_a_token_only_without_a_proxy() -> None:
    """A proxy gets requests without credentials: one that injects nothing shows as 401s."""
    assert TOKEN in script(GET_1K, Endpoint(1, token=TOKEN))
    assert "Authorization" not in script(GET_1K, Endpoint(1))


def test_a_post_has_a_body() -> None:
    """The script of a POST sets method and body."""
    lines = script(Request("/post", 0, body_bytes=1024), Endpoint(1)).splitlines()
    assert 'wrk.method = "POST"' in lines
    assert 'wrk.body = string.rep("x", 1024)' in lines


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], None), ([5.0], None), ([0.0, 0.0], None), ([10.0, 12.0, 9.0], 0.3), ([4.0, 4.0], 0.0)],
)
def test_spread(values: list[float], expected: float | None) -> None:
    """The spread is the distance between the extremes by the median."""
    assert spread(values) == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("value", "base", "expected"),
    [(3.0, 2.0, 1.5), (None, 2.0, None), (3.0, None, None), (3.0, 0.0, None)],
)
def test_ratio(value: float | None, base: float | None, expected: float | None) -> None:
    """A ratio needs both sides."""
    assert ratio(value, base) == expected


def test_a_cell_gives_medians() -> None:
    """The figure of a cell is the median over its rounds, metric by metric."""
    cell = Cell([{"rate": 10.0, "p50": 1.0}, {"rate": 30.0}, {"rate": 20.0}])
    assert (cell.median("rate"), cell.median("p50"), cell.median("cpu")) == (20.0, 1.0, None)


def test_a_refused_cell_has_no_figure() -> None:
    """One failed round refuses the rounds that went well, too."""
    cell = Cell([{"rate": 10.0}], refusal="3 responses with an error status")
    assert cell.median("rate") is None
    assert cell.spread("rate") is None


def test_every_round_begins_with_another_peer() -> None:
    """No peer always runs first."""
    assert [in_turn("abc", number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
    assert in_turn([], 1) == []


def test_tables_are_aligned() -> None:
    """Names stand on the left, figures on the right, under headings of the same width."""
    assert render(["", "req/s"], [["envoy", "25,000"], ["nginx", "9"]], names=1) == (
        "|       |  req/s |\n| ----- | -----: |\n| envoy | 25,000 |\n| nginx |      9 |"
    )


def test_figures_are_shown_alike() -> None:
    """Each format has its digits; what is missing is a dash."""
    assert [grouped(25123.4), fixed(38.26), times(1.987), percent(0.984)] == [
        "25,123",
        "38.3",
        "1.99",
        "98 %",
    ]
    assert {show(None) for show in (grouped, fixed, times, percent)} == {"-"}


@pytest.mark.parametrize(
    ("measured", "is_lower_better", "verdict"),
    [
        (1.5, False, "yes"),
        (1.49, False, "no"),
        (None, False, "no figure"),
        (1.5, True, "yes"),
        (1.51, True, "no"),
        (None, True, "no figure"),
    ],
)
def test_a_target_is_reached_at_its_bound(
    measured: float | None, *, is_lower_better: bool, verdict: str
) -> None:
    """The bound itself counts as reached, in both directions."""
    assert Target("x", 1.5, measured, is_lower_better=is_lower_better).verdict == verdict


def recorded_results() -> Results:
    """Return results of two scenarios, one peer refused in the second."""
    results = Results()
    for peer, rate, p50 in ((PROXY, 40000.0, 60.0), ("envoy", 20000.0, 100.0), (DIRECT, 6e4, 20.0)):
        results.cell("get-1k-16", peer).samples.append({"rate": rate, "p50": p50, "p99": 2 * p50})
        results.cell("get-1k-1", peer).samples.append({"rate": rate, "p50": p50, "p99": 2 * p50})
    results.cell("memory", PROXY).samples.append({"idle": 40.0, "connected": 44.0, "peak": 50.0})
    results.cell("get-64k-16", PROXY).refusal = "3 read errors of 9 requests"
    return results


def test_targets_are_computed_from_medians() -> None:
    """Throughput is a ratio of rates; added latency is what lies above no proxy at all."""
    measured = {target.title: target.measured for target in targets(recorded_results())}
    assert measured["GET 1 KiB, 16 connections, plain, of Envoy"] == 2.0
    assert measured["added latency at 1 connection (p50), plain, of Envoy's"] == 0.5
    assert measured["p99 at 16 connections, plain, of Envoy's"] == 0.6
    assert measured["RSS at its peak, MiB"] == 50.0
    assert measured["GET 64 KiB, plain, of Envoy"] is None


def test_the_report_shows_figures_and_refusals() -> None:
    """Each table has its rows; a refused cell has dashes, and its reason stands below."""
    text = tables(recorded_results(), SCENARIOS)
    row = next(line for line in text.splitlines() if "GET 1 KiB, 16" in line)
    assert [cell.strip() for cell in row.split("|")[3:8]] == ["40,000", "2.00", "-", "-", "60"]
    assert f"- Requests: GET 64 KiB, 16 connections, {PROXY}: 3 read errors of 9 requests" in text
    assert "### Access log" not in text


def test_the_page_is_kept_around_the_figures() -> None:
    """Only what stands between the markers is replaced, as often as one likes."""
    page = f"# Title\n\n{BEGIN}\nold\n{END}\n\n## Method\n"
    once = page_with(page, "bench", "new\n")
    assert once == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\n\n## Method\n"
    assert page_with(once, "bench", "new") == once


@pytest.mark.parametrize("page", ["# Title\n", f"{BEGIN}\n", f"{END}\n{BEGIN}\n"])
def test_a_page_without_markers_is_left_alone(page: str) -> None:
    """The bench says what the page lacks, and overwrites nothing."""
    with pytest.raises(BenchError, match="bench:begin"):
        page_with(page, "bench", "new")


@pytest.mark.parametrize("block", ["bench", "budget"])
def test_the_page_in_the_repository_has_the_markers(block: str) -> None:
    """`make bench` finds where to write after its long run."""
    assert "figures" in page_with(PAGE.read_text(encoding="utf-8"), block, "figures")


def test_scenarios_are_chosen_by_pattern() -> None:
    """Names may hold wildcards; none means all; names are unique."""
    assert chosen_scenarios(None) == list(SCENARIOS)
    assert [each.name for each in chosen_scenarios(["get-1k-1*", "memory"])] == [
        "memory",
        "get-1k-1",
        "get-1k-16",
        "get-1k-1-tls",
        "get-1k-16-tls",
    ]
    assert len({each.name for each in SCENARIOS}) == len(SCENARIOS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--scenario", "nothing"],
        ["--rounds", "0"],
        ["--more-rounds", "-1"],
        ["--rounds", "2", "--write"],
        ["--quick", "--write"],
        ["--peer", "apache"],
    ],
)
def test_wrong_options_end_with_two(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option costs no time: it ends the bench before anything starts."""
    with pytest.raises(SystemExit) as caught:
        parse_arguments(arguments)
    assert caught.value.code == 2
    assert "error" in capsys.readouterr().err


def test_the_picture_shows_ratios_to_envoy() -> None:
    """It is well-formed, has a bar for each figure there is, and marks 1.0."""
    picture = ET.fromstring(chart(recorded_results()))
    texts = [each.text for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("1.0 = Envoy") == 2
    assert texts.count("2.00") == 3  # two scenarios, and the proxy among all proxies
    assert "GET 64 KiB, 16 connections" not in texts  # refused
    bars = list(picture.iter("{http://www.w3.org/2000/svg}rect"))
    assert [float(bar.attrib["width"]) / float(bars[-1].attrib["width"]) for bar in bars] == (
        pytest.approx([2, 2, 2, 1], abs=0.01)
    )


def test_a_picture_without_figures_is_empty() -> None:
    """No bars, no mark; names are escaped."""
    assert "1.0 = Envoy" not in drawn([[], []])
    assert "&lt;b&gt;" in drawn([[Bar("<b>", 1.0, is_own=True)], []])
