"""How failures in a row decide when the next attempt is due (T2, T5, T6, T9)."""

import pytest

from proxy.clock import Instant
from proxy.oauth.backoff import Backoff
from proxy.oauth.response import Failure
from proxy.oauth.token import Token

START = Instant(1000.0, 1_700_000_000.0)
LONG, BRIEF = 600.0, 5.0
DOWN = Failure("connect_failed")
BUSY = Failure("http_429", retry_after_seconds=7.0)
REFUSED = Failure("invalid_client", is_permanent=True)


def token(lifetime: float) -> Token:
    """Return a token granted at the start, with its soft point at 0.65 L."""
    return Token.granted("s3cr3t", lifetime, START, 0.5)


# What ended the attempts, and the longest wait after each; a number is the lifetime of a grant.
STORIES: dict[str, list[tuple[Failure | float, float | None]]] = {
    "failures that may pass": [(DOWN, 1), (DOWN, 2), (DOWN, 4), (DOWN, 8), (DOWN, 15), (DOWN, 15)],
    "a busy endpoint": [(BUSY, 14), (BUSY, 14), (BUSY, 14), (BUSY, 14), (BUSY, 15), (DOWN, 15)],
    "refusals": [(REFUSED, 60), (REFUSED, 120), (REFUSED, 240), (REFUSED, 300), (REFUSED, 300)],
    "a grant ends the row": [(DOWN, 1), (DOWN, 2), (LONG, 390), (DOWN, 1), (DOWN, 2)],
    "a grant ends the row of refusals": [
        *((REFUSED, 60), (REFUSED, 120), (LONG, 390), (REFUSED, 60), (REFUSED, 120)),
    ],
    "what may pass ends the row of refusals": [
        *((REFUSED, 60), (REFUSED, 120), (DOWN, 4), (REFUSED, 60), (REFUSED, 120)),
    ],
    "refusals count among failures that may pass": [(REFUSED, 60), (DOWN, 2), (DOWN, 4)],
    "traffic renews a short life": [(BRIEF, None), (DOWN, 1), (BRIEF, None), (LONG, 390)],
}


@pytest.mark.parametrize("story", STORIES.values(), ids=STORIES.keys())
def test_the_row_of_failures_decides(story: list[tuple[Failure | float, float | None]]) -> None:
    """T2, T5, T6: after a failure by its kind and its place in the row, after a grant by time."""
    backoff = Backoff()
    for end, seconds in story:
        if isinstance(end, Failure):
            # Refusals are jittered downwards, from the whole.
            draw = 0.0 if end.is_permanent else 1.0
            backoff.failed(end, START, draw, usable_seconds=0.0)
        else:
            backoff.granted(token(end))
        assert backoff.seconds_left(START) == pytest.approx(seconds)


def test_what_it_tells_of_failures() -> None:
    """A: how many in a row and why the last one; a grant ends both."""
    backoff = Backoff()
    told = []
    for end in (DOWN, REFUSED, BUSY, None, BUSY):
        if end is None:
            backoff.granted(token(LONG))
        else:
            backoff.failed(end, START, 0.5, usable_seconds=0.0)
        told.append((backoff.failures, backoff.last_error, backoff.is_active))
    assert told == [
        (1, "connect_failed", True),
        (2, "invalid_client", True),
        (3, "http_429", True),
        (0, None, False),
        (1, "http_429", True),
    ]


@pytest.mark.parametrize(("usable", "longest"), [(0.0, 15), (5.0, 20), (600.0, 30)])
def test_a_usable_token_leaves_more_time(usable: float, longest: float) -> None:
    """T5: up to 30 s while a token works, but at most 15 s beyond its end."""
    backoff = Backoff()
    for _ in range(9):
        backoff.failed(DOWN, START, 1.0, usable_seconds=usable)
    assert backoff.seconds_left(START) == longest


def test_the_first_attempt_is_due_at_once() -> None:
    """T2: a proxy that starts asks for a token without waiting for traffic."""
    backoff = Backoff()
    assert backoff.seconds_left(START) == 0
    assert (backoff.failures, backoff.last_error, backoff.is_active) == (0, None, False)


@pytest.mark.parametrize(
    ("monotonic", "wall", "left"),
    [
        (0.0, 0.0, 390.0),
        (389.0, 389.0, 1.0),
        (390.0, 390.0, 0.0),
        (1000.0, 1000.0, 0.0),
        (10.0, 3600.0, 0.0),  # the machine slept, and the monotonic clock with it
        (380.0, -3600.0, 10.0),  # the wall clock was set back
        (20.0, 10.0, 370.0),
    ],
)
def test_the_clock_that_says_less_counts(monotonic: float, wall: float, left: float) -> None:
    """T9: an attempt is due when either clock says so, and a time that is over is no debt."""
    backoff = Backoff()
    backoff.granted(token(LONG))
    now = Instant(START.monotonic + monotonic, START.wall + wall)
    assert backoff.seconds_left(now) == left
