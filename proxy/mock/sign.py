"""MOCK of the Sign API v2: signing sessions, with a page to sign on."""

import uuid
from typing import Annotated, Any, Final, TypeAlias

from aiohttp import web
from pydantic import Field

from proxy.mock import sign_documents
from proxy.mock.body import Body, Url
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.page import page
from proxy.mock.sign_documents import DOCUMENTS, store_document
from proxy.mock.state import Shelf

__all__ = ["PRODUCT"]

_ENDED: Final = {"sign": "SIGNED", "reject": "REJECTED"}
_LIST_LIMIT: Final = 100
_MOST_OFFSET: Final = 1_000_000_000

SigningSession: TypeAlias = dict[str, Any]
SIGNING_SESSIONS: Final[Shelf[SigningSession]] = Shelf("signing session")


class ToSign(Body):
    """A document of a signing session."""

    action: str | None = None
    document_id: str | None = None
    document_collection_id: str | None = None


class Redirects(Body):
    """Where the browser goes once the signing session has ended."""

    success: Url | None = None
    cancel: Url | None = None
    error: Url | None = None


class NewSigningSession(Body):
    """What a signing session is created from."""

    title: str | None = None
    external_reference: str | None = None
    documents: list[ToSign] | None = None
    signing_setup: list[dict[str, Any]] | None = None
    redirect_settings: Redirects | None = None
    ui: dict[str, Any] | None = None
    due_date: str | None = None
    subsequent_to: list[str] | None = None


class Paging(Body):
    """Which part of a list is wanted."""

    limit: Annotated[int, Field(ge=0)] = 20
    offset: Annotated[int, Field(ge=0, le=_MOST_OFFSET)] = 0


def _create(call: Call, wanted: list[NewSigningSession]) -> Result:
    """Create signing sessions: a JSON array in, the same objects with id and URL out."""
    if not wanted:
        raise invalid_param("body", "must have a signing session")
    created = []
    for new in wanted:
        session_id = str(uuid.uuid4())
        session = {
            **new.given(),
            "id": session_id,
            "signatureUrl": f"{call.base_url}/mock-sign/{session_id}",
            "lifecycle": {"state": "READY", "stateIsFinal": False},
        }
        call.mock.shelf(SIGNING_SESSIONS)[session_id] = session
        created.append(session)
    return created


def _list(call: Call, paging: Paging) -> Result:
    sessions = list(call.mock.shelf(SIGNING_SESSIONS).values())
    limit = min(paging.limit, _LIST_LIMIT)
    shown = sessions[paging.offset : paging.offset + limit]
    facts = {"count": len(shown), "limit": limit, "offset": paging.offset, "total": len(sessions)}
    return {**facts, "data": shown}


def _get(call: Call) -> Result:
    return call.find(SIGNING_SESSIONS)


def _delete(call: Call) -> None:
    call.remove(SIGNING_SESSIONS)


def _signing_page(call: Call) -> Result:
    session = call.find(SIGNING_SESSIONS)
    return page(
        "sign",
        f"Signing session {session['id']}: {session['lifecycle']['state']}",
        facts={"Title": session.get("title", "")},
        actions={word: f"{session['id']}/{word}" for word in _ENDED},
    )


def _decide(call: Call) -> Result:
    """Sign or reject; a signed document is a new one, fetched like any other."""
    session = call.find(SIGNING_SESSIONS)
    word = call.path["decision"]
    if word not in _ENDED:
        raise not_found("decision")
    if not session["lifecycle"]["stateIsFinal"]:
        session["lifecycle"] = {"state": _ENDED[word], "stateIsFinal": True}
        if word == "sign":
            session["output"] = {"signatures": _signatures(call, session)}
    redirects = session.get("redirectSettings", {})
    target = redirects.get("success" if word == "sign" else "cancel")
    if target is None:
        return page(session["lifecycle"]["state"], "You can close this page.")
    return web.Response(status=302, headers={"Location": target})


def _signatures(call: Call, session: SigningSession) -> list[dict[str, Any]]:
    signatures = []
    for item in session.get("documents", []):
        original = call.mock.shelf(DOCUMENTS).get(item.get("documentId", ""))
        if original is None:
            continue
        media_type = original.metadata["mimeType"]
        result = store_document(call, original.data, media_type)
        signatures.append(
            {
                "originalDocumentId": original.metadata["documentId"],
                "resultDocumentId": result["documentId"],
                "documentCollectionId": item.get("documentCollectionId"),
                "signatureType": "PADES" if media_type.endswith("pdf") else "XADES",
            }
        )
    return signatures


PRODUCT: Final = Product(
    name="Sign API v2",
    prefix="/sign",
    permission="Signature API",
    endpoints=(
        *sign_documents.ENDPOINTS,
        endpoint(
            "POST",
            "/signing-sessions",
            _create,
            takes=list[NewSigningSession],
            status=201,
            creates=True,
        ),
        endpoint("GET", "/signing-sessions", _list, takes=Paging),
        endpoint("GET", "/signing-sessions/{id}", _get),
        endpoint("DELETE", "/signing-sessions/{id}", _delete, status=204),
    ),
    pages=(
        endpoint("GET", "/mock-sign/{id}", _signing_page),
        endpoint("POST", "/mock-sign/{id}/{decision}", _decide),
    ),
)
