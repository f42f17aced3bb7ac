"""The one writer of a client's token: renews it in the background (T1 to T9)."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from proxy.clock import Clock, Instant
from proxy.oauth.backoff import Backoff
from proxy.oauth.cache import TokenCache
from proxy.oauth.credential import Credential
from proxy.oauth.demand import Demand
from proxy.oauth.endpoint import Attempt
from proxy.oauth.response import HINTS, Failure, FailureOutcome, Grant, Outcome, lacks_scope
from proxy.oauth.rotation import SecretRotation
from proxy.oauth.token import ClientState, ClientStatus, Token

__all__ = ["Endpoint", "TokenMetrics", "TokenRefresher"]

_LONGEST_SLEEP_SECONDS: Final = 15.0  # so that a laptop's sleep is noticed
_SECRET_POLL_SECONDS: Final = 4.0  # a changed file is noticed within 5 s
_LAST_GOOD: Final = "the last secret that worked is used"
_PREVIOUS: Final = "the one in SIGNICAT_PROXY_PREVIOUS_SECRET_FILE is tried"


class Endpoint(Protocol):
    """Where tokens come from."""

    @property
    def scope(self) -> str:
        """The scope that is asked for."""

    async def request(self, secret: Credential) -> Attempt:
        """Ask for one token; never raises but for cancellation."""


class TokenMetrics(Protocol):
    """What is counted."""

    def token_request(self, client: str, outcome: Outcome, seconds: float) -> None:
        """Count one call of the token endpoint."""

    def secret_fallback(self, client: str) -> None:
        """Count a return to the last secret that worked (T7)."""


@dataclass(frozen=True, slots=True)
class _Call:
    """What one token request brought, and how long it took; 0 seconds: none was made."""

    result: Grant | Failure
    trace_id: str | None = None
    seconds: float = 0.0


class TokenRefresher:
    """Decides when to ask for a token, asks, and stores what it gets in `cache`.

    `draw` gives random numbers in [0, 1); it and the clock are arguments so that tests can hold
    them. `backoff` and `demand` are those that `cache` has.
    """

    def __init__(
        self,
        cache: TokenCache,
        *,
        backoff: Backoff,
        demand: Demand,
        endpoint: Endpoint,
        secrets: SecretRotation,
        clock: Clock,
        draw: Callable[[], float],
        metrics: TokenMetrics,
        log: FilteringBoundLogger,
        hints: Mapping[FailureOutcome, str] = HINTS,
    ) -> None:
        self._cache = cache
        self._backoff = backoff
        self._demand = demand
        self._endpoint = endpoint
        self._secrets = secrets
        self._clock = clock
        self._draw = draw
        self._metrics = metrics
        self._log = log.bind(client=cache.client)
        self._hints = hints
        self._last_success_wall: float | None = None
        self._warned_scope: str | None = None
        # A request may still be sending the one before.
        self._last_tokens: deque[str] = deque(maxlen=2)

    # --- what others ask ---

    def renew(self) -> None:
        """Read the secret again and renew at once (SIGHUP, POST /-/refresh)."""
        self._demand.order()

    @property
    def is_renewing(self) -> bool:
        """Whether a renewal that was asked for is not over yet, well or not."""
        return self._demand.is_open

    def secrets_in_use(self) -> Iterator[str]:
        """Yield what must never be logged."""
        yield from self._last_tokens
        yield from self._secrets.in_use()

    def snapshot(self) -> ClientStatus:
        """Tell the state truthfully, without asking anybody."""
        token = self._cache.token
        left = 0.0 if token is None else token.expires.seconds_left(self._clock.now())
        return ClientStatus(
            client=self._cache.client,
            state=self._state(),
            seconds_to_expiry=left if left > 0 else None,
            next_attempt_seconds=self._seconds_until_due(),
            last_error=self._backoff.last_error,
            attempted=self._last_success_wall is not None or self._backoff.is_active,
            consecutive_failures=self._backoff.failures,
            token_expires_wall=None if token is None else token.expires.wall,
            last_success_wall=self._last_success_wall,
            fingerprint=None if token is None else token.fingerprint,
            waiters=self._cache.waiters,
            is_on_last_secret=self._secrets.is_on_fallback,
            hints=self._hints,
        )

    def _state(self) -> ClientState:
        if self._cache.has_usable_token():
            return "degraded" if self._backoff.is_active else "ready"
        # A short-lived token of an idle client is renewed by the next request.
        waits_for_traffic = self._seconds_until_due() is None
        return "ready" if waits_for_traffic else "not_ready"

    # --- when ---

    async def run(self) -> None:
        """Renew until cancelled; nothing else ends it."""
        while True:
            await self._attempt()
            while not self._is_due():
                await self._demand.wait(self._seconds_to_sleep())

    def _is_due(self) -> bool:
        if self._demand.is_ordered or self._secrets.has_new():
            return True
        # During back-off wishes wait as well (T5).
        if self._demand.is_wanted and not self._backoff.is_active:
            return True
        return self._seconds_until_due() == 0

    def _seconds_to_sleep(self) -> float:
        """Return the time left, cut short to look at the clock and the secret now and then."""
        longest = _SECRET_POLL_SECONDS if self._secrets.may_change else _LONGEST_SLEEP_SECONDS
        left = self._seconds_until_due()
        return longest if left is None else min(left, longest)

    def _seconds_until_due(self) -> float | None:
        return self._backoff.seconds_left(self._clock.now())

    # --- one attempt ---

    async def _attempt(self) -> None:
        """Ask with the configured secret; where that is of no use, once with another (T7)."""
        self._demand.begin_attempt()
        secret = self._secrets.read()
        call = _Call(secret) if isinstance(secret, Failure) else await self._request(secret)
        if isinstance(call.result, Failure):
            fallback = self._secrets.fallback(call.result)
            self._tell_of_previous()
            if fallback is not None:
                self._fall_back(call.result, call.trace_id)
                call = await self._request(fallback)
        if isinstance(call.result, Failure):
            self._failed(call.result, call.trace_id, call.seconds)
        self._demand.end_attempt()

    def _fall_back(self, failure: Failure, trace_id: str | None) -> None:
        """Log and count that another secret is tried instead (T7)."""
        instead = _LAST_GOOD if self._secrets.has_good else _PREVIOUS
        self._log.warning(
            "new_secret_refused",
            outcome=failure.outcome,
            detail=failure.detail,
            trace_id=trace_id,
            hint=f"{instead}; {self._hints['invalid_client']}",
        )
        self._metrics.secret_fallback(self._cache.client)

    def _tell_of_previous(self) -> None:
        """Log that the previous secret was needed and cannot be read (T7)."""
        if self._secrets.previous_error is not None:
            self._log.warning(
                "previous_secret_unusable",
                reason=self._secrets.previous_error,
                hint="no other secret can be tried; check SIGNICAT_PROXY_PREVIOUS_SECRET_FILE",
            )

    async def _request(self, secret: Credential) -> _Call:
        """Make one token request and count it; a granted token is stored."""
        sent = self._clock.now()
        attempt = await self._endpoint.request(secret)
        seconds = self._clock.monotonic() - sent.monotonic
        result = attempt.result
        outcome: Outcome = result.outcome if isinstance(result, Failure) else "ok"
        self._metrics.token_request(self._cache.client, outcome, seconds)
        if isinstance(result, Grant):
            self._secrets.worked(secret)
            self._store(result, sent, seconds)
        return _Call(result, attempt.trace_id, seconds)

    def _store(self, grant: Grant, sent: Instant, seconds: float) -> None:
        token = Token.granted(grant.access_token, grant.lifetime_seconds, sent, self._draw())
        self._last_success_wall = sent.wall
        self._last_tokens.append(token.value)
        self._backoff.granted(token)
        self._cache.store(token)
        self._log.info(
            "token_request",
            outcome="ok",
            duration_seconds=round(seconds, 4),
            token=token.fingerprint,
            expires_in=grant.lifetime_seconds,
            next_attempt_seconds=self._rounded_until_due(),
        )
        self._warn_of_scope(grant)

    def _warn_of_scope(self, grant: Grant) -> None:
        """Warn once where less was granted than wanted; the token is used all the same (T8)."""
        if not lacks_scope(grant, self._endpoint.scope) or grant.scope == self._warned_scope:
            return
        self._warned_scope = grant.scope
        self._log.warning("scope_not_granted", hint=self._hints["invalid_scope"])

    def _failed(self, failure: Failure, trace_id: str | None, seconds: float) -> None:
        self._backoff.failed(
            failure,
            self._clock.now(),
            self._draw(),
            usable_seconds=self._cache.usable_seconds(),
        )
        self._cache.fail()
        write = self._log.error if failure.is_permanent else self._log.warning
        write(
            "token_request",
            outcome=failure.outcome,
            detail=failure.detail,
            trace_id=trace_id,
            duration_seconds=round(seconds, 4),
            consecutive_failures=self._backoff.failures,
            next_attempt_seconds=self._rounded_until_due(),
            hint=self._hints.get(failure.outcome),
        )

    def _rounded_until_due(self) -> float | None:
        left = self._seconds_until_due()
        return None if left is None else round(left, 1)
