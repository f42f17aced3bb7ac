"""Ten thousand sidecars against one token endpoint, in virtual time: `python -m bench.fleet`.

Prints a table for each scenario; `--write` puts them and their pictures into docs/scale.md.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import nullcontext
from typing import Final

from bench.fleet.policies import POLICIES
from bench.fleet.report import as_json, table, write
from bench.fleet.scenarios import FLEET, SCENARIOS, Scenario
from bench.fleet.simulation import Run, simulate

Results = Iterator[list[Run]]
_SEED: Final = 1


def main(arguments: Sequence[str]) -> int:
    """Simulate what is asked for, and return the exit code."""
    options = parse(arguments)
    chosen = [each for each in SCENARIOS if each.name in (options.scenario or [each.name])]
    every: list[Run] = []
    pool = nullcontext() if options.jobs == 1 else ProcessPoolExecutor(options.jobs)
    with pool as workers:
        for runs in simulated(chosen, options.fleet, options.seed, workers):
            every += runs
            if not options.json:
                title = f"{runs[0].scenario.title} ({runs[0].scenario.name})"
                print(f"{title}\n\n{table(runs)}\n", flush=True)
            if options.write:
                write(runs)
    if options.json:
        print(json.dumps(as_json(every, options.seed), indent=2))
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Return the options; ends the process on wrong ones."""
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    add = parser.add_argument
    names = [scenario.name for scenario in SCENARIOS]
    add("--fleet", type=int, default=FLEET, help=f"sidecars (default {FLEET})")
    add("--seed", type=int, default=_SEED, help=f"same seed, same figures (default {_SEED})")
    add("--scenario", nargs="+", choices=names, help="only these")
    add("--json", action="store_true", help="print all figures as JSON")
    add("--write", action="store_true", help="write the page and its pictures")
    add("--jobs", type=int, default=os.cpu_count() or 1, help="processes (default: all cores)")
    options = parser.parse_args(arguments)
    if options.fleet < 100 or options.jobs < 1:
        parser.error("--fleet must be at least 100, --jobs at least 1")
    if options.write and (options.fleet, options.seed) != (FLEET, _SEED):
        parser.error("the page shows the whole fleet: --write goes without --fleet and --seed")
    return options


def simulated(
    scenarios: Sequence[Scenario], size: int, seed: int, workers: Executor | None
) -> Results:
    """Yield the runs of each scenario, one for each policy."""
    if workers is None:
        for each in scenarios:
            yield [simulate(each, policy, size=size, seed=seed) for policy in POLICIES]
        return
    asked = [
        [workers.submit(simulate, each, policy, size=size, seed=seed) for policy in POLICIES]
        for each in scenarios
    ]
    for futures in asked:
        yield [future.result() for future in futures]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
