"""One client's token, as requests see it: read, wait for, report as refused (T1, T3, T4, T10).

Only `TokenRefresher` stores a token. Requests call `current`, which is a few
comparisons; where there is no usable token they wait for the outcome of the
attempt that is due anyway, and never ask the token endpoint themselves.
"""

import asyncio
import math

from structlog.typing import FilteringBoundLogger

from proxy.clock import Clock
from proxy.oauth import schedule
from proxy.oauth.backoff import Backoff
from proxy.oauth.demand import Demand
from proxy.oauth.token import Token

__all__ = ["TokenCache", "TokenUnavailableError"]


class TokenUnavailableError(Exception):
    """There is no usable token; `retry_after_seconds` is when the next attempt is due."""

    def __init__(self, retry_after_seconds: int, cause: str) -> None:
        super().__init__(cause)
        self.retry_after_seconds = retry_after_seconds
        self.cause = cause


class TokenCache:
    """Holds one client's token and those who wait for it.

    `backoff` is the refresher's, and only read here; `demand` is where that learns that a request
    needs a token.
    """

    def __init__(
        self,
        client: str,
        *,
        backoff: Backoff,
        demand: Demand,
        clock: Clock,
        log: FilteringBoundLogger,
        wait_seconds: float,
    ) -> None:
        self.client = client
        self._backoff = backoff
        self._demand = demand
        self._clock = clock
        self._monotonic = clock.monotonic
        self._wall = clock.wall
        self._log = log
        self._wait_seconds = wait_seconds
        self._token: Token | None = None
        self._doubted: Token | None = None  # refused by the upstream; kept until renewal is over
        self._doubted_until = 0.0
        self._waiters: dict[asyncio.Future[Token], None] = {}  # in order of arrival
        self._forced = schedule.ForcedRenewals()
        self._is_forced = False  # a 401 asked for the next token
        self._fresh: Token | None = None  # granted because of a 401, not yet proved

    # --- requests ---

    def current(self) -> Token | None:
        """Return the token if it may be sent now (T3, T9); on the path of every request."""
        token = self._token
        if token is None:
            return None
        now = self._monotonic()
        wall = self._wall()
        if now >= token.hard.monotonic or wall >= token.hard.wall:
            return None
        if token.on_demand and (now >= token.soft.monotonic or wall >= token.soft.wall):
            self._demand.want()
        return token

    async def wait(self) -> Token:
        """Return a token as soon as there is one; its holder may use it even inside the margin.

        Where an attempt fails, or after TOKEN_WAIT_SECONDS, that is the doubted one (T10);
        without one it raises `TokenUnavailableError`. Those who wait get it in the order in
        which they came (F8). One that is cancelled cancels nothing (T4).
        """
        token = self.current()
        if token is not None and self.is_being_given:
            await asyncio.sleep(0)  # behind those who wait: their turn is the next
            token = self.current()
        if token is not None:
            return token
        waiter: asyncio.Future[Token] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = None
        self._demand.want()
        try:
            async with asyncio.timeout(self._patience_seconds()):
                return await waiter
        except TimeoutError:
            self._end_doubt()
            token = self.current()
            if token is None:
                raise self._unavailable() from None
            return token
        finally:
            self._waiters.pop(waiter, None)
            # It holds the error, whose traceback holds this frame, and that the whole request.
            del waiter

    def _patience_seconds(self) -> float:
        """Return how long to wait; a doubt ends at the same moment for all who wait (T10)."""
        if not self.has_usable_token():
            return self._wait_seconds
        return max(0.0, self._doubted_until - self._monotonic())

    def may_still_use(self, token: Token) -> bool:
        """Say whether a token that was waited for has not expired meanwhile."""
        return token.expires.seconds_left(self._clock.now()) > 0

    def report_refused(self, token: Token) -> bool:
        """Learn that the upstream responded 401 to `token` (T10).

        The token is doubted, not lost: requests wait for its renewal, and go on with it where
        that fails or lasts longer than TOKEN_WAIT_SECONDS.
        True: it is or will be replaced, so the request may be sent once more.
        False: no renewal may be forced now; the 401 is the response.
        """
        if token is not self._token:
            return True
        # A fresh token counts as refused even where the request cannot be replayed.
        self.report_replay(token, refused=True)
        # One doubt for each renewal. And no request hastens an attempt in back-off (T5): doubt
        # could only cost those who can still use the token.
        if self._backoff.is_active or self._is_forced or not self._forced.allow(self._monotonic()):
            return False
        self._is_forced = True
        self._token, self._doubted = None, token
        self._doubted_until = self._monotonic() + self._wait_seconds
        self._log.warning("token_refused", client=self.client, token=token.fingerprint)
        self._demand.want()
        return True

    def report_replay(self, token: Token, *, refused: bool) -> None:
        """Learn how the upstream took the fresh token of a replay; each counts once."""
        if token is not self._fresh:
            return
        self._fresh = None
        if refused:
            self._forced.fresh_token_refused(self._monotonic())
        else:
            self._forced.fresh_token_accepted()

    def _end_doubt(self) -> None:
        """Go on with the doubted token, if there is one; who waits gets it at once (T10)."""
        if self._doubted is None:
            return
        self._token, self._doubted = self._doubted, None
        token = self.current()
        if token is not None:
            self._serve(token)

    def _serve(self, token: Token) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(token)

    # --- the refresher ---

    @property
    def token(self) -> Token | None:
        """The token, usable or not, doubted or not."""
        return self._token or self._doubted

    @property
    def waiters(self) -> int:
        """How many requests wait."""
        return len(self._waiters)

    @property
    def is_being_given(self) -> bool:
        """Do some still wait for the token, although it may be there: it is theirs first (F8)."""
        return bool(self._waiters)

    def has_usable_token(self) -> bool:
        """Say whether requests get a token, if need be a doubted one; wakes nobody."""
        return self.usable_seconds() > 0

    def usable_seconds(self) -> float:
        """Return how long the token may still be sent, by the clock that says less; or 0."""
        token = self.token
        if token is None:
            return 0.0
        return max(0.0, token.hard.seconds_left(self._clock.now()))

    def store(self, token: Token) -> None:
        """Keep a new token and give it to those who wait."""
        self._fresh = token if self._is_forced else None
        self._is_forced = False
        self._token, self._doubted = token, None
        self._serve(token)

    def fail(self) -> None:
        """Tell those who wait that the attempt has failed (T4); `backoff` knows of it already.

        Until the next attempt a doubted token serves (T10).
        """
        self._end_doubt()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(self._unavailable())

    def _unavailable(self) -> TokenUnavailableError:
        left = self._backoff.seconds_left(self._clock.now()) or 0.0
        return TokenUnavailableError(
            max(1, math.ceil(left)), self._backoff.last_error or "no token yet"
        )
