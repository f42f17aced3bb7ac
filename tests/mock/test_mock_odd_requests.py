"""Whatever comes, the mock has a response in Signicat's form, and none of them is 500 (K)."""

import asyncio
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import pytest
import uvloop
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from yarl import URL

from proxy.mock.body import Reader
from proxy.mock.control import ENDPOINTS
from proxy.mock.endpoint import METHODS_WITH_BODY, Endpoint
from proxy.mock.errors import ApiError
from proxy.mock.products import PRODUCTS, product_at
from tests.mock.bench import CLIENT, JSON, TOKEN_PATH, Api, running_api
from tests.mock.odd_values import (
    KNOWN,
    ODD_BODIES,
    ODD_TEXTS,
    good_value,
    odd_at_every_place,
    odd_bodies,
    odd_together,
)
from tests.mock.sign_flow import new_contract

MOST_THINGS: Final = 1000
EXAMPLES: Final = int(os.environ.get("MOCK_EXAMPLES", "25"))
DECLARED: Final = {
    f"{endpoint.method} {prefix}{endpoint.path}": (prefix + endpoint.path, endpoint)
    for prefix, endpoints in (
        *((product.prefix, product.endpoints) for product in PRODUCTS),
        *(("", product.pages) for product in PRODUCTS),
        ("", ENDPOINTS),
    )
    for endpoint in endpoints
}
DECISIONS: Final = ("success", "sign", "reject")
NAMED_IN_QUERY: Final = ("/mock-sign/",)
WORDS: Final = (CLIENT, "success", "sign", "NO", "999000111", "roles")
MEDIA_TYPES: Final = (
    *("application/json",) * 6,
    *("application/json; charset=utf-16", "text/plain", "a", "multipart/form-data", "text/é"),
)
BY_HAND: Final = settings(
    max_examples=EXAMPLES,
    derandomize=EXAMPLES == 25,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class Stage:
    """One mock for all tests of the module, and the loop that it runs in."""

    def __init__(self, runner: asyncio.Runner, api: Api) -> None:
        self.run = runner.run
        self.api = api
        self.known: dict[bytes, bytes] = {}

    async def prepare(self) -> None:
        """Make everything new: a token, and whatever products make of good bodies."""
        self.api.mock.reset()
        self.api.headers = await self.api.token()
        await self.prepare_contract()
        for path, endpoint in DECLARED.values():
            if endpoint.method == "POST" and "{" not in path and endpoint.takes_body:
                good = good_value(Reader[Any](endpoint.takes).schema())
                await self.ask("POST", path, json.dumps(good).encode(), JSON)

    async def prepare_contract(self) -> None:
        """Make a document and a collection of it, for the bodies that name them."""
        contract = await new_contract(self.api, b"text", "text/plain")
        ids = {"documentId": contract.document_id, "documentCollectionId": contract.collection_id}
        self.known = {
            json.dumps(KNOWN[name]).encode(): json.dumps(value).encode()
            for name, value in ids.items()
        }

    def with_ids(self, data: bytes) -> bytes:
        """Return a body with the ids of what there is."""
        for text, value in self.known.items():
            data = data.replace(text, value)
        return data

    @property
    def is_prepared(self) -> bool:
        """Say whether the token works, and may be used for everything."""
        client = self.api.mock.holder(self.api.headers["Authorization"].partition(" ")[2])
        return client is not None and client.permissions is None

    async def ask(
        self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]
    ) -> int:
        """Send one request as it is; see that the response is well formed; return its status."""
        async with self.api.session.request(
            method,
            URL(self.api.running.url + path, encoded=True),
            data=data and self.with_ids(data),
            headers={**self.api.headers, **headers},
            allow_redirects=False,
            skip_auto_headers=() if data is None else ("Content-Type",),
        ) as response:
            see_well_formed(response.status, response.headers, await response.read())
            return response.status

    async def ask_of_each_thing(self, endpoints: Iterable[tuple[str, Endpoint]]) -> None:
        """Ask of everything that was created, whatever can be asked of it; nothing is removed."""
        for path, endpoint in endpoints:
            pattern = f"{path}?sessionId={{id}}" if path in NAMED_IN_QUERY else path
            if "{" not in pattern or endpoint.method == "DELETE":
                continue
            for name in self.api.mock.ids:
                for word in DECISIONS if pattern.count("{") > 1 else DECISIONS[:1]:
                    target = re.sub(r"{.*?}", word, re.sub(r"{.*?}", name, pattern, count=1))
                    data = b"null" if endpoint.method in METHODS_WITH_BODY else None
                    await self.ask(endpoint.method, target, data, JSON if data else {})


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """Provide the mock of all tests."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        manager = running_api()
        yield Stage(runner, runner.run(manager.__aenter__()))
        runner.run(manager.__aexit__(None, None, None))


def see_well_formed(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """See that a response is none of a mistake, says MOCK, and has the form of an error."""
    assert status != 500, body
    assert headers["X-Mock"]
    if headers.get("Content-Type", "").startswith("application/json"):
        content = json.loads(body, parse_constant=pytest.fail)
        if status >= 400 and "error_uri" not in content:
            assert content["traceId"] == headers["x-trace-id"]


def filled(data: st.DataObject, path: str, ids: list[str]) -> str:
    """Return a path whose variables are filled with what there is, or with odd texts."""
    parts = []
    for part in path.split("/"):
        text = part
        if part.startswith("{"):
            number = data.draw(st.integers(0, 50))
            text = data.draw(st.sampled_from(ODD_TEXTS + WORDS))
            # Ids are new in each run, and nothing that is drawn may depend on them.
            text = ids[number] if number < len(ids) else text
            text = quote(text, safe="", errors="surrogatepass")[:2000]
        parts.append(text)
    return "/".join(parts)


def odd_query(data: st.DataObject, endpoint: Endpoint) -> str:
    """Return a query of names that the endpoint knows, and others, with odd texts."""
    known: list[str] = []
    if endpoint.takes is not None and not endpoint.takes_body:
        known = list(Reader[Any](endpoint.takes).schema().get("properties", {}))
    names = st.sampled_from([*known, *known, "signicat-accountId", "x", ""])
    pairs = data.draw(st.lists(st.tuples(names, st.sampled_from(ODD_TEXTS)), max_size=3))
    parts = [f"{name}={quote(text, errors='surrogatepass')[:2000]}" for name, text in pairs]
    return "?" + "&".join(parts) if parts else ""


@pytest.mark.parametrize("declared", [name for name, (_, e) in DECLARED.items() if e.takes_body])
def test_an_odd_value_at_every_place(stage: Stage, declared: str) -> None:
    """Whatever a product accepts, it can also show, sign, end and go on with (K)."""
    path, endpoint = DECLARED[declared]
    reader = Reader[Any](endpoint.takes)

    def is_read(body: bytes) -> bool:
        try:
            reader.json(body)
        except ApiError:
            return False
        return True

    async def send_all(bodies: Iterable[bytes]) -> None:
        await stage.prepare()
        targets = [re.sub(r"{.*?}", name, path) for name in stage.api.mock.ids]
        for body in filter(is_read, bodies):
            for target in targets if "{" in path else [path]:
                if await stage.ask(endpoint.method, target, body, JSON) != 404:
                    targets = [target]
                    break

    async def search() -> None:
        await send_all(odd_at_every_place(reader.schema()))
        if len(stage.api.mock.ids) > MOST_THINGS:
            # Each was made; to ask all of everything would take minutes.
            await send_all(odd_together(reader.schema(), is_read))
        product = product_at(path)
        if product is not None:
            pages = [(page.path, page) for page in product.pages]
            own = [(product.prefix + other.path, other) for other in product.endpoints]
            looks = [(at, other) for at, other in own if other.method == "GET"]
            # Pages before what cancels, which would leave nothing to decide.
            await stage.ask_of_each_thing([*looks, *pages, *own])

    stage.run(search())


@pytest.mark.parametrize("declared", DECLARED)
def test_no_request_is_too_odd(stage: Stage, declared: str) -> None:
    """Odd values at every place of a body, odd bodies, queries, ids and media types (K)."""
    path, endpoint = DECLARED[declared]
    schema = Reader[Any](endpoint.takes).schema() if endpoint.takes_body else None

    @BY_HAND
    @given(data=st.data())
    def search(data: st.DataObject) -> None:
        if not stage.is_prepared:
            stage.run(stage.prepare())
        target = filled(data, path, stage.api.mock.ids) + odd_query(data, endpoint)
        body = data.draw(odd_bodies(schema)) if endpoint.method in METHODS_WITH_BODY else None
        headers = {"Content-Type": data.draw(st.sampled_from(MEDIA_TYPES))} if body else {}
        stage.run(stage.ask(endpoint.method, target, body, headers))

    stage.run(stage.prepare())
    search()


@pytest.mark.parametrize("body", ODD_BODIES, ids=range(len(ODD_BODIES)))
def test_no_form_is_too_odd(stage: Stage, body: bytes) -> None:
    """The token endpoint takes what no form is for an error of the client's (K)."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert stage.run(stage.ask("POST", TOKEN_PATH, body, headers)) == 400
