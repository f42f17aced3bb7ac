"""The mock as one aiohttp application."""

from typing import Final

from aiohttp import web

from proxy.mock import auth, control, playground
from proxy.mock.breakage import note_and_break
from proxy.mock.browsers import refuse_foreign_pages
from proxy.mock.dispatch import product_routes, routes_of
from proxy.mock.edge import add_headers, answer_errors, count_responses
from proxy.mock.guard import guard_products
from proxy.mock.keys import MOCK
from proxy.mock.products import PRODUCTS
from proxy.mock.state import MockSignicat

__all__ = ["create_app"]

_LARGEST_BODY: Final = 64 * 1024 * 1024


def create_app(mock: MockSignicat) -> web.Application:
    """Return the application that answers for `mock`."""
    app = web.Application(
        # Errors are answered twice: a fault may cut an error short as well, and is one itself.
        middlewares=[
            count_responses,
            answer_errors,
            refuse_foreign_pages,
            note_and_break,
            answer_errors,
            guard_products,
        ],
        client_max_size=_LARGEST_BODY,
    )
    app[MOCK] = mock
    app.on_response_prepare.append(add_headers)
    app.add_routes(auth.routes())
    for product in PRODUCTS:
        app.add_routes(product_routes(product))
    app.add_routes(playground.routes())
    app.add_routes(routes_of(control.ENDPOINTS))
    return app
