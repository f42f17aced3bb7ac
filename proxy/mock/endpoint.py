"""Declares products: what they serve, who may call it, and what comes back.

How to add a product
--------------------

One module for each product (or part of one), named after it. It has, from top to bottom:

1. The bodies and queries that it reads, as models (`proxy.mock.body`)::

       class NewRecord(Body):
           type: Annotated[Literal["LOG_IN", "SIGN"], ANY_CASE]
           ttl: int | None = None

2. A shelf for each kind of thing that it keeps. `POST /__mock__/reset` empties them::

       RECORDS: Final[Shelf[dict[str, Any]]] = Shelf("records")

3. A handler for each endpoint: a plain function of the call, and of what was read if the
   endpoint `takes` something. It returns what becomes JSON, None for an empty body, or a
   `web.Response` for anything else (bytes, PDF). It raises `ApiError`, or what `not_found`
   and `invalid_param` make. It never waits: nothing else runs while it does::

       def create(call: Call, wanted: NewRecord) -> Result:
           record = {"id": str(uuid.uuid4()), **wanted.given()}
           call.mock.shelf(RECORDS)[record["id"]] = record
           return record

       def get(call: Call) -> Result:
           return call.find(RECORDS)

4. The product, at the end. Paths are what follows the prefix; `pages` are for browsers, have
   the whole path, and need no token::

       PRODUCT: Final = Product(
           name="Digital Evidence Management",
           prefix="/dem",
           permission="Digital Evidence Management",
           endpoints=(
               endpoint("POST", "/records", create, takes=NewRecord, status=201, creates=True),
               endpoint("GET", "/records/{id}", get),
           ),
       )

Then name it in `proxy.mock.products`, and give its tests a module `tests/mock/test_mock_….py`.
Framing, token, permission, account, media type, errors with `traceId`, unknown members, faults
and `--created-status` need nothing more. `tests/mock/test_mock_odd_requests.py` tries every
declared endpoint with odd bodies: none may end in 500.

Where a product's errors look different, it has `codes` (by status) and `error_form`. A POST,
PUT or PATCH reads what it takes from its JSON body, any other method from its query; a POST's
query is in `call.query`, an upload in `call.data` and `call.media_type`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias, TypeVar, overload

from aiohttp import web

from proxy.mock.body import Body
from proxy.mock.errors import ErrorForm, general_form, not_found
from proxy.mock.state import MockSignicat, Shelf

__all__ = ["METHODS_WITH_BODY", "Call", "Endpoint", "Product", "Result", "endpoint"]

T = TypeVar("T")

METHODS_WITH_BODY: Final = frozenset(("POST", "PUT", "PATCH"))
Result: TypeAlias = Mapping[str, Any] | Sequence[Mapping[str, Any]] | Body | web.Response | None


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as a handler sees it; `client_id` is empty on a page."""

    mock: MockSignicat
    base_url: str
    client_id: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    media_type: str
    data: bytes

    @property
    def now(self) -> datetime:
        """Return the mock's wall clock, in UTC."""
        return datetime.fromtimestamp(self.mock.wall(), UTC)

    def find(self, shelf: Shelf[T], name: str = "id") -> T:
        """Return the thing that the path names; raise `ApiError` 404 where there is none."""
        thing = self.mock.shelf(shelf).get(self.path[name])
        if thing is None:
            raise not_found(shelf.thing)
        return thing

    def remove(self, shelf: Shelf[T], name: str = "id") -> T:
        """Take the thing that the path names off its shelf; raise `ApiError` 404 likewise."""
        thing = self.find(shelf, name)
        del self.mock.shelf(shelf)[self.path[name]]
        return thing


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method on one path: made by `endpoint`, which checks that the parts fit."""

    method: str
    path: str
    handler: Callable[..., Result]
    takes: Any
    status: int
    creates: bool
    permission: str | None

    @property
    def takes_body(self) -> bool:
        """Say whether what it takes is a JSON body; else it is the query."""
        return self.takes is not None and self.method in METHODS_WITH_BODY


@overload
def endpoint(
    method: str,
    path: str,
    handler: Callable[[Call], Result],
    *,
    status: int = 200,
    creates: bool = False,
    permission: str | None = None,
) -> Endpoint: ...
@overload
def endpoint(
    method: str,
    path: str,
    handler: Callable[[Call, T], Result],
    *,
    takes: type[T],
    status: int = 200,
    creates: bool = False,
    permission: str | None = None,
) -> Endpoint: ...
def endpoint(
    method: str,
    path: str,
    handler: Callable[..., Result],
    *,
    takes: Any = None,
    status: int = 200,
    creates: bool = False,
    permission: str | None = None,
) -> Endpoint:
    """Declare an endpoint.

    `takes` is a model of `proxy.mock.body`, or `list[…]` or `dict[str, …]` of
    one. `status` is that of success; `creates` says that `--created-status`
    may replace it. `permission` stands in for the product's.
    """
    return Endpoint(method, path, handler, takes, status, creates, permission)


@dataclass(frozen=True, slots=True)
class Product:
    """What one API serves under its prefix; `permission` empty: any valid token will do.

    `is_withheld`: no client has the permission unless it was given it by name.
    """

    name: str
    prefix: str
    permission: str
    endpoints: tuple[Endpoint, ...] = ()
    pages: tuple[Endpoint, ...] = ()
    codes: Mapping[int, str] = field(default_factory=dict)
    error_form: ErrorForm = general_form
    is_withheld: bool = False

    def serves(self, path: str) -> bool:
        """Say whether a path is under the prefix."""
        return path == self.prefix or path.startswith(self.prefix + "/")

    @property
    def permissions(self) -> frozenset[str]:
        """Return the permissions that a client may need here."""
        own = {self.permission, *(e.permission or "" for e in self.endpoints)}
        return frozenset(own - {""})
