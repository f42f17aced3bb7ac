"""Sign v2 as the generated Python client calls it and reads it, byte for byte (K).

Written by hand after `sideko-quickstarts/signicat_py` 0.1.1 with httpx 0.28.1: the order of
headers and members, no blanks in JSON, members that are not set left out.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.mock.bench import Api
from tests.support.messages import Head
from tests.support.waiting import within

PART = b'--6781b2906f7b035187f0f2a05cbdce69\r\nContent-Disposition: form-data; name="file"; '
PART += b'filename="upload"\r\nContent-Type: application/octet-stream\r\n\r\n%s\r\n'
PART += b"--6781b2906f7b035187f0f2a05cbdce69--\r\n"
DESCRIPTION = (
    b'{"createdAt":"2023-04-12T10:30:00Z","description":"Invoice","documentHash":{"hash":"0",'
    b'"hashAlgorithm":"SHA256"},"filename":"i.pdf","mimeType":"text/plain",'
    b'"title":"Invoice \xc3\xa5"}'
)
COLLECTION = (
    b'{"documents":[{"description":"Terms","documentId":"%s"}],"id":"X","output":{"packages":[]},'
    b'"packageTo":["PADES_CONTAINER"]}'
)
REQUIRED = (
    b'[{"documents":[{"action":"SIGN","documentCollectionId":"%s","documentId":"%s"}],'
    b'"externalReference":null,"signingSetup":[{"identityProviders":[{"idpName":"nbid"}],'
    b'"signingFlow":"AUTHENTICATION_BASED"}],"title":"t"}]'
)
ALL = (
    b'[{"documents":[{"action":"SIGN","documentCollectionId":"%s","documentId":"%s"}],'
    b'"dueDate":"2027-02-01T00:00:00Z","externalReference":"order-17","id":"f05d0dce",'
    b'"lifecycle":{"state":"BLOCKED","stateIsFinal":true},"output":{"packages":[{"packageId":"p",'
    b'"packageType":"PADES_CONTAINER","resultDocumentId":"r"}]},"packageTo":["PADES_CONTAINER"],'
    b'"preAuthentication":{"enabled":true},"redirectSettings":{"cancel":"http://shop.test/cancel",'
    b'"error":"http://shop.test/error","success":"http://shop.test/complete"},'
    b'"senderDisplayName":"Corporation","signText":"Please sign","signatureUrl":"https://x.test/",'
    b'"signer":{"email":"mail@shop.test","mobile":"+47 123 45 678",'
    b'"nationalIdentificationNumber":"string","validations":["NATIONAL_IDENTIFICATION_NUMBER"]},'
    b'"signingSetup":[{"additionalParameters":{"sbid_flow":"QR"},"identityProviders":'
    b'[{"idpName":"sbid"}],"signingFlow":"AUTHENTICATION_BASED","vendor":"SBID"}],'
    b'"subsequentTo":[],"title":"Business Process","ui":{"language":"da"}}]'
)


class Client:
    """One kept connection, on which requests have the client's own bytes."""

    def __init__(
        self, api: Api, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.api = api
        self.reader = reader
        self.writer = writer

    async def call(
        self, start: str, body: bytes = b"", media_type: str = "application/json"
    ) -> tuple[int, bytes]:
        """Send a request as httpx writes it; return status and body."""
        lines = [
            f"{start} HTTP/1.1",
            f"Host: {self.api.running.url.removeprefix('http://')}",
            "Accept: */*",
            "Accept-Encoding: gzip, deflate",
            "Connection: keep-alive",
            "User-Agent: python-httpx/0.28.1",
            f"Authorization: {self.api.headers['Authorization']}",
            "x-sideko-sdk-language: Python",
        ]
        sizes = [f"Content-Length: {len(body)}", f"Content-Type: {media_type}"]
        if body:
            lines += sizes if media_type == "application/json" else reversed(sizes)
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        raw = await within(self.reader.readuntil(b"\r\n\r\n"), "a response")
        head = Head.parse(raw.removesuffix(b"\r\n\r\n"))
        length = int(head.value("Content-Length") or 0)
        return head.status, await within(self.reader.readexactly(length), "a body")

    async def json(self, start: str, body: bytes = b"", *, status: int = 200) -> Any:
        """Return what a good response says."""
        got, data = await self.call(start, body)
        assert got == status, data
        return json.loads(data)

    async def upload(self, data: bytes) -> str:
        """Upload a document; return its id."""
        status, body = await self.call("POST /sign/documents", data, "application/pdf")
        assert status == 200
        return str(json.loads(body)["documentId"])


@pytest.fixture
async def client(api: Api) -> AsyncIterator[Client]:
    """Provide a connection to the mock."""
    host, _, port = api.running.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    yield Client(api, reader, writer)
    writer.close()
    await writer.wait_closed()


def see_session(session: dict[str, Any]) -> None:
    """See what the client's models ask of a session: it fails on anything else."""
    assert session["title"]
    assert session["lifecycle"]["state"] in {"BLOCKED", "READY", "REJECTED", "SIGNED"}
    for document in session["documents"]:
        assert document["action"] in {"SIGN", "VIEW"}
        assert document["documentId"]
        assert document["documentCollectionId"]
    for setup in session["signingSetup"]:
        assert setup["signingFlow"] in {"AUTHENTICATION_BASED", "PKISIGNING"}
        assert all(provider["idpName"] for provider in setup["identityProviders"])
    for signature in session.get("output", {}).get("signatures", []):
        assert signature["signatureType"] in {"PADES", "XADES"}
        assert signature["resultDocumentId"]
    for package in session.get("output", {}).get("packages", []):
        assert package["packageType"] == "PADES_CONTAINER"


async def test_its_uploads_are_forms_under_the_type_of_the_document(client: Client) -> None:
    """What comes is kept as it came; the part of a form is not looked for."""
    document_id = await client.upload(PART % b"%PDF-1.4 x")
    assert await client.call(f"GET /sign/documents/{document_id}") == (200, PART % b"%PDF-1.4 x")


async def test_its_metadata(client: Client) -> None:
    """It sends type, time and hash too; the response is the document as it is."""
    document_id = await client.upload(PART % b"x")
    path = f"/sign/documents/{document_id}/metadata"
    before = await client.json(f"GET {path}")
    after = await client.json(f"PATCH {path}", DESCRIPTION)
    assert after == before | {
        "title": "Invoice å",
        "description": "Invoice",
        "filename": "i.pdf",
    }


@pytest.mark.parametrize("body", [REQUIRED, ALL], ids=["required", "all"])
async def test_its_way_from_upload_to_signed_bytes(client: Client, body: bytes) -> None:
    """Every call that it has, in the order of an integration."""
    document = await client.upload(PART % b"x")
    collection = await client.json(
        "POST /sign/document-collections", COLLECTION % document.encode(), status=201
    )
    assert collection["documents"] == [{"description": "Terms", "documentId": document}]
    wanted = body % (collection["id"].encode(), document.encode())
    (session,) = await client.json("POST /sign/signing-sessions", wanted, status=201)
    see_session(session)
    assert session["lifecycle"]["state"] == "READY"
    await client.api.ask("POST", f"/mock-sign/{session['id']}/sign")
    session = await client.json(f"GET /sign/signing-sessions/{session['id']}")
    see_session(session)
    collection = await client.json(f"GET /sign/document-collections/{collection['id']}")
    made = session["output"]["signatures"] + collection["output"]["packages"]
    assert len(made) == 2
    for result in made:
        status, data = await client.call(f"GET /sign/documents/{result['resultDocumentId']}")
        assert (status, data[:5]) == (200, b"%PDF-")
    for path in (
        f"/sign/signing-sessions/{session['id']}",
        f"/sign/document-collections/{collection['id']}",
        f"/sign/documents/{document}",
    ):
        assert await client.call(f"DELETE {path}") == (204, b"")
        assert (await client.call(f"GET {path}"))[0] == 404


async def test_its_list(client: Client) -> None:
    """A plus in `sort` is escaped, and the parameter repeated."""
    document = await client.upload(PART % b"x")
    collection = await client.json(
        "POST /sign/document-collections", COLLECTION % document.encode(), status=201
    )
    ids = (collection["id"].encode(), document.encode())
    for body in (REQUIRED, ALL):
        await client.json("POST /sign/signing-sessions", body % ids, status=201)
    for query, title in (
        ("", "Business Process"),
        ("?limit=1&offset=1&sort=%2BdueDate&sort=-createdAt", "t"),
    ):
        listed = await client.json(f"GET /sign/signing-sessions{query}")
        assert {name: type(value) for name, value in listed.items()} == {
            **dict.fromkeys(("count", "limit", "offset", "total"), int),
            "data": list,
        }
        assert listed["data"][0]["title"] == title
        for session in listed["data"]:
            see_session(session)
