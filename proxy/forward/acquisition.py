"""Getting what a request needs before it can be sent: a token, then a connection.

Only requests that find either of them missing come here; it is the one place
on the request path that may need a task.
"""

import asyncio
from typing import Protocol

from proxy.errors import ProxyError
from proxy.forward.context import Context
from proxy.forward.patience import CONNECTION, TOKEN, Patience
from proxy.forward.upstream import UpstreamConnection
from proxy.http1 import failures
from proxy.net.dialer import DialError
from proxy.oauth.cache import TokenCache, TokenUnavailableError
from proxy.oauth.token import Token
from proxy.telemetry.request_log import RequestRecord

__all__ = ["Acquirer", "Acquisition"]


class Acquirer(Protocol):
    """The exchange that waits."""

    patience: Patience
    record: RequestRecord

    def token_ready(self) -> None:
        """Learn that there is a token."""

    def send(self, connection: UpstreamConnection, token: Token) -> None:
        """Get both."""

    def fail(self, error: ProxyError) -> None:
        """Learn that one of them cannot be had."""


class Acquisition:
    """Waits for one exchange; ends in exactly one call of it, or is cancelled."""

    __slots__ = ("_acquirer", "_context", "_granted", "_is_for_token", "_task", "_tokens")

    def __init__(self, context: Context, tokens: TokenCache, acquirer: Acquirer) -> None:
        self._context = context
        self._tokens = tokens
        self._acquirer = acquirer
        self._granted: Token | None = None
        self._is_for_token = False
        self._task: asyncio.Task[None] | None = None

    def begin(self, token: Token | None) -> None:
        """Start with the token that is at hand, if any."""
        if token is None:
            self._acquirer.patience.expect(TOKEN)
            self._task = self._context.spawn(self._wait_for_token())
        else:
            self._connect(token)

    def begin_with_token(self) -> None:
        """Wait for a token alone: the acquirer's `token_ready` is called."""
        self._is_for_token = True
        self.begin(None)

    async def _token(self) -> Token:
        """Wait for a token, and note how long that took, however it ended."""
        record, monotonic = self._acquirer.record, self._context.monotonic
        since = monotonic()
        try:
            return await self._tokens.wait()
        finally:
            record.token_wait_seconds += monotonic() - since

    async def _wait_for_token(self) -> None:
        try:
            token = await self._token()
        except TokenUnavailableError as error:
            self._task = None
            self._acquirer.fail(failures.no_token(error.retry_after_seconds))
        else:
            self._task = None
            self._granted = token
            if self._is_for_token:
                self._acquirer.token_ready()
            else:
                self._connect(token)

    def _connect(self, token: Token) -> None:
        context = self._context
        connection = context.pool.take()
        if connection is None:
            self._acquirer.patience.expect(CONNECTION)
            context.pool.wait(self)
        else:
            self._acquirer.send(connection, token)

    def connected(self, connection: UpstreamConnection) -> None:
        """Get a connection from the pool; the token found before may have died meanwhile (T3)."""
        token = self._tokens.current() or self._granted_token()
        if token is None:
            # Not within this call, or a queue of waiters would become a tower of calls.
            self._context.loop.call_soon(self._context.pool.release, connection)
            self.begin(None)
        else:
            self._acquirer.send(connection, token)

    def _granted_token(self) -> Token | None:
        """Return the token that was waited for: it may be used even inside the margin (T3)."""
        token = self._granted
        return token if token is not None and self._tokens.may_still_use(token) else None

    def not_connected(self, error: DialError) -> None:
        """Learn that the upstream cannot be reached."""
        self._context.counters.upstream_error(error.reason)
        self._acquirer.fail(failures.upstream_unreachable(error.detail))

    def late(self) -> ProxyError:
        """Say why no connection came in time."""
        if self._context.pool.is_exhausted:
            return failures.pool_exhausted()
        self._context.counters.upstream_error("connect_timeout")
        return failures.connection_late()

    def cancel(self) -> None:
        """Wait no more."""
        self._context.pool.withdraw(self)
        if self._task is not None:
            self._task.cancel()
            self._task = None
