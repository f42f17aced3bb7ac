"""MobileID as the official .NET SDK's own tests ask it for errors (K)."""

import json

import pytest

from tests.mock.bench import CLIENT, Api
from tests.mock.sdk_wire import sdk_asks

USERS = "/mobileid/core/users"
KNOWN = f"{USERS}/00000000-0000-4000-8000-000000000001"
UNKNOWN = f"{USERS}/8f0c5a52-6c1f-4c57-9c52-0d5a2f0c9e11"


@pytest.mark.parametrize("target", [KNOWN, UNKNOWN])
async def test_who_has_no_token_and_who_has_no_permission(api: Api, target: str) -> None:
    """401 without a token, 403 for a client as others are: whether there is the user or not (K)."""
    message = await sdk_asks(api, "GET", target, is_signed_in=False)
    assert (message.status, json.loads(message.body)["code"]) == (401, "invalid_token")
    message = await sdk_asks(api, "GET", target)
    error = json.loads(message.body)
    assert (message.status, error["code"], error["title"]) == (403, "forbidden", "Forbidden")
    assert error["type"] == "https://api.signicat.com/mobileid/core/openapi.json"
    assert error["detail"] == "MOCK: the client lacks 'MobileID API'"


@pytest.mark.parametrize(("target", "status"), {KNOWN: 200, UNKNOWN: 404, USERS: 404}.items())
async def test_who_has_the_permission(api: Api, target: str, status: int) -> None:
    """The permission is given by name; there is one user, and nobody else (K)."""
    client = api.mock.client(CLIENT)
    assert client
    client.permissions = frozenset({"MobileID API"})
    message = await sdk_asks(api, "GET", target)
    body = json.loads(message.body)
    assert (message.status, body.get("code", "")) == (status, "not_found" * (status == 404))
    if status == 200:
        assert body["id"] == target.rpartition("/")[2]
