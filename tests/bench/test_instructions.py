"""What is counted of an exchange: that all kinds do what they say, and how figures are read."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.failures import BenchError
from bench.inside.exchanges import KINDS, Exchanges
from bench.inside.instructions import FEW, MANY, by_kind, parse, read_record, report
from bench.inside.instructions import main as count_instructions
from bench.peers.collector import collector
from tests.support.source_tree import ROOT

# What valgrind writes, whose process a part was, and what the process that forked them cost.
RECORDED = f"""\
==100== Callgrind, a call-graph generating cache profiler
==100== Command: python -P -m bench.inside.exchanges http://127.0.0.1:1/v1/traces
==101== Events    : Ir
==101== Collected : 2085000000
==101== I   refs:      2,085,000,000
101 get.{FEW}
==102== Collected : 2255000600
102 get.{MANY}
==103== Collected : 2100000000
103 unsampled-new.{FEW}
==104== Collected : 2400000000
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
    assert [line.split()[1] for line in done.stdout.splitlines()] == parts


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
    lines = report(kinds, counts, read_record(record)).splitlines()
    assert [line.split("|")[-2].strip() for line in lines[2:]] == ["1.012", "0.999", "-"]


@pytest.mark.parametrize("text", ["", "[]", '{"instructions": 1}', '{"instructions": {"get": []}}'])
def test_a_record_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    """The message names the file."""
    record = tmp_path / "before.json"
    record.write_text(text)
    with pytest.raises(BenchError, match=r"--before .*before\.json"):
        read_record(record)


def test_without_valgrind_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The command says what to install, and ends with 1."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert count_instructions([]) == 1
    assert capsys.readouterr().err == (
        "bench: valgrind, which counts, is missing: apt-get install valgrind\n"
    )


def test_rows_are_chosen_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown one ends with a list of them."""
    assert parse(["--row", "get", "new"]).row == ["get", "new"]
    with pytest.raises(SystemExit):
        parse(["--row", "gets"])
    assert "unsampled-by-caller" in capsys.readouterr().err
