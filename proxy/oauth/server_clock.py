"""How far this machine's clock is from the token endpoint's, as its responses tell it."""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

__all__ = ["server_time", "skew_text"]

_MOST_SKEW_SECONDS: Final = 30.0  # half the life of a proof; `Date` has whole seconds


def server_time(date: str | None) -> float | None:
    """Return the Unix time of a `Date` header, None where it cannot be read."""
    if date is None:
        return None
    try:
        read = parsedate_to_datetime(date)
        return (read if read.tzinfo is not None else read.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def skew_text(date: str | None, now: float) -> str | None:
    """Say that the clocks are too far apart for a proof that lives a minute, else None (T12)."""
    theirs = server_time(date)
    if theirs is None or abs(now - theirs) <= _MOST_SKEW_SECONDS:
        return None
    side = "ahead of" if now > theirs else "behind"
    return (
        f"this machine's clock is {abs(now - theirs):.0f} s {side} the server's, and an assertion "
        "is valid for a minute"
    )
