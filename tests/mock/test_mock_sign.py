"""Sign v2: signing sessions, and what becomes of their documents (K)."""

import base64
import re

import pytest

from tests.mock.bench import Api
from tests.mock.sign_flow import PDF, REDIRECTS, SESSIONS, SHOP, Contract, new_contract


@pytest.fixture
async def contract(api: Api) -> Contract:
    """Provide a PDF to sign."""
    return await new_contract(api)


async def result(contract: Contract, document_id: str) -> tuple[str, bytes]:
    """Return the media type and the bytes of a result."""
    _, headers, data = await contract.api.exchange("GET", f"/sign/documents/{document_id}")
    return headers["Content-Type"], data


async def test_a_session_is_signed_on_its_page(api: Api, contract: Contract) -> None:
    """READY, the page, SIGNED; the signed document is fetched like any other."""
    session = await contract.session(redirectSettings=REDIRECTS)
    assert session == contract.wanted(redirectSettings=REDIRECTS) | {
        "id": session["id"],
        "signatureUrl": f"{api.running.url}/mock-sign/?sessionId={session['id']}",
        "lifecycle": {"state": "READY", "stateIsFinal": False},
    }
    assert await contract.look(session) == session
    page = session["signatureUrl"].removeprefix(api.running.url)
    status, _, html = await api.ask("GET", page)
    assert status == 200
    assert all(text in html for text in (b"MOCK", b"READY", b"Contract", b"nbid"))
    assert re.findall(rb'action="(.*?)"', html) == [
        f"{session['id']}/{word}".encode() for word in ("sign", "reject", "cancel", "error")
    ]
    status, headers, _ = await contract.press(session, "sign")
    assert (status, headers["Location"]) == (302, f"{SHOP}/ok")
    ended = await contract.look(session)
    (signature,) = ended["output"]["signatures"]
    assert ended == session | {
        "lifecycle": {"state": "SIGNED", "stateIsFinal": True},
        "output": {"signatures": [signature], "packages": []},
    }
    media_type, data = await result(contract, signature.pop("resultDocumentId"))
    assert (media_type, data.startswith(b"%PDF-")) == ("application/pdf", True)
    assert signature == {
        "originalDocumentId": contract.document_id,
        "documentCollectionId": contract.collection_id,
        "signatureType": "PADES",
    }
    assert (await result(contract, contract.document_id))[1] == PDF


@pytest.mark.parametrize("media_type", ["text/plain", "text/markdown"])
async def test_a_text_becomes_xades(api: Api, media_type: str) -> None:
    """XML that has the digest of the text; no package is made of it."""
    contract = await new_contract(api, b"I agree.", media_type, packageTo=["PADES_CONTAINER"])
    session = await contract.session(packageTo=["PADES_CONTAINER"])
    await contract.press(session, "sign")
    output = (await contract.look(session))["output"]
    (signature,) = output["signatures"]
    assert (signature["signatureType"], output["packages"]) == ("XADES", [])
    media_type, data = await result(contract, signature["resultDocumentId"])
    assert media_type == "application/xml"
    _, document = await api.call("GET", f"/sign/documents/{contract.document_id}/metadata")
    digest = base64.b64encode(bytes.fromhex(document["documentHash"]["hash"]))
    assert b"<DigestValue>" + digest + b"</DigestValue>" in data


async def test_what_is_only_viewed_is_not_signed(api: Api, contract: Contract) -> None:
    """A document with the action VIEW has no signature."""
    other = await new_contract(api)
    wanted = contract.wanted()
    wanted["documents"] += [other.wanted()["documents"][0] | {"action": "view"}]
    _, (session,) = await api.call("POST", SESSIONS, json=[wanted])
    assert [document["action"] for document in session["documents"]] == ["SIGN", "VIEW"]
    await contract.press(session, "sign")
    (signature,) = (await contract.look(session))["output"]["signatures"]
    assert signature["originalDocumentId"] == contract.document_id


async def test_a_signed_pdf_says_what_it_is_of(contract: Contract) -> None:
    """It names the session, whatever letters its title has."""
    session = await contract.session(title=r"Kjøp (\o/) 😀" + "x" * 500)
    await contract.press(session, "sign")
    (signature,) = (await contract.look(session))["output"]["signatures"]
    _, data = await result(contract, signature["resultDocumentId"])
    shown = (r"(Title: Kjøp \(\\o/\) ?xxx", f"(Signing session: {session['id']})", "(MOCK")
    assert all(text.encode("cp1252") in data for text in shown)


async def test_a_session_is_rejected(contract: Contract) -> None:
    """REJECTED is final, has no output, and leads to a page of Signicat's own."""
    session = await contract.session(redirectSettings=REDIRECTS)
    status, _, html = await contract.press(session, "reject")
    assert (status, b"REJECTED" in html) == (200, True)
    ended = await contract.look(session)
    assert ended == session | {"lifecycle": {"state": "REJECTED", "stateIsFinal": True}}
    assert (await contract.press(session, "sign"))[0] == 200
    assert await contract.look(session) == ended


@pytest.mark.parametrize("word", ["cancel", "error"])
async def test_who_goes_away_can_come_back(contract: Contract, word: str) -> None:
    """To cancel and to fail lead the browser back, and change nothing."""
    session = await contract.session(redirectSettings=REDIRECTS)
    status, headers, _ = await contract.press(session, word)
    assert (status, headers["Location"]) == (302, REDIRECTS[word])
    assert await contract.look(session) == session
    await contract.press(session, "sign")
    assert await contract.state(session) == "SIGNED"


async def test_no_button_changes_what_has_ended(api: Api, contract: Contract) -> None:
    """The page has none; whoever presses one all the same goes where the end led."""
    session = await contract.session(redirectSettings=REDIRECTS)
    await contract.press(session, "sign")
    ended = await contract.look(session)
    for word in ("sign", "reject", "cancel", "error"):
        status, headers, _ = await contract.press(session, word)
        assert (status, headers["Location"]) == (302, f"{SHOP}/ok")
    assert await contract.look(session) == ended
    page = session["signatureUrl"].removeprefix(api.running.url)
    assert b"<form" not in (await api.ask("GET", page))[2]


async def test_pages_of_what_there_is_not(api: Api, contract: Contract) -> None:
    """Unknown sessions and buttons are 404; so is a page of no session."""
    session = await contract.session()
    assert (await contract.press(session, "x"))[0] == 404
    assert (await contract.press({"id": "x"}, "sign"))[0] == 404
    assert (await api.ask("GET", "/mock-sign/?sessionId=x"))[0] == 404
    assert (await api.ask("GET", "/mock-sign/"))[0] == 404


async def test_the_reference_comes_back_in_redirect_urls(contract: Contract) -> None:
    """Before the fragment, and after what the query has already."""
    session = await contract.session(redirectSettings=REDIRECTS, externalReference="a&b 1")
    _, headers, _ = await contract.press(session, "cancel")
    assert headers["Location"] == f"{SHOP}/no?a=b&externalReference=a%26b%201#c"
    _, headers, _ = await contract.press(session, "sign")
    assert headers["Location"] == f"{SHOP}/ok?externalReference=a%26b%201"


@pytest.mark.parametrize("word", ["sign", "reject"])
async def test_a_document_is_kept_for_its_session(api: Api, contract: Contract, word: str) -> None:
    """It cannot be deleted (400) until the session has ended, however it ends."""
    session = await contract.session()
    path = f"/sign/documents/{contract.document_id}"
    status, error = await api.call("DELETE", path)
    assert (status, session["id"] in error["detail"]) == (400, True)
    assert (await api.call("GET", path)) == (200, PDF)
    await contract.press(session, word)
    ended = await contract.look(session)
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("DELETE", path))[0] == 404
    assert await contract.look(session) == ended


async def test_a_document_goes_with_the_last_session_that_needs_it(
    api: Api, contract: Contract
) -> None:
    """One that is deleted needs it no more; nor does one that is BLOCKED for good."""
    first = await contract.session()
    await contract.session(subsequentTo=[first["id"]])
    path = f"/sign/documents/{contract.document_id}"
    assert (await api.call("DELETE", path))[0] == 400
    assert (await api.call("DELETE", f"{SESSIONS}/{first['id']}"))[0] == 204
    assert (await api.call("DELETE", path))[0] == 204


@pytest.mark.parametrize(("word", "state"), [("sign", "SIGNED"), ("reject", "REJECTED")])
async def test_a_magic_reference_needs_no_browser(
    contract: Contract, word: str, state: str
) -> None:
    """`mock-sign` and `mock-reject` end a session after the first look at it."""
    session = await contract.session(externalReference=f"mock-{word}")
    assert [await contract.state(session) for _ in range(3)] == ["READY", state, state]
    assert ("output" in await contract.look(session)) is (word == "sign")


class TestSubsequent:
    """A session that waits for others."""

    async def test_it_is_blocked_until_those_before_it_are_signed(
        self, api: Api, contract: Contract
    ) -> None:
        """BLOCKED: its page has no buttons, and nothing signs it; then READY."""
        first, second = await contract.session(), await contract.session()
        last = await contract.session(subsequentTo=[first["id"], second["id"]])
        assert last["lifecycle"] == {"state": "BLOCKED", "stateIsFinal": False}
        page = last["signatureUrl"].removeprefix(api.running.url)
        assert b"<form" not in (await api.ask("GET", page))[2]
        assert (await contract.press(last, "sign"))[0] == 200
        await contract.press(first, "sign")
        assert await contract.state(last) == "BLOCKED"
        await contract.press(second, "sign")
        assert await contract.state(last) == "READY"
        assert b"<form" in (await api.ask("GET", page))[2]
        await contract.press(last, "sign")
        assert await contract.state(last) == "SIGNED"

    @pytest.mark.parametrize("is_deleted", [False, True], ids=["rejected", "deleted"])
    async def test_it_stays_blocked_where_one_before_it_is_gone(
        self,
        api: Api,
        contract: Contract,
        is_deleted: bool,  # noqa: FBT001 (a table)
    ) -> None:
        """Who rejects does not sign: BLOCKED is final then, and what comes after it is told so."""
        first, other = await contract.session(), await contract.session()
        second = await contract.session(subsequentTo=[first["id"]])
        third = await contract.session(subsequentTo=[other["id"], second["id"]])
        if is_deleted:
            assert (await api.call("DELETE", f"{SESSIONS}/{first['id']}"))[0] == 204
        else:
            await contract.press(first, "reject")
        for session in (second, third):
            lifecycle = (await contract.look(session))["lifecycle"]
            assert lifecycle == {"state": "BLOCKED", "stateIsFinal": True}
        page = second["signatureUrl"].removeprefix(api.running.url)
        assert b"BLOCKED for good" in (await api.ask("GET", page))[2]
        await contract.press(other, "sign")
        for before in (first, second, third):
            wanted = contract.wanted(subsequentTo=[other["id"], before["id"]])
            status, error = await api.call("POST", SESSIONS, json=[wanted])
            assert (status, error["invalidParams"][0]["name"]) == (400, "[0].subsequentTo[1]")

    async def test_it_is_ready_at_once_where_those_before_it_are_signed(
        self, contract: Contract
    ) -> None:
        """It waits for nothing; nor does one with an empty list."""
        first = await contract.session()
        await contract.press(first, "sign")
        for ids in ([first["id"]], []):
            session = await contract.session(subsequentTo=ids)
            assert session["lifecycle"]["state"] == "READY"

    async def test_magic_waits_for_its_turn(self, contract: Contract) -> None:
        """A chain of magic references is signed look by look, in its order."""
        first = await contract.session(externalReference="mock-sign")
        last = await contract.session(externalReference="mock-sign", subsequentTo=[first["id"]])
        assert [await contract.state(last) for _ in range(2)] == ["BLOCKED"] * 2
        await contract.state(first)
        assert [await contract.state(last) for _ in range(2)] == ["READY", "SIGNED"]


class TestPackages:
    """What is packaged once everything is signed."""

    async def test_of_a_session(self, contract: Contract) -> None:
        """One PDF in `output.packages`."""
        session = await contract.session(packageTo=["PADES_CONTAINER"])
        await contract.press(session, "sign")
        (package,) = (await contract.look(session))["output"]["packages"]
        assert package.pop("packageId")
        media_type, data = await result(contract, package.pop("resultDocumentId"))
        assert (media_type, b"(Package) '" in data) == ("application/pdf", True)
        assert package == {"packageType": "PADES_CONTAINER"}

    async def test_of_a_collection(self, api: Api) -> None:
        """When all sessions that name it are signed; after that no session can be added."""
        contract = await new_contract(api, packageTo=["PADES_CONTAINER"])
        path = f"/sign/document-collections/{contract.collection_id}"
        first, second = await contract.session(), await contract.session()
        await contract.press(first, "sign")
        assert (await api.call("GET", path))[1]["output"] == {"packages": []}
        await contract.press(second, "sign")
        (package,) = (await api.call("GET", path))[1]["output"]["packages"]
        assert (await result(contract, package["resultDocumentId"]))[0] == "application/pdf"
        status, error = await api.call("POST", SESSIONS, json=[contract.wanted()])
        assert status == 400
        assert error["invalidParams"][0]["name"] == "[0].documents[0].documentCollectionId"

    async def test_a_collection_is_open_while_one_session_is_not_signed(self, api: Api) -> None:
        """Also where that one is rejected; what is deleted is in nobody's way."""
        contract = await new_contract(api, packageTo=["PADES_CONTAINER"])
        path = f"/sign/document-collections/{contract.collection_id}"
        first, second, third = [await contract.session() for _ in range(3)]
        await contract.press(first, "reject")
        await contract.press(second, "sign")
        assert (await api.call("GET", path))[1]["output"] == {"packages": []}
        await api.call("DELETE", f"{SESSIONS}/{first['id']}")
        await api.call("DELETE", path)
        await contract.press(third, "sign")
        assert await contract.state(third) == "SIGNED"

    async def test_what_is_to_be_signed_cannot_go_before_it_is(
        self, api: Api, contract: Contract
    ) -> None:
        """The session that needs the document keeps it, and has its results."""
        session = await contract.session(packageTo=["PADES_CONTAINER"])
        status, _ = await api.call("DELETE", f"/sign/documents/{contract.document_id}")
        assert status == 400
        await contract.press(session, "sign")
        output = (await contract.look(session))["output"]
        assert [len(output[name]) for name in ("signatures", "packages")] == [1, 1]
