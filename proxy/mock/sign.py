"""MOCK of the Sign API v2: signing sessions, and the product as a whole."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from proxy.mock import sign_collections, sign_documents, sign_page
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, invalid_param
from proxy.mock.sign_body import ListQuery, NewSigningSession, ToSign
from proxy.mock.sign_collections import COLLECTIONS
from proxy.mock.sign_documents import DOCUMENTS
from proxy.mock.sign_life import SIGNING_SESSIONS, SigningSession, block_for_good, end_by_magic

__all__ = ["PRODUCT"]

_MOST_DAYS_AHEAD: Final = 30
_LIST_LIMIT: Final = 100
_NEWEST_FIRST: Final = "-createdAt"
_NO_DUE_DATE: Final = datetime.max.replace(tzinfo=UTC)

_Numbered: TypeAlias = tuple[int, SigningSession]
_KEYS: Final[dict[str, Callable[[_Numbered], int | datetime]]] = {
    "createdAt": lambda numbered: numbered[0],
    "dueDate": lambda numbered: numbered[1].wanted.due_date or _NO_DUE_DATE,
}


def _create(call: Call, wanted: list[NewSigningSession]) -> Result:
    """Create signing sessions: an array in, the same objects with id and URL out."""
    if not wanted:
        raise invalid_param("body", "must have a signing session")
    for index, new in enumerate(wanted):
        _check(call, new, f"[{index}]")
    sessions = [_new_session(call, new) for new in wanted]
    return [session.as_json() for session in sessions]


def _new_session(call: Call, wanted: NewSigningSession) -> SigningSession:
    shelf, session_id = call.mock.shelf(SIGNING_SESSIONS), str(uuid.uuid4())
    before = wanted.subsequent_to or ()
    waits_for = {name for name in before if shelf[name].ended != "SIGNED"}
    url = sign_page.page_url(call.base_url, session_id)
    shelf[session_id] = SigningSession(session_id, wanted, url, waits_for)
    return shelf[session_id]


def _check(call: Call, wanted: NewSigningSession, place: str) -> None:
    """Raise `ApiError` 400 for what is well formed and cannot be."""
    for index, item in enumerate(wanted.documents):
        _check_document(call, item, f"{place}.documents[{index}]")
    for index, setup in enumerate(wanted.signing_setup):
        if setup.signing_flow == "AUTHENTICATION_BASED" and not setup.identity_providers:
            name = f"{place}.signingSetup[{index}].identityProviders"
            raise invalid_param(name, "must name a provider")
    for index, session_id in enumerate(wanted.subsequent_to or ()):
        before = call.mock.shelf(SIGNING_SESSIONS).get(session_id)
        if before is None:
            raise invalid_param(f"{place}.subsequentTo[{index}]", "there is no such session")
        if before.is_final and before.ended != "SIGNED":
            raise invalid_param(f"{place}.subsequentTo[{index}]", "will never be signed")
    # Of whole days, so that a clock that is a little ahead is no reason to refuse.
    last = (call.now + timedelta(days=_MOST_DAYS_AHEAD)).date()
    if wanted.due_date is not None and wanted.due_date.date() > last:
        raise invalid_param(f"{place}.dueDate", f"must be at most {_MOST_DAYS_AHEAD} days ahead")


def _check_document(call: Call, item: ToSign, place: str) -> None:
    if item.document_id not in call.mock.shelf(DOCUMENTS):
        raise invalid_param(f"{place}.documentId", "there is no such document")
    collection = call.mock.shelf(COLLECTIONS).get(item.document_collection_id)
    if collection is None:
        raise invalid_param(f"{place}.documentCollectionId", "there is no such collection")
    if collection.packages:
        raise invalid_param(f"{place}.documentCollectionId", "the collection has been packaged")
    if not collection.has(item.document_id):
        raise invalid_param(f"{place}.documentId", "is not in the collection")


def _list(call: Call, wanted: ListQuery) -> Result:
    orders = [text for name, text in call.query.items() if name.lower() == "sort" and text]
    numbered = list(enumerate(call.mock.shelf(SIGNING_SESSIONS).values()))
    # The first key counts most, so it sorts last; each sort keeps the order of equals.
    for order in reversed([*orders, _NEWEST_FIRST]):
        # A plus that is not escaped arrives as a space.
        key = _KEYS.get(order[1:] if order[0] in "+- " else order)
        if key is None:
            raise invalid_param("sort", f"must be one of {', '.join(_KEYS)}, after + or -")
        numbered.sort(key=key, reverse=order.startswith("-"))
    limit = min(wanted.limit, _LIST_LIMIT)
    shown = [session.as_json() for _, session in numbered[wanted.offset : wanted.offset + limit]]
    facts = {"count": len(shown), "limit": limit, "offset": wanted.offset, "total": len(numbered)}
    return {**facts, "data": shown}


def _get(call: Call) -> Result:
    session = call.find(SIGNING_SESSIONS)
    seen = session.as_json()
    end_by_magic(call, session)
    return seen


def _delete(call: Call) -> None:
    block_for_good(call, call.remove(SIGNING_SESSIONS).session_id)


def _delete_document(call: Call) -> None:
    """Delete a document, unless a session that can still be signed has it."""
    document_id = call.path["id"]
    call.find(DOCUMENTS)
    for session in call.mock.shelf(SIGNING_SESSIONS).values():
        names = {item.document_id for item in session.wanted.documents}
        if document_id in names and not session.is_final:
            raise ApiError(400, f"signing session {session.session_id} has not ended")
    call.remove(DOCUMENTS)


PRODUCT: Final = Product(
    name="Sign API v2",
    prefix="/sign",
    permission="Signature API",
    endpoints=(
        *sign_documents.ENDPOINTS,
        endpoint("DELETE", "/documents/{id}", _delete_document, status=204),
        *sign_collections.ENDPOINTS,
        endpoint(
            "POST",
            "/signing-sessions",
            _create,
            takes=list[NewSigningSession],
            status=201,
            creates=True,
        ),
        endpoint("GET", "/signing-sessions", _list, takes=ListQuery),
        endpoint("GET", "/signing-sessions/{id}", _get),
        endpoint("DELETE", "/signing-sessions/{id}", _delete, status=204),
    ),
    pages=sign_page.PAGES,
    codes={403: "missing_permission"},
)
