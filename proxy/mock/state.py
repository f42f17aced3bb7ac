"""What the mock knows: its clients, the tokens it has granted, and what was created with them."""

import copy
import hashlib
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from proxy.mock.faults import Faults
from proxy.mock.log import say
from proxy.mock.signing import Signer, Unsigned

__all__ = ["ACCOUNT_ID", "MockClient", "MockSignicat", "Shelf", "fingerprint"]

T = TypeVar("T")

ACCOUNT_ID: Final = "a-spge-0a1b2c3d4e5f6a7b8c9d"
_REMEMBERED_REQUESTS: Final = 200


@dataclass(slots=True)
class MockClient:
    """An API client: several secrets may be valid at once.

    `permissions` None means all but those that a product withholds.
    """

    client_id: str
    secrets: list[str]
    permissions: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Shelf(Generic[T]):
    """Names where a product keeps one kind of thing, by id; `thing` is what a 404 calls it.

    Two products may call their things alike: each shelf is one of its own.
    """

    thing: str


def fingerprint(value: str) -> str:
    """Return 8 hex digits that stand for a secret value."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _new_requests() -> deque[dict[str, Any]]:
    return deque(maxlen=_REMEMBERED_REQUESTS)


@dataclass(slots=True)
class MockSignicat:
    """Owns all state of one mock; lifetimes are measured on `clock` (seconds, monotonic).

    `public_url` is what the URLs it gives out begin with; empty: the Host it
    was asked by. `created_status` None: as each endpoint has it.
    """

    clients: list[MockClient]
    clock: Callable[[], float]
    wall: Callable[[], float]
    lifetime_seconds: float = 600
    public_url: str = ""
    created_status: int | None = None
    account_id: str = ACCOUNT_ID
    faults: Faults = field(default_factory=lambda: Faults(random.Random()))  # noqa: S311 (no secret)
    signer: Signer = field(default_factory=Unsigned)
    log: Callable[[str], None] = say
    token_requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    requests: deque[dict[str, Any]] = field(default_factory=_new_requests)
    _shelves: dict[Shelf[Any], dict[str, Any]] = field(default_factory=dict)
    _tokens: dict[str, tuple[MockClient, float]] = field(default_factory=dict)
    _assertions: dict[str, float] = field(default_factory=dict)
    _at_start: tuple[list[MockClient], float] = field(init=False)

    def __post_init__(self) -> None:
        self._at_start = copy.deepcopy(self.clients), self.lifetime_seconds

    def reset(self) -> None:
        """Make everything as it was at the start: what was created, set, granted and counted."""
        clients, self.lifetime_seconds = self._at_start
        self.clients = copy.deepcopy(clients)
        self.faults.reset()
        for held in (self._shelves, self._tokens, self._assertions):
            held.clear()
        self.token_requests.clear()
        self.statuses.clear()
        self.requests.clear()

    def client(self, client_id: str) -> MockClient | None:
        """Return the client of that id."""
        return next((c for c in self.clients if c.client_id == client_id), None)

    def shelf(self, shelf: Shelf[T]) -> dict[str, T]:
        """Return what a product keeps on a shelf, by id, to add to and remove from."""
        return self._shelves.setdefault(shelf, {})

    @property
    def ids(self) -> list[str]:
        """Return the ids of all that products keep."""
        return [name for held in self._shelves.values() for name in held]

    def grant(self, client: MockClient, scope: str, issuer: str) -> str:
        """Return a new access token that looks like Signicat's and works here alone."""
        now = int(self.wall())
        token = self.signer.sign(
            {
                "nbf": now,
                "exp": now + int(self.lifetime_seconds),
                "iss": issuer,
                "aud": "https://api.signicat.com",
                "client_id": client.client_id,
                "account_id": self.account_id,
                "jti": secrets.token_hex(16).upper(),
                "iat": now,
                "sandbox": True,
                "mock": True,
                "scope": [scope],
            }
        )
        self._forget_expired()
        self._tokens[token] = (client, self.clock() + self.lifetime_seconds)
        return token

    def is_first(self, assertion_id: str, seconds_left: float) -> bool:
        """Say whether an assertion comes for the first time; it is remembered while it is valid."""
        now = self.clock()
        self._assertions = {name: end for name, end in self._assertions.items() if end > now}
        if assertion_id in self._assertions:
            return False
        self._assertions[assertion_id] = now + seconds_left
        return True

    def _forget_expired(self) -> None:
        now = self.clock()
        self._tokens = {token: held for token, held in self._tokens.items() if held[1] > now}

    def holder(self, token: str) -> MockClient | None:
        """Return whose token this is, None if it is none of ours, expired or revoked."""
        client, expires = self._tokens.get(token, (None, 0.0))
        return client if self.clock() < expires else None

    def revoke_all(self) -> int:
        """Make every token worthless at once; return how many there were."""
        amount = len(self._tokens)
        self._tokens.clear()
        return amount
