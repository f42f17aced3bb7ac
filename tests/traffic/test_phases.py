"""The state machine of an exchange, row by row, over real sockets (F6 to F12, T4, T10, C2)."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from proxy.forward import phases
from proxy.forward.phases import (
    COLLECT,
    COLLECTED,
    COLLECTING,
    DONE,
    ENDED,
    FAILED,
    HEAD,
    LEFT,
    REFUSED,
    RELAYING,
    REPLIED,
    SENDING,
    SENT,
    STALE,
    TRANSITIONS,
    WAITING,
    ImpossibleTransitionError,
    next_phase,
)
from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel, ClosedEarlyError
from tests.support.running_proxy import RunningProxy, running_proxy
from tests.support.token_server import TokenServer, number_of

pytestmark = pytest.mark.usefixtures("no_leaks")

NAMES = {
    value: name.lower()
    for name, value in vars(phases).items()
    if isinstance(value, int) and name in {"WAITING", "COLLECTING", "SENDING", "RELAYING", "DONE"}
}
# In the order of their numbers.
EVENTS = (COLLECT, COLLECTED, SENT, REFUSED, STALE, HEAD, ENDED, REPLIED, FAILED, LEFT)
EVENT_NAMES = (
    *("collect", "collected", "sent", "refused", "stale"),
    *("head", "ended", "replied", "failed", "left"),
)
WHOLE = reply(body=b"hello")
PART = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"


@dataclass(slots=True)
class Stage:
    """A proxy with one caller, an upstream that the test plays, and what is expected in the end."""

    proxy: RunningProxy
    upstream: ByteServer
    tokens: TokenServer
    caller: Channel
    link: Channel | None = None
    statuses: tuple[int, ...] = ()  # of all requests; 0: no response had begun for the caller

    async def runs(self) -> None:
        """Wait until the request is running."""
        await self.proxy.metric_becomes(1, "requests_in_flight")

    async def hears(self) -> Channel:
        """Return the upstream's connection, once the whole request has come on it."""
        self.link = await self.upstream.accepted()
        await self.link.read_request()
        return self.link


async def waiting(stage: Stage) -> None:
    """Bring a request to where it lacks a token."""
    await stage.caller.send(request("GET /"))
    await stage.proxy.metric_becomes(1, "token_waiters")


async def collecting(stage: Stage) -> None:
    """Bring a request to where the rest of its body is missing."""
    await stage.caller.send(request("PUT /", "Content-Length: 3", body=b"a"))
    await stage.runs()


async def sending(stage: Stage) -> None:
    """Bring a request to the upstream."""
    await stage.caller.send(request("GET /"))
    await stage.hears()


async def relaying(stage: Stage) -> None:
    """Bring the first part of a response to the caller."""
    await sending(stage)
    await _link(stage).send(PART)
    assert (await stage.caller.read_head()).status == 200


def _link(stage: Stage) -> Channel:
    assert stage.link is not None
    return stage.link


async def _answered(stage: Stage, link: Channel) -> None:
    await link.send(WHOLE)
    assert (await stage.caller.read_answer()).body == b"hello"
    stage.statuses = (200,)


async def _collect(stage: Stage) -> None:
    # Nothing reaches the upstream before the body is whole (F12).
    await collecting(stage)
    assert not stage.upstream.connections
    await _left(stage)


async def _collected(stage: Stage) -> None:
    # The last byte sends the request (F12).
    await stage.caller.send(b"bc")
    await _answered(stage, await stage.hears())


async def _sent(stage: Stage) -> None:
    # A token sends the request (T4).
    stage.tokens.gate.set()
    await _answered(stage, await stage.hears())


async def _refused(stage: Stage) -> None:
    # A 401 is dropped, and the request comes again with the next token (T10).
    link = _link(stage)
    await link.send(reply("401 Unauthorized"))
    assert number_of(await link.read_request()) == 2
    await _answered(stage, link)


async def _stale(stage: Stage) -> None:
    # A request on a pooled connection that closes comes again on another one (F8).
    await _answered(stage, _link(stage))
    await stage.caller.send(request("GET /"))
    await _link(stage).read_request()
    _link(stage).close()
    await _answered(stage, await stage.hears())
    stage.statuses = (200, 200)


async def _head(stage: Stage) -> None:
    # The head reaches the caller before the body is there (F10).
    await _link(stage).send(PART)
    assert (await stage.caller.read_head()).status == 200
    await _left(stage)
    stage.statuses = (200,)


async def _ended(stage: Stage) -> None:
    # The end frees both connections for the next request (F6, F8).
    link = _link(stage)
    await link.send(b"llo")
    assert await stage.caller.read(5) == b"hello"
    await stage.caller.send(request("GET /"))
    await link.read_request()
    await _answered(stage, link)
    stage.statuses = (200, 200)


async def _replied(stage: Stage) -> None:
    # A token call needs no token, while another request waits for one (P1).
    caller = await stage.proxy.connect()
    assert (await caller.ask(request("POST /connect/token"))).status == 200
    assert not stage.upstream.connections
    await _left(stage)
    stage.statuses = (200, 0)


async def _waited_in_vain(stage: Stage) -> None:
    # A token request that fails is 503 for whoever waits (T4).
    stage.tokens.failure = reply("500 Oops")
    stage.tokens.gate.set()
    await _fails(stage, 503)


async def _shut_down(stage: Stage) -> None:
    # A stop that will not wait is 503 for a request that was never sent (C2).
    stage.proxy.stop()
    stage.proxy.stop()
    assert (await stage.caller.read_answer()).status == 503


async def _closed(stage: Stage) -> None:
    # An upstream that hangs up without a word is 502.
    _link(stage).close()
    await _fails(stage, 502)


async def _fails(stage: Stage, status: int) -> None:
    assert (await stage.caller.read_answer()).status == status
    stage.statuses = (status,)


async def _cut_short(stage: Stage) -> None:
    # A response that is cut short ends in a reset, so that it does not look complete (F7).
    _link(stage).close()
    with pytest.raises(ClosedEarlyError):
        await stage.caller.read_to_end()
    stage.statuses = (200,)


async def _left(stage: Stage) -> None:
    # A caller that leaves takes its upstream request with it (F7).
    stage.caller.reset()
    await stage.proxy.metric_becomes(0, "requests_in_flight")
    if stage.link is not None:
        assert await stage.link.read_whatever()
    stage.statuses = (0,)


async def _left_amid(stage: Stage) -> None:
    await _left(stage)
    stage.statuses = (200,)


REACHED = {WAITING: waiting, COLLECTING: collecting, SENDING: sending, RELAYING: relaying}
ROWS: dict[tuple[int, int], Callable[[Stage], Awaitable[None]]] = {
    (WAITING, COLLECT): _collect,
    (COLLECTING, COLLECTED): _collected,
    (WAITING, SENT): _sent,
    (SENDING, REFUSED): _refused,
    (SENDING, STALE): _stale,
    (SENDING, HEAD): _head,
    (RELAYING, ENDED): _ended,
    (WAITING, REPLIED): _replied,
    (WAITING, FAILED): _waited_in_vain,
    (COLLECTING, FAILED): _shut_down,
    (SENDING, FAILED): _closed,
    (RELAYING, FAILED): _cut_short,
    (WAITING, LEFT): _left,
    (COLLECTING, LEFT): _left,
    (SENDING, LEFT): _left,
    (RELAYING, LEFT): _left_amid,
}


@contextlib.asynccontextmanager
async def stage(tokens: TokenServer, *, has_token: bool) -> AsyncIterator[Stage]:
    """Run the proxy, without a token if the row is about waiting for one."""
    if not has_token:
        tokens.gate.clear()
    async with (
        ByteServer() as upstream,
        running_proxy(
            upstream=upstream.url, token_url=tokens.token_url, placeholder_token="true"
        ) as proxy,
    ):
        yield Stage(proxy, upstream, tokens, await proxy.connect())
        tokens.gate.set()


@pytest.mark.parametrize(
    "row", TRANSITIONS, ids=[f"{NAMES[phase]}-{EVENT_NAMES[event]}" for phase, event in TRANSITIONS]
)
async def test_what_may_follow(tokens: TokenServer, row: tuple[int, int]) -> None:
    """Each row of the table does what it says, and each request is counted once."""
    phase, event = row
    async with stage(tokens, has_token=phase != WAITING or event == COLLECT) as here:
        if event != COLLECT:
            await REACHED[phase](here)
        await ROWS[row](here)
        if here.proxy.control.stopping.is_set():
            return
        await here.proxy.metric_becomes(0, "requests_in_flight")
        assert await here.proxy.metric("requests_total") == len(here.statuses)
        for status in set(here.statuses):
            counted = await here.proxy.metric("requests_total", code=str(status))
            assert counted == here.statuses.count(status)


def test_what_cannot_follow() -> None:
    """Everything else is a mistake of the package's own, and told so; nothing follows the end."""
    for phase, event in itertools.product(NAMES, EVENTS):
        if (phase, event) in TRANSITIONS:
            assert next_phase(phase, event) == TRANSITIONS[phase, event]
            assert phase != DONE
        else:
            with pytest.raises(ImpossibleTransitionError):
                next_phase(phase, event)


def test_every_phase_can_be_reached_and_left() -> None:
    """From the first phase each other one can be reached, and from each the end."""
    reached = {WAITING}
    for _ in NAMES:
        reached |= {after for (phase, _), after in TRANSITIONS.items() if phase in reached}
    assert reached == set(NAMES)
    ends = {phase for (phase, _), after in TRANSITIONS.items() if after == DONE}
    assert ends == set(NAMES) - {DONE}
