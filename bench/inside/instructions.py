"""Instructions of one exchange inside the proxy: `python -m bench.inside.instructions`.

valgrind counts them over exchanges in memory, in two runs with more and with fewer of them; the
difference is what the exchanges cost. However busy the machine is, it is the same again.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.failures import BenchError
from bench.inside import recorded
from bench.inside.exchanges import KINDS, Kind
from bench.install import ROOT, WORK
from bench.interpreter import AUTO, Build, chosen, prepared
from bench.load.figures import ratio
from bench.peers.collector import collector
from bench.report.page import PAGE, write_page
from bench.table import exact, grouped, render, times

__all__ = ["FEW", "MANY", "by_kind", "main", "parse", "read_before", "report", "verdict"]

FEW, MANY = 200, 1000
VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--log-fd=1")
COLLECTED = re.compile(r"^==([0-9]+)== Collected : ([0-9]+)$", re.MULTILINE)
PART = re.compile(r"^([0-9]+) ([a-z-]+)\.([0-9]+)$", re.MULTILINE)


def main(arguments: Sequence[str]) -> int:
    """Count, print a table or JSON, and return the exit code.

    1 is for what could not be counted, and for `--check` where a row costs more than recorded.
    Where nothing is recorded, `--check` says so and ends with 0: a runner's Python changes by
    itself. Where valgrind is missing too, but not with CI=true.
    """
    options = parse(arguments)
    try:
        run(options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; ends the process on wrong ones."""
    name = "python -m bench.inside.instructions"
    parser = argparse.ArgumentParser(prog=name, description=__doc__)
    add = parser.add_argument
    add("--row", nargs="+", choices=[kind.name for kind in KINDS], help="only these")
    add(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter of the proxy (default: that of the bench); "
        f"{AUTO}: /usr/bin/python3 where it is fit and faster",
    )
    add("--interpreted", action="store_true", help="count the sources, not the compiled proxy")
    add("--compiled", type=Path, metavar="FOLDER", help="compiled already, for the bench's own")
    then = parser.add_mutually_exclusive_group()
    then.add_argument("--json", action="store_true", help="print JSON, for --before")
    then.add_argument("--before", type=Path, metavar="FILE", help="compare with JSON of before")
    leave = f"{recorded.LEAVE:.0%}"
    then.add_argument("--check", action="store_true", help=f"fail {leave} above what is recorded")
    then.add_argument("--record", action="store_true", help="record, for --check and the page")
    options = parser.parse_args(arguments)
    if options.interpreted and (options.check or options.record):
        parser.error("what is recorded is of the compiled proxy")
    return options


def run(options: argparse.Namespace) -> None:
    """Count and print what is asked for; BenchError where that ends with an error."""
    if shutil.which("valgrind") is None:
        # Where changes are accepted, .ci/run has installed it before.
        if not options.check or is_gate():
            raise BenchError("valgrind, which counts, is missing: apt-get install valgrind")
        say_not_compared("valgrind, which counts, is missing")
        return
    before = None if options.before is None else read_before(options.before)
    build, program, source = subject(options)
    environment = recorded.environment_of(program)
    if options.check:
        before = recorded.read(recorded.RECORD).get(environment)
        if before is None:
            say_not_compared(f"nothing is recorded for {environment}")
            return
    kinds = [kind for kind in KINDS if options.row is None or kind.name in options.row]
    print("counting: a minute on an idle machine", file=sys.stderr, flush=True)
    counts = counted(program, source, kinds)
    what = f"{'Interpreted' if options.interpreted else 'Compiled'}; {build.text}."
    if options.json:
        print(json.dumps({"what": what, "instructions": counts}, indent=2))
        return
    print(f"{what}\n{environment}.\n\n{report(kinds, counts, before)}", flush=True)
    if options.record:
        records = recorded.write(recorded.RECORD, environment, counts)
        write_page(PAGE, "instructions", recorded.page_table(records))
    elif options.check and before is not None:
        print(f"\n{verdict(counts, before)}")


def is_gate() -> bool:
    """Say whether this run decides about a change, as the machines of GitHub say it."""
    return os.environ.get("CI") == "true"


def say_not_compared(cause: str) -> None:
    """Print that a `--check` ends well and has checked nothing; GitHub shows it as a warning."""
    print(f"{'::warning::' if is_gate() else ''}not compared: {cause}")


def subject(options: argparse.Namespace) -> tuple[Build, Path, Path]:
    """Return the interpreter, the program that runs it with the requirements, and the proxy."""
    if options.compiled is not None:
        own = Path(sys.executable)
        return Build.of(own), own, options.compiled.resolve(strict=True)
    WORK.mkdir(exist_ok=True)
    interpreter = prepared(chosen(options.python), WORK)
    source = ROOT if options.interpreted else interpreter.compiled
    return interpreter.build, interpreter.program, source


def verdict(counts: Mapping[str, int], before: Mapping[str, int]) -> str:
    """Return the line for rows that cost no more than they may; BenchError names others."""
    found = recorded.increases(counts, before)
    leave = f"{recorded.LEAVE:.0%}"
    if found:
        raise BenchError(
            f"{', '.join(found)}: more than {leave} above what is recorded. "
            "If that is the price of what you want: make record-instructions"
        )
    cheaper = [
        name for name, count in counts.items() if count < before[name] * (1 - recorded.LEAVE)
    ]
    if cheaper:
        return f"{', '.join(cheaper)}: cheaper. So that it stays: make record-instructions"
    return f"No row costs more than {leave} above what is recorded."


def read_before(path: Path) -> Mapping[str, int]:
    """Return the instructions that `--json` wrote; BenchError where it did not."""
    try:
        recorded = json.loads(path.read_text(encoding="utf-8"))["instructions"]
        return {str(name): int(value) for name, value in recorded.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise BenchError(f"--before {path}: {error}") from None


def counted(program: Path, source: Path, kinds: Sequence[Kind]) -> dict[str, int]:
    """Return the instructions of one exchange of each kind.

    It is what more of them cost, by how many more they are: all else is in both runs.
    """
    parts = [f"{kind.name}.{exchanges}" for kind in kinds for exchanges in (FEW, MANY)]
    with collector() as url:
        command = (*VALGRIND, program, "-P", "-m", "bench.inside.exchanges", f"{url}/v1/traces")
        environ = {
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, (source, ROOT))),
            "PYTHONHASHSEED": "0",
        }
        done = subprocess.run(
            (*command, *parts),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env=environ,
        )
    if done.returncode:
        raise BenchError((done.stderr.strip() or done.stdout.strip() or "?").splitlines()[-1])
    found = by_kind(done.stdout)
    return {kind.name: found[kind.name] for kind in kinds}


def by_kind(output: str) -> dict[str, int]:
    """Return the differences; valgrind and the exchanges tell the ids of the same processes."""
    collected = {process: int(found) for process, found in COLLECTED.findall(output)}
    totals = {(name, count): collected[process] for process, name, count in PART.findall(output)}
    names = dict.fromkeys(name for name, _ in totals)
    few, many = str(FEW), str(MANY)
    return {name: round((totals[name, many] - totals[name, few]) / (MANY - FEW)) for name in names}


def report(
    kinds: Sequence[Kind], counts: Mapping[str, int], before: Mapping[str, int] | None
) -> str:
    """Return the table; a ratio is to the row that is named, and to the state before."""
    headings = ["row", "exchange", "compared with", "instructions", "ratio"]
    rows = []
    for kind in kinds:
        found = counts[kind.name]
        base = kind.base or ""
        of_base = times(ratio(found, counts.get(base)))
        row = [kind.name, kind.title, base, grouped(found), of_base]
        rows.append(row if before is None else [*row, exact(ratio(found, before.get(kind.name)))])
    return render(headings if before is None else [*headings, "of before"], rows, names=3)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
