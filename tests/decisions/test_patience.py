"""What a deadline of a caller's connection means, on a clock of the test's own (G9, G12)."""

import math

import pytest

from proxy.forward.patience import (
    BODY,
    CLOSING,
    HEAD,
    IDLE,
    READER,
    TOKEN,
    UPLOAD,
    Patience,
    Periods,
)


class Clock:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def started(clock: Clock) -> Patience:
    """Return patience with the default settings."""
    periods = Periods(head_seconds=10, idle_seconds=75, connect_seconds=5, read_seconds=60)
    return Patience(periods, clock)


@pytest.mark.parametrize("awaited", [BODY, READER])
def test_bytes_must_flow(awaited: int) -> None:
    """2,400 bytes in 10 s are enough, fewer are not (G9)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_flow(awaited, 0)
    assert patience.deadline == clock.now + 10
    clock.now += 10
    assert patience.has_flowed(2400, is_urgent=True)
    assert patience.deadline == clock.now + 10
    clock.now += 10
    assert not patience.has_flowed(2400 + 2399, is_urgent=True)


def test_an_upstream_need_only_take_something() -> None:
    """It has READ_TIMEOUT_SECONDS for its next byte (G12)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_flow(UPLOAD, 100)
    assert patience.deadline == clock.now + 60
    clock.now += 60
    assert patience.has_flowed(101, is_urgent=True)
    assert not patience.has_flowed(101, is_urgent=True)


def test_a_burst_is_digested_while_nobody_waits() -> None:
    """A reader that took much at once has up to 30 s for it, unless it is in the way (G12)."""
    for is_urgent, looks in ((False, 3), (True, 1)):
        clock = Clock()
        patience = started(clock)
        patience.expect_flow(READER, 1_000_000, burst=300_000)
        passed = 0
        for _ in range(10):
            clock.now = patience.deadline
            passed += 1
            if not patience.has_flowed(1_000_000, is_urgent=is_urgent):
                break
        assert passed == looks


def test_the_past_of_a_connection_is_no_credit() -> None:
    """What it took of earlier answers gives a reader no time for this one (G9)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_flow(READER, 50_000_000)
    clock.now += 10
    assert not patience.has_flowed(50_000_000, is_urgent=False)


def test_a_body_has_no_credit() -> None:
    """256 KiB at once, and then nothing, is late like any (G9)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_flow(BODY, 0)
    clock.now += 10
    assert patience.has_flowed(1 << 18, is_urgent=False)
    clock.now += 10
    assert not patience.has_flowed(1 << 18, is_urgent=False)


def test_a_goodbye_has_an_end() -> None:
    """Who goes on sending what nobody wants has 30 s in all, and 5 s of silence (F11)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_goodbye(0, has_unsent=False)
    assert patience.deadline == clock.now + 5
    began, progress = clock.now, 0
    while True:
        clock.now = patience.deadline
        progress += 1_000_000
        if not patience.has_flowed(progress, is_urgent=False):
            break
    assert 30 <= clock.now - began <= 45
    silent = started(clock)
    silent.expect_goodbye(7, has_unsent=False)
    clock.now += 5
    assert not silent.has_flowed(7, is_urgent=False)


def test_the_rest_of_an_answer_may_take_as_long_as_it_flows() -> None:
    """A connection that closes behind it has no other end than its reader's (G12)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_goodbye(0, has_unsent=True)
    assert patience.awaited == CLOSING
    for number in range(1, 100):
        clock.now = patience.deadline
        assert patience.has_flowed(number * 3000, is_urgent=False)


@pytest.mark.parametrize(("awaited", "looks"), [(READER, 3), (UPLOAD, 1)])
def test_a_goodbye_takes_no_time_from_a_reader(awaited: int, looks: int) -> None:
    """A drain must not cut who took much at once, and has yet to take the rest (G12, C2)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_flow(awaited, 1_000_000, burst=300_000)
    patience.expect_goodbye(1_000_000, has_unsent=True)
    for number in range(1, looks + 1):
        clock.now = patience.deadline
        assert patience.has_flowed(1_000_000, is_urgent=False) == (number < looks)


def test_a_rest_is_looked_at_once_before_its_end() -> None:
    """After 10 s for what is still unread, and after CALLER_IDLE_SECONDS for good (G6)."""
    clock = Clock()
    patience = started(clock)
    patience.expect_idle()
    assert (patience.awaited, patience.deadline) == (IDLE, clock.now + 10)
    began = clock.now
    clock.now = patience.deadline
    assert patience.may_stay_idle()
    assert patience.deadline == began + 75
    clock.now = patience.deadline
    assert not patience.may_stay_idle()
    patience.expect_idle()
    patience.hasten()
    assert patience.deadline <= clock.now
    assert not patience.may_stay_idle()


def test_the_wait_for_a_token_is_the_caches() -> None:
    """No sweep ends it (T4)."""
    patience = started(Clock())
    patience.expect(TOKEN)
    assert patience.deadline == math.inf


def test_a_drain_lets_a_wait_that_has_just_begun_last_for_a_second() -> None:
    """Who has just connected, or just read a response, is about to send: nothing is lost (C2)."""
    for waits, moments in ((0.0, 1.0), (0.4, 0.6), (30.0, 0.0)):
        clock = Clock()
        patience = started(clock)
        patience.expect_idle()
        clock.now += waits
        patience.end_soon()
        assert max(0.0, patience.deadline - clock.now) == pytest.approx(moments)
        clock.now = patience.deadline
        assert not patience.may_stay_idle()


def test_a_drain_lets_a_handshake_last_for_a_second() -> None:
    """From the accept on; a reader that has stopped is not waited for (C2)."""
    clock = Clock()
    patience = started(clock)
    patience.expect(HEAD)
    patience.end_soon()
    assert patience.deadline == clock.now + 1
    patience.expect_flow(READER, 0)
    patience.end_soon()
    assert patience.deadline == 0


def test_a_drain_makes_no_wait_longer() -> None:
    """CALLER_IDLE_SECONDS and HEAD_TIMEOUT_SECONDS may be shorter than a second (C2)."""
    clock = Clock()
    periods = Periods(head_seconds=0.3, idle_seconds=0.2, connect_seconds=5, read_seconds=60)
    patience = Patience(periods, clock)
    patience.expect_idle()
    patience.end_soon()
    assert patience.deadline == clock.now + 0.2
    patience.expect(HEAD)
    patience.end_soon()
    assert patience.deadline == clock.now + 0.3
