"""MOCK of the Sign API v2: the page that a `signatureUrl` leads to, and where its buttons lead."""

from typing import Final

from aiohttp import web

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.page import page
from proxy.mock.redirect import with_parameter
from proxy.mock.sign_life import ENDINGS, SIGNING_SESSIONS, SigningSession, end

__all__ = ["PAGES", "page_url"]

_PATH: Final = "/mock-sign/"
_GOING_AWAY: Final = ("cancel", "error")
"""Buttons that lead back to the application, and change nothing: the signer may return."""
_BUTTONS: Final = (*ENDINGS, *_GOING_AWAY)


class Look(Body):
    """The query of the page."""

    session_id: str = ""


def page_url(base_url: str, session_id: str) -> str:
    """Return the `signatureUrl` of a session."""
    return f"{base_url}{_PATH}?sessionId={session_id}"


def _signing_page(call: Call, look: Look) -> Result:
    session = call.mock.shelf(SIGNING_SESSIONS).get(look.session_id)
    if session is None:
        raise not_found(SIGNING_SESSIONS.thing)
    wanted = session.wanted
    is_ready = session.state == "READY"
    return page(
        "sign",
        f"Signing session {session.session_id}: {session.state}"
        + (" for good, as what it waits for will never be signed" if session.is_stuck else ""),
        facts={
            "Title": wanted.title,
            "Text": wanted.sign_text or "",
            "From": wanted.sender_display_name or "",
            "Documents": ", ".join(f"{d.document_id} ({d.action})" for d in wanted.documents),
            "Ways to sign": ", ".join(_ways(session)),
            "Reference": wanted.external_reference or "",
        },
        actions={word: f"{session.session_id}/{word}" for word in _BUTTONS if is_ready},
    )


def _ways(session: SigningSession) -> list[str]:
    """Return the providers and vendors that the signer may choose from."""
    return [
        name
        for setup in session.wanted.signing_setup
        for name in (*(p.idp_name for p in setup.identity_providers or ()), setup.vendor)
        if name
    ]


def _decide(call: Call) -> Result:
    """Sign, reject or go away, and lead the browser back to the application.

    A session that is rejected has a page of Signicat's own. One that has ended
    stays as it is: the browser goes to where its end led.
    """
    session, word = call.find(SIGNING_SESSIONS), call.path["decision"]
    if word not in _BUTTONS:
        raise not_found("decision")
    if session.state == "READY" and word in _GOING_AWAY:
        return _back(session, word)
    if word in ENDINGS:
        end(call, session, ENDINGS[word])
    return _back(session, "success" if session.ended == "SIGNED" else "")


def _back(session: SigningSession, name: str) -> Result:
    """Lead the browser to a URL of the application's; to a page of the mock's without one."""
    redirects = session.wanted.redirect_settings
    target = redirects.given().get(name) if redirects else None
    if target is None:
        return page(session.state, "You can close this page.")
    location = with_parameter(target, "externalReference", session.wanted.external_reference)
    return web.Response(status=302, headers={"Location": location})


PAGES: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", _PATH, _signing_page, takes=Look),
    endpoint("POST", _PATH + "{id}/{decision}", _decide),
)
