"""What a web page may do with the mock: nothing, unless it is a page of the mock itself.

The mock listens where the developer's browser runs. A page that it shows could otherwise
empty the mock, set faults and read what was sent, or do so by a name of its own that leads to
this machine (DNS rebinding).
"""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from proxy.mock.edge import Handler
from proxy.mock.errors import ApiError
from proxy.mock.keys import MOCK
from proxy.mock.products import product_at

__all__ = ["refuse_foreign_pages"]

_CONTROL: Final = "/__mock__"
_AUTHORIZATION_SERVER: Final = "/auth/open/"
_HARMLESS_SITES: Final = frozenset(("same-origin", "none"))
_SAFE_METHODS: Final = frozenset(("GET", "HEAD"))


@web.middleware
async def refuse_foreign_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another origin sends; under `/__mock__` also a name of its own."""
    if _is_foreign(request) and not _is_visit(request):
        raise ApiError(403, "sent by a web page of another origin", code="origin_not_allowed")
    if _is_under_control(request) and not _is_known(_host_of(request.host), request):
        raise ApiError(
            421,
            "call /__mock__ by an address, a name without a dot, or the name in --public-url",
            code="host_not_allowed",
        )
    return await handler(request)


def _is_foreign(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    if origin is not None:
        return origin.lower() not in {
            f"{request.scheme}://{request.host}".lower(),
            _origin_of(request.app[MOCK].public_url),
        }
    return request.headers.get("Sec-Fetch-Site", "none") not in _HARMLESS_SITES


def _is_visit(request: web.Request) -> bool:
    """Say whether it may be somebody who follows a link to a page, as an application sends them."""
    is_page = product_at(request.path) is None and not _is_under_control(request)
    is_page = is_page and not request.path.startswith(_AUTHORIZATION_SERVER)
    return is_page and request.method in _SAFE_METHODS


def _is_under_control(request: web.Request) -> bool:
    return request.path.startswith(_CONTROL)


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()


def _host_of(authority: str) -> str:
    """Return the host of a `Host` header in lower case, without brackets; empty for none."""
    try:
        return (urlsplit(f"//{authority}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_known(host: str, request: web.Request) -> bool:
    """Say whether no stranger can have made this name lead here."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        is_local = host.endswith(".localhost") or "." not in host
        public = urlsplit(request.app[MOCK].public_url).hostname
        return host != "" and (is_local or host == public)
    return True
