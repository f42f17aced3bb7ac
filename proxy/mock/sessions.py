"""MOCK of the Authentication REST API: sessions and their life, with a page to log in on."""

import uuid
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from aiohttp import web

from proxy.mock.body import ANY_CASE, Body, Url
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, invalid_param, not_found
from proxy.mock.page import page
from proxy.mock.state import Shelf

__all__ = ["PRODUCT"]

OUTCOMES: Final = {"success": "SUCCESS", "abort": "ABORT", "error": "ERROR"}
_FINAL: Final = frozenset(("SUCCESS", "ABORT", "ERROR", "CANCELLED"))
_MAGIC: Final = {f"mock-{word}": status for word, status in OUTCOMES.items()}
_SUBJECT: Final = {
    "id": "q1w2e3r4t5y6u7i8o9p0a1s2d3f4g5h6j7k8l9z0x1c=",
    "idpId": "9578-6000-4-000000",
    "name": "Kari Test",
    "firstName": "Kari",
    "lastName": "Test",
    "dateOfBirth": "1990-01-31",
    "nin": {"value": "31019000000", "issuingCountry": "NO", "type": "BIRTH"},
}

Session: TypeAlias = dict[str, Any]
SESSIONS: Final[Shelf[Session]] = Shelf("session")

Flow = Annotated[Literal["redirect", "headless", "embedded"], ANY_CASE]
Loa = Annotated[Literal["low", "substantial", "high"], ANY_CASE]


class Callbacks(Body):
    """Where the browser goes once the session has ended."""

    success: Url | None = None
    abort: Url | None = None
    error: Url | None = None


class NewSession(Body):
    """What a session is created from."""

    flow: Flow
    allowed_providers: list[str] | None = None
    requested_attributes: list[str] | None = None
    callback_urls: Callbacks | None = None
    language: str | None = None
    requested_loa: Loa | None = None
    external_reference: str | None = None
    session_lifetime: int | None = None
    prefilled_input: dict[str, Any] | None = None
    additional_parameters: dict[str, Any] | None = None
    encryption_public_key: dict[str, Any] | None = None
    tags: list[str] | None = None
    return_url: Url | None = None
    embedded_parent_domains: list[str] | None = None
    theme_id: str | None = None
    usage_reference: str | None = None
    request_domain: str | None = None


def _callback(url: str, session_id: str) -> str:
    """Return a callback URL as Signicat gives it back: port written out, session id appended."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 443)
    mark = "&" if parts.query else "?"
    query = f"?{parts.query}" if parts.query else ""
    host = f"{parts.scheme}://{parts.hostname}:{port}{parts.path}{query}"
    return f"{host}{mark}sessionId={session_id}"


def _create(call: Call, wanted: NewSession) -> Result:
    """Create a session (status CREATED)."""
    callbacks = wanted.callback_urls.given() if wanted.callback_urls else {}
    if wanted.flow == "redirect" and "success" not in callbacks:
        raise invalid_param("callbackUrls.success", "must be given for the redirect flow")
    session_id = str(uuid.uuid4())
    session = {
        **wanted.given(),
        "id": session_id,
        "accountId": call.mock.account_id,
        "authenticationUrl": f"{call.base_url}/mock-login/{session_id}",
        "status": "CREATED",
        "allowedProviders": wanted.allowed_providers or ["nbid"],
        "requestedAttributes": sorted(wanted.requested_attributes or []),
        "callbackUrls": {name: _callback(url, session_id) for name, url in callbacks.items()},
        "sessionLifetime": wanted.session_lifetime or 1200,
    }
    call.mock.shelf(SESSIONS)[session_id] = session
    return session


def _finish(session: Session, status: str) -> None:
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


def _get(call: Call) -> Result:
    """Return a session; a magic externalReference ends it at the second look."""
    session = call.find(SESSIONS)
    seen = dict(session)
    outcome = _MAGIC.get(session.get("externalReference", ""))
    if outcome is not None and session["status"] not in _FINAL:
        _finish(session, outcome)
    return seen


def _cancel(call: Call) -> Result:
    """Cancel a session that has not ended."""
    session = call.find(SESSIONS)
    if session["status"] in _FINAL:
        raise ApiError(400, "the session has ended")
    session["status"] = "CANCELLED"
    return session


def _login_page(call: Call) -> Result:
    """Show the end user a page with one button for each outcome (WAITING_FOR_USER)."""
    session = call.find(SESSIONS)
    if session["status"] == "CREATED":
        session["status"] = "WAITING_FOR_USER"
    return page(
        "log in",
        f"Session {session['id']}: {session['status']}",
        facts={
            "Providers": ", ".join(session["allowedProviders"]),
            "Attributes": ", ".join(session["requestedAttributes"]),
        },
        actions={word: f"{session['id']}/{word}" for word in OUTCOMES},
    )


def _decide(call: Call) -> Result:
    """End a session as the end user chose, and lead the browser back to the application."""
    session = call.find(SESSIONS)
    word = call.path["outcome"]
    if word not in OUTCOMES:
        raise not_found("outcome")
    if session["status"] not in _FINAL:
        _finish(session, OUTCOMES[word])
    target = session["callbackUrls"].get(word)
    if target is None:
        return page(session["status"], "The session has no URL to go back to.")
    return web.Response(status=302, headers={"Location": target})


PRODUCT: Final = Product(
    name="Authentication REST API",
    prefix="/auth/rest",
    permission="Authentication REST API",
    endpoints=(
        endpoint("POST", "/sessions", _create, takes=NewSession, creates=True),
        endpoint("GET", "/sessions/{id}", _get),
        endpoint("POST", "/sessions/{id}/cancel", _cancel),
    ),
    pages=(
        endpoint("GET", "/mock-login/{id}", _login_page),
        endpoint("POST", "/mock-login/{id}/{outcome}", _decide),
    ),
)
