"""When a token is renewed, when it is used no more, when a failure is tried again."""

import pytest

from proxy.clock import SYSTEM_CLOCK, Instant
from proxy.oauth import schedule
from proxy.oauth.schedule import ForcedRenewals
from proxy.oauth.token import Token

ALMOST_ONE = 1 - 2**-53

# lifetime: is renewal driven by traffic, and how long is the token used
LIVES = {
    0: (True, 0),
    1: (True, 0.9),
    5: (True, 4.5),
    8.3: (True, 7.47),
    8.4: (False, 7.56),
    10: (False, 9),
    60: (False, 54),
    300: (False, 270),
    600: (False, 570),
    3600: (False, 3570),
    86400: (False, 86370),
}


@pytest.mark.parametrize(("lifetime", "life"), LIVES.items())
@pytest.mark.parametrize("draw", [0.0, 0.25, 0.5, ALMOST_ONE])
def test_a_token_gets_its_schedule(lifetime: float, life: tuple[bool, float], draw: float) -> None:
    """T2, T3: the soft point lies in 0.60 to 0.70 L and before the hard stop, L - min(30, L/10)."""
    token = Token.granted("abc", lifetime, Instant(100.0, 5000.0), draw)
    on_demand, hard = life
    for start, soft, stop, end in (
        (100.0, token.soft.monotonic, token.hard.monotonic, token.expires.monotonic),
        (5000.0, token.soft.wall, token.hard.wall, token.expires.wall),
    ):
        assert 0.6 * lifetime - 1e-6 <= soft - start <= 0.7 * lifetime + 1e-6
        assert soft - start == pytest.approx((0.6 + 0.1 * draw) * lifetime)
        assert stop - start == pytest.approx(hard)
        assert end - start == pytest.approx(lifetime)
        assert soft <= stop <= end
    assert token.on_demand is on_demand


def test_a_token_shows_its_fingerprint_and_never_its_value() -> None:
    """G7: the `repr` of a token names it by eight digits of a hash; the header line is ready."""
    token = Token.granted("s3cr3t-value", 600, Instant(0.0, 0.0), 0.0)
    assert token.header_line == b"Authorization: Bearer s3cr3t-value\r\n"
    assert token.fingerprint == "1f3fa74b"
    assert "s3cr3t" not in repr(token)
    assert token.fingerprint in repr(token)


def test_the_clock_reads_both_clocks() -> None:
    """T9: a moment is read on the monotonic clock and on the wall clock."""
    first, second = SYSTEM_CLOCK.now(), SYSTEM_CLOCK.now()
    assert first.monotonic <= second.monotonic
    assert first.wall > 1_600_000_000
    assert Instant(1.0, 2.0) + 0.5 == Instant(1.5, 2.5)


@pytest.mark.parametrize(
    ("now", "left"),
    [
        (Instant(100.0, 5000.0), 10.0),
        (Instant(109.0, 5001.0), 1.0),
        (Instant(101.0, 5009.0), 1.0),
        (Instant(110.0, 5000.0), 0.0),
        (Instant(100.0, 9000.0), -3990.0),
        (Instant(113.0, 1000.0), -3.0),
    ],
)
def test_the_clock_that_says_less_counts(now: Instant, left: float) -> None:
    """T9: the time to a moment is what the nearer of both clocks says; negative once it is over."""
    assert Instant(110.0, 5010.0).seconds_left(now) == left


# failures in a row: upper bound of the delay with a usable token, and without
TRANSIENT = {1: (1, 1), 2: (2, 2), 3: (4, 4), 4: (8, 8), 5: (16, 15), 6: (30, 15), 9999: (30, 15)}


@pytest.mark.parametrize(("failures", "bounds"), TRANSIENT.items())
@pytest.mark.parametrize("has_token", [True, False])
def test_transient_failures_back_off(
    failures: int, bounds: tuple[float, float], *, has_token: bool
) -> None:
    """T5: full jitter from 0.25 s to 1 s doubling, at most 30 s with a token and 15 s without."""
    bound = bounds[0] if has_token else bounds[1]

    def delay(draw: float) -> float:
        usable = 600.0 if has_token else 0.0
        return schedule.transient_delay(failures, draw, usable_seconds=usable, retry_after=None)

    assert delay(0.0) == 0.25
    assert delay(0.5) == bound / 2
    assert bound - 1e-6 < delay(ALMOST_ONE) < bound


@pytest.mark.parametrize(("usable", "bound"), [(600, 30), (15, 30), (5, 20), (0.1, 15.1), (0, 15)])
def test_back_off_is_short_once_the_token_has_ended(usable: float, bound: float) -> None:
    """T5: a wait that begins with a usable token ends at most 15 s after that token does."""
    delay = schedule.transient_delay(9, 1.0, usable_seconds=usable, retry_after=None)
    assert delay == pytest.approx(bound)


# Retry-After, how long the token may still be sent: the least and the longest wait
RETRY_AFTER = {
    # The token outlives the wait: up to a minute more, and half of what the token has left then.
    (0, 600): (0.25, 60),
    (7, 600): (7, 67),
    (7, 20): (7, 13.5),
    (100, 150): (100, 125),
    (299, 600): (299, 359),
    (300, 310): (300, 330),
    (999999999, 600): (300, 360),
    # It does not, or there is none: as much again, up to 15 s; always a tenth.
    (0, 0): (0.25, 4),
    (1, 0): (1, 4),
    (7, 0): (7, 14),
    (7, 7): (7, 14),
    (15, 10): (15, 30),
    (100, 0): (100, 115),
    (200, 180): (200, 220),
    (999999999, 0): (300, 330),
}


@pytest.mark.parametrize(("asked", "waits"), RETRY_AFTER.items())
def test_retry_after_is_a_lower_bound(
    asked: tuple[float, float], waits: tuple[float, float]
) -> None:
    """T5: none before `Retry-After` (300 s of it are believed); a fleet spreads after it."""
    retry_after, usable = asked

    def delay(draw: float) -> float:
        return schedule.transient_delay(3, draw, usable_seconds=usable, retry_after=retry_after)

    least, longest = waits
    assert delay(0.0) == least
    assert delay(ALMOST_ONE) == pytest.approx(longest)
    # Nobody comes before the moment, and half of a fleet in the first half of the time after it.
    assert least <= delay(0.5) <= (least + longest) / 2


@pytest.mark.parametrize(
    ("failures", "longest"), [(1, 60), (2, 120), (3, 240), (4, 300), (5, 300), (9999, 300)]
)
def test_permanent_failures_back_off(failures: int, longest: float) -> None:
    """T6: 60 s doubling to 300 s, of which jitter takes up to a fifth away."""
    assert schedule.permanent_delay(failures, 0.0) == longest
    assert schedule.permanent_delay(failures, 0.5) == pytest.approx(0.9 * longest)
    assert schedule.permanent_delay(failures, ALMOST_ONE) == pytest.approx(0.8 * longest)


def test_one_forced_renewal_in_ten_seconds() -> None:
    """T10: a second renewal is forced 10 s after the first at the earliest."""
    forced = ForcedRenewals()
    asked = [(0.0, True), (0.0, False), (9.99, False), (10.0, True), (19.9, False), (20.0, True)]
    assert [(now, forced.allow(now)) for now, _ in asked] == asked


def test_three_fresh_refusals_pause_forced_renewals() -> None:
    """T10: three fresh tokens refused in a row stop forced renewals for 60 s."""
    forced = ForcedRenewals()
    for now in (0.0, 10.0, 20.0):
        assert forced.allow(now)
        forced.fresh_token_refused(now + 1)
    assert [forced.allow(now) for now in (30.0, 80.9, 81.0)] == [False, False, True]
    forced.fresh_token_refused(82.0)
    assert forced.allow(91.0)


def test_an_accepted_fresh_token_ends_the_row() -> None:
    """T10: refusals that an accepted fresh token separates are not in a row."""
    forced = ForcedRenewals()
    for now in (0.0, 10.0, 20.0, 30.0):
        assert forced.allow(now)
        forced.fresh_token_refused(now)
        if now == 10.0:
            forced.fresh_token_accepted()
    assert forced.allow(40.0)
