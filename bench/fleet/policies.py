"""Whose sidecars a fleet is made of: ours, and two that renew as others do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from bench.fleet.sidecar import Sidecar, World
from proxy.oauth.endpoint import Attempt
from proxy.oauth.response import Grant

__all__ = ["OURS", "POLICIES", "Member"]

OURS: Final = "signicat-proxy"


class Member(Protocol):
    """One process of a fleet."""

    def start(self) -> None:
        """Start it, without a token."""

    def stop(self) -> None:
        """Kill it; it may be started again."""


class _Peer(ABC):
    """What the peers have in common: they ask, and say when they ask again.

    `_use_seconds` is how long they send a token, counted from the grant.
    """

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._number = number
        self._life = 0  # of which process a response is

    def start(self) -> None:
        """Ask at once."""
        self._life += 1
        self._world.readiness.started(self._number, self._world.timeline.now)
        self._ask(self._life)

    def stop(self) -> None:
        """End the process; responses to it are dropped."""
        self._life += 1
        self._world.readiness.stopped(self._number, self._world.timeline.now)

    def _ask(self, life: int) -> None:
        if life == self._life:
            self._world.endpoint.call(partial(self._on_response, life))

    def _on_response(self, life: int, attempt: Attempt) -> None:
        if life != self._life:
            return
        now = self._world.timeline.now
        again = self._retry_at(now)
        if isinstance(attempt.result, Grant):
            lifetime = attempt.result.lifetime_seconds
            self._world.readiness.granted(self._number, now, now + self._use_seconds(lifetime))
            again = self._renew_at(now, lifetime)
        self._world.timeline.at(again, partial(self._ask, life))

    def _use_seconds(self, lifetime: float) -> float:
        return lifetime

    @abstractmethod
    def _renew_at(self, now: float, lifetime: float) -> float:
        """Return when the next token is asked for."""

    @abstractmethod
    def _retry_at(self, now: float) -> float:
        """Return when a failed call is repeated."""


class Envoy(_Peer):
    """Envoy's `credential_injector` with OAuth 2.0, with its defaults.

    It renews at half the lifetime and tries again 2 s after any failure, without jitter, whatever
    `Retry-After` says. A new secret is used at the next renewal. It goes on to send a token that
    has expired; here it counts as without one then.
    (`injected_credentials/oauth2/token_provider.cc`.)
    """

    def _renew_at(self, now: float, lifetime: float) -> float:
        return now + lifetime / 2

    def _retry_at(self, now: float) -> float:
        return now + 2.0


class FixedMargin(_Peer):
    """A library in the application that renews a fixed time before the end, with a request.

    The margin is the 10 s of golang.org/x/oauth2. The token is not used inside the margin, so
    the request that finds it there waits for the next one, and fails where there is none; each
    request after it tries again. Here each application sends one request a second.
    """

    _MARGIN_SECONDS: Final = 10.0
    _PERIOD_SECONDS: Final = 1.0

    def __init__(self, world: World, number: int) -> None:
        super().__init__(world, number)
        self._phase = world.draw() * self._PERIOD_SECONDS

    def _use_seconds(self, lifetime: float) -> float:
        return lifetime - self._MARGIN_SECONDS

    def _renew_at(self, now: float, lifetime: float) -> float:
        return self._next_request(now + self._use_seconds(lifetime))

    def _retry_at(self, now: float) -> float:
        return self._next_request(now)

    def _next_request(self, moment: float) -> float:
        periods = math.floor((moment - self._phase) / self._PERIOD_SECONDS) + 1
        return periods * self._PERIOD_SECONDS + self._phase


POLICIES: Final[Mapping[str, Callable[[World, int], Member]]] = {
    OURS: Sidecar,
    "Envoy": Envoy,
    "fixed margin": FixedMargin,
}
"""By the name that tables show."""
