"""The mock's Express Sign: documents, signers, attachments, files (K)."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.mock.bench import JSON, Api

DOCUMENTS = "/express/sign/documents"
TEXT = base64.b64encode("a contract (æ)".encode()).decode()
SIGNER = {
    "externalSignerId": "s1",
    "redirectSettings": {
        "redirectMode": "redirect",
        "success": "https://shop.test/ok",
        "cancel": "https://shop.test/no",
        "error": "https://shop.test/err",
    },
    "signatureType": {"mechanism": "identification", "signatureMethods": ["se_bankid"]},
    "signerInfo": {"firstName": "Ola", "email": "ola@shop.test"},
}
DOCUMENT = {
    "title": "Loan",
    "externalId": "order-17",
    "signers": [SIGNER],
    "dataToSign": {"base64Content": TEXT, "fileName": "loan.txt"},
    "contactDetails": {"email": "help@shop.test"},
}


class Paper:
    """A document, and the browser of its signers."""

    def __init__(self, api: Api, created: dict[str, Any]) -> None:
        self._api = api
        self.created = created
        self.path = f"{DOCUMENTS}/{created['documentId']}"

    async def get(self, part: str = "") -> Any:
        """Return the document, or a part of it."""
        status, body = await self._api.call("GET", self.path + part)
        assert status == 200, body
        return body

    async def status(self) -> str:
        """Return its status."""
        return str((await self.get("/status"))["documentStatus"])

    async def press(self, button: str, number: int = 0) -> tuple[int, str]:
        """Press a button of a signer's page; return the status and where it leads."""
        url = self.created["signers"][number]["url"].removeprefix(self._api.running.url)
        status, headers, page = await self._api.ask("POST", f"{url}/{button}")
        return status, headers.get("Location") or str(page)

    async def page(self, number: int = 0) -> str:
        """Return a signer's page."""
        url = self.created["signers"][number]["url"].removeprefix(self._api.running.url)
        status, _, page = await self._api.ask("GET", url)
        assert status == 200
        return bytes(page).decode()

    async def add(self, part: str, body: dict[str, Any]) -> Any:
        """Add a signer or an attachment."""
        status, added = await self._api.call("POST", f"{self.path}/{part}", json=body)
        assert status == 200, added
        return added


async def new_paper(api: Api, **members: Any) -> Paper:
    """Create a document."""
    status, document = await api.call("POST", DOCUMENTS, json=DOCUMENT | members)
    assert status == 200, document
    return Paper(api, document)


async def later(api: Api, **how: float) -> None:
    """Let time pass; tokens do not live as long as documents."""
    api.now += timedelta(**how).total_seconds()
    api.headers = await api.token()


async def test_a_document_goes_its_way(api: Api) -> None:
    """Unsigned, partly signed, signed; each signer has a page, and is led where it was said."""
    paper = await new_paper(api, signers=[SIGNER, SIGNER | {"externalSignerId": "s2"}])
    assert paper.created["status"] == {
        "documentStatus": "unsigned",
        "completedPackages": [],
        "attachmentPackages": {},
    }
    assert await paper.get() == paper.created
    page = await paper.page()
    assert "MOCK" in page
    assert ("Loan" in page, "s1" in page, "0 of 2" in page) == (True, True, True)
    assert await paper.press("cancel") == (302, "https://shop.test/no")
    assert await paper.status() == "unsigned"
    assert await paper.press("sign") == (302, "https://shop.test/ok")
    assert await paper.status() == "partialsigned"
    assert "<button>" not in await paper.page()
    assert await paper.press("sign", 1) == (302, "https://shop.test/ok")
    assert await paper.get("/status") == {
        "documentStatus": "signed",
        "completedPackages": ["standard_packaging", "pades"],
        "attachmentPackages": {},
    }
    assert await paper.press("cancel") == (302, "https://shop.test/ok")
    assert (await paper.press("other"))[0] == 404
    signature = (await paper.get())["signers"][0]["documentSignature"]
    assert (signature["fullName"], signature["signatureMethod"]) == ("Ola Test", "se_bankid")
    assert signature["mechanism"] == "identification"


async def test_a_signer_may_stay_where_it_is(api: Api) -> None:
    """Without redirect settings, or where they say so, there is a page."""
    stays = SIGNER | {"redirectSettings": {"redirectMode": "DONOT_REDIRECT"}}
    paper = await new_paper(api, signers=[stays, {"externalSignerId": "bare"}])
    for number in (0, 1):
        assert (await paper.press("cancel", number))[0] == 200
        status, page = await paper.press("sign", number)
        assert (status, "signed" in page) == (200, True)
    signature = (await paper.get("/signers"))[1]["documentSignature"]
    assert (signature["fullName"], signature["mechanism"]) == ("Kari Test", "pkisignature")


async def test_enough_signatures_are_enough(api: Api) -> None:
    """A document may need fewer than it has signers."""
    paper = await new_paper(api, signers=[SIGNER] * 3, advanced={"requiredSignatures": 1})
    await paper.press("sign", 2)
    assert await paper.status() == "signed"
    await paper.press("sign", 1)
    assert (await paper.get("/summary"))["currentSignatures"] == 1


MAGIC = {"mock-success": "signed", "mock-abort": "canceled"}


@pytest.mark.parametrize("reference", MAGIC)
@pytest.mark.parametrize("part", ["", "/status"])
async def test_a_magic_reference_needs_no_browser(api: Api, reference: str, part: str) -> None:
    """It ends a document after the first look at it."""
    paper = await new_paper(api, externalId=reference, signers=[SIGNER, SIGNER])
    first = await paper.get(part)
    assert first.get("status", first)["documentStatus"] == "unsigned"
    assert [await paper.status() for _ in range(2)] == [MAGIC[reference]] * 2


async def test_a_document_expires(api: Api) -> None:
    """After its deadline, 45 days at most; signed ones do not."""
    soon = "2027-01-15T09:00:00+00:00"
    short = await new_paper(api, advanced={"timeToLive": {"deadline": soon}})
    long = await new_paper(api)
    signed = await new_paper(api)
    await signed.press("sign")
    await later(api, hours=1)
    assert [await one.status() for one in (short, long)] == ["expired", "unsigned"]
    await later(api, days=45)
    assert [await one.status() for one in (short, long, signed)] == ["expired", "expired", "signed"]
    await short.press("sign")
    assert await short.status() == "expired"
    assert (await api.call("POST", f"{short.path}/cancel"))[0] == 400
    far = datetime.fromtimestamp(api.mock.wall(), UTC) + timedelta(days=46)
    body = {"advanced": {"timeToLive": {"deadline": far.isoformat()}}}
    status, error = await api.call("POST", DOCUMENTS, json=DOCUMENT | body)
    assert (status, error["errors"][0]["field"]) == (400, "Advanced.TimeToLive.Deadline")


@pytest.mark.parametrize("body", [b"null", b"", b"{}"])
async def test_a_document_can_be_canceled(api: Api, body: bytes) -> None:
    """With a reason or without; then nobody can sign or change it."""
    paper = await new_paper(api)
    path = f"{paper.path}/cancel?reason=not needed"
    assert await api.call("POST", path, data=body, headers=JSON) == (204, b"")
    assert await paper.status() == "canceled"
    await paper.press("sign")
    assert await paper.status() == "canceled"
    assert (await api.call("POST", path))[0] == 400
    assert (await api.call("PATCH", paper.path, json={"title": "x"}))[0] == 400


async def test_a_document_can_be_changed(api: Api) -> None:
    """What is null stays as it is; what somebody has signed can no longer be changed."""
    paper = await new_paper(api)
    change = {"title": "Other", "description": None, "contactDetails": None}
    status, changed = await api.call("PATCH", paper.path, json=change)
    assert (status, changed) == (200, paper.created | {"title": "Other"})
    far = {"advanced": {"timeToLive": {"deadline": "2030-01-01T00:00:00Z"}}}
    assert (await api.call("PATCH", paper.path, json=far))[0] == 400
    await paper.press("sign")
    assert (await api.call("PATCH", paper.path, json=change))[0] == 400


async def test_signers_come_and_go(api: Api) -> None:
    """Added, shown, changed, removed, until somebody has signed."""
    paper = await new_paper(api)
    added = await paper.add("signers", {"externalSignerId": "s2", "order": 2, "tags": None})
    assert await paper.get("/signers") == [paper.created["signers"][0], added]
    path = f"{paper.path}/signers/{added['id']}"
    assert await api.call("GET", path) == (200, added)
    status, changed = await api.call("PATCH", path, json={"order": 1, "externalSignerId": None})
    assert (status, changed) == (200, added | {"order": 1})
    assert await api.call("DELETE", path) == (204, b"")
    assert (await api.call("GET", path))[0] == 404
    await paper.press("sign")
    assert (await api.call("POST", f"{paper.path}/signers", json={}))[0] == 400
    first = f"{paper.path}/signers/{paper.created['signers'][0]['id']}"
    assert (await api.call("DELETE", first))[0] == 400


async def test_attachments_come_and_go(api: Api) -> None:
    """As many as were announced must come before anybody can sign."""
    paper = await new_paper(api, advanced={"attachments": 1})
    assert await paper.status() == "waiting_for_attachments"
    assert "<button>" not in await paper.page()
    await paper.press("sign")
    assert await paper.status() == "waiting_for_attachments"
    signer = paper.created["signers"][0]["id"]
    attachment = {"title": "Terms", "fileName": "a.txt", "data": TEXT, "signers": [signer]}
    added = await paper.add("attachments", attachment)
    assert added == attachment | {"id": added["id"]}
    assert await paper.status() == "unsigned"
    assert "Terms" in await paper.page()
    path = f"{paper.path}/attachments/{added['id']}"
    assert await paper.get("/attachments") == [added]
    assert await api.call("GET", path) == (200, added)
    status, changed = await api.call("PATCH", path, json={"type": "SIGN", "title": None})
    assert (status, changed) == (200, added | {"type": "sign"})
    assert (await api.call("PATCH", path, json={"signers": ["x"]}))[0] == 400
    assert await api.call("DELETE", path) == (204, b"")
    assert await paper.status() == "waiting_for_attachments"
    assert (await api.call("GET", path))[0] == 404


async def test_files_are_there_when_they_are_signed(api: Api) -> None:
    """The file that was sent at any time; signed ones, as PDF, once there are signatures."""
    paper = await new_paper(api, signers=[SIGNER, SIGNER])
    terms = {"title": "Terms", "fileName": "a.pdf", "data": TEXT}
    shown = (await paper.add("attachments", terms))["id"]
    signed = (await paper.add("attachments", terms | {"type": "sign"}))["id"]
    first, second = (signer["id"] for signer in paper.created["signers"])
    await paper.press("sign")

    async def file(path: str, kind: str) -> tuple[int, Any]:
        status, body = await api.call("GET", f"{paper.path}/files{path}?fileFormat={kind}")
        return status, body[:5] if status == 200 else None

    pdf, none = (200, b"%PDF-"), (404, None)
    for path in ("", f"/attachments/{shown}", f"/signers/{first}"):
        assert await file(path, "unsigned") == (200, b"a con")
    assert await file(f"/signers/{first}", "native") == pdf
    assert await file(f"/signers/{second}", "native") == none
    assert await file(f"/attachments/{signed}/signers/{first}", "native") == pdf
    assert await file(f"/attachments/{signed}/signers/{second}", "native") == none
    assert await file(f"/attachments/{shown}/signers/{first}", "native") == none
    assert await file(f"/attachments/{shown}/signers/{first}", "unsigned") == (200, b"a con")
    assert await file("", "pades") == await file(f"/attachments/{signed}", "pades") == none
    await paper.press("sign", 1)
    assert await file("", "PADES") == await file(f"/attachments/{signed}", "pades") == pdf
    assert await file("", "xades") == await file(f"/attachments/{shown}", "pades") == none
    for path in ("/signers/x", "/attachments/x"):
        assert await file(path, "unsigned") == none
    status, body = await api.call("GET", f"{paper.path}/files?fileFormat=pades")
    assert (status, b"Signed by Ola Test" in body) == (200, True)
    assert (await paper.get("/status"))["attachmentPackages"] == {
        signed: ["standard_packaging", "pades"]
    }


@pytest.mark.parametrize(
    ("members", "media_type", "start"),
    [
        ({"fileName": "a.pdf"}, "application/pdf", b"a con"),
        ({"fileName": "A.TXT"}, "text/plain", b"a con"),
        ({"fileName": "a.docx"}, "application/octet-stream", b"a con"),
        ({}, "application/octet-stream", b"a con"),
        ({"fileName": "a.txt", "convertToPDF": True}, "application/pdf", b"%PDF-"),
        (
            {
                "fileName": "a.pdf",
                "convertToPDF": True,
                "base64Content": base64.b64encode(b"%PDF-9").decode(),
            },
            "application/pdf",
            b"%PDF-9",
        ),
    ],
)
async def test_a_file_has_its_type(
    api: Api, members: dict[str, Any], media_type: str, start: bytes
) -> None:
    """By its name; or it becomes a PDF if that was asked for."""
    paper = await new_paper(api, dataToSign={"base64Content": TEXT} | members)
    path = f"{paper.path}/files?fileFormat=unsigned&originalFileName=x"
    status, headers, body = await api.exchange("GET", path)
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, media_type)
    assert body.startswith(start)


async def test_packages_are_those_that_were_asked_for(api: Api) -> None:
    """And the standard one; a document without a file has signatures all the same."""
    formats = {"signaturePackageFormats": ["NATIVE", "pades", "native"]}
    paper = await new_paper(api, dataToSign={"packaging": formats})
    await paper.press("sign")
    packages = (await paper.get("/status"))["completedPackages"]
    assert packages == ["standard_packaging", "native", "pades"]
    path = f"{paper.path}/files?fileFormat="
    assert (await api.call("GET", f"{path}native"))[0] == 200
    assert (await api.call("GET", f"{path}unsigned"))[0] == 404
    for kind in ("", "doc"):
        assert (await api.call("GET", path + kind))[0] == 400


async def test_a_summary_has_ids(api: Api) -> None:
    """In place of signers and attachments; and dates, which a list can be searched by."""
    paper = await new_paper(api, advanced={"tags": ["a"]})
    await later(api, hours=2)
    await paper.press("sign")
    summary = await paper.get("/summary")
    signer = paper.created["signers"][0]["id"]
    assert (summary["signers"], summary["tags"]) == ([signer], ["a"])
    assert summary["created"] == "2027-01-15T08:00:00+00:00"
    assert summary["lastUpdated"] == summary["signedDate"] == "2027-01-15T10:00:00+00:00"
    assert summary["deadline"] == "2027-03-01T08:00:00+00:00"
    (signature,) = summary["documentSignatures"]
    assert (signature["signerId"], signature["externalSignerId"]) == (signer, "s1")


SEARCHES = {
    "": "ba",
    "externalId=a": "a",
    "EXTERNALID=A": "",
    "title=LOA": "ba",
    "title=b": "b",
    "status=SIGNED": "a",
    "status=unsigned": "b",
    "externalSignerId=s1": "ba",
    "externalSignerId=s2": "",
    "signerId=x": "",
    "nameOfSigner=ola": "ba",
    "nameOfSigner=x": "",
    "tags=x": "ba",
    "tags=x,y": "b",
    "fromDate=2027-01-15T09%3a00%3a00Z": "b",
    "toDate=2027-01-15T09%3a00%3a00Z": "a",
    "fromDate=2027-01-15T10%3a00%3a00+01%3a00": "b",
    "fromDate=2027-01-15T09%3a00%3a00.1234567": "b",
    "fromDate=0001-01-01T00%3a00%3a00%2B14%3a00": "ba",
    "toDate=9999-12-31T23%3a59%3a59-14%3a00": "ba",
    "toDate=2027-01-15": "",
    "lastUpdated=2027-01-15T09%3a00%3a00Z": "b",
    "signedDate=2027-01-15T00%3a00%3a00Z": "a",
    "limit=1": "b",
    "limit=0&&offset=1": "a",
    "offset=9": "",
}


async def test_lists_can_be_searched(api: Api) -> None:
    """Newest first; everything that is given must fit, and what is empty asks nothing."""
    first = await new_paper(api, externalId="a", title="Loan A", advanced={"tags": ["x"]})
    await first.press("sign")
    await later(api, hours=2)
    await new_paper(api, externalId="b", title="Loan B", advanced={"tags": ["x", "y"]})
    found = {}
    for search in SEARCHES:
        _, listed = await api.call("GET", f"{DOCUMENTS}/summary?{search}")
        found[search] = "".join(one["externalId"] for one in listed["data"])
    assert found == SEARCHES
    _, middle = await api.call("GET", f"{DOCUMENTS}/summary?limit=1&title=loan&x=\ud7ff")
    assert (middle["offset"], middle["limit"], middle["size"]) == (0, 1, 2)
    assert set(middle["links"]) == {"first", "next"}
    following = middle["links"]["next"].removeprefix(api.running.url)
    _, last = await api.call("GET", following)
    assert [one["externalId"] for one in last["data"]] == ["a"]
    assert set(last["links"]) == {"first", "previous"}
    assert (await api.call("GET", f"{DOCUMENTS}/summary?fromDate=soon"))[0] == 400


async def test_reminders_are_noted(api: Api) -> None:
    """To the signers that are named; nothing is sent to anybody."""
    paper = await new_paper(api, signers=[SIGNER, {"externalSignerId": "bare"}])
    names = [signer["id"] for signer in paper.created["signers"]]
    assert await paper.get("/notifications") == []
    body = {"notificationSetting": "SENDEMAIL", "signers": dict.fromkeys([*names, "x"])}
    path = f"{paper.path}/notifications/reminder"
    status, reminded = await api.call("POST", path, json=body)
    assert (status, reminded["notificationSetting"]) == (200, "sendEmail")
    noted = await paper.get("/notifications")
    assert [one["receiver"] for one in noted] == ["ola@shop.test", names[1]]


async def test_what_needs_no_document(api: Api) -> None:
    """Themes, spinners, signature methods, redirect tokens, merchant signatures."""
    root = "/express/sign"
    assert "OceanGreen" in (await api.call("GET", f"{root}/themes/list/themes"))[1]
    assert "Cubes" in (await api.call("GET", f"{root}/themes/list/spinners"))[1]
    for path in ("", "/account?mechanism=identification&fileType=PDF&&language=en"):
        _, methods = await api.call("GET", f"{root}/signature-methods{path}")
        assert methods[0]["type"] == "no_bankid"
    _, valid = await api.call("POST", f"{root}/jwt/validate", json={"jwt": "a.b.c"})
    assert valid["valid"] is False
    path = f"{root}/merchant/signature"
    body = {"dataToSign": TEXT, "xslt": None, "dataFormat": "txt", "departmentId": "d"}
    status, signed = await api.call("POST", path, json=body)
    assert (status, signed["departmentId"], bool(signed["signedData"])) == (200, "d", True)
    status, error = await api.call("POST", path, json={"xslt": "x"})
    expected = {"field": "DataToSign", "message": "The DataToSign field is required."}
    assert (status, error["errors"]) == (400, [expected])


REFUSALS: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "", {"title": None}, "Title"),
    ("POST", "", {"title": ""}, "Title"),
    ("POST", "", {"title": 1}, "Title"),
    ("POST", "", {"signers": [{"tags": 1}]}, "Signers[0].Tags"),
    ("POST", "", {"dataToSign": {"base64Content": "?"}}, "DataToSign.Base64Content"),
    ("POST", "/attachments", {"fileName": "a.txt"}, "Title"),
    ("POST", "/attachments", {"title": "a"}, "FileName"),
    ("POST", "/attachments", {"title": "a", "fileName": "b", "data": "?"}, "Data"),
    ("POST", "/attachments", {"title": "a", "fileName": "b", "signers": ["x"]}, "Signers[0]"),
    ("PATCH", "", {"advanced": {"attachments": -1}}, "Advanced.Attachments"),
]


@pytest.mark.parametrize(("method", "part", "body", "field"), REFUSALS)
async def test_bad_bodies_are_refused(
    api: Api, method: str, part: str, body: dict[str, Any], field: str
) -> None:
    """In Express Sign's form, with names as .NET has them."""
    paper = await new_paper(api)
    is_new = method == "POST" and not part
    path = DOCUMENTS if is_new else paper.path + part
    status, error = await api.call(method, path, json=DOCUMENT | body if is_new else body)
    assert (status, error["code"]) == (400, "validation_error")
    assert [one["field"] for one in error["errors"]] == [field]
    assert set(error) == {"message", "code", "errors", "traceId"}


UNKNOWN = [
    *(("GET", part) for part in ("", "/status", "/summary", "/signers", "/attachments")),
    *(("GET", part) for part in ("/files?fileFormat=pades", "/notifications")),
    *(("POST", part) for part in ("/cancel", "/signers", "/attachments")),
    ("POST", "/notifications/reminder"),
    ("PATCH", ""),
]


@pytest.mark.parametrize(("method", "part"), UNKNOWN)
async def test_an_unknown_document_is_not_found(api: Api, method: str, part: str) -> None:
    """Whatever is asked of it."""
    how: dict[str, Any] = {} if method == "GET" or part == "/cancel" else {"json": {}}
    status, error = await api.call(method, f"{DOCUMENTS}/x{part}", **how)
    assert (status, error["code"]) == (404, "not_found")
    paper = await new_paper(api)
    for what in ("signers", "attachments"):
        assert (await api.call("GET", f"{paper.path}/{what}/x"))[0] == 404
    assert (await api.ask("GET", f"/mock-express/{paper.created['documentId']}/x"))[0] == 404
