"""What every product gets from the frame: errors, statuses, unknown members, the account (K)."""

import io
import re
from typing import Any
from urllib.parse import unquote

import pytest

from proxy.mock.command import DEFAULT_CLIENT
from proxy.mock.control import ENDPOINTS
from proxy.mock.dispatch import BESIDE_THE_BODY, routes_of
from proxy.mock.endpoint import Call, Product, Result, endpoint
from proxy.mock.errors import ApiError, InvalidParam, code_of, general_form
from proxy.mock.products import PERMISSIONS, PRODUCTS, product_at
from proxy.mock.state import ACCOUNT_ID, Shelf
from tests.mock.bench import JSON, Api
from tests.support.source_tree import read

SESSIONS = "/auth/rest/sessions"
HEADLESS = {"flow": "HEADLESS"}
TEXT = {"Content-Type": "text/plain"}
RECORD = {"type": "LOG_IN", "metadata": {}, "coreData": {}, "ttl": 2}
NO_TOKEN = {"Authorization": ""}
MEMBERS = ["type", "title", "status", "code", "detail", "invalidParams", "traceId"]


REFUSALS: dict[str, tuple[tuple[str, str], dict[str, Any], int, str]] = {
    "no token": (("GET", f"{SESSIONS}/x"), {"headers": NO_TOKEN}, 401, "invalid_token"),
    "no permission": (("GET", "/sign/documents/x"), {}, 403, "missing_permission"),
    "no thing": (("GET", f"{SESSIONS}/x"), {}, 404, "not_found"),
    "no path": (("GET", "/auth/rest/x"), {}, 404, "not_found"),
    "no method": (("DELETE", SESSIONS), {}, 405, "method_not_allowed"),
    "no JSON": (("POST", SESSIONS), {"data": "a=b", "headers": {}}, 415, "unsupported_media_type"),
    "bad member": (("POST", SESSIONS), {"json": {"flow": 1}}, 400, "bad_request"),
    "other account": (("GET", f"{SESSIONS}/x?signicat-accountId=a-1"), {}, 403, "forbidden"),
}


@pytest.mark.parametrize(("what", "how", "status", "code"), REFUSALS.values(), ids=REFUSALS)
async def test_every_error_has_one_form(
    api: Api, what: tuple[str, str], how: dict[str, Any], status: int, code: str
) -> None:
    """The trace id is that of the response, and invalid parameters are always a list."""
    api.mock.clients[0].permissions = frozenset({"Authentication REST API"})
    got, headers, body = await api.exchange(*what, **how)
    assert (got, body["code"], body["status"]) == (status, code, status)
    assert list(body) == MEMBERS
    assert body["traceId"] == headers["x-trace-id"]
    assert body["invalidParams"] == [] or body["invalidParams"][0]["name"] == "flow"
    if status == 405:
        assert headers["Allow"] == "POST"


async def test_a_body_that_says_nothing_of_its_type_is_read(api: Api) -> None:
    """Only one that says it is something else is refused."""
    for kind in ("application/json; charset=utf-8", "application/problem+json"):
        headers = {"Content-Type": kind}
        status, _ = await api.call("POST", SESSIONS, data='{"flow":"headless"}', headers=headers)
        assert status == 200
    status, _ = await api.call(
        "POST", SESSIONS, data=b'{"flow":"headless"}', skip_auto_headers=["Content-Type"]
    )
    assert status == 200


async def test_a_body_that_is_too_large(api: Api) -> None:
    """It is refused in the product's form, and not in aiohttp's."""
    status, headers, body = await api.exchange(
        "POST", SESSIONS, data=io.BytesIO(b" " * (64 * 1024 * 1024 + 1)), headers=JSON
    )
    assert (status, body["traceId"]) == (413, headers["x-trace-id"])


async def test_products_can_have_codes_and_forms_of_their_own() -> None:
    """By status, unless the error has a code."""
    error = ApiError(404, "x", invalid=(InvalidParam("a", "b"),))
    assert code_of(error, {404: "1301"}) == "1301"
    assert code_of(ApiError(404, code="own"), {404: "1301"}) == "own"
    assert code_of(ApiError(409), {}) == "conflict"
    assert general_form(error, "1301")["invalidParams"] == [{"name": "a", "reason": "b"}]
    assert str(general_form(error, "")["detail"]).startswith("MOCK")


STATUSES = {
    SESSIONS: (HEADLESS, 200),
    "/dem/records": (RECORD, 201),
}


@pytest.mark.parametrize("path", STATUSES)
@pytest.mark.parametrize("override", [None, 200, 201])
async def test_statuses_are_those_of_the_openapi_files(
    api: Api, path: str, override: int | None
) -> None:
    """`--created-status` overrides all of them, and nothing else."""
    api.mock.created_status = override
    body, status = STATUSES[path]
    got, created = await api.call("POST", path, json=body)
    assert got == (override or status)
    if path == SESSIONS:
        assert (await api.call("POST", f"{path}/{created['id']}/cancel"))[0] == 200


async def test_documents_and_collections_have_their_statuses(api: Api) -> None:
    """200 for an upload, 201 for a collection, 204 for what is deleted."""
    status, document = await api.call("POST", "/sign/documents", data=b"a", headers=TEXT)
    assert status == 200
    wanted = {"documents": [{"documentId": document["documentId"]}]}
    assert (await api.call("POST", "/sign/document-collections", json=wanted))[0] == 201
    assert (await api.call("DELETE", f"/sign/documents/{document['documentId']}"))[0] == 204


async def test_unknown_members_are_named(api: Api) -> None:
    """In a header that any name fits into, and in one line of the log; nothing is refused."""
    wanted = HEADLESS | {"fow": 1, "é\n": 2, "callbackUrls": {"succes": "x"}}
    status, headers, session = await api.exchange("POST", SESSIONS, json=wanted)
    assert status == 200
    assert headers["X-Mock-Unknown"] == "fow, %C3%A9%0A, callbackUrls.succes"
    (line,) = api.lines
    assert line == f"POST {SESSIONS}: unknown members: 'fow', 'é\\n', 'callbackUrls.succes'"
    assert "fow" not in session
    _, headers, _ = await api.exchange("GET", "/sign/signing-sessions?limit=1&x=1")
    assert headers["X-Mock-Unknown"] == "x"


UNREAD = {
    f"GET {SESSIONS}/x?sessionNonc=1&signicat-accountId={ACCOUNT_ID}": ("sessionNonc", 404),
    f"HEAD {SESSIONS}/x?sessionNonc=1": ("sessionNonc", 404),
    f"POST {SESSIONS}?flow=headless": ("flow", 400),
    f"POST {SESSIONS}/x/cancel?why=1": ("why", 404),
    "POST /dem/records/query?nosuch=1&page=0&SIZE=2&sort=a": ("nosuch", 200),
    "POST /dem/records/query?page=0&size=2&sort=a": (None, 200),
    "POST /sign/documents?title=x": ("title", 400),
    "PATCH /dem/records/x?ttl=2": ("ttl", 400),
    "DELETE /sign/documents/x?force=1&empty=": ("force", 404),
    "PUT /__mock__/clients/dev-a%20b-1/secrets?x=1": (None, 400),
}


@pytest.mark.parametrize("what", UNREAD)
async def test_unknown_parameters_are_named(api: Api, what: str) -> None:
    """Also where an endpoint reads a body, or nothing at all."""
    method, _, path = what.partition(" ")
    body: dict[str, Any] = {"json": {}} if method in {"POST", "PATCH", "PUT"} else {}
    status, headers, _ = await api.exchange(method, path, **body)
    assert (headers.get("X-Mock-Unknown"), status) == UNREAD[what]
    assert len(api.lines) == ("X-Mock-Unknown" in headers)


async def test_a_typing_error_in_a_required_member_is_named(api: Api) -> None:
    """The commonest one: the body is refused, and the header says what was written."""
    status, headers, body = await api.exchange(
        "POST", f"{SESSIONS}?lang=en", json={"flwo": "headless"}
    )
    assert (status, body["invalidParams"][0]["name"]) == (400, "flow")
    assert headers["X-Mock-Unknown"] == "flwo, lang"
    assert api.lines == [f"POST {SESSIONS}: unknown members: 'flwo', 'lang'"]


@pytest.mark.parametrize("name", ["x" * 70_000, "é" * 70_000, "😀" * 20_000, "'\n\x00" * 9000])
async def test_long_names_are_cut(api: Api, name: str) -> None:
    """A header that no client reads would make a 502 of a good response; so would a long log."""
    wanted = HEADLESS | {name: 1, "callbackUrls": {name: 1}}
    status, headers, _ = await api.exchange("POST", SESSIONS, json=wanted)
    assert status == 200
    named = [unquote(part) for part in headers["X-Mock-Unknown"].split(", ")]
    assert named[0] == name[:79] + "…"
    assert len(headers["X-Mock-Unknown"]) <= 1024
    (line,) = api.lines
    assert len(line) <= 1024
    assert len(named) == 2 or line.endswith(" and 1 more")


async def test_many_names_have_an_end(api: Api) -> None:
    """The header and the log name as many as there is room for; the log counts the others."""
    wanted = HEADLESS | {f"member{number:04}": 1 for number in range(5000)}
    _, headers, _ = await api.exchange("POST", SESSIONS, json=wanted)
    assert len(headers["X-Mock-Unknown"]) <= 1024
    assert headers["X-Mock-Unknown"].endswith(", member0018, member0019")
    (line,) = api.lines
    assert line.endswith(", 'member0019' and 4980 more")


async def test_the_account_is_the_tokens_own(api: Api) -> None:
    """The official SDK names it in the query of every call; in a header it may stand too."""
    _, headers, session = await api.exchange(
        "POST", f"{SESSIONS}?signicat-accountId={ACCOUNT_ID}", json=HEADLESS
    )
    assert session["accountId"] == ACCOUNT_ID
    assert "X-Mock-Unknown" not in headers
    path = f"{SESSIONS}/{session['id']}"
    for name in ("signicat-accountId", "Signicat-AccountID"):
        for value, status in ((ACCOUNT_ID, 200), ("a-other", 403), ("", 403)):
            assert (await api.call("GET", path, headers={name: value}))[0] == status
    api.mock.account_id = "a-other"
    assert (await api.call("GET", f"{path}?signicat-accountId=a-other"))[0] == 200


async def test_a_mistake_of_the_mock_is_told_as_signicat_would(api: Api) -> None:
    """The last resort: 500 in the usual form, and a line in the log."""
    api.mock.wall = lambda: 1e300  # a clock that no calendar has a day for
    status, headers, body = await api.exchange("POST", "/dem/records", json=RECORD)
    assert (status, body["code"]) == (500, "internal_server_error")
    assert body["traceId"] == headers["x-trace-id"]
    assert "OverflowError" in api.lines[0]


def test_declarations_fit_each_other() -> None:
    """No two products share a path; no two endpoints are the same; pages stand apart."""
    declared = [(e.method, p.prefix + e.path) for p in PRODUCTS for e in p.endpoints]
    assert len(set(declared)) == len(declared)
    for product in PRODUCTS:
        assert product_at(product.prefix) is product
        assert [page for page in product.pages if product_at(page.path)] == []
    assert "Signature API" in PERMISSIONS
    assert product_at("/signing") is None


def test_the_page_names_every_permission_and_every_endpoint_of_the_mocks_own() -> None:
    """Who writes a test suite finds them there."""
    text = read("docs/mock.md")
    rows = re.findall(r"^\| `([^`]+)` \| `(/[^`]+)`[^|]* \|$", text, re.MULTILINE)
    assert sorted(rows) == sorted((name, p.prefix) for p in PRODUCTS for name in p.permissions)
    for own in ENDPOINTS:
        assert own.path in text


def test_the_page_speaks_of_the_client_that_its_mock_knows() -> None:
    """The page starts a mock without `--client`: its commands are for the client of that."""
    text = read("docs/mock.md")
    assert set(re.findall(r"127\.0\.0\.1:9090/__mock__/clients/([\w-]+)/", text)) == {
        DEFAULT_CLIENT
    }


def test_parameters_beside_a_body_are_of_endpoints_that_there_are() -> None:
    """A path that nobody serves any more would hide nothing, and mislead."""
    paths = {p.prefix + e.path for p in PRODUCTS for e in p.endpoints if e.takes_body}
    assert set(BESIDE_THE_BODY) <= paths


def test_shelves_of_one_name_are_two() -> None:
    """Several products have documents, and none finds another's."""
    mock = Api().mock
    one: Shelf[str] = Shelf("document")
    other: Shelf[int] = Shelf("document")
    mock.shelf(one)["a"] = "x"
    assert (mock.shelf(one), mock.shelf(other), mock.ids) == ({"a": "x"}, {}, ["a"])


def test_an_endpoint_may_have_a_permission_of_its_own() -> None:
    """Then it is one of the product's."""

    def nothing(_: Call) -> Result:
        return None

    own = endpoint("GET", "/a", nothing, permission="b")
    product = Product(name="x", prefix="/x", permission="a", endpoints=(own,))
    assert product.permissions == {"a", "b"}
    assert [route.method for route in routes_of((own,))] == ["GET"]
