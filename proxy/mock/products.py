"""The products that the mock serves: one line each."""

from typing import Final

from aiohttp import web

from proxy.mock import (
    account_management,
    assure,
    dem,
    enterprise,
    express,
    lookup,
    mobileid,
    playground,
    sessions,
    sign,
    usage,
)
from proxy.mock.endpoint import Product

__all__ = ["PERMISSIONS", "PRODUCTS", "USUAL_PERMISSIONS", "permission_of", "product_at"]

PRODUCTS: Final[tuple[Product, ...]] = (
    sessions.PRODUCT,
    sign.PRODUCT,
    express.PRODUCT,
    lookup.PRODUCT,
    dem.PRODUCT,
    mobileid.PRODUCT,
    usage.PRODUCT,
    account_management.PRODUCT,
    assure.PRODUCT,
    enterprise.PRODUCT,
    playground.PRODUCT,
)
PERMISSIONS: Final = frozenset(name for product in PRODUCTS for name in product.permissions)
"""Every permission that a client can have."""
USUAL_PERMISSIONS: Final = PERMISSIONS - frozenset(
    name for product in PRODUCTS if product.is_withheld for name in product.permissions
)
"""What a client has for whom nothing else was said."""


def product_at(path: str) -> Product | None:
    """Return the product that a path belongs to, None for none."""
    return next((product for product in PRODUCTS if product.serves(path)), None)


def permission_of(product: Product, request: web.Request) -> str:
    """Return the permission that a request to a product needs: that of its endpoint, if any.

    HEAD needs what GET needs.
    """
    method = "GET" if request.method == "HEAD" else request.method
    resource = request.match_info.route.resource
    pattern = resource.canonical if resource is not None else ""
    own = (
        endpoint.permission
        for endpoint in product.endpoints
        if (endpoint.method, product.prefix + endpoint.path) == (method, pattern)
    )
    return next(own, None) or product.permission
