"""What is counted of an exchange: that all kinds do what they say, and how figures are read."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bench.failures import BenchError
from bench.inside.exchanges import KINDS, Exchanges
from bench.inside.instructions import FEW, MANY, by_kind, parse, read_before, report, verdict
from bench.inside.instructions import main as count_instructions
from bench.inside.recorded import RECORD, environment_of, page_table, read, write
from bench.peers.collector import collector
from bench.report.page import PAGE
from tests.support.source_tree import ROOT
from tests.support.stand_in import stand_in

# What valgrind writes, whose process a part was, and what the process that forked them cost.
RECORDED = f"""\
==100== Callgrind, a call-graph generating cache profiler
==100== Command: python -P -m bench.inside.exchanges http://127.0.0.1:1/v1/traces
==101== Events    : Ir
==101== Collected : 2085000000
==101== I   refs:      2,085,000,000
101 get.{FEW}
==102== Collected : 2153000400
102 get.{MANY}
==103== Collected : 2100000000
103 unsampled-new.{FEW}
==104== Collected : 2220000000
104 unsampled-new.{MANY}
==100== Collected : 2000000000
"""


def test_every_kind_of_exchange_does_what_it_says() -> None:
    """Each checks its own outcome: the status, and who is sampled. Spans arrive at a collector."""
    parts = [f"{kind.name}.4" for kind in KINDS]
    with collector() as url:
        done = subprocess.run(
            (sys.executable, "-P", "-m", "bench.inside.exchanges", f"{url}/v1/traces", *parts),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(line.split()[1] for line in done.stdout.splitlines()) == sorted(parts)


def test_what_is_new_is_new_in_each_request() -> None:
    """No header block is the one before; without that all requests are one."""
    for kind in KINDS:
        if isinstance(kind, Exchanges):
            requests = kind.requests()
            assert len({*requests}) == len(requests) == (64 if kind.is_new else 1)


def test_rows_are_compared_with_rows() -> None:
    """Each base is the name of a kind, and each name stands once."""
    names = [kind.name for kind in KINDS]
    assert len({*names}) == len(names)
    assert {kind.base for kind in KINDS} <= {None, *names}


def test_the_difference_of_two_runs_is_what_exchanges_cost() -> None:
    """What all processes have in common is in none of the figures."""
    assert by_kind(RECORDED) == {"get": 85_000, "unsampled-new": 150_000}


def test_the_table_compares_with_a_row_and_with_another_state(tmp_path: Path) -> None:
    """A ratio is there where both of its sides are."""
    kinds = [kind for kind in KINDS if kind.name in ("get", "new", "unsampled-new")]
    counts = {"get": 85_000, "new": 100_000, "unsampled-new": 150_000}
    lines = report(kinds, counts, None).splitlines()
    assert [cell.strip() for cell in lines[0].split("|")[1:-1]][-1] == "ratio"
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["-", "1.18", "1.50"]
    record = tmp_path / "before.json"
    record.write_text(json.dumps({"instructions": {"get": 84_000, "new": 100_100}}))
    lines = report(kinds, counts, read_before(record)).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["1.012", "0.999", "-"]


@pytest.mark.parametrize("text", ["", "[]", '{"instructions": 1}', '{"instructions": {"get": []}}'])
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    record = tmp_path / "before.json"
    record.write_text(text)
    with pytest.raises(BenchError, match=r"--before .*before\.json"):
        read_before(record)


def test_without_valgrind_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command says what to install, and ends with 1; the gate says that it compares nothing.

    Where changes are accepted it was to be installed, so there the gate ends with 1, too.
    """
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CI", raising=False)
    missing = "bench: valgrind, which counts, is missing: apt-get install valgrind\n"
    assert count_instructions([]) == 1
    assert capsys.readouterr().err == missing
    assert count_instructions(["--check"]) == 0
    assert capsys.readouterr().out == "not compared: valgrind, which counts, is missing\n"
    monkeypatch.setenv("CI", "true")
    assert count_instructions(["--check"]) == 1
    assert capsys.readouterr() == ("", missing)


@pytest.mark.parametrize(("environ", "mark"), [("", ""), ("true", "::warning::")])
def test_where_nothing_is_recorded_nothing_is_compared(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    environ: str,
    mark: str,
) -> None:
    """And the gate says so, on GitHub as a warning; a runner's Python may change by itself."""
    stand_in(tmp_path / "valgrind", "echo valgrind-0.0")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CI", environ)
    assert count_instructions(["--check", "--compiled", str(tmp_path)]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{mark}not compared: nothing is recorded for Python ")
    assert "valgrind 0.0" in line


def test_rows_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown one ends with a list of them."""
    assert parse(["--row", "get", "new"]).row == ["get", "new"]
    with pytest.raises(SystemExit):
        parse(["--row", "gets"])
    assert "unsampled-by-caller" in capsys.readouterr().err


def test_what_is_recorded_is_whole_and_on_the_page() -> None:
    """A row that is new is recorded with the change that brings it; nobody writes the table."""
    records = read(RECORD)
    assert [[*counts] for counts in records.values()] == [[kind.name for kind in KINDS]] * len(
        records
    )
    assert page_table(records) in PAGE.read_text(encoding="utf-8")


def test_recording_replaces_the_rows_that_were_counted_here_alone(tmp_path: Path) -> None:
    """What other machines recorded stays, and so do rows that were left out."""
    path = tmp_path / "record.json"
    path.write_text('{"there": {"get": 1}, "here": {"get": 2, "new": 3}}')
    written = {"there": {"get": 1}, "here": {"get": 4, "new": 3}}
    assert write(path, "here", {"get": 4}) == read(path) == written
    assert [*write(path, "elsewhere", {"get": 5})] == ["there", "here", "elsewhere"]


@pytest.mark.parametrize("text", ["", "[]", '{"here": 1}', '{"here": {"get": []}}'])
def test_a_list_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=r"^record\.json: "):
        read(path)


def test_two_per_cent_more_is_the_most_that_a_row_may_cost() -> None:
    """What costs more is named, and how it is recorded; so is what was never recorded."""
    recorded = {"get": 100_000, "new": 100_000}
    assert verdict({"get": 102_000, "new": 98_000}, recorded) == (
        "No row costs more than 2% above what is recorded."
    )
    with pytest.raises(BenchError, match=r"^new, post: more than 2% .*make record-instructions$"):
        verdict({"get": 102_000, "new": 102_001, "post": 1}, recorded)


def test_a_gain_asks_to_be_recorded() -> None:
    """Else half of it could be lost again unseen."""
    assert verdict({"get": 97_000, "new": 100_000}, {"get": 100_000, "new": 100_000}) == (
        "get: cheaper. So that it stays: make record-instructions"
    )


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_the_environment_names_all_that_counts_depend_on() -> None:
    """Interpreter, compilers, C library, valgrind and processor, as one line."""
    version = ".".join(map(str, sys.version_info[:3]))
    line = environment_of(Path(sys.executable))
    assert line.startswith(f"Python {version} of ")
    assert all(name in line for name in (", compiled by ", "valgrind 3.", os.uname().machine))


def test_what_is_recorded_is_compiled(capsys: pytest.CaptureFixture[str]) -> None:
    """Sources are neither recorded nor compared with it."""
    for option in ("--check", "--record"):
        with pytest.raises(SystemExit):
            parse(["--interpreted", option])
        assert "the compiled proxy" in capsys.readouterr().err
