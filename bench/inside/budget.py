"""Where the time of one exchange goes inside the proxy: `python -m bench.inside.budget`.

The real connections run over transports in memory. Every figure is the least of many short
repetitions, so that other work on the machine hardly shows: run it before and after a change.
"""

import argparse
import asyncio
import gc
import itertools
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.inside.in_memory import InMemory, in_memory
from bench.inside.messages import BODY, POSTED, REQUEST, RESPONSES
from bench.interpreter import Build
from bench.peers.token_endpoint import TOKEN
from bench.table import render, times
from proxy.build import build
from proxy.http1.body import NO_BODY
from proxy.http1.request import Request, RequestReader
from proxy.http1.request_id import id_line
from proxy.http1.response import ResponseHead
from proxy.http1.serializer import request_head, response_head
from proxy.telemetry.request_log import RequestRecord

__all__ = ["KINDS", "PHASES", "Kind", "budget", "main"]

REPETITIONS = 300
EXCHANGES = 200
HEAD_END = b"\r\n\r\n"
ID_LINE = id_line(b"0123456789abcdef0123456789abcdef-01")
AUTHORIZATION = b"Authorization: Bearer %b\r\n" % TOKEN.encode()
PHASES = (
    "reading the request",
    "guard and route",
    "head up",
    "reading the response",
    "head down",
    "request log",
    "the rest: states, deadlines, pool, bodies",
    "whole exchange",
)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of exchange; with `has_new_header` no header block is the one before."""

    title: str
    method: bytes = b"GET"
    has_new_header: bool = False
    access_log: str = "off"

    def requests(self) -> list[bytes]:
        """Return requests to send in turn."""
        posted = self.method == b"POST"
        new = [b"X-Request-ID: %032x\r\n" % number for number in range(EXCHANGES)]
        return [
            REQUEST % (self.method, (POSTED if posted else b"") + header)
            + (BODY if posted else b"")
            for header in (new if self.has_new_header else [b""])
        ]


KINDS = (
    Kind("GET"),
    Kind("GET, a new header", has_new_header=True),
    Kind("POST 1 KiB", method=b"POST"),
    Kind("GET, logged", access_log="all"),
)


def main(arguments: Sequence[str]) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.inside.budget", description=__doc__)
    parser.add_argument(
        "--repetitions", type=int, default=REPETITIONS, metavar="N", help="of each figure"
    )
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be at least 1")
    columns = [asyncio.run(budget(kind, options.repetitions)) for kind in KINDS]
    rows = [[phase, *(times(column[phase]) for column in columns)] for phase in PHASES]
    print(f"{build().capitalize()}; {Build.of(Path(sys.executable)).text}.", end="\n\n")
    print(render(["µs", *(kind.title for kind in KINDS)], rows, names=1))
    return 0


async def budget(kind: Kind, repetitions: int) -> Mapping[str, float]:
    """Return microseconds by phase; each is measured by itself, the rest is what they leave."""
    requests = kind.requests()
    async with in_memory(requests[0], RESPONSES[0], kind.access_log) as proxy:
        work = _Work(proxy, kind, requests)
        calls = (
            work.read_requests,
            work.admit,
            work.write_request_heads,
            work.read_responses,
            work.write_response_heads,
            work.record,
        )
        gc.collect()
        whole = _least(work.exchange, repetitions)
        figures = [_least(call, repetitions) for call in calls]
    if not proxy.to_caller.last.startswith(b"HTTP/1.1 200 "):
        raise AssertionError("the exchange went wrong")
    return dict(zip(PHASES, (*figures, whole - sum(figures), whole), strict=True))


def _least(call: Callable[[], None], repetitions: int) -> float:
    """Return the least time of one of the exchanges that a call is for, in microseconds."""

    def once() -> float:
        began = time.perf_counter()
        call()
        return time.perf_counter() - began

    return min(once() for _ in range(repetitions)) / EXCHANGES * 1e6


def _in_turn(messages: Sequence[bytes], *, heads: bool = False) -> list[bytes]:
    """Return one message for each exchange, or its head alone."""
    taken = itertools.islice(itertools.cycle(messages), EXCHANGES)
    return [each[: each.index(HEAD_END) + 4] if heads else each for each in taken]


class _Work:
    """What is done for an exchange, as a whole and phase by phase, over and over."""

    def __init__(self, proxy: InMemory, kind: Kind, requests: list[bytes]) -> None:
        context = proxy.context
        self._proxy, self._context, self._is_new = proxy, context, kind.has_new_header
        self._pairs = [*zip(_in_turn(requests), _in_turn(RESPONSES), strict=True)]
        self._request_heads = _in_turn(requests, heads=True)
        heads = _in_turn(RESPONSES, heads=True)
        self._response_heads = [head.removesuffix(HEAD_END) for head in heads]
        self._reader = RequestReader(context.parser)
        self._peer = context.admission.callers.peer("127.0.0.1")
        self._requests = [self._reader.read(head) for head in self._request_heads]
        self._read = [self._read_response(head) for head in self._response_heads]
        self._entry = self._finished(self._requests[0])

    def _finished(self, request: Request) -> RequestRecord:
        (cache,) = self._context.tokens.values()
        route, started = (
            self._context.admission.admit(request, self._peer),
            self._context.monotonic(),
        )
        entry = RequestRecord(request, route, NO_BODY, started, self._peer, ID_LINE)
        entry.status, entry.bytes_out, entry.head_seconds = 200, len(BODY), 0.001
        entry.token, entry.trace_id = cache.current(), b"0123456789abcdef" * 2
        return entry

    def _read_response(self, head: bytes) -> ResponseHead:
        return self._context.pool.reader.read(b"GET", head)

    def exchange(self) -> None:
        """Run whole exchanges."""
        ask, respond = self._proxy.ask, self._proxy.respond
        for request, response in self._pairs:
            ask(request)
            respond(response)

    def read_requests(self) -> None:
        """Read the callers' heads."""
        read = self._reader.read
        for head in self._request_heads:
            read(head)

    def admit(self) -> None:
        """Ask the guard and find the route."""
        admit = self._context.admission.admit
        for request in self._requests:
            if self._is_new:
                self._peer.forget()
            admit(request, self._peer)

    def write_request_heads(self) -> None:
        """Make the heads that go up."""
        names = self._context.names
        for request in self._requests:
            if self._is_new:
                request.known.upstream_parts = None
            request_head(request, names, AUTHORIZATION, ID_LINE)

    def read_responses(self) -> None:
        """Read the upstream's heads."""
        for head in self._response_heads:
            self._read_response(head)

    def write_response_heads(self) -> None:
        """Make the heads that go down."""
        request, names = self._requests[0], self._context.names
        for head in self._read:
            response_head(
                head,
                request,
                names,
                id_line=ID_LINE,
                is_chunked=False,
                close=False,
            )

    def record(self) -> None:
        """Record the exchange in metrics and, if it is on, access log."""
        record, entry = self._context.request_log.record, self._entry
        for _ in range(EXCHANGES):
            record(entry)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
