"""What the mock knows: its clients, the tokens it has granted, and what was created with them."""

import base64
import hashlib
import json
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.mock.faults import Faults

__all__ = ["ACCOUNT_ID", "MockClient", "MockSignicat", "fingerprint"]

ACCOUNT_ID: Final = "a-spge-0a1b2c3d4e5f6a7b8c9d"
_REMEMBERED_REQUESTS: Final = 200
_SIGNATURE_BYTES: Final = 256  # as long as an RS256 signature; it verifies nothing


@dataclass(slots=True)
class MockClient:
    """An API client: several secrets may be valid at once; `permissions` None means all."""

    client_id: str
    secrets: list[str]
    permissions: frozenset[str] | None = None


def fingerprint(value: str) -> str:
    """Return 8 hex digits that stand for a secret value."""
    return hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()[:8]


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


@dataclass(slots=True)
class MockSignicat:
    """Owns all state of one mock; lifetimes are measured on `clock` (seconds, monotonic).

    `public_url` is what the URLs it gives out begin with; empty: the Host it
    was asked by.
    """

    clients: list[MockClient]
    clock: Callable[[], float]
    wall: Callable[[], float]
    lifetime_seconds: float = 600
    public_url: str = ""
    created_status: int = 200
    faults: Faults = field(default_factory=lambda: Faults(random.Random()))  # noqa: S311 (no secret)
    token_requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    requests: deque[dict[str, Any]] = field(
        default_factory=lambda: deque(maxlen=_REMEMBERED_REQUESTS)
    )
    sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, dict[str, Any]] = field(default_factory=dict)
    collections: dict[str, dict[str, Any]] = field(default_factory=dict)
    signing_sessions: dict[str, dict[str, Any]] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    _tokens: dict[str, tuple[MockClient, float]] = field(default_factory=dict)

    def client(self, client_id: str) -> MockClient | None:
        """Return the client of that id."""
        return next((c for c in self.clients if c.client_id == client_id), None)

    def grant(self, client: MockClient, scope: str) -> str:
        """Return a new access token that looks like Signicat's and works here alone."""
        now = int(self.wall())
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "sandbox-signing-key-" + "0" * 32}
        claims = {
            "nbf": now,
            "exp": now + int(self.lifetime_seconds),
            "iss": "https://api.signicat.com/auth/open",
            "aud": "https://api.signicat.com",
            "client_id": client.client_id,
            "account_id": ACCOUNT_ID,
            "jti": secrets.token_hex(16).upper(),
            "iat": now,
            "sandbox": True,
            "mock": True,
            "scope": [scope],
        }
        parts = [_base64url(json.dumps(part).encode()) for part in (header, claims)]
        parts.append(_base64url(secrets.token_bytes(_SIGNATURE_BYTES)))
        token = ".".join(parts)
        self._forget_expired()
        self._tokens[token] = (client, self.clock() + self.lifetime_seconds)
        return token

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
