"""The addresses of names: asked for once for all who dial, and kept for bad times (F13).

A question to a name server may get lost, and the system asks again only after five seconds, unless
told otherwise; that is all the time that a connection has. So a lookup that hesitates gets a second
one beside it, and where it fails or hangs the last good addresses serve (as in RFC 8767).
"""

import asyncio
import math
import socket
from collections.abc import Callable, Sequence
from typing import Final, Literal, get_args

from structlog.typing import FilteringBoundLogger

from proxy.clock import Clock, Instant
from proxy.net.resolver import Address, Resolver, numeric_addresses, system_resolver, with_port

__all__ = ["LOOKUP_OUTCOMES", "PATIENCE_SHARE", "LookupOutcome", "NameCache"]

PATIENCE_SHARE: Final = 0.2
"""Of the time for a whole connection: a second by default; after twice that old addresses serve."""

LookupOutcome = Literal["ok", "stale", "failed"]
LOOKUP_OUTCOMES: Final[tuple[str, ...]] = get_args(LookupOutcome)
"""How the need of an address ended: a fresh one, the last good one, none."""

_MOST_QUESTIONS: Final = 2
_KEPT_SECONDS: Final = 3600.0
# RFC 8767 §5: how long nobody is made to wait for a name whose lookup has just failed.
_RECHECK_SECONDS: Final = 30.0
_HINT: Final = "the last good addresses serve, for an hour at most; check the DNS of this machine"


def _count_nothing(_: LookupOutcome) -> None:
    """Count nothing: for commands that have no metrics."""


class NameCache:
    """Owns what is known of every name; only names of the settings are ever looked up.

    `count` learns how each need of an address ended.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        resolver: Resolver = system_resolver,
        count: Callable[[LookupOutcome], None] = _count_nothing,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._count = count
        self._log = log
        self._names: dict[str, _Name] = {}

    async def look_up(self, host: str, port: int, *, patience_seconds: float) -> Sequence[Address]:
        """Return the addresses of `host`, at least one, each with `port`.

        A numeric address asks nobody. All who wait for one name share one question; where that
        has no response after `patience_seconds`, one more is asked beside it, never a third. Once
        they have failed, or twice that time is over, the last good addresses serve, for an hour.
        Raises `OSError` where there are none, and `UnicodeError` for what is no name. Who is
        cancelled leaves nothing that has to be waited for.
        """
        addresses = numeric_addresses(host)
        if addresses is None:
            name = self._names.get(host)
            if name is None:
                name = _Name(host, self._clock, self._resolver, self._count, self._log)
                self._names[host] = name
            addresses = await name.addresses(patience_seconds)
        return [with_port(address, port) for address in addresses]


class _Name:
    """One name: the questions in flight, who waits for a response, the last good addresses."""

    def __init__(
        self,
        host: str,
        clock: Clock,
        resolver: Resolver,
        count: Callable[[LookupOutcome], None],
        log: FilteringBoundLogger | None,
    ) -> None:
        self._host = host
        self._clock = clock
        self._resolver = resolver
        self._count = count
        self._log = log
        self._asked: dict[asyncio.Future[Sequence[Address]], float] = {}  # and when
        self._waiters: set[asyncio.Future[Sequence[Address] | BaseException]] = set()
        self._good: Sequence[Address] = ()
        self._good_until = Instant(-math.inf, -math.inf)
        self._is_failing = False  # the last good addresses serve, and that has been said
        self._nobody_waits_until = -math.inf

    async def addresses(self, patience_seconds: float) -> Sequence[Address]:
        """Return fresh addresses, or the last good ones; see `NameCache.look_up`."""
        outcome: LookupOutcome = "failed"
        try:
            if not self._asked:
                self._ask()
            if self._clock.monotonic() < self._nobody_waits_until and self._has_good():
                outcome = "stale"
                return self._good
            try:
                addresses = await self._answer(patience_seconds)
            except OSError as error:
                if not self._has_good():
                    raise
                self._fall_back(error)
                outcome = "stale"
                return self._good
            outcome = "ok"
            return addresses
        finally:
            self._count(outcome)

    async def _answer(self, patience_seconds: float) -> Sequence[Address]:
        """Wait for a response; where there is something to fall back on, not for long."""
        waiter: asyncio.Future[Sequence[Address] | BaseException]
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        began = min(self._asked.values())
        try:
            await self._until(began + patience_seconds, waiter)
            if not waiter.done() and len(self._asked) < _MOST_QUESTIONS:
                self._ask()
            if self._has_good():
                await self._until(began + 2 * patience_seconds, waiter)
            else:
                await asyncio.wait((waiter,))
            if not waiter.done():
                raise TimeoutError(f"no answer within {2 * patience_seconds:g} s")
            outcome = waiter.result()
        finally:
            self._waiters.discard(waiter)
            del waiter
        if isinstance(outcome, BaseException):
            try:
                raise outcome
            finally:
                del outcome  # whose traceback holds this frame
        return outcome

    async def _until(
        self, end: float, waiter: "asyncio.Future[Sequence[Address] | BaseException]"
    ) -> None:
        await asyncio.wait((waiter,), timeout=max(0.0, end - self._clock.monotonic()))

    def _ask(self) -> None:
        question = self._resolver(self._host)
        self._asked[question] = self._clock.monotonic()
        question.add_done_callback(self._on_answer)

    def _on_answer(self, question: "asyncio.Future[Sequence[Address]]") -> None:
        began = self._asked.pop(question)
        error = question.exception()
        if error is None and question.result():
            self._keep(question.result())
        elif all(other <= began for other in self._asked.values()):
            # A younger question may still be answered; an older one is lost, most likely.
            self._tell(error or socket.gaierror(socket.EAI_NONAME, "the name has no address"))

    def _keep(self, addresses: Sequence[Address]) -> None:
        self._good = addresses
        self._good_until = self._clock.now() + _KEPT_SECONDS
        self._nobody_waits_until = -math.inf
        if self._is_failing and self._log is not None:
            self._log.info("name_lookup_recovered", host=self._host)
        self._is_failing = False
        self._tell(addresses)

    def _tell(self, outcome: Sequence[Address] | BaseException) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(outcome)

    def _has_good(self) -> bool:
        now = self._clock.now()
        return now.monotonic < self._good_until.monotonic and now.wall < self._good_until.wall

    def _fall_back(self, error: OSError) -> None:
        """Note that the last good addresses serve; said once, not for each connection."""
        self._nobody_waits_until = self._clock.monotonic() + _RECHECK_SECONDS
        if not self._is_failing and self._log is not None:
            cause = error.strerror or str(error)
            self._log.warning("name_lookup_failed", host=self._host, cause=cause, hint=_HINT)
        self._is_failing = True
