"""MOCK of the Sign API v2: documents come back byte for byte, sessions can be signed."""

import hashlib
import json
import uuid
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import web

from proxy.mock.keys import MOCK, base_url
from proxy.mock.replies import api_error, html_page, json_reply

__all__ = ["routes"]

_ENDED: Final = {"sign": "SIGNED", "reject": "REJECTED"}
_LIST_LIMIT: Final = 100


def _now(request: web.Request) -> str:
    wall = request.app[MOCK].wall()
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _found(shelf: dict[str, dict[str, Any]], request: web.Request) -> dict[str, Any]:
    thing = shelf.get(request.match_info["id"])
    if thing is None:
        raise web.HTTPNotFound
    return thing


def _bad(detail: str) -> web.Response:
    return api_error(400, "bad_request", "Bad request", detail=f"MOCK: {detail}")


async def _json_body(request: web.Request) -> object:
    try:
        return json.loads(await request.read())
    except ValueError:
        return None


def _store_document(request: web.Request, data: bytes, mime_type: str) -> dict[str, Any]:
    document_id = str(uuid.uuid4())
    metadata = {
        "documentId": document_id,
        "mimeType": mime_type,
        "createdAt": _now(request),
        "documentHash": {"hash": hashlib.sha256(data).hexdigest(), "hashAlgorithm": "SHA256"},
    }
    request.app[MOCK].documents[document_id] = {"data": data, "metadata": metadata}
    return metadata


async def _create_document(request: web.Request) -> web.Response:
    data = await request.read()
    if not data:
        return _bad("the document is empty")
    metadata = _store_document(request, data, request.content_type)
    return json_reply(metadata, request.app[MOCK].created_status)


async def _get_document(request: web.Request) -> web.Response:
    document = _found(request.app[MOCK].documents, request)
    return web.Response(
        body=document["data"], headers={"Content-Type": document["metadata"]["mimeType"]}
    )


async def _delete_document(request: web.Request) -> web.Response:
    _found(request.app[MOCK].documents, request)
    del request.app[MOCK].documents[request.match_info["id"]]
    return web.Response(status=204)


async def _get_metadata(request: web.Request) -> web.Response:
    return json_reply(_found(request.app[MOCK].documents, request)["metadata"])


async def _patch_metadata(request: web.Request) -> web.Response:
    document = _found(request.app[MOCK].documents, request)
    body = await _json_body(request)
    if not isinstance(body, dict):
        return _bad("the body must be a JSON object")
    document["metadata"] |= {k: v for k, v in body.items() if k != "documentId"}
    return json_reply(document["metadata"])


async def _create_collection(request: web.Request) -> web.Response:
    mock = request.app[MOCK]
    body = await _json_body(request)
    documents = body.get("documents") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(documents, list):
        return _bad("documents must be a list")
    ids = [item.get("documentId") if isinstance(item, dict) else None for item in documents]
    if not ids or not set(ids) <= set(mock.documents):
        return _bad("documents names a document that there is not")
    collection = {**body, "id": str(uuid.uuid4()), "output": {"packages": []}}
    mock.collections[collection["id"]] = collection
    return json_reply(collection, mock.created_status)


async def _get_collection(request: web.Request) -> web.Response:
    return json_reply(_found(request.app[MOCK].collections, request))


async def _delete_collection(request: web.Request) -> web.Response:
    _found(request.app[MOCK].collections, request)
    del request.app[MOCK].collections[request.match_info["id"]]
    return web.Response(status=204)


async def _create_sessions(request: web.Request) -> web.Response:
    """Create signing sessions: a JSON array in, the same objects with id and URL out."""
    mock = request.app[MOCK]
    body = await _json_body(request)
    if not isinstance(body, list) or not body or not all(isinstance(s, dict) for s in body):
        return _bad("the body must be an array of signing sessions")
    created = []
    for wanted in body:
        session_id = str(uuid.uuid4())
        session = {
            **wanted,
            "id": session_id,
            "signatureUrl": f"{base_url(request)}/mock-sign/{session_id}",
            "lifecycle": {"state": "READY", "stateIsFinal": False},
        }
        mock.signing_sessions[session_id] = session
        created.append(session)
    return json_reply(created, mock.created_status)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, "")
    return int(text) if text.isascii() and text.isdigit() else default


async def _list_sessions(request: web.Request) -> web.Response:
    sessions = list(request.app[MOCK].signing_sessions.values())
    limit = min(_number(request, "limit", 20), _LIST_LIMIT)
    offset = _number(request, "offset", 0)
    page = sessions[offset : offset + limit]
    facts = {"count": len(page), "limit": limit, "offset": offset, "total": len(sessions)}
    return json_reply({**facts, "data": page})


async def _get_session(request: web.Request) -> web.Response:
    return json_reply(_found(request.app[MOCK].signing_sessions, request))


async def _delete_session(request: web.Request) -> web.Response:
    _found(request.app[MOCK].signing_sessions, request)
    del request.app[MOCK].signing_sessions[request.match_info["id"]]
    return web.Response(status=204)


async def _signing_page(request: web.Request) -> web.Response:
    session = _found(request.app[MOCK].signing_sessions, request)
    state = session["lifecycle"]["state"]
    buttons = "".join(
        f'<form method="post" action="{session["id"]}/{word}"><button>{word}</button></form>'
        for word in _ENDED
    )
    return html_page("sign", f"<p>Signing session {session['id']}: {state}</p>{buttons}")


async def _decide(request: web.Request) -> web.Response:
    """Sign or reject; a signed document is a new one, fetched like any other."""
    mock = request.app[MOCK]
    session = _found(mock.signing_sessions, request)
    word = request.match_info["decision"]
    if word not in _ENDED:
        raise web.HTTPNotFound
    if not session["lifecycle"]["stateIsFinal"]:
        session["lifecycle"] = {"state": _ENDED[word], "stateIsFinal": True}
        if word == "sign":
            session["output"] = {"signatures": _signatures(request, session)}
    settings = session.get("redirectSettings")
    target = settings.get("success" if word == "sign" else "cancel") if settings else None
    if target is None:
        return html_page(session["lifecycle"]["state"], "<p>You can close this page.</p>")
    return web.Response(status=302, headers={"Location": target})


def _signatures(request: web.Request, session: dict[str, Any]) -> list[dict[str, Any]]:
    signatures = []
    for item in session.get("documents", []):
        original = request.app[MOCK].documents.get(item.get("documentId", ""))
        if original is None:
            continue
        metadata = original["metadata"]
        result = _store_document(request, original["data"], metadata["mimeType"])
        signatures.append(
            {
                "originalDocumentId": metadata["documentId"],
                "resultDocumentId": result["documentId"],
                "documentCollectionId": item.get("documentCollectionId"),
                "signatureType": "PADES" if metadata["mimeType"].endswith("pdf") else "XADES",
            }
        )
    return signatures


def routes() -> list[web.RouteDef]:
    """Return the routes of the Sign API and of its page."""
    return [
        web.post("/sign/documents", _create_document),
        web.get("/sign/documents/{id}", _get_document),
        web.delete("/sign/documents/{id}", _delete_document),
        web.get("/sign/documents/{id}/metadata", _get_metadata),
        web.patch("/sign/documents/{id}/metadata", _patch_metadata),
        web.post("/sign/document-collections", _create_collection),
        web.get("/sign/document-collections/{id}", _get_collection),
        web.delete("/sign/document-collections/{id}", _delete_collection),
        web.post("/sign/signing-sessions", _create_sessions),
        web.get("/sign/signing-sessions", _list_sessions),
        web.get("/sign/signing-sessions/{id}", _get_session),
        web.delete("/sign/signing-sessions/{id}", _delete_session),
        web.get("/mock-sign/{id}", _signing_page),
        web.post("/mock-sign/{id}/{decision}", _decide),
    ]
