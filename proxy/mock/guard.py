"""What a request to a product must keep: framing, token, permission, account."""

from typing import Final

from aiohttp import web

from proxy.mock.edge import Handler
from proxy.mock.endpoint import Product
from proxy.mock.errors import ApiError
from proxy.mock.keys import CALLER, MOCK
from proxy.mock.page import page
from proxy.mock.products import USUAL_PERMISSIONS, permission_of, product_at
from proxy.mock.state import MockSignicat

__all__ = ["guard_products"]

_NEED_LENGTH: Final = ("POST", "PUT")
_ACCOUNT: Final = "signicat-accountid"


@web.middleware
async def guard_products(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what Signicat refuses before a product has a look at it."""
    product = product_at(request.path)
    if product is None:
        return await handler(request)
    refusal = _framing_refusal(request)
    if refusal is not None:
        await request.read()
        return refusal
    try:
        _check_caller(request.app[MOCK], request, product)
    except ApiError:
        await request.read()
        raise
    return await handler(request)


def _framing_refusal(request: web.Request) -> web.Response | None:
    """Return what a request gets that breaks Signicat's HTTP rules: a page of its front end."""
    headers = request.headers
    is_chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
    if request.method in _NEED_LENGTH and "Content-Length" not in headers and not is_chunked:
        return page("length required", "411", status=411)
    if request.method == "GET" and (is_chunked or headers.get("Content-Length", "0") != "0"):
        return page("bad request", "A GET with a body.", status=400)
    return None


def _check_caller(mock: MockSignicat, request: web.Request, product: Product) -> None:
    """Raise `ApiError` unless token, permission and account are good."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    client = mock.holder(token) if scheme.lower() == "bearer" else None
    if client is None:
        raise ApiError(401, "no valid token")
    request[CALLER] = client.client_id
    permission = permission_of(product, request)
    granted = USUAL_PERMISSIONS if client.permissions is None else client.permissions
    if permission and permission not in granted:
        raise ApiError(403, f"the client lacks '{permission}'")
    if any(account != mock.account_id for account in _accounts_named(request)):
        raise ApiError(403, "signicat-accountId names another account than the token")


def _accounts_named(request: web.Request) -> list[str]:
    """Return the accounts that query and headers name; the SDK takes its from the token."""
    named = (*request.query.items(), *request.headers.items())
    return [value for name, value in named if name.lower() == _ACCOUNT]
