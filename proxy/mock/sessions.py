"""MOCK of the Authentication REST API: sessions, created, looked at and cancelled."""

import uuid
from datetime import timedelta
from typing import Any, Final

from proxy.mock import session_page
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, InvalidParam
from proxy.mock.redirect import with_parameter
from proxy.mock.session_body import NewSession
from proxy.mock.session_life import SESSIONS, Session
from proxy.mock.session_subject import idp_data_of, subject_of

__all__ = ["PRODUCT"]

_ECHOED: Final = frozenset(
    (
        *("flow", "allowedProviders", "externalReference", "usageReference"),
        *("tags", "themeId", "requestDomain"),
    )
)
_NOT_ENCRYPTED: Final = {"messageLevelEncryption": "NOT_REQUIRED", "requireHsmSigning": False}
_ERROR: Final = {
    "type": "https://developer.signicat.com/docs/error-codes/",
    "title": "Session error",
    "detail": "MOCK: asked for",
    "code": "session_error",
}


def _create(call: Call, wanted: NewSession) -> Result:
    callbacks = wanted.callback_urls.given() if wanted.callback_urls else {}
    missing = [word for word in ("success", "abort", "error") if word not in callbacks]
    if wanted.flow == "redirect" and missing:
        reason = "must be given for the redirect flow"
        invalid = tuple(InvalidParam(f"callbackUrls.{word}", reason) for word in missing)
        raise ApiError(400, f"{invalid[0].name} {reason}", invalid=invalid)
    session_id = str(uuid.uuid4())
    urls = {word: with_parameter(url, "sessionId", session_id) for word, url in callbacks.items()}
    session = Session(wanted, call.mock.clock(), _fixed(call, wanted, session_id, urls))
    call.mock.shelf(SESSIONS)[session_id] = session
    return _as_json(session, session.created)


def _fixed(call: Call, wanted: NewSession, session_id: str, urls: dict[str, str]) -> dict[str, Any]:
    """Return the members of a session that never change."""
    fixed = {
        "id": session_id,
        "accountId": call.mock.account_id,
        "authenticationUrl": f"{call.base_url}/mock-login/{session_id}",
        **{name: value for name, value in wanted.given().items() if name in _ECHOED},
        "requestedAttributes": list(dict.fromkeys(wanted.requested_attributes or ())),
        "language": wanted.language_code,
        "sessionLifetime": wanted.lifetime_seconds,
        "messageTransportProperties": _NOT_ENCRYPTED,
    }
    if urls:
        fixed["callbackUrls"] = urls
    if wanted.flow == "headless":
        fixed["statusUrl"] = f"{call.base_url}/auth/rest/sessions/{session_id}"
    if wanted.flow == "embedded":
        end = call.now + timedelta(seconds=wanted.lifetime_seconds)
        # In UTC, without saying so: this is how the OpenAPI file shows it.
        fixed["expiresAt"] = end.replace(tzinfo=None).isoformat(timespec="seconds")
    return fixed


def _as_json(session: Session, now: float) -> dict[str, Any]:
    shown = {**session.fixed, "status": session.status}
    if session.wanted.flow == "headless":
        seconds = int(now - session.created)
        provider = session.providers[0]
        shown["idpData"] = idp_data_of(provider, shown["id"], session.status, seconds)
    if session.status == "SUCCESS":
        shown["provider"] = session.provider
        shown["subject"] = subject_of(session.provider, shown["requestedAttributes"])
        shown["loa"] = session.wanted.requested_loa or "substantial"
        shown["environment"] = {"ipAddress": "192.0.2.10", "userAgent": "MOCK"}
    elif session.status == "ERROR":
        shown["error"] = _ERROR
    return shown


def _get(call: Call) -> Result:
    session, now = call.find(SESSIONS), call.mock.clock()
    session.let_pass(now)
    seen = _as_json(session, now)
    session.looked_at()
    return seen


def _cancel(call: Call) -> Result:
    """Cancel a session that has not ended; no body is needed, and none is looked at."""
    session, now = call.find(SESSIONS), call.mock.clock()
    session.let_pass(now)
    if session.has_ended:
        raise ApiError(400, f"the session has ended: {session.status}")
    session.end("CANCELLED")
    return _as_json(session, now)


PRODUCT: Final = Product(
    name="Authentication REST API",
    prefix="/auth/rest",
    permission="Authentication REST API",
    endpoints=(
        endpoint("POST", "/sessions", _create, takes=NewSession, creates=True),
        endpoint("GET", "/sessions/{id}", _get),
        endpoint("POST", "/sessions/{id}/cancel", _cancel),
    ),
    pages=session_page.PAGES,
)
