"""Sign v2: what signing sessions are created from, and how they are listed (K)."""

import asyncio
from typing import Any

import pytest

from tests.mock.bench import JSON, Api
from tests.mock.sign_flow import REDIRECTS, SESSIONS, SETUP, SHOP, Contract, new_contract


@pytest.fixture
async def contract(api: Api) -> Contract:
    """Provide a PDF to sign."""
    return await new_contract(api)


async def test_an_array_of_sessions_is_one_thing(api: Api, contract: Contract) -> None:
    """All of them are created, or none; the error names which one is wrong."""
    bad = contract.wanted(title=None)
    status, error = await api.call("POST", SESSIONS, json=[contract.wanted(), bad])
    assert (status, error["invalidParams"][0]["name"]) == (400, "[1].title")
    bad = contract.wanted(subsequentTo=["x"])
    assert (await api.call("POST", SESSIONS, json=[contract.wanted(), bad]))[0] == 400
    assert (await api.call("GET", SESSIONS))[1]["total"] == 0
    wanted = [contract.wanted(title=title) for title in "abc"]
    status, sessions = await api.call("POST", SESSIONS, json=wanted)
    assert (status, [session["title"] for session in sessions]) == (201, ["a", "b", "c"])
    assert len({session["id"] for session in sessions}) == 3


@pytest.mark.parametrize("override", [None, 200, 201])
async def test_the_status_of_creation(api: Api, contract: Contract, override: int | None) -> None:
    """201, as the API description has it; `--created-status` overrides it."""
    api.mock.created_status = override
    status, _ = await api.call("POST", SESSIONS, json=[contract.wanted()])
    assert status == (override or 201)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no title": ({"title": None}, "title"),
    "no document": ({"documents": []}, "documents"),
    "unknown document": ({"documents": "x"}, "documents"),
    "no setup": ({"signingSetup": []}, "signingSetup"),
    "unknown flow": ({"signingSetup": [SETUP[0] | {"signingFlow": "X"}]}, ".signingFlow"),
    "no provider": ({"signingSetup": [SETUP[0] | {"identityProviders": []}]}, ".identityProviders"),
    "providers left out": (
        {"signingSetup": [{"signingFlow": "AUTHENTICATION_BASED"}]},
        ".identityProviders",
    ),
    "unknown vendor": ({"signingSetup": [SETUP[0] | {"vendor": "X"}]}, ".vendor"),
    "unknown language": ({"ui": {"language": "no"}}, "ui.language"),
    "a URL is missing": ({"redirectSettings": {"success": SHOP}}, "redirectSettings.cancel"),
    "no URL": ({"redirectSettings": REDIRECTS | {"error": "x"}}, "redirectSettings.error"),
    "unknown package": ({"packageTo": ["ZIP"]}, "packageTo[0]"),
    "unknown validation": ({"signer": {"validations": ["X"]}}, "signer.validations[0]"),
    "no date": ({"dueDate": "tomorrow"}, "dueDate"),
    "due too late": ({"dueDate": "2027-02-15T00:00:00Z"}, "dueDate"),
    "after what there is not": ({"subsequentTo": ["x"]}, "subsequentTo[0]"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_session_is_refused(api: Api, contract: Contract, case: str) -> None:
    """What Signicat could not use is 400, by name; nothing is created."""
    members, name = BAD[case]
    status, error = await api.call("POST", SESSIONS, json=[contract.wanted(**members)])
    assert (status, error["code"]) == (400, "bad_request")
    assert error["invalidParams"][0]["name"].endswith(name)
    assert (await api.call("GET", SESSIONS))[1]["total"] == 0


BAD_DOCUMENTS = {
    "unknown": ({"documentId": "x"}, "documentId"),
    "no id": ({"documentId": None}, "documentId"),
    "unknown collection": ({"documentCollectionId": "x"}, "documentCollectionId"),
    "no collection": ({"documentCollectionId": None}, "documentCollectionId"),
    "no action": ({"action": None}, "action"),
    "unknown action": ({"action": "READ"}, "action"),
}


@pytest.mark.parametrize("case", BAD_DOCUMENTS)
async def test_a_session_of_a_bad_document(api: Api, contract: Contract, case: str) -> None:
    """Document and collection must be known, and the action one of two."""
    members, name = BAD_DOCUMENTS[case]
    wanted = contract.wanted()
    wanted["documents"][0] |= members
    status, error = await api.call("POST", SESSIONS, json=[wanted])
    assert (status, error["invalidParams"][0]["name"]) == (400, f"[0].documents[0].{name}")


async def test_a_document_must_be_in_its_collection(api: Api, contract: Contract) -> None:
    """A collection that there is, of other documents, is 400 too."""
    other = await new_contract(api)
    wanted = contract.wanted()
    wanted["documents"][0]["documentCollectionId"] = other.collection_id
    status, error = await api.call("POST", SESSIONS, json=[wanted])
    assert (status, error["invalidParams"][0]["name"]) == (400, "[0].documents[0].documentId")


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[1]", b"[{}]", b"null"])
async def test_no_sessions(api: Api, body: bytes) -> None:
    """An array with at least one session is wanted."""
    status, error = await api.call("POST", SESSIONS, data=body, headers=JSON)
    assert (status, error["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "members",
    [
        {"dueDate": "2027-02-14T23:59:59Z"},
        {"dueDate": "2027-02-15T01:00:00+02:00"},
        {"signingSetup": [{"signingFlow": "PKISIGNING", "vendor": "SBID"}]},
        {"signingSetup": [{"signingFlow": "PKISIGNING", "vendor": "NBID"}], "packageTo": None},
        {"ui": {"language": "nb"}, "preAuthentication": {"enabled": True}, "signText": "Sign"},
        {"signer": {"nationalIdentificationNumber": "1"}, "senderDisplayName": "Shop"},
    ],
    ids=range(6),
)
async def test_what_clients_send_is_accepted(contract: Contract, members: dict[str, Any]) -> None:
    """Due dates until the thirtieth day, PKI signing without providers, every member."""
    session = await contract.session(**members)
    given = {name: value for name, value in members.items() if value is not None}
    assert {name: session[name] for name in given if name != "dueDate"} == {
        name: value for name, value in given.items() if name != "dueDate"
    }


async def test_what_the_server_decides_is_not_taken_from_a_body(
    api: Api, contract: Contract
) -> None:
    """Clients made from the API description may send id, URL, state and output."""
    sent = {"id": "x", "signatureUrl": "https://x.test", "output": {"packages": [{}]}}
    wanted = contract.wanted(**sent, lifecycle={"state": "SIGNED", "stateIsFinal": True})
    status, headers, (session,) = await api.exchange("POST", SESSIONS, json=[wanted])
    assert status == 201
    assert "X-Mock-Unknown" not in headers
    assert session["id"] != "x"
    assert session["signatureUrl"].startswith(api.running.url)
    assert session["lifecycle"]["state"] == "READY"
    assert "output" not in session


class TestList:
    """`GET /signing-sessions`."""

    @pytest.fixture
    async def titles(self, api: Api, contract: Contract) -> list[str]:
        """Provide four sessions, due in another order than they were created in."""
        titles = ["a", "b", "c", "d"]
        for title, day in zip(titles, ("20", "30", "20", None), strict=True):
            due = {"dueDate": f"2027-01-{day}T00:00:00Z"} if day else {}
            await contract.session(title=title, **due)
            api.now += 1
        return titles

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("", "dcba"),
            ("?sort=-createdAt", "dcba"),
            ("?sort=%2BcreatedAt", "abcd"),
            ("?sort=createdAt", "abcd"),
            ("?sort=+createdAt", "abcd"),
            ("?sort=%2BdueDate", "cabd"),
            ("?sort=-dueDate", "dbca"),
            ("?sort=%2BdueDate&sort=%2BcreatedAt", "acbd"),
            ("?limit=2", "dc"),
            ("?limit=2&offset=1", "cb"),
            ("?offset=4", ""),
            ("?limit=0", ""),
        ],
    )
    async def test_its_order(self, api: Api, titles: list[str], query: str, expected: str) -> None:
        """Newest first unless said otherwise; several keys; a part of it."""
        status, body = await api.call("GET", SESSIONS + query)
        shown = "".join(session["title"] for session in body["data"])
        assert (status, shown) == (200, expected)
        assert (body["count"], body["total"]) == (len(shown), len(titles))

    @pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=-1", "sort=x", "sort=-"])
    async def test_odd_questions(self, api: Api, query: str) -> None:
        """They are 400, by name."""
        status, error = await api.call("GET", f"{SESSIONS}?{query}")
        assert (status, error["invalidParams"][0]["name"]) == (400, query.partition("=")[0])

    async def test_a_list_is_no_look(self, api: Api, contract: Contract) -> None:
        """It ends no session by magic."""
        session = await contract.session(externalReference="mock-sign")
        for _ in range(2):
            (shown,) = (await api.call("GET", SESSIONS))[1]["data"]
            assert shown == session

    async def test_what_is_deleted_is_gone(self, api: Api, contract: Contract) -> None:
        """From the list too."""
        session = await contract.session()
        path = f"{SESSIONS}/{session['id']}"
        assert (await api.call("DELETE", path))[0] == 204
        statuses = await asyncio.gather(*(api.call(method, path) for method in ("GET", "DELETE")))
        assert [status for status, _ in statuses] == [404, 404]
        assert (await api.call("GET", SESSIONS))[1]["total"] == 0
