"""MOCK of the Authentication REST API: sessions and their life, with a page to log in on."""

import json
import uuid
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from proxy.mock.keys import MOCK, base_url
from proxy.mock.replies import api_error, html_page, json_reply
from proxy.mock.state import ACCOUNT_ID

__all__ = ["cancel", "create", "decide", "get", "login_page"]

OUTCOMES: Final = {"success": "SUCCESS", "abort": "ABORT", "error": "ERROR"}
_FINAL: Final = frozenset(("SUCCESS", "ABORT", "ERROR", "CANCELLED"))
_MAGIC: Final = {f"mock-{word}": status for word, status in OUTCOMES.items()}
_FLOWS: Final = ("redirect", "headless", "embedded")
_SUBJECT: Final = {
    "id": "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c=",
    "idpId": "9578-6000-4-000000",
    "name": "Kari Test",
    "firstName": "Kari",
    "lastName": "Test",
    "dateOfBirth": "1990-01-31",
    "nin": {"value": "31019000000", "issuingCountry": "NO", "type": "BIRTH"},
}


def _callback(url: str, session_id: str) -> str:
    """Return a callback URL as Signicat gives it back: port written out, session id appended."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 443)
    mark = "&" if parts.query else "?"
    query = f"?{parts.query}" if parts.query else ""
    host = f"{parts.scheme}://{parts.hostname}:{port}{parts.path}{query}"
    return f"{host}{mark}sessionId={session_id}"


def _fault_of(body: object) -> str | None:
    """Say what is wrong with a request for a session, None for nothing."""
    if not isinstance(body, dict):
        return "the body must be a JSON object"
    if body.get("flow") not in _FLOWS:
        return f"flow must be one of {', '.join(_FLOWS)}"
    callbacks = body.get("callbackUrls", {})
    is_good = isinstance(callbacks, dict) and all(isinstance(u, str) for u in callbacks.values())
    if not is_good or (body["flow"] == "redirect" and not {"success"} <= set(callbacks)):
        return "callbackUrls must name success, abort and error"
    return None


async def create(request: web.Request) -> web.Response:
    """Create a session (status CREATED)."""
    try:
        body = json.loads(await request.read())
    except ValueError:
        body = None
    fault = _fault_of(body)
    if fault is not None:
        return api_error(400, "bad_request", "Bad request", detail=f"MOCK: {fault}")
    mock = request.app[MOCK]
    session_id = str(uuid.uuid4())
    session = {
        **body,
        "id": session_id,
        "accountId": ACCOUNT_ID,
        "authenticationUrl": f"{base_url(request)}/mock-login/{session_id}",
        "status": "CREATED",
        "allowedProviders": body.get("allowedProviders", ["nbid"]),
        "requestedAttributes": sorted(body.get("requestedAttributes", [])),
        "callbackUrls": {
            name: _callback(url, session_id) for name, url in body.get("callbackUrls", {}).items()
        },
        "sessionLifetime": body.get("sessionLifetime", 1200),
    }
    mock.sessions[session_id] = session
    return json_reply(session, mock.created_status)


def _found(request: web.Request) -> dict[str, Any]:
    session = request.app[MOCK].sessions.get(request.match_info["id"])
    if session is None:
        raise web.HTTPNotFound
    return session


def _finish(session: dict[str, Any], status: str) -> None:
    session["status"] = status
    if status == "SUCCESS":
        session["provider"] = session["allowedProviders"][0]
        session["subject"] = _SUBJECT
        session["loa"] = session.get("requestedLoa", "substantial")
        session["environment"] = {"ipAddress": "192.0.2.10", "userAgent": "MOCK"}
    elif status == "ERROR":
        session["error"] = {
            "type": "https://developer.signicat.com/docs/error-codes/",
            "title": "Session error",
            "detail": "MOCK: asked for",
            "code": "session_error",
        }


async def get(request: web.Request) -> web.Response:
    """Return a session; a magic externalReference ends it at the second look."""
    session = _found(request)
    reply = json_reply(session)
    outcome = _MAGIC.get(str(session.get("externalReference")))
    if outcome is not None and session["status"] not in _FINAL:
        _finish(session, outcome)
    return reply


async def cancel(request: web.Request) -> web.Response:
    """Cancel a session that has not ended."""
    session = _found(request)
    if session["status"] in _FINAL:
        return api_error(400, "bad_request", "Bad request", detail="MOCK: the session has ended")
    session["status"] = "CANCELLED"
    return json_reply(session)


async def login_page(request: web.Request) -> web.Response:
    """Show the end user a page with one button for each outcome (WAITING_FOR_USER)."""
    session = _found(request)
    if session["status"] == "CREATED":
        session["status"] = "WAITING_FOR_USER"
    buttons = "".join(
        f'<form method="post" action="{session["id"]}/{word}"><button>{word}</button></form>'
        for word in OUTCOMES
    )
    return html_page("log in", f"<p>Session {session['id']}: {session['status']}</p>{buttons}")


async def decide(request: web.Request) -> web.Response:
    """End a session as the end user chose, and lead the browser back to the application."""
    session = _found(request)
    word = request.match_info["outcome"]
    if word not in OUTCOMES:
        raise web.HTTPNotFound
    if session["status"] not in _FINAL:
        _finish(session, OUTCOMES[word])
    target = session["callbackUrls"].get(word)
    if target is None:
        return html_page(session["status"], "<p>The session has no URL to go back to.</p>")
    return web.Response(status=302, headers={"Location": target})
