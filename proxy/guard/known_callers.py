"""Who is known: callers by their keys, certificates and users, and who a request is from (I1, I2).

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
from collections.abc import Iterable, Mapping, Sequence
from hmac import compare_digest
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.errors import CALLER_UNKNOWN, ProxyError
from proxy.guard.identity import NOBODY, CallerStatus, Identity, Peer
from proxy.guard.keys import digest_of

__all__ = ["KeyClashError", "KnownCallers"]

_CREDENTIALS: Final = re.compile(rb"(?i)(bearer|basic) +([A-Za-z0-9._~+/-]+=*)")
_MOST_ENCODED: Final = 3072  # bytes of name and key, each character of which may be three
_CHALLENGE: Final = (("WWW-Authenticate", 'Bearer realm="signicat-proxy"'),)


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
                max_in_flight=caller.limit,
            )
            for caller in self.callers.values()
        ]

    def peer(
        self,
        address: str | None,
        uid: int | None = None,
        names: tuple[str, ...] = (),
        scheme: str = "http",
    ) -> Peer:
        """Return who is at the other end of a new connection, by its certificate or its user.

        A certificate that names two callers proves neither.
        """
        if uid is None and not names:
            return Peer(address, self.nobody, scheme)
        found = {self._by_certificate[name] for name in names if name in self._by_certificate}
        if uid is not None and uid in self._by_user:
            found.add(self._by_user[uid])
        return Peer(address, found.pop() if len(found) == 1 else self.nobody, scheme)

    def identify(self, facts: dict[bytes, bytes], peer: Peer) -> Identity:
        """Return who sent a header block on the connection of `peer`.

        A header that holds no key of a caller decides nothing, so that applications may send
        what they like where the connection proves them. Raises `ProxyError` where nobody known
        is found, or two.
        """
        if not self.callers:
            return self.nobody
        plain, to_proxy = facts.get(b"authorization"), facts.get(b"proxy-authorization")
        known = peer.proved(plain, to_proxy, self.generation)
        if known is not None:
            return known
        found = [self._owner(value) for value in (to_proxy, plain) if value is not None]
        owners = [owner for owner in found if owner is not None]
        if not owners:
            if peer.own is self.nobody:
                raise _unknown(has_sent=bool(found))
            return peer.own
        if owners[0] is not owners[-1]:
            raise ProxyError(
                CALLER_UNKNOWN,
                "Authorization and Proxy-Authorization hold keys of two different callers; send "
                "one.",
                _CHALLENGE,
            )
        peer.note_proof(plain, to_proxy, self.generation, owners[0])
        return owners[0]

    def _owner(self, value: bytes) -> Identity | None:
        """Return whose key a header holds; repeated lines come joined, and hold none."""
        match = _CREDENTIALS.fullmatch(value)
        if match is None:
            return None
        if match[1].lower() == b"bearer":
            return self._owner_of_key(match[2])
        try:
            pair = base64.b64decode(match[2], validate=True)
        except binascii.Error:
            return None
        name, _, key = pair.partition(b":")
        owner = self._owner_named(name, key)
        if owner is not None or b"%" not in pair or len(pair) > _MOST_ENCODED:
            return owner
        # OAuth libraries encode both before they join them (RFC 6749 §2.3.1), curl neither.
        return self._owner_named(unquote_to_bytes(name), unquote_to_bytes(key))

    def _owner_named(self, name: bytes, key: bytes) -> Identity | None:
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
