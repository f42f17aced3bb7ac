"""What a request costs a proxy that has run for long: `python -m bench.load.age --minutes 60`.

One process serves a few requests a second the whole time, with tokens that end after five seconds;
again and again its cost is taken: processor time under load, and memory, or instructions, which
nothing else on the machine disturbs. Every request must get a 200.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.client import connect, fetch
from bench.failures import BenchError, Refused
from bench.install import WORK
from bench.interpreter import AUTO, Interpreter, chosen, prepared
from bench.load.live_count import UNDER_VALGRIND, LiveCount
from bench.load.wrk import Request, put_under_load
from bench.machine import cores, require_programs
from bench.peers.peer import PROXY, Running
from bench.peers.signicat import Signicat
from bench.peers.token_endpoint import TokenEndpoint, token_endpoint
from bench.peers.upstream import started_upstream
from bench.processes import Process
from bench.table import fixed, grouped, render

__all__ = ["BY_TIME", "Measure", "by_instructions", "main", "taken"]

LIFETIME_SECONDS = 5
PAUSE_SECONDS = 0.02
BURST = Request("/1k", 1024)
BURST_SECONDS = 5
COUNTS, COUNTED = 40, 25
"""So many counts of so many requests: the least is one in which no token was renewed."""


@dataclass(frozen=True, slots=True)
class Aging:
    """One process, what it is asked through, and a folder for the load's script."""

    running: Running
    process: Process
    tokens: TokenEndpoint
    folder: Path


@dataclass(frozen=True, slots=True)
class Measure:
    """What is taken again and again, by which columns, and what the process runs under for it.

    `take` returns the number of requests that it sent, and its columns.
    """

    columns: tuple[str, ...]
    take: Callable[[Aging], tuple[int, list[str]]]
    under: tuple[str, ...] = ()

    @property
    def headings(self) -> tuple[str, ...]:
        """All columns of a row."""
        return ("minute", "requests so far", "tokens so far", *self.columns)


def main(arguments: Sequence[str]) -> int:
    """Print a row for each time that the cost is taken; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.age", description=__doc__)
    add = parser.add_argument
    add("--minutes", type=float, default=60, help="from the first row to the last (default 60)")
    add("--rows", type=int, default=3, help="times that the cost is taken (default 3)")
    add("--python", default=AUTO, metavar="PATH", help="interpreter, as for `python -m bench`")
    add(
        "--instructions", action="store_true", help="count them, by valgrind: a busy machine is fit"
    )
    options = parser.parse_args(arguments)
    if options.rows < 2 or options.minutes <= 0:
        parser.error("--rows must be at least 2, --minutes more than 0")
    measure = by_instructions(COUNTS, COUNTED) if options.instructions else BY_TIME
    try:
        require_programs([PROXY])
        WORK.mkdir(exist_ok=True)
        interpreter = prepared(chosen(options.python), WORK)
        spacing_seconds = options.minutes * 60 / (options.rows - 1)
        rows = taken(measure, spacing_seconds, options.rows, interpreter, WORK)
        print(render(measure.headings, list(rows), names=0))
    except (BenchError, Refused) as error:
        print(f"bench.load.age: {error}", file=sys.stderr)
        return 1
    return 0


def taken(
    measure: Measure, spacing_seconds: float, count: int, interpreter: Interpreter, work: Path
) -> Iterator[list[str]]:
    """Yield the rows, each said on stderr as soon as it is known."""
    with started(measure, interpreter, work) as aging:
        began = time.monotonic()
        requests = 0
        for number in range(count):
            if number:
                requests += served_until(began + number * spacing_seconds, aging)
            sent, row = measure.take(aging)
            requests += sent
            minute = fixed((time.monotonic() - began) / 60)
            whole = [minute, grouped(requests), grouped(aging.tokens.granted), *row]
            print("  ".join(whole), file=sys.stderr, flush=True)
            yield whole


@contextmanager
def started(measure: Measure, interpreter: Interpreter, work: Path) -> Iterator[Aging]:
    """Run the proxy, its access log on, for the block."""
    proxy_core, load_core = cores()
    peer = Signicat(
        interpreter.program, interpreter.compiled, access_log="all", under=measure.under
    )
    with (
        tempfile.TemporaryDirectory(dir=work, prefix="run-") as folder,
        started_upstream(Path(folder), core=load_core) as upstream,
        token_endpoint(LIFETIME_SECONDS) as tokens,
    ):
        rolling = replace(upstream, plain_port=upstream.rolling_port, token_port=tokens.server_port)
        with peer.started(rolling, tls=False, core=proxy_core) as running:
            if running.process is None:
                raise Refused("there is no process")
            yield Aging(running, running.process, tokens, upstream.folder)


def served_until(end: float, aging: Aging) -> int:
    """Ask for something some fifty times a second; return how many requests that were."""
    connection = connect(aging.running.endpoint)
    requests = 0
    while time.monotonic() < end:
        fetch(connection, aging.running.endpoint)
        requests += 1
        time.sleep(PAUSE_SECONDS)
    connection.close()
    return requests


def burst(aging: Aging) -> tuple[int, list[str]]:
    """Put it under load, and see what processor time and memory that takes."""
    before = aging.process.cpu_seconds()
    load = put_under_load(
        aging.running.endpoint,
        BURST,
        connections=16,
        seconds=BURST_SECONDS,
        folder=aging.folder,
    )
    used = (aging.process.cpu_seconds() - before) / load.requests * 1e6
    rate = grouped(load.requests / load.seconds)
    return load.requests, [rate, fixed(used), fixed(aging.process.rss_mib())]


def by_instructions(counts: int, requests: int) -> Measure:
    """Return the measure that takes the least of some counts, each of requests one by one."""

    def take(aging: Aging) -> tuple[int, list[str]]:
        live = LiveCount(aging.process)
        connection = connect(aging.running.endpoint)

        def ask() -> None:
            for _ in range(requests):
                fetch(connection, aging.running.endpoint)

        ask()
        found = [live.during(ask) for _ in range(counts)]
        connection.close()
        return (counts + 1) * requests, [grouped(min(found) / requests)]

    return Measure(("instructions/req",), take, UNDER_VALGRIND)


BY_TIME = Measure(("req/s", "CPU µs/req", "RSS MiB"), burst)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
