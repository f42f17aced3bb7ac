"""An access token and its life, and what is said of a client's tokens."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from proxy.clock import Instant
from proxy.oauth import schedule
from proxy.oauth.response import HINTS, FailureOutcome

__all__ = ["ClientState", "ClientStatus", "Token"]

ClientState = Literal["ready", "degraded", "not_ready"]
"""`degraded`: the renewal fails, the token still works; `not_ready`: there is no usable token."""


@dataclass(frozen=True, slots=True)
class Token:
    """One access token; its value shows in no `repr`.

    All instants count from `sent`, the moment just before the token was asked
    for. `soft`: renew from then on (T2). `hard`: send it no more (T3).
    `on_demand`: it lives so briefly that traffic, not time, renews it (T2).
    """

    value: str = field(repr=False)
    header_line: bytes = field(repr=False)
    fingerprint: str
    sent: Instant
    soft: Instant
    hard: Instant
    expires: Instant
    on_demand: bool

    @classmethod
    def granted(cls, value: str, lifetime_seconds: float, sent: Instant, draw: float) -> "Token":
        """Return a token with its schedule; `draw`, in [0, 1), picks the soft point."""
        return cls(
            value=value,
            header_line=f"Authorization: Bearer {value}\r\n".encode("ascii"),
            fingerprint=hashlib.sha256(value.encode("ascii")).hexdigest()[:8],
            sent=sent,
            soft=sent + schedule.soft_point(lifetime_seconds, draw),
            hard=sent + schedule.hard_stop(lifetime_seconds),
            expires=sent + lifetime_seconds,
            on_demand=schedule.is_on_demand(lifetime_seconds),
        )


@dataclass(frozen=True, slots=True)
class ClientStatus:
    """The state of one client's token at one moment, for health, metrics and people.

    `last_error` is why the last attempt failed, None if it did not; times `…_wall` are Unix
    seconds. `attempted`: the first attempt is over.
    `is_on_last_secret`: the configured secret is unusable, and the token was got
    by the last one that worked, or by the previous one (T7).
    `hints` say what can be done about an outcome, with the names of this client's settings.
    """

    client: str
    state: ClientState
    seconds_to_expiry: float | None
    next_attempt_seconds: float | None
    last_error: FailureOutcome | None
    attempted: bool
    consecutive_failures: int
    token_expires_wall: float | None
    last_success_wall: float | None
    fingerprint: str | None
    waiters: int
    is_on_last_secret: bool = False
    hints: Mapping[FailureOutcome, str] = field(default_factory=lambda: HINTS, repr=False)

    @property
    def is_ready(self) -> bool:
        """Whether requests of the client get a token."""
        return self.state != "not_ready"

    @property
    def has_had_token(self) -> bool:
        """Whether the client has had a token in this process, be it long over."""
        return self.last_success_wall is not None
