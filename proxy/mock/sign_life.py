"""MOCK of the Sign API v2: the life of a signing session.

    BLOCKED ──► READY ──► SIGNED | REJECTED

BLOCKED lasts until every session that it is `subsequentTo` is signed. It is final once one of
those is rejected or deleted, or is BLOCKED for good itself. An `externalReference`
of `mock-sign` or `mock-reject` ends a session after the first look at it, once it is READY.
What has ended stays so.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from proxy.mock.endpoint import Call
from proxy.mock.sign_body import NewSigningSession
from proxy.mock.sign_collections import COLLECTIONS, Collection
from proxy.mock.sign_output import new_package, signature_of
from proxy.mock.state import Shelf

__all__ = ["ENDINGS", "SIGNING_SESSIONS", "SigningSession", "block_for_good", "end", "end_by_magic"]

ENDINGS: Final = {"sign": "SIGNED", "reject": "REJECTED"}
"""What a signer, or a magic reference, can make of a session."""
_MAGIC: Final = {f"mock-{word}": state for word, state in ENDINGS.items()}
_SERVERS_OWN: Final = frozenset(("id", "signatureUrl", "lifecycle", "output"))


@dataclass(slots=True)
class SigningSession:
    """One signing session; `ended` is empty until it is. `waits_for` are ids of others.

    `is_stuck`: one of those will never be signed.
    """

    session_id: str
    wanted: NewSigningSession
    url: str
    waits_for: set[str]
    ended: str = ""
    is_stuck: bool = False
    signatures: list[dict[str, Any]] = field(default_factory=list)
    packages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def state(self) -> str:
        """Return the state as the API names it."""
        return self.ended or ("BLOCKED" if self.waits_for else "READY")

    @property
    def is_final(self) -> bool:
        """Say whether nothing can change the state any more."""
        return bool(self.ended) or self.is_stuck

    @property
    def collections(self) -> set[str]:
        """Return the ids of the collections that its documents are of."""
        return {item.document_collection_id for item in self.wanted.documents}

    def as_json(self) -> dict[str, Any]:
        """Return it as the API does; it has an output once it is signed."""
        given = self.wanted.given().items()
        shown = {name: value for name, value in given if name not in _SERVERS_OWN}
        shown |= {
            "id": self.session_id,
            "signatureUrl": self.url,
            "lifecycle": {"state": self.state, "stateIsFinal": self.is_final},
        }
        if self.ended == "SIGNED":
            shown["output"] = {"signatures": self.signatures, "packages": self.packages}
        return shown


SIGNING_SESSIONS: Final[Shelf[SigningSession]] = Shelf("signing session")


def end(call: Call, session: SigningSession, state: str) -> None:
    """End a session, if it is READY; what waits for its signature goes on, or never will."""
    if session.state != "READY":
        return
    session.ended = state
    if state != "SIGNED":
        block_for_good(call, session.session_id)
        return
    signatures = (
        signature_of(call, item, session.session_id, session.wanted.title)
        for item in session.wanted.documents
    )
    session.signatures = [signature for signature in signatures if signature]
    if session.wanted.package_to:
        session.packages = new_package(call, session.signatures)
    for other in call.mock.shelf(SIGNING_SESSIONS).values():
        other.waits_for.discard(session.session_id)
    for collection_id in sorted(session.collections):
        collection = call.mock.shelf(COLLECTIONS).get(collection_id)
        if collection is not None and collection.wanted.package_to:
            _package(call, collection)


def block_for_good(call: Call, session_id: str) -> None:
    """Make BLOCKED final for what waits for a session that will never be signed."""
    lost = [session_id]
    while lost:
        before = lost.pop()
        for other in call.mock.shelf(SIGNING_SESSIONS).values():
            if before in other.waits_for and not other.is_stuck:
                other.is_stuck = True
                lost.append(other.session_id)


def _package(call: Call, collection: Collection) -> None:
    """Package a collection if all sessions that name it are signed."""
    sessions = [
        session
        for session in call.mock.shelf(SIGNING_SESSIONS).values()
        if collection.collection_id in session.collections
    ]
    if all(session.ended == "SIGNED" for session in sessions):
        signatures = [
            signature
            for session in sessions
            for signature in session.signatures
            if signature["documentCollectionId"] == collection.collection_id
        ]
        collection.packages = new_package(call, signatures)


def end_by_magic(call: Call, session: SigningSession) -> None:
    """End a session if its reference says so."""
    state = _MAGIC.get(session.wanted.external_reference or "")
    if state is not None:
        end(call, session, state)
