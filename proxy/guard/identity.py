"""Who a caller is: by a key, else by its connection (I1, I2).

```text
a key of a caller in Proxy-Authorization or Authorization ► that caller
else what the connection proves: certificate or Unix user ► that caller
else                                                      ► nobody: 401 `caller_unknown`
```

Without any caller in the settings everybody may call, and all of them are `nobody`.
"""

import base64
import binascii
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from typing import Final, NamedTuple

from proxy.errors import CALLER_NOT_ALLOWED, CALLER_UNKNOWN, ProxyError
from proxy.guard.keys import digest_of
from proxy.http1.failures import caller_at_limit
from proxy.http1.request import KnownHead

__all__ = ["NOBODY", "CallerStatus", "Identity", "KeyClashError", "KnownCallers", "Peer"]

NOBODY: Final = "none"
"""What metrics call a caller that is not known."""

_UNLIMITED: Final = sys.maxsize
_CREDENTIALS: Final = re.compile(rb"(?i)(bearer|basic) +([A-Za-z0-9._~+/-]+=*)")
# The one that names a proxy counts first where both hold keys of one caller, as it does in HTTP.
_HEADERS: Final = (b"proxy-authorization", b"authorization")
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="signicat-proxy"'),)


class Identity:
    """A caller by its name, what it may do, and how many of its requests run.

    `log_name` is None for nobody. `clients` are the API clients whose routes it may use, None
    for all. Each exchange says once that it begins and once that it has ended; nobody else
    changes `in_flight`.
    """

    __slots__ = ("clients", "in_flight", "log_name", "max_in_flight", "name")

    def __init__(
        self,
        name: str,
        clients: Iterable[str] | None = None,
        max_in_flight: int | None = None,
    ) -> None:
        self.name = name
        self.log_name = None if name == NOBODY else name
        self.clients = None if clients is None else frozenset(clients)
        self.max_in_flight = _UNLIMITED if max_in_flight is None else max_in_flight
        self.in_flight = 0

    def check_may_send(self, client: str) -> None:
        """Raise `ProxyError` for a route of a client that is not its own, or one request too many.

        Called for every request, so the ordinary case costs two comparisons.
        """
        if self.clients is not None and client not in self.clients:
            raise ProxyError(
                CALLER_NOT_ALLOWED,
                f"This route is for the client '{client}', which is not among the clients of "
                f"[callers.{self.name}].",
            )
        self.check_room()

    def check_room(self) -> None:
        """Raise `ProxyError` for one request more than it may have running."""
        if self.in_flight >= self.max_in_flight:
            raise caller_at_limit(self.max_in_flight)

    def begin(self) -> None:
        """Count a request that begins."""
        self.in_flight += 1

    def end(self) -> None:
        """Count a request that has ended."""
        self.in_flight -= 1


class Peer:
    """Who is at the other end of one connection, and who sent the header block seen last on it.

    `address` is for logs. `own` is who the connection proves to be. `sender` is who the current
    request is from; only admission changes it, and it is `own` until a request is admitted.
    The verdict holds for exactly one header block on this very connection, and for one
    generation of the keys (I2).
    """

    __slots__ = ("_generation", "_head", "address", "own", "sender")

    def __init__(self, address: str | None, own: Identity) -> None:
        self.address = address
        self.own = own
        self.sender = own
        self._head: KnownHead | None = None
        self._generation = 0

    def has_verdict(self, head: KnownHead, generation: int) -> bool:
        """Say whether that header block has been admitted with the keys of that generation."""
        return self._head is head and self._generation == generation

    def forget(self) -> None:
        """Take back the verdict: another header block is looked at."""
        self._head = None
        self.sender = self.own

    def note(self, head: KnownHead, generation: int, sender: Identity) -> None:
        """Note who sent a header block that may pass."""
        self._head = head
        self._generation = generation
        self.sender = sender


class CallerStatus(NamedTuple):
    """A known caller as operators see it: how many proofs of each kind, and how many requests.

    `clients` is None for all, `max_in_flight` where there is no limit.
    """

    name: str
    clients: frozenset[str] | None
    keys: int
    certificates: int
    unix_users: int
    in_flight: int
    max_in_flight: int | None

    @property
    def proof(self) -> str:
        """How it may prove who it is, for people."""
        kinds = (
            (self.keys, "key"),
            (self.certificates, "certificate name"),
            (self.unix_users, "Unix user"),
        )
        return ", ".join(f"{n} {kind}{'s' * (n > 1)}" for n, kind in kinds if n) or "none"


class KeyClashError(Exception):
    """A key is that of another caller already; `other` is its name."""

    def __init__(self, other: str) -> None:
        super().__init__(f"holds a key of the caller '{other}' too")
        self.other = other


class KnownCallers:
    """Owns who is known, the digests of their keys, and the generation of these.

    `generation` changes with every change of a key, so that no verdict outlives the key that
    it was given for. `certificates` are names in certificates, `URI:` or `DNS:` before them,
    and `users` uids of the other end of a Unix socket, each with the caller's name.
    """

    __slots__ = ("_by_certificate", "_by_user", "_digests", "callers", "generation", "nobody")

    def __init__(
        self,
        callers: Sequence[Identity] = (),
        *,
        certificates: Mapping[str, str] | None = None,
        users: Mapping[int, str] | None = None,
    ) -> None:
        self.callers = {caller.name: caller for caller in callers}
        self.generation = 1
        self.nobody = Identity(NOBODY)
        self._by_certificate = {
            name: self.callers[caller] for name, caller in (certificates or {}).items()
        }
        self._by_user = {uid: self.callers[caller] for uid, caller in (users or {}).items()}
        self._digests: list[tuple[bytes, Identity]] = []

    def use_keys(self, name: str, digests: Iterable[bytes]) -> None:
        """Put the SHA-256 digests of a caller's keys in force, in place of those before.

        Raises `KeyClashError`, and changes nothing, where another caller has one of them.
        """
        caller, fresh = self.callers[name], tuple(digests)
        self.check_keys(name, fresh)
        others = [(digest, owner) for digest, owner in self._digests if owner is not caller]
        self._digests = others + [(digest, caller) for digest in fresh]
        self.generation += 1

    def check_keys(self, name: str, digests: Iterable[bytes]) -> None:
        """Raise `KeyClashError` for a key that another caller has."""
        fresh = frozenset(digests)
        for digest, owner in self._digests:
            if digest in fresh and owner.name != name:
                raise KeyClashError(owner.name)

    def statuses(self) -> list[CallerStatus]:
        """Return how it is with each caller, in the order of the settings."""
        return [
            CallerStatus(
                name=caller.name,
                clients=caller.clients,
                keys=sum(owner is caller for _, owner in self._digests),
                certificates=sum(owner is caller for owner in self._by_certificate.values()),
                unix_users=sum(owner is caller for owner in self._by_user.values()),
                in_flight=caller.in_flight,
                max_in_flight=None if caller.max_in_flight == _UNLIMITED else caller.max_in_flight,
            )
            for caller in self.callers.values()
        ]

    def peer(
        self, address: str | None, uid: int | None = None, names: tuple[str, ...] = ()
    ) -> Peer:
        """Return who is at the other end of a new connection, by its certificate or its user.

        A certificate that names two callers proves neither.
        """
        if uid is None and not names:
            return Peer(address, self.nobody)
        found = {self._by_certificate[name] for name in names if name in self._by_certificate}
        if uid is not None and uid in self._by_user:
            found.add(self._by_user[uid])
        return Peer(address, found.pop() if len(found) == 1 else self.nobody)

    def identify(self, facts: dict[bytes, bytes], own: Identity) -> Identity:
        """Return who sent a header block on a connection that proves to be `own`.

        A header that holds no key of a caller decides nothing, so that applications may send
        what they like where the connection proves them. Raises `ProxyError` where nobody known
        is found, or two.
        """
        if not self.callers:
            return self.nobody
        found = [self._owner(facts[name]) for name in _HEADERS if name in facts]
        owners = [owner for owner in found if owner is not None]
        if not owners:
            if own is self.nobody:
                raise _unknown(has_sent=bool(found))
            return own
        if owners[0] is not owners[-1]:
            raise ProxyError(
                CALLER_UNKNOWN,
                "Authorization and Proxy-Authorization hold keys of two different callers; send "
                "one.",
                _CHALLENGE,
            )
        return owners[0]

    def _owner(self, value: bytes) -> Identity | None:
        """Return whose key a header holds; repeated lines come joined, and hold none."""
        match = _CREDENTIALS.fullmatch(value)
        if match is None:
            return None
        if match[1].lower() == b"bearer":
            return self._owner_of_key(match[2])
        try:
            name, _, key = base64.b64decode(match[2], validate=True).partition(b":")
        except binascii.Error:
            return None
        owner = self._owner_of_key(key)
        return owner if owner is not None and owner.name.encode() == name else None

    def _owner_of_key(self, key: bytes) -> Identity | None:
        """Compare with every key, so that the time tells nothing of those that are valid (I2)."""
        digest = digest_of(key)
        owner: Identity | None = None
        for known, caller in self._digests:
            if compare_digest(known, digest):
                owner = caller
        return owner


def _unknown(*, has_sent: bool) -> ProxyError:
    """Return the refusal of whoever is not known (I1)."""
    what = (
        "What Authorization or Proxy-Authorization holds is no key of a known caller"
        if has_sent
        else "This proxy answers known callers only, and the request holds no key"
    )
    return ProxyError(
        CALLER_UNKNOWN,
        f"{what}. Send the key of one of [callers] as 'Authorization: Bearer KEY', or connect "
        "by a client certificate or as a Unix user of one.",
        _CHALLENGE,
    )
