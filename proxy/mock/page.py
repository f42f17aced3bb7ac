"""The pages of the mock: HTML in one place, so that nothing is written without being escaped."""

from collections.abc import Mapping
from html import escape
from typing import Final

from aiohttp import web

__all__ = ["not_found_page", "page"]

_EMPTY: Final[Mapping[str, object]] = {}
_NO_ACTIONS: Final[Mapping[str, str]] = {}


def page(
    title: str,
    note: str = "",
    *,
    facts: Mapping[str, object] = _EMPTY,
    actions: Mapping[str, str] = _NO_ACTIONS,
    status: int = 200,
) -> web.Response:
    """Return a page for people; every page says MOCK.

    `facts` become a table of names and values, `actions` a button each: the
    label, and the path that it posts to. Everything given is escaped.
    """
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    buttons = "".join(
        f'<form method="post" action="{escape(target)}"><button>{escape(label)}</button></form>'
        for label, target in actions.items()
    )
    body = (f"<p>{escape(note)}</p>" if note else "") + (f"<table>{rows}</table>" if rows else "")
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>MOCK {escape(title)}</title></head>"
        f"<body><h1>MOCK Signicat: {escape(title)}</h1>{body}{buttons}</body></html>\n"
    )
    return web.Response(status=status, text=text, content_type="text/html")


def not_found_page() -> web.Response:
    """Return what an unknown path outside the products gets: 404 in HTML."""
    return page("not found", "No such page.", status=404)
