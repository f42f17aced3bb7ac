"""The mock as one aiohttp application."""

from typing import Final

from aiohttp import web

from proxy.mock import auth, control, lookup, sessions, sign
from proxy.mock.keys import MOCK
from proxy.mock.rules import add_headers, dress_errors, guard_api, note_request
from proxy.mock.state import MockSignicat

__all__ = ["create_app"]

_LARGEST_BODY: Final = 64 * 1024 * 1024


def create_app(mock: MockSignicat) -> web.Application:
    """Return the application that answers for `mock`."""
    app = web.Application(
        middlewares=[dress_errors, note_request, guard_api], client_max_size=_LARGEST_BODY
    )
    app[MOCK] = mock
    app.on_response_prepare.append(add_headers)
    app.add_routes(
        [
            web.post("/auth/open/connect/token", auth.token),
            web.get("/auth/open/.well-known/openid-configuration", auth.discovery),
            web.post("/auth/rest/sessions", sessions.create),
            web.get("/auth/rest/sessions/{id}", sessions.get),
            web.post("/auth/rest/sessions/{id}/cancel", sessions.cancel),
            web.get("/mock-login/{id}", sessions.login_page),
            web.post("/mock-login/{id}/{outcome}", sessions.decide),
            *sign.routes(),
            *lookup.routes(),
            *control.routes(),
        ]
    )
    return app
