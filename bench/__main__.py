"""Runs the bench: `python -m bench`, prints the tables and writes docs/performance.md.

The picture beside the page is drawn from the same figures.
"""

import argparse
import os
import resource
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path

from bench.failures import BenchError, Refused
from bench.install import ROOT, WORK, output_of
from bench.interpreter import AUTO, Interpreter, chosen, prepared
from bench.load.calm import MOST_SPREAD
from bench.load.rounds import Plan, measure_all
from bench.load.scenarios import SCENARIOS, Scenario
from bench.machine import cores, describe_machine, describe_versions, require_programs
from bench.peers.lineup import PEERS, lineup, versions
from bench.peers.upstream import started_upstream
from bench.report.page import PAGE, page_with, publish
from bench.report.published import LEAST_ROUNDS
from bench.report.tables import tables

OPEN_FILES = 16384


def main(arguments: Sequence[str]) -> int:
    """Run the bench and return its exit code: 1 if it could not run, 130 after Ctrl-C."""
    options = parse(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        run(options, arguments)
    except (BenchError, Refused) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("bench: stopped", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; ends the process on wrong ones."""
    parser = options_parser()
    options = parser.parse_args(arguments)
    if options.quick:
        options.rounds, options.more_rounds, options.seconds = 1, 0, 1
    if options.rounds < 1 or options.seconds < 1 or options.more_rounds < 0:
        parser.error("--rounds and --seconds must be at least 1, --more-rounds at least 0")
    if options.write and options.rounds < LEAST_ROUNDS:
        parser.error(f"--write needs at least {LEAST_ROUNDS} rounds")
    if not chosen_scenarios(options.scenario):
        names = ", ".join(scenario.name for scenario in SCENARIOS)
        parser.error(f"no such scenario; there are: {names}")
    return options


def options_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    names = ", ".join(scenario.name for scenario in SCENARIOS)
    add("--rounds", type=int, default=3, help="measurements of each cell (default 3)")
    add(
        "--more-rounds",
        type=int,
        default=9,
        help="how many more a scenario may take where rounds of the same proxy lie more than "
        f"{MOST_SPREAD:.0%}% apart; those in a row that lie closest count (default 9)",
    )
    add("--seconds", type=int, default=2, help="length of one load run (default 2)")
    add("--scenario", nargs="+", metavar="NAME", help=f"only these, * allowed: {names}")
    add("--peer", nargs="+", choices=PEERS, help="only these")
    add(
        "--python",
        default=sys.executable,
        metavar="PATH",
        help="interpreter of the Python proxies (default: that of the bench); "
        f"{AUTO}: /usr/bin/python3 where it is fit and faster",
    )
    add("--quick", action="store_true", help="one round of one second: a smoke test")
    add(
        "--write",
        action="store_true",
        help="write the page even after a part of the bench; rounds that stay apart are left out, "
        "and a disturbed machine writes only what one exchange costs inside the proxy",
    )
    return parser


def chosen_scenarios(patterns: Sequence[str] | None) -> list[Scenario]:
    """Return the scenarios that match one of the patterns; all without patterns."""
    return [
        scenario
        for scenario in SCENARIOS
        if patterns is None or any(fnmatch(scenario.name, pattern) for pattern in patterns)
    ]


def run(options: argparse.Namespace, arguments: Sequence[str]) -> None:
    """Measure and print; write the page if this was the whole bench, with rounds enough."""
    names = options.peer or PEERS
    require_programs(names)
    is_whole = not (options.scenario or options.peer) and options.rounds >= LEAST_ROUNDS
    is_written = is_whole or options.write
    if is_written:  # a page without markers shows now, not after the long run
        page_with(PAGE.read_text(encoding="utf-8"), "bench", "")
    proxy_core, load_core = cores()
    raise_file_limit()
    WORK.mkdir(exist_ok=True)
    interpreter = prepared(chosen(options.python), WORK)
    peers = lineup(names, interpreter, WORK)
    facts = describe(interpreter, [*versions(names, WORK)], arguments)
    os.sched_setaffinity(0, {load_core})
    scenarios = chosen_scenarios(options.scenario)
    plan = Plan(scenarios, peers, options.rounds, options.more_rounds, options.seconds, proxy_core)
    with (
        tempfile.TemporaryDirectory(dir=WORK, prefix="run-") as folder,
        started_upstream(Path(folder), core=load_core) as upstream,
    ):
        results = measure_all(plan, upstream)
    print(f"{facts}\n\n{tables(results, scenarios)}")
    if is_written:
        publish(PAGE, facts, results, scenarios, budgets(interpreter))


def budgets(interpreter: Interpreter) -> str:
    """Return the budget of the compiled proxy, and that of its sources."""
    said = []
    for source in (interpreter.compiled, ROOT):
        environ = {"PYTHONPATH": os.pathsep.join(map(str, (source, ROOT)))}
        said.append(
            output_of(interpreter.program, "-P", "-m", "bench.inside.budget", environ=environ)
        )
    return "\n".join(said)


def describe(
    interpreter: Interpreter, peer_versions: Sequence[str], arguments: Sequence[str]
) -> str:
    """Return when, where, with what and how the figures were taken."""
    return "\n".join(
        (
            f"- Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            f"- Machine: {describe_machine()}",
            f"- Interpreter of the Python proxies: {interpreter.build.text}",
            f"- Versions: {', '.join((describe_versions(interpreter), *peer_versions))}",
            f"- Command: `{shlex.join(('python', '-m', 'bench', *arguments))}`",
        )
    )


def raise_file_limit() -> None:
    """Permit enough open files for 4,000 connections on both sides of a proxy."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
