"""Exchanges of one kind, as many as asked for, each time in a process of its own.

`bench.inside.instructions` runs `python -m bench.inside.exchanges URL get.1000 get.3000` and so on
under valgrind; spans go to the URL. All processes are forked from one that has imported
everything, since under valgrind that takes longer than all exchanges together.
"""

import asyncio
import gc
import os
import sys
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Protocol

from bench.inside.in_memory import InMemory, in_memory
from bench.inside.messages import BODY, CHUNKED, LARGE, POSTED, REQUEST, RESPONSES
from bench.peers.token_endpoint import TOKEN
from proxy.clock import SYSTEM_CLOCK
from proxy.oauth.token import Token
from proxy.telemetry.logs import open_logs
from proxy.tracing.ended_span import EndedSpan
from proxy.tracing.sampling import Sampler
from proxy.tracing.settings import TraceSettings

__all__ = ["KINDS", "Exchanges", "Kind", "Spans", "main"]

UNAUTHORIZED = (
    b"HTTP/1.1 401 Unauthorized\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\n"
    b"WWW-Authenticate: Bearer\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
)
UNSAMPLED = b"traceparent: 00-%032x-00f067aa0ba902b7-00\r\n"
SAMPLED = b"traceparent: 00-%032x-00f067aa0ba902b7-01\r\n"
TRACE = 0x4BF92F3577B34DA6A3CE929D0E0E4736
VARIANTS = 64
NEVER = 1e-9
"""A ratio by which none of a few thousand requests is sampled, though each is decided on."""
NOWHERE = "http://127.0.0.1:9/v1/traces"
HOUR_MILLISECONDS = 3_600_000.0
ROOM = 1 << 20  # more spans than are ever made here
DAY_SECONDS = 86400
LONGEST_SECONDS = 600.0
END = 5  # bytes of a response that must have come to the caller at last
BATCH = 400  # near the default, and all spans that are ever made are whole batches


class Kind(Protocol):
    """One line of the table."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def title(self) -> str:
        """What it is called in the table."""

    @property
    def base(self) -> str | None:
        """The kind that it is compared with, by its name."""

    async def run(self, count: int, collector: str) -> None:
        """Run so many, and do nothing else that depends on how many they are."""


@dataclass(frozen=True, slots=True)
class Exchanges:
    """Whole exchanges over the connections of the proxy, in memory.

    `header` is a line in each request, another than in the one before where it `is_new`. `sampler`
    is None where traces are off. `flags` end the `traceparent` that goes up. `status` is what the
    caller gets. `pieces` are the response as it is read, if it is another than the ordinary ones.
    """

    name: str
    title: str
    base: str | None = "get"
    method: bytes = b"GET"
    header: bytes = b""
    is_new: bool = False
    access_log: str = "off"
    sampler: str | None = None
    is_replayed: bool = False
    flags: bytes = b""
    status: int = 200
    pieces: tuple[bytes, ...] = ()

    def requests(self) -> list[bytes]:
        """Return requests to send in turn: as many, however many exchanges there are."""
        posted = self.method == b"POST"
        headers = [
            self.header % (TRACE + number * self.is_new) if self.header else b""
            for number in range(VARIANTS if self.is_new else 1)
        ]
        requests = [
            REQUEST % (self.method, (POSTED if posted else b"") + header)
            + (BODY if posted else b"")
            for header in headers
        ]
        if self.status >= 400:
            return [each.replace(b" /", b" /../", 1) for each in requests]
        return requests

    def trace_settings(self) -> TraceSettings | None:
        """Return what is traced; no span leaves the queue of the SDK's thread."""
        if self.sampler is None:
            return None
        sampler = Sampler.named(self.sampler, NEVER)
        return TraceSettings(
            sampler,
            NOWHERE,
            queue_size=ROOM,
            batch_size=ROOM,
            delay_millis=HOUR_MILLISECONDS,
        )

    async def run(self, count: int, collector: str = "") -> None:
        """Run them one after the other."""
        del collector
        requests = islice(cycle(self.requests()), count)
        traces = self.trace_settings()
        # The first exchange, which opens the connection upwards, is of the ordinary kind.
        first = REQUEST % (b"GET", b"")
        async with in_memory(first, RESPONSES[0], self.access_log, traces) as proxy:
            gc.collect()
            gc.disable()
            if self.is_replayed:
                await _replay(proxy, requests)
            elif self.pieces:
                _relay_pieces(proxy, requests, self.pieces)
            elif self.status >= 400:
                for request in requests:
                    proxy.ask(request)
            else:
                _relay(proxy, requests)
            gc.enable()
        last = proxy.to_caller.last
        is_right = last.startswith(b"HTTP/1.1 %d " % self.status) or (
            self.pieces and last.endswith(self.pieces[-1][-END:])
        )
        if not is_right or self.flags not in proxy.to_upstream.last:
            raise AssertionError("the exchanges went wrong")


def _relay(proxy: InMemory, requests: Iterable[bytes]) -> None:
    ask, respond = proxy.ask, proxy.respond
    for request, response in zip(requests, cycle(RESPONSES), strict=False):
        ask(request)
        respond(response)


def _relay_pieces(proxy: InMemory, requests: Iterable[bytes], pieces: Sequence[bytes]) -> None:
    for request in requests:
        proxy.ask(request)
        for piece in pieces:
            proxy.respond(piece)


async def _replay(proxy: InMemory, requests: Iterable[bytes]) -> None:
    """Have the upstream refuse a token that has been renewed in the meantime (T10)."""
    (cache,) = proxy.context.tokens.values()
    tokens = [Token.granted(f"{n}{TOKEN}", DAY_SECONDS, SYSTEM_CLOCK.now(), 0.5) for n in range(2)]
    for request, response, token in zip(requests, cycle(RESPONSES), cycle(tokens), strict=False):
        proxy.ask(request)
        cache.store(token)
        proxy.respond(UNAUTHORIZED)
        await asyncio.sleep(0)  # the request is sent again
        proxy.respond(response)


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of sampled requests in the SDK's thread: made of facts, encoded, and sent."""

    name: str
    title: str
    base: str | None = "get"

    async def run(self, count: int, collector: str) -> None:
        """Queue two for each of so many requests, and wait until they are sent."""
        from proxy.tracing.export import SpanExport

        sent, is_over = {"exported": 0}, threading.Event()

        def note(outcome: str, amount: int) -> None:
            sent[outcome] = sent.get(outcome, 0) + amount
            if sum(sent.values()) == 2 * count:
                is_over.set()

        settings = TraceSettings(
            Sampler.named("always_on"), collector, queue_size=ROOM, batch_size=BATCH
        )
        with Path(os.devnull).open("w", encoding="utf-8") as stream:  # noqa: ASYNC230 - never waits
            log = open_logs(level="warning", log_format="json", stream=stream).log
            export = SpanExport(settings, count=note, log=log)
            gc.collect()
            gc.disable()
            for _ in range(count):
                export.emit(SERVER_SPAN)
                export.emit(CLIENT_SPAN)
            is_over.wait(LONGEST_SECONDS)
            await export.close(0)
        if sent != {"exported": 2 * count}:
            raise AssertionError("the spans went wrong")


TRACE_ID, SERVER_ID, CLIENT_ID = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7", b"b7" * 8
NOON = 1_795_521_600_000_000_000
CLIENT_SPAN = EndedSpan(
    "GET",
    TRACE_ID,
    CLIENT_ID,
    SERVER_ID,
    NOON + 20_000,
    NOON + 8_100_000,
    {
        "http.request.method": "GET",
        "server.address": "api.signicat.com",
        "server.port": 443,
        "url.scheme": "https",
        "http.response.status_code": 200,
        "signicat_proxy.upstream_trace_id": TRACE_ID.decode(),
    },
    None,
)
SERVER_SPAN = EndedSpan(
    "GET /auth",
    TRACE_ID,
    SERVER_ID,
    None,
    NOON,
    NOON + 8_200_000,
    {
        "http.request.method": "GET",
        "http.route": "/auth",
        "url.path": "/auth",
        "http.request.body.size": 0,
        "http.response.body.size": 1024,
        "signicat_proxy.client": "default",
        "signicat_proxy.request_id": f"{TRACE_ID.decode()}-17",
        "http.response.status_code": 200,
    },
    None,
    is_server=True,
)

KINDS: Sequence[Kind] = (
    Exchanges("get", "GET, the same headers in each", base=None),
    Exchanges("new", "GET, a new traceparent in each", header=UNSAMPLED, is_new=True),
    Exchanges("post", "POST 1 KiB", method=b"POST"),
    Exchanges("large", "GET, 1 MiB", pieces=LARGE),
    Exchanges("chunked", "GET, 64 KiB in chunks of 2 KiB", pieces=CHUNKED),
    Exchanges("replay", "GET, refused with 401 and sent again", is_replayed=True),
    Exchanges("refused", "GET, refused by the guard", status=400),
    Exchanges("logged", "GET, logged", access_log="all"),
    Exchanges(
        "unsampled",
        "GET, traces on, not sampled by ratio",
        sampler="parentbased_traceidratio",
        flags=b"-00\r\n",
    ),
    Exchanges(
        "unsampled-by-caller",
        "GET, traces on, the caller does not sample, the same headers",
        header=UNSAMPLED,
        sampler="parentbased_always_on",
        flags=b"-00\r\n",
    ),
    Exchanges(
        "unsampled-new",
        "GET, traces on, a new traceparent in each, not sampled",
        base="new",
        header=UNSAMPLED,
        is_new=True,
        sampler="parentbased_always_on",
        flags=b"-00\r\n",
    ),
    Exchanges(
        "sampled", "GET, traces on, sampled", sampler="parentbased_always_on", flags=b"-01\r\n"
    ),
    Exchanges(
        "sampled-new",
        "GET, traces on, a new traceparent in each, sampled",
        base="new",
        header=SAMPLED,
        is_new=True,
        sampler="parentbased_always_on",
        flags=b"-01\r\n",
    ),
    Spans("spans", "the two spans of a GET, in the SDK's thread"),
)


def main(arguments: Sequence[str]) -> None:
    """Run each part, such as `get.1000`, and print its name behind the id of its process.

    One runs on each core: what one of them costs does not depend on another.
    """
    collector, *parts = arguments
    cores = len(os.sched_getaffinity(0))
    running: dict[int, str] = {}
    for part in parts:
        if len(running) == cores:
            _collect(running)
        running[_begun(part, collector)] = part
    while running:
        _collect(running)


def _begun(part: str, collector: str) -> int:
    name, _, count = part.partition(".")
    (kind,) = (kind for kind in KINDS if kind.name == name)
    process = os.fork()
    if not process:
        asyncio.run(kind.run(int(count), collector))
        os._exit(0)  # what was kept is not given back one by one
    return process


def _collect(running: dict[int, str]) -> None:
    process, status = os.wait()
    part = running.pop(process)
    if status:
        sys.exit(f"{part} went wrong")
    print(process, part, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
