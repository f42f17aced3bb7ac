"""Responses in the shapes that Signicat uses, and the headers that come with all of them."""

import json
from typing import Final

from aiohttp import web

__all__ = ["API_HEADERS", "json_reply", "oauth_error"]

API_HEADERS: Final = {
    "Cache-Control": "no-store, no-cache, max-age=0",
    "Pragma": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains; preload",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "same-origin",
    "Via": "1.1 google",
    "Alt-Svc": 'h3=":443"; ma=2592000',
    "X-Mock": "signicat-proxy mock",
    "Server": "MOCK",
}


def json_reply(body: object, status: int = 200) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/json",
        charset="UTF-8",
    )


def oauth_error(code: str, description: str, status: int = 400) -> web.Response:
    """Return an error of the token endpoint, its members in the recorded order."""
    body = {
        "error": code,
        "error_uri": f"https://api.signicat.com/auth/open/config/errors/{code}",
        "error_description": description,
    }
    return json_reply(body, status)
