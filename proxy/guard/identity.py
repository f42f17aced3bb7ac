"""A caller by name and rights, and who is at the other end of one connection (I1, I2)."""

import sys
from collections.abc import Iterable
from typing import Final, NamedTuple

from proxy.errors import CALLER_NOT_ALLOWED, ProxyError
from proxy.http1.failures import caller_at_limit
from proxy.http1.request import KnownHead

__all__ = ["NOBODY", "CallerStatus", "Identity", "Peer"]

NOBODY: Final = "none"
"""What metrics call a caller that is not known."""

_UNLIMITED: Final = sys.maxsize
_MOST_KEPT: Final = 2048  # bytes of credentials that an idle connection may hold (G11)


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

    @property
    def limit(self) -> int | None:
        """How many requests may run, None without a limit."""
        return None if self.max_in_flight == _UNLIMITED else self.max_in_flight

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

    `address` and `scheme`, by which its URLs begin, are for those who record requests. `own` is
    who the connection proves to be. `sender` is who the current request is from; only admission
    changes it, and it is `own` until a request is admitted.
    The verdict holds for exactly one header block on this very connection, and for one
    generation of the keys (I2). So does whose key the last credentials were, for exactly their
    bytes: other headers may change with each request, and a digest costs as much as a small one.
    """

    __slots__ = (
        "_authorization",
        "_generation",
        "_head",
        "_proved",
        "_proved_generation",
        "_proxy_authorization",
        "address",
        "own",
        "scheme",
        "sender",
    )

    def __init__(self, address: str | None, own: Identity, scheme: str = "http") -> None:
        self.address = address
        self.scheme = scheme
        self.own = own
        self.sender = own
        self._head: KnownHead | None = None
        self._generation = 0
        self._authorization: bytes | None = None
        self._proxy_authorization: bytes | None = None
        self._proved = own
        self._proved_generation = 0

    def has_verdict(self, head: KnownHead, generation: int) -> bool:
        """Say whether that header block has been admitted with the keys of that generation."""
        return self._head is head and self._generation == generation

    def forget(self) -> None:
        """Take back the verdict: another header block is looked at."""
        self._head = None
        self.sender = self.own

    def note(self, head: KnownHead, generation: int, sender: Identity) -> None:
        """Note who sent a header block that may pass; one that is not kept does not come again."""
        self._head = head if head.is_kept else None
        self._generation = generation
        self.sender = sender

    def proved(
        self, authorization: bytes | None, proxy_authorization: bytes | None, generation: int
    ) -> Identity | None:
        """Return whose key the very same credentials held before; None where that is not known.

        The comparison may take what time it likes: it is with what this peer has sent itself.
        """
        if (
            self._proved_generation == generation
            and self._authorization == authorization
            and self._proxy_authorization == proxy_authorization
        ):
            return self._proved
        return None

    def note_proof(
        self,
        authorization: bytes | None,
        proxy_authorization: bytes | None,
        generation: int,
        owner: Identity,
    ) -> None:
        """Note whose key these credentials hold, unless they are too long to be kept."""
        if len(authorization or b"") + len(proxy_authorization or b"") > _MOST_KEPT:
            return
        self._authorization = authorization
        self._proxy_authorization = proxy_authorization
        self._proved_generation = generation
        self._proved = owner


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
