"""One client's token as requests see it: read, wait for, report as refused."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.oauth.backoff import Backoff
from proxy.oauth.cache import TokenCache, TokenUnavailableError
from proxy.oauth.demand import Demand
from proxy.oauth.response import Failure, FailureOutcome
from proxy.oauth.token import Token
from tests.support.fake_clock import FakeClock, RecordingLog, RefresherRig, settle
from tests.support.waiting import within

DOWN = Failure("connect_failed", retry_after_seconds=7.0)


@pytest.fixture
def fake() -> FakeClock:
    """Provide a clock."""
    return FakeClock()


@pytest.fixture
def backoff() -> Backoff:
    """Provide what the refresher would tell of the attempts."""
    return Backoff()


@pytest.fixture
async def demand() -> Demand:
    """Provide what the refresher would learn of requests."""
    return Demand()


def new_cache(
    fake: FakeClock, backoff: Backoff, wait_seconds: float, demand: Demand | None = None
) -> TokenCache:
    """Return an empty cache that nobody refreshes."""
    return TokenCache(
        "main",
        backoff=backoff,
        demand=demand or Demand(),
        clock=fake.clock,
        log=RecordingLog().log,
        wait_seconds=wait_seconds,
    )


@pytest.fixture
async def cache(fake: FakeClock, backoff: Backoff, demand: Demand) -> TokenCache:
    """Provide an empty cache that nobody refreshes, whose waiters give up at once."""
    return new_cache(fake, backoff, 0, demand)


@pytest.fixture
async def rig() -> AsyncIterator[RefresherRig]:
    """Provide a running refresher whose first request hangs until the gate is opened."""
    rig = RefresherRig()
    rig.endpoint.gate.clear()
    async with rig.running():
        yield rig


def token(fake: FakeClock, lifetime: float, value: str = "s3cr3t") -> Token:
    """Return a token granted now, with its soft point at 0.65 L."""
    return Token.granted(value, lifetime, fake.clock.now(), 0.5)


async def outcome(cache: TokenCache) -> Token | TokenUnavailableError:
    """Return what a waiter gets."""
    try:
        return await cache.wait()
    except TokenUnavailableError as error:
        return error


def fail(
    cache: TokenCache, backoff: Backoff, fake: FakeClock, seconds: float, outcome: FailureOutcome
) -> None:
    """Have an attempt fail as the refresher does; the next one is due in so many seconds."""
    failure = Failure(outcome, retry_after_seconds=seconds)
    backoff.failed(failure, fake.clock.now(), 0.0, usable_seconds=cache.usable_seconds())
    cache.fail()


# --- reading ---


@pytest.mark.parametrize(("lifetime", "stop"), [(1, 0.9), (60, 54), (600, 570), (3600, 3570)])
async def test_a_token_is_given_out_until_its_hard_stop(
    cache: TokenCache, fake: FakeClock, lifetime: float, stop: float
) -> None:
    """T3: the token is current until the hard stop, however overdue its renewal is, then never."""
    assert cache.current() is None
    assert not cache.has_usable_token()
    stored = token(fake, lifetime)
    cache.store(stored)
    fake.jump(monotonic=stop - 0.01, wall=stop - 0.01)
    assert cache.current() is stored
    assert cache.has_usable_token()
    assert await cache.wait() is stored
    fake.jump(monotonic=0.02, wall=0.02)
    assert cache.current() is None
    assert not cache.has_usable_token()
    assert cache.token is stored


@pytest.mark.parametrize("jump", [{"monotonic": 571.0}, {"wall": 571.0}, {"wall": 86400.0}])
@pytest.mark.parametrize("other", [0.0, -3600.0])
async def test_either_clock_ends_a_token(
    cache: TokenCache, fake: FakeClock, jump: dict[str, float], other: float
) -> None:
    """T9: the clock that says less counts, even where the other one was set back."""
    cache.store(token(fake, 600))
    back = {name: other for name in ("monotonic", "wall") if name not in jump}
    fake.jump(**jump, **back)
    assert cache.current() is None
    assert not cache.has_usable_token()


async def test_traffic_past_the_soft_point_wakes_the_refresher(
    cache: TokenCache, demand: Demand, fake: FakeClock
) -> None:
    """T2: a short-lived token is given out past its soft point, and the refresher learns of it."""
    cache.store(token(fake, 5))
    wanted = []
    async with asyncio.TaskGroup() as tasks:
        refresher = tasks.create_task(demand.wait(3600))
        for jump in (3.24, 0.02):
            fake.jump(monotonic=jump, wall=jump)
            assert cache.has_usable_token()
            wanted.append(demand.is_wanted)
            await settle()
            assert not refresher.done()
            assert cache.current() is cache.token
            wanted.append(demand.is_wanted)
        await within(refresher, "the end of its sleep")
    assert wanted == [False, False, False, True]


@pytest.mark.parametrize("jump", [{"monotonic": 3.3}, {"wall": 3.3}])
async def test_either_clock_brings_the_soft_point(
    cache: TokenCache, demand: Demand, fake: FakeClock, jump: dict[str, float]
) -> None:
    """T2, T9: the clock that says less decides when traffic renews a short-lived token."""
    cache.store(token(fake, 5))
    fake.jump(**jump)
    assert cache.current() is cache.token
    assert demand.is_wanted


async def test_long_lived_tokens_are_left_to_time(
    cache: TokenCache, demand: Demand, fake: FakeClock
) -> None:
    """T2: traffic past the soft point of a long-lived token asks for nothing."""
    cache.store(token(fake, 600))
    fake.jump(monotonic=500, wall=500)
    assert cache.current() is cache.token
    assert not demand.is_wanted


# --- waiting ---


async def test_a_thousand_waiters_cause_one_request(rig: RefresherRig) -> None:
    """T4: any number of concurrent waiters is served by one token request."""
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(rig.cache.wait()) for _ in range(1000)]
        await settle()
        assert rig.cache.waiters == rig.refresher.snapshot().waiters == 1000
        rig.endpoint.gate.set()
    assert {task.result().value for task in waiting} == {"s3cr3t-token-1"}
    await rig.fake.advance(60)
    assert (rig.calls, rig.cache.waiters) == (1, 0)


async def test_a_cancelled_waiter_cancels_nothing(rig: RefresherRig) -> None:
    """T4: a caller who goes away takes neither the request nor another waiter along."""
    async with asyncio.TaskGroup() as tasks:
        leaving, staying = (tasks.create_task(rig.cache.wait()) for _ in range(2))
        await settle()
        leaving.cancel()
        await settle()
        assert (rig.calls, rig.cache.waiters) == (1, 1)
        rig.endpoint.gate.set()
    assert leaving.cancelled()
    assert staying.result().value == "s3cr3t-token-1"
    assert rig.calls == 1


@pytest.mark.parametrize("failure", [None, DOWN])
async def test_a_waiter_cancelled_at_the_last_moment_is_passed_over(
    fake: FakeClock, backoff: Backoff, failure: Failure | None
) -> None:
    """T4: a waiter whose cancellation is under way disturbs neither a grant nor a failure."""
    patient = new_cache(fake, backoff, 60)
    async with asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(patient.wait())
        await settle()
        leaving.cancel()
        if failure is None:
            patient.store(token(fake, 600))
        else:
            fail(patient, backoff, fake, 7, failure.outcome)
    assert leaving.cancelled()
    assert patient.waiters == 0


async def test_a_failed_attempt_fails_all_waiters_at_once(rig: RefresherRig) -> None:
    """T4: every waiter learns of the failure at once, with the time of the next attempt."""
    rig.endpoint.failure = DOWN
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(outcome(rig.cache)) for _ in range(100)]
        await settle()
        rig.endpoint.gate.set()
    for task in waiting:
        error = task.result()
        assert isinstance(error, TokenUnavailableError)
        assert (error.retry_after_seconds, error.cause) == (11, "connect_failed")
    assert (rig.calls, rig.cache.waiters) == (1, 0)


async def test_a_request_during_back_off_causes_no_attempt(rig: RefresherRig) -> None:
    """T5: who waits during back-off is served by the attempt that is due anyway."""
    rig.endpoint.failure = DOWN
    rig.endpoint.gate.set()
    await settle()
    rig.endpoint.failure = None
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(rig.cache.wait()) for _ in range(10)]
        await rig.fake.advance(10.4)
        assert (rig.calls, rig.cache.waiters) == (1, 10)
        await rig.fake.advance(0.2)
    assert {task.result().value for task in waiting} == {"s3cr3t-token-1"}
    assert rig.calls == 2


@pytest.mark.parametrize("is_failed", [False, True])
async def test_a_waiter_gives_up_after_its_time(
    cache: TokenCache, backoff: Backoff, demand: Demand, fake: FakeClock, *, is_failed: bool
) -> None:
    """T4: TOKEN_WAIT_SECONDS end the wait with the last known cause."""
    if is_failed:
        fail(cache, backoff, fake, 12, "timeout")
    error = await outcome(cache)
    assert isinstance(error, TokenUnavailableError)
    known = (error.retry_after_seconds, error.cause, str(error))
    assert known == (
        (12, "timeout", "timeout") if is_failed else (1, "no token yet", "no token yet")
    )
    assert cache.waiters == 0
    assert demand.is_wanted


async def test_errors_of_waiters_do_not_pile_up(cache: TokenCache) -> None:
    """T4: each waiter that gives up gets an error of its own, which keeps no others alive."""
    first, second = await outcome(cache), await outcome(cache)
    assert first is not second


# --- short lives ---


async def test_a_waiter_may_use_a_token_inside_the_margin() -> None:
    """T3: with L = 1 s, who waited may use the token past the hard stop, until it has expired."""
    rig = RefresherRig(lifetime=1)
    async with rig.running():
        stored = await rig.cache.wait()
        rig.fake.jump(monotonic=0.95, wall=0.95)
        assert rig.cache.current() is None
        assert rig.cache.may_still_use(stored)
        rig.fake.jump(wall=0.05)
        assert not rig.cache.may_still_use(stored)
        rig.fake.jump(monotonic=0.05, wall=-1)
        assert not rig.cache.may_still_use(stored)


# --- refused by the upstream ---


async def test_a_refused_token_is_doubted_and_replaced() -> None:
    """T10: the first 401 has the token renewed; later 401s to it cost nothing more."""
    rig = RefresherRig()
    async with rig.running():
        refused = await rig.cache.wait()
        assert rig.cache.report_refused(refused)
        assert rig.cache.current() is None
        assert rig.cache.report_refused(refused)
        assert (await rig.cache.wait()).value == "s3cr3t-token-2"
        assert rig.cache.report_refused(refused)
        await rig.fake.advance(60)
    assert (rig.calls, rig.value()) == (2, "s3cr3t-token-2")
    (event,) = rig.recorded.named("token_refused")
    assert (event["client"], event["token"]) == ("main", refused.fingerprint)


@pytest.fixture
async def doubting() -> AsyncIterator[RefresherRig]:
    """Provide a refresher whose token was just refused, and whose renewal hangs."""
    rig = RefresherRig()
    async with rig.running():
        refused = await rig.cache.wait()
        rig.endpoint.gate.clear()
        assert rig.cache.report_refused(refused)
        await settle()
        yield rig


@pytest.mark.parametrize("failure", [DOWN, Failure("invalid_client", is_permanent=True)])
async def test_a_doubted_token_serves_where_its_renewal_fails(
    doubting: RefresherRig, failure: Failure
) -> None:
    """T10: who waits gets it at once, who comes later need not wait, and both states are told."""
    doubting.endpoint.failure = failure
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(doubting.cache.wait()) for _ in range(3)]
        await settle()
        assert (doubting.cache.waiters, doubting.refresher.snapshot().state) == (3, "ready")
        doubting.endpoint.gate.set()
    assert {task.result().value for task in waiting} == {"s3cr3t-token-1"}
    assert (doubting.value(), doubting.calls) == ("s3cr3t-token-1", 2)
    status = doubting.refresher.snapshot()
    assert (status.state, status.last_error) == ("degraded", failure.outcome)
    assert status.fingerprint is not None


async def test_a_token_that_was_replaced_does_not_come_back(doubting: RefresherRig) -> None:
    """T10: a later renewal that fails leaves the new token in use, not the one before."""
    doubting.endpoint.gate.set()
    await settle()
    doubting.endpoint.failure = DOWN
    await doubting.fake.advance(450)
    assert (doubting.refresher.snapshot().state, doubting.value()) == ("degraded", "s3cr3t-token-2")


async def test_a_401_to_a_token_that_was_doubted_is_passed_on(doubting: RefresherRig) -> None:
    """T5, T10: once its renewal has failed nobody doubts it again before a new one is there."""
    doubting.endpoint.failure = DOWN
    doubting.endpoint.gate.set()
    token = await doubting.cache.wait()
    doubting.fake.jump(monotonic=10.0)
    assert not doubting.cache.report_refused(token)
    assert doubting.cache.current() is token
    assert len(doubting.recorded.named("token_refused")) == 1


async def test_a_doubted_token_serves_no_longer_than_any(doubting: RefresherRig) -> None:
    """T3, T10: past its hard stop who waits gets the failure, and the state is not ready."""
    doubting.fake.jump(monotonic=570.0)
    assert doubting.refresher.snapshot().state == "not_ready"
    doubting.endpoint.failure = DOWN
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(outcome(doubting.cache))
        await settle()
        assert not waiting.done()  # it waits as for a first token, though the doubt is over
        doubting.endpoint.gate.set()
    assert isinstance(waiting.result(), TokenUnavailableError)
    assert doubting.value() is None


async def test_a_renewal_that_hangs_ends_the_doubt(cache: TokenCache, fake: FakeClock) -> None:
    """T10: after TOKEN_WAIT_SECONDS, here none, requests go on; the doubt does not come back."""
    stored = token(fake, 600)
    cache.store(stored)
    assert cache.report_refused(stored)
    assert cache.current() is None
    assert await cache.wait() is cache.current() is stored
    fake.jump(monotonic=10.0)
    assert not cache.report_refused(stored)
    assert cache.current() is stored


async def test_a_doubt_lasts_for_the_wait_and_no_longer(doubting: RefresherRig) -> None:
    """T10: TOKEN_WAIT_SECONDS count from the 401, so that who comes after them waits no more."""
    doubting.fake.jump(monotonic=59.9)
    assert doubting.value() is None
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(doubting.cache.wait())
        await settle()
        assert not early.done()
        doubting.fake.jump(monotonic=0.2)
        late = await within(doubting.cache.wait(), "the doubted token", 5)
        assert late is await within(early, "the same for who came before", 5)
    assert doubting.value() == "s3cr3t-token-1"


async def test_one_waiter_that_gives_up_frees_the_others(fake: FakeClock, backoff: Backoff) -> None:
    """T10: who came late to a doubt waits no longer than who came first."""
    cache = new_cache(fake, backoff, 0.01)
    stored = token(fake, 600)
    cache.store(stored)
    assert cache.report_refused(stored)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(cache.wait())
        await settle()
        fake.jump(monotonic=-60.0)  # as if the others had all the time of the world
        others = [tasks.create_task(cache.wait()) for _ in range(3)]
        await within(first, "the first to give up")
        await settle()
        assert [task.result() for task in others] == [stored] * 3


async def test_renewals_are_forced_once_in_ten_seconds(cache: TokenCache, fake: FakeClock) -> None:
    """T10: a 401 within 10 s of the last forced renewal changes nothing and is passed on."""
    for jump, is_forced in [(0.0, True), (9.9, False), (0.2, True), (5.0, False), (5.1, True)]:
        stored = token(fake, 600)
        cache.store(stored)
        fake.jump(monotonic=jump, wall=jump)
        assert cache.report_refused(stored) is is_forced
        assert cache.current() is (None if is_forced else stored)
        assert cache.token is stored


@pytest.mark.parametrize("accepted", [None, 0, 1, 2])
async def test_three_fresh_refusals_stop_forcing(
    cache: TokenCache, fake: FakeClock, accepted: int | None
) -> None:
    """T10: three fresh tokens refused in a row end forced renewals for 60 s; others do not."""
    stored = token(fake, 600)
    cache.store(stored)
    for attempt in range(3):
        assert cache.report_refused(stored)
        stored = token(fake, 600)
        cache.store(stored)
        for _ in range(5):  # however many replays carry it, a token counts once
            cache.report_replay(stored, refused=attempt != accepted)
        fake.jump(monotonic=10.0)
    assert cache.report_refused(stored) is (accepted is not None)
    fake.jump(monotonic=50.0)
    assert cache.report_refused(stored)


async def test_only_fresh_tokens_count_as_refused(cache: TokenCache, fake: FakeClock) -> None:
    """T10: a replay with a token that time has renewed says nothing about forced renewals."""
    cache.store(token(fake, 600))
    for _ in range(3):
        stored = token(fake, 600)
        cache.store(stored)
        cache.report_replay(stored, refused=True)
    assert cache.report_refused(stored)


async def test_refusals_of_requests_that_cannot_be_replayed_count(
    cache: TokenCache, fake: FakeClock
) -> None:
    """T10: three fresh tokens refused end forced renewals, also where no request is replayed."""
    forced = []
    for _ in range(7):  # one upload too large for a replay every 10 s
        if cache.current() is None:
            cache.store(token(fake, 600))
        assert cache.token is not None
        forced.append(cache.report_refused(cache.token))
        fake.jump(monotonic=10.0)
    assert forced == [True, True, True, False, False, False, False]
    fake.jump(monotonic=20.0)
    assert cache.token is not None
    assert cache.report_refused(cache.token)


async def test_the_first_token_is_not_a_fresh_one(cache: TokenCache, fake: FakeClock) -> None:
    """T10: only tokens that a 401 asked for count in the row."""
    for _ in range(4):
        stored = token(fake, 600)
        cache.store(stored)
        assert cache.report_refused(stored)
        cache.store(token(fake, 600))  # what the 401 asked for; it is not refused
        fake.jump(monotonic=10.0)


async def test_a_401_during_back_off_keeps_the_token(rig: RefresherRig) -> None:
    """T5, T10: where no renewal may be forced the token serves on; after recovery it is forced."""
    rig.endpoint.gate.set()
    await settle()
    kept = rig.cache.current()
    assert kept is not None
    rig.endpoint.failure = DOWN
    await rig.fake.advance(391)
    assert not rig.cache.report_refused(kept)
    assert (rig.cache.current(), rig.calls) == (kept, 2)
    rig.endpoint.failure = None
    await rig.fake.advance(37)
    renewed = rig.cache.current()
    assert renewed is not None
    assert renewed is not kept
    assert rig.cache.report_refused(renewed)


@pytest.mark.parametrize(
    "jump", [{"monotonic": 21.5, "wall": 21.5}, {"monotonic": 21.5}, {"wall": 21.5}]
)
async def test_retry_after_is_what_is_left(
    cache: TokenCache, backoff: Backoff, fake: FakeClock, jump: dict[str, float]
) -> None:
    """T4, T9: who times out late in a back-off is told the rest of it, by either clock."""
    fail(cache, backoff, fake, 30.0, "timeout")
    fake.jump(**jump)
    with pytest.raises(TokenUnavailableError) as caught:
        await cache.wait()
    assert (caught.value.retry_after_seconds, caught.value.cause) == (9, "timeout")
