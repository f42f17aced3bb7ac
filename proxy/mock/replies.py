"""Answers in the shapes that Signicat uses, and the headers that come with all of them."""

import json
from typing import Any, Final

from aiohttp import web

__all__ = ["API_HEADERS", "api_error", "html_page", "json_reply", "not_found_page", "oauth_error"]

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
_ERROR_TYPE: Final = "https://developer.signicat.com/docs/error-codes/"


def json_reply(body: object, status: int = 200) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        status=status,
        text=json.dumps(body),
        content_type="application/json",
        charset="UTF-8",
    )


def api_error(status: int, code: str, title: str, **members: Any) -> web.Response:
    """Return the general error object of the product APIs."""
    body = {"type": _ERROR_TYPE, "title": title, "status": status, "code": code, **members}
    return json_reply(body, status)


def oauth_error(code: str, description: str, status: int = 400) -> web.Response:
    """Return an error of the token endpoint, its members in the recorded order."""
    body = {
        "error": code,
        "error_uri": f"https://api.signicat.com/auth/open/config/errors/{code}",
        "error_description": description,
    }
    return json_reply(body, status)


def html_page(title: str, body: str, status: int = 200) -> web.Response:
    """Return a page for people; every page says MOCK."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>MOCK {title}</title>'
        f"</head><body><h1>MOCK Signicat: {title}</h1>{body}</body></html>\n"
    )
    return web.Response(status=status, text=text, content_type="text/html")


def not_found_page() -> web.Response:
    """Return what an unknown path outside the products gets: 404 in HTML."""
    return html_page("not found", "<p>No such page.</p>", 404)
