"""The page that a session's `authenticationUrl` leads to, and where its buttons lead."""

from typing import Final
from urllib.parse import quote

from aiohttp import web

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.page import page
from proxy.mock.redirect import with_parameter
from proxy.mock.session_life import OUTCOMES, SESSIONS, Session

__all__ = ["PAGES"]

_LEADS_TO: Final = {status: word for word, status in OUTCOMES.items()}


def _found(call: Call) -> Session:
    session = call.find(SESSIONS)
    session.let_pass(call.mock.clock())
    return session


def _login_page(call: Call) -> Result:
    """Show the end user what is wanted, and a button for each outcome (WAITING_FOR_USER)."""
    session = _found(call)
    session.wait_for_user()
    wanted = session.wanted
    return page(
        "log in",
        f"Session {session.fixed['id']}: {session.status}",
        facts={
            "Flow": wanted.flow,
            "Providers": ", ".join(session.providers),
            "Attributes": ", ".join(session.fixed["requestedAttributes"]),
            "Level of assurance": wanted.requested_loa or "",
            "Language": wanted.language_code,
            "Reference": wanted.external_reference or "",
        },
        actions={} if session.has_ended else _buttons(session),
    )


def _buttons(session: Session) -> dict[str, str]:
    """Return a button for each provider to log in with, and one to abort and to fail."""
    path = session.fixed["id"]
    log_in = {
        f"log in with {name}": f"{path}/success?provider={quote(name, safe='')}"
        for name in session.providers
    }
    return log_in | {"abort": f"{path}/abort", "error": f"{path}/error"}


def _decide(call: Call) -> Result:
    """End a session as the end user chose, and lead the browser back to the application.

    A session that has ended stays as it is: the browser goes to where its
    status leads, whichever button it was.
    """
    session, word = _found(call), call.path["outcome"]
    if word not in OUTCOMES:
        raise not_found("outcome")
    provider = call.query.get("provider", "")
    if provider and provider not in session.providers:
        raise invalid_param("provider", "is none of the session's")
    session.end(OUTCOMES[word], provider)
    # Whoever is cancelled or too late is told so, as after any other error.
    target = session.fixed.get("callbackUrls", {}).get(_LEADS_TO.get(session.status, "error"))
    if target is None:
        return page(session.status, "The session has no URL to go back to.")
    location = with_parameter(target, "externalReference", session.wanted.external_reference)
    return web.Response(status=302, headers={"Location": location})


PAGES: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/mock-login/{id}", _login_page),
    endpoint("POST", "/mock-login/{id}/{outcome}", _decide),
)
