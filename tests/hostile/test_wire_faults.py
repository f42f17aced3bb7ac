"""Faults on the wire between the proxy and its peers: lost, late and disordered packets, no cable.

The proxy runs in a network namespace of its own, its peers in another, and the
test holds the cable between them. Callers use a Unix socket, which no fault
touches, so that what they see is the proxy's doing.
"""

import asyncio
import contextlib
import hashlib
import itertools
import signal
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from tests.support.cable import FAR, NEAR, Cable, Line, why_no_cable
from tests.support.messages import Message, assert_problem, reply, request
from tests.support.peers import Answer, ByteServer, Channel, ClosedEarlyError
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment, metric_in
from tests.support.token_server import TokenServer, number_of
from tests.support.waiting import eventually, within

pytestmark = [
    pytest.mark.usefixtures("no_leaks"),
    pytest.mark.skipif(bool(why_no_cable()), reason=why_no_cable() or "none"),
]

BAD = Line(loss=0.05, delay_seconds=0.01, jitter_seconds=0.03, doubling=0.02)
BIG = b"0123456789abcdef" * 5000  # more than is read whole before it is sent on
PULLED_SECONDS = 5  # TCP tries again after 6.2 s at the latest, before an upload is late (G9)
SLACK_SECONDS = 5  # of a busy machine


@dataclass(slots=True)
class Bench:
    """A proxy at the near end, over TLS with an upstream and a token endpoint at the far end."""

    cable: Cable
    process: ProxyProcess
    upstream: ByteServer
    tokens: TokenServer
    directory: Path
    callers: list[Channel]

    async def connect(self) -> Channel:
        """Return a new caller's connection, which no cable is needed for."""
        self.callers.append(await Channel.connect_unix(str(self.directory / "callers")))
        return self.callers[-1]

    async def ask(self, message: bytes, seconds: float = 60) -> Message:
        """Send one request on a connection of its own; return its answer."""
        return await (await self.connect()).ask(message, seconds)

    async def timed(self, message: bytes) -> tuple[Message, float]:
        """Return the answer and after how many seconds it came."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        return await self.ask(message), loop.time() - begun

    async def admin(self, target: str) -> Message:
        """Ask the admin port."""
        operator = await Channel.connect_unix(str(self.directory / "admin"))
        try:
            return await operator.ask(request(f"GET {target}", "Connection: close"))
        finally:
            operator.close()

    async def becomes(self, expected: float, name: str, **labels: str) -> None:
        """Wait until a metric has a value."""

        async def poll() -> None:
            for pause in itertools.repeat(0.05):
                metrics = (await self.admin("/metrics")).body.decode()
                if metric_in(metrics, name, **labels) == expected:
                    return
                await asyncio.sleep(pause)

        await within(poll(), f"{name}{labels} to become {expected}", 20)

    async def renewal_failed(self) -> None:
        """Wait until a token request has failed."""
        await eventually(
            lambda: '"consecutive_failures": 1' in self.process.output, "a failed renewal", 20
        )

    async def renewed(self) -> None:
        """Wait until there is another token; its predecessor's back-off may be 30 s long (T5)."""
        await eventually(lambda: self.process.output.count("expires_in") > 1, "a renewal", 45)

    async def is_sound(self) -> None:
        """See that nothing is under way any more, and that a request is answered."""
        await self.becomes(0, "requests_in_flight")
        for state in ("active", "waiting", "connecting"):
            await self.becomes(0, "upstream_connections", state=state)
        assert (await self.ask(request("GET /sound"))).status == 200


def mark_of(target: str, body: bytes = b"") -> bytes:
    """Return what only this request may have as its answer."""
    return hashlib.sha256(target.encode() + body).hexdigest().encode() * 500


async def answer_with_mark(message: Message) -> bytes:
    """Answer whoever brings a token."""
    assert number_of(message)
    return reply(body=mark_of(message.target, message.body))


def put(target: str, body: bytes, sent: int | None = None) -> bytes:
    """Return an upload, or its beginning with `sent` bytes of the body."""
    return request(f"PUT {target}", f"Content-Length: {len(body)}", body=body[:sent])


@contextlib.asynccontextmanager
async def bench(
    directory: Path,
    answer: Answer | None = answer_with_mark,
    *,
    expires_in: float = 600,
    is_pulled: bool = False,
    **settings: object,
) -> AsyncIterator[Bench]:
    """Lay the cable and put everything at its ends."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(FAR).configure_cert(context)
    with Cable() as cable:
        cable.is_pulled = is_pulled
        async with (
            TokenServer(expires_in=expires_in, tls=context, listener=cable.listen()) as tokens,
            ByteServer(answer, tls=context, listener=cable.listen()) as upstream,
        ):
            environ = environment(
                upstream=upstream.url,
                token_url=tokens.token_url,
                ca_file=directory / "ca.pem",
                listen=f"unix:{directory}/callers",
                admin_listen=f"unix:{directory}/admin",
                **settings,
            )
            async with proxy_process(
                environ, "run", directory=directory, prefix=cable.prefix
            ) as process:
                await process.event("listening")
                if not is_pulled:
                    await process.event("token_request")
                callers: list[Channel] = []
                try:
                    yield Bench(cable, process, upstream, tokens, directory, callers)
                finally:
                    for caller in callers:
                        caller.reset()


async def test_a_bad_line_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """Loss, delay, disorder and doubling while tokens roll over: each request gets its answer."""
    async with bench(tmp_path, expires_in=3) as here:
        here.cable.line = BAD

        async def call(name: int) -> None:
            caller = await here.connect()
            for number in itertools.count():
                if number >= 15 and len(here.tokens.issued) >= 4:
                    return
                target, body = f"/{name}/{number}", BIG[: number * 1001]
                answer = await caller.ask(put(target, body), seconds=60)
                assert (answer.status, answer.body) == (200, mark_of(target, body))

        async with asyncio.TaskGroup() as tasks:
            for name in range(8):
                tasks.create_task(call(name), name="peer")
        assert min(here.cable.lost, here.cable.doubled, here.cable.out_of_order) > 20
        await here.is_sound()


async def test_a_cable_pulled_for_seconds_loses_nothing_that_was_running(
    tmp_path: Path,
) -> None:
    """Uploads, downloads and waiting requests go on when the cable is back; so does the token."""
    go_on = asyncio.Event()

    async def answer(message: Message) -> bytes:
        if message.target == "/waiting":
            await go_on.wait()
        return await answer_with_mark(message)

    async with bench(tmp_path, answer, token_timeout_seconds=4) as here:
        upload, waiting = await here.connect(), await here.connect()
        await waiting.send(request("GET /waiting"))
        await upload.send(put("/upload", BIG, sent=1000))
        await eventually(lambda: b"GET /waiting" in here.upstream.received, "the request")
        await eventually(lambda: b"PUT /upload" in here.upstream.received, "the upload")
        async with here.cable.pulled(PULLED_SECONDS):
            here.process.send(signal.SIGHUP)
            await upload.send(BIG[1000:])
            go_on.set()
            await eventually(
                lambda: '"timeout"' in here.process.output,
                f"a failed renewal {here.process.output}",
                10,
            )
            assert (await here.admin("/readyz")).status == 200
        assert (await upload.read_answer(seconds=40)).body == mark_of("/upload", BIG)
        assert (await waiting.read_answer(seconds=40)).body == mark_of("/waiting")
        await here.renewed()
        await here.is_sound()


async def test_silence_ends_when_the_settings_say(tmp_path: Path) -> None:
    """No connection is 502, no answer 504; what was promised to be there is in its place after."""
    async with bench(tmp_path, connect_timeout_seconds=3, read_timeout_seconds=3) as here:
        await here.is_sound()
        async with here.cable.pulled():
            answer, seconds = await here.timed(request("GET /lost"))  # on the pooled connection
            assert_problem(answer, 504, "upstream_timeout")
            assert 3 <= seconds < 3 + SLACK_SECONDS
            answer, seconds = await here.timed(request("GET /lost"))
            assert_problem(answer, 502, "upstream_unreachable")
            assert 3 <= seconds < 3 + SLACK_SECONDS
        for number in range(5):
            answer = await here.ask(request(f"GET /{number}"))
            assert (answer.status, answer.body) == (200, mark_of(f"/{number}"))
        await here.is_sound()


STALE = b"0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstale"


async def is_cut(caller: Channel) -> bool:
    """Read an answer; say whether it ended before its framing says so."""
    try:
        await caller.read_answer(seconds=30)
    except ClosedEarlyError:
        return True
    return False


@pytest.mark.parametrize(
    "framing", ["Content-Length: 99999", "Transfer-Encoding: chunked", "Connection: close"]
)
async def test_an_answer_cut_by_the_cable_never_looks_whole(tmp_path: Path, framing: str) -> None:
    """The caller is cut too, whatever the framing was; a late rest is nobody's answer (F7)."""
    async with bench(tmp_path, None, read_timeout_seconds=4) as here:
        caller = await here.connect()
        await caller.send(request("GET /cut"))
        server = await here.upstream.accepted()
        await server.read_request()
        chunk = b"400\r\n" + b"x" * 0x400 + b"\r\n"
        await server.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + chunk)
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(is_cut(caller), name="peer")
            await eventually(lambda: b"xxx" in caller.received, "the beginning")
            async with here.cable.pulled():
                assert await within(reading, "the cut", 4 + SLACK_SECONDS)
                await server.send(STALE)
        assert caller.received.startswith(b"HTTP/1.1 200 ")
        again = await here.connect()
        await again.send(request("GET /again"))
        second = await here.upstream.accepted(seconds=20)
        await second.read_request()
        await second.send(reply(body=b"fresh"))
        assert (await again.read_answer()).body == b"fresh"


async def test_an_interface_that_is_down_is_said_at_once(tmp_path: Path) -> None:
    """Where there is no way out, nobody waits for CONNECT_TIMEOUT_SECONDS; then all is well."""
    async with bench(tmp_path, connect_timeout_seconds=30, token_timeout_seconds=4) as here:
        here.cable.near.ip("link", "set", "cable", "down")
        answer, seconds = await here.timed(request("GET /down"))
        assert_problem(answer, 502, "upstream_unreachable")
        assert seconds < SLACK_SECONDS
        here.process.send(signal.SIGHUP)
        await here.renewal_failed()
        assert (await here.admin("/readyz")).status == 200
        here.cable.near.ip("link", "set", "cable", "up")
        await here.is_sound()
        await here.renewed()


async def test_a_start_without_a_cable_recovers(tmp_path: Path) -> None:
    """Not ready, 503 after TOKEN_WAIT_SECONDS; ready when the first token comes (C1, T5)."""
    async with bench(
        tmp_path, is_pulled=True, token_timeout_seconds=1, token_wait_seconds=1
    ) as here:
        answer, seconds = await here.timed(request("GET /early"))
        assert_problem(answer, 503, "token_unavailable")
        assert seconds < 1 + SLACK_SECONDS
        assert (await here.admin("/readyz")).status == 503
        here.cable.is_pulled = False
        # One that is issued may still be on its way, or come too late.
        await eventually(lambda: "expires_in" in here.process.output, "the first token", 40)
        await here.is_sound()


CALLERS = {
    "resting": b"",
    "in a head": b"GET / HTT",
    "in an upload": put("/", BIG, sent=1000),
    "in a download": request("GET /big"),
}


@pytest.mark.parametrize("sent", CALLERS.values(), ids=CALLERS.keys())
async def test_a_caller_whose_cable_is_pulled_holds_nothing(tmp_path: Path, sent: bytes) -> None:
    """Whatever it was at: connections on both sides are given back when the settings say (G6)."""

    async def answer(message: Message) -> bytes:
        return reply(body=BIG * 200 if message.target == "/big" else b"")

    with Cable() as cable:
        async with (
            TokenServer(listener=cable.listen("127.0.0.1")) as tokens,
            ByteServer(answer, listener=cable.listen("127.0.0.1")) as upstream,
        ):
            environ = environment(
                upstream=upstream.url,
                token_url=tokens.token_url,
                listen=f"{NEAR}:0",
                admin_listen=f"unix:{tmp_path}/admin",
                head_timeout_seconds=1,
                caller_idle_seconds=3,
                read_timeout_seconds=1,
            )
            process = proxy_process(environ, "run", directory=tmp_path, prefix=cable.prefix)
            async with process as running:
                event = await running.event("listening")
                port = int(event["listen"][0].rpartition(":")[2])
                here = Bench(cable, running, upstream, tokens, tmp_path, [])
                caller = await cable.connect(port)
                await caller.send(sent)
                await here.becomes(1, "caller_connections")
                async with cable.pulled():
                    await here.becomes(0, "caller_connections")
                    await here.becomes(0, "requests_in_flight")
                    await here.becomes(0, "upstream_connections", state="active")
                caller.reset()
                again = await cable.connect(port)
                assert (await again.ask(request("GET /"))).status == 200
                again.reset()
