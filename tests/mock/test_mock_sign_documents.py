"""Sign v2: documents and collections of them (K)."""

import gzip

import pytest

from tests.mock.bench import JSON, Api
from tests.mock.sign_flow import PDF, new_contract

DOCUMENTS = "/sign/documents"
COLLECTIONS = "/sign/document-collections"
AS_PDF = {"Content-Type": "application/pdf"}


@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
async def test_a_document_comes_back_byte_for_byte(api: Api, size: int) -> None:
    """Whatever was sent, compressed or not, is what is fetched."""
    data = gzip.compress(bytes(range(256)) * (size // 256 + 1))
    headers = {"Content-Type": "application/pdf", "Content-Encoding": "gzip"}
    status, document = await api.call("POST", DOCUMENTS, data=data, headers=headers)
    assert (status, document["mimeType"]) == (200, "application/pdf")
    path = f"{DOCUMENTS}/{document['documentId']}"
    assert (await api.call("GET", path)) == (200, data)
    assert (await api.call("GET", f"{path}/metadata")) == (200, document)
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404


MEDIA_TYPES = {
    "application/pdf": 200,
    "text/plain; charset=utf-8": 200,
    "text/markdown": 200,
    "APPLICATION/PDF": 200,
    "application/octet-stream": 400,
    "application/json": 400,
    "application/msword": 400,
    "multipart/form-data; boundary=x": 400,
    "image/png": 400,
}


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_only_pdf_and_text_can_be_signed(api: Api, media_type: str) -> None:
    """Any other document is 400, and so is one that does not say what it is, or is empty."""
    headers = {"Content-Type": media_type}
    status, body = await api.call("POST", DOCUMENTS, data=b"x", headers=headers)
    assert status == MEDIA_TYPES[media_type]
    if status == 400:
        assert body["invalidParams"][0]["name"] == "Content-Type"


async def test_a_document_has_bytes_and_says_what_they_are(api: Api) -> None:
    """Without a media type it is 400, and so is an empty one."""
    async with api.session.post(
        api.running.url + DOCUMENTS,
        data=b"x",
        headers=api.headers,
        skip_auto_headers=("Content-Type",),
    ) as response:
        assert response.status == 400
    assert (await api.call("POST", DOCUMENTS, data=b"", headers=AS_PDF))[0] == 400


async def test_metadata_is_added_and_never_changes_what_was_uploaded(api: Api) -> None:
    """Title, description and file name alone can be set; type and hash are the document's own."""
    _, document = await api.call("POST", DOCUMENTS, data=PDF, headers=AS_PDF)
    path = f"{DOCUMENTS}/{document['documentId']}/metadata"
    described = {"title": "Contract", "description": "Of sale", "filename": "contract.pdf"}
    other = {"mimeType": "text/plain", "documentHash": {"hash": "0"}, "documentId": "x"}
    other |= {"createdAt": "2020-01-01T00:00:00Z"}
    status, headers, changed = await api.exchange("PATCH", path, json=described | other)
    assert (status, changed) == (200, document | described)
    assert sorted(headers["X-Mock-Unknown"].split(", ")) == sorted(other)
    assert (await api.call("GET", path)) == (200, changed)
    _, changed = await api.call("PATCH", path, json={"title": "New", "filename": None})
    assert changed == document | described | {"title": "New"}
    _, _, response = await api.exchange("GET", path.removesuffix("/metadata"))
    assert response == PDF


@pytest.mark.parametrize(
    "body",
    [
        *(b"[", b"[]", b"", b'{"title":1}', b'{"title":"%s"}' % (b"x" * 256)),
        *(b'{"filename":"%s"}' % (b"x" * 256), b'{"description":"%s"}' % (b"x" * 1001)),
    ],
    ids=range(7),
)
async def test_metadata_that_signicat_cannot_keep(api: Api, body: bytes) -> None:
    """Titles and names have at most 255 characters, descriptions 1000; all are texts."""
    _, document = await api.call("POST", DOCUMENTS, data=PDF, headers=AS_PDF)
    path = f"{DOCUMENTS}/{document['documentId']}/metadata"
    assert (await api.call("PATCH", path, data=body, headers=JSON))[0] == 400
    assert (await api.call("GET", path)) == (200, document)


async def test_a_collection_is_kept(api: Api) -> None:
    """It comes back with an id and room for packages, and can be deleted."""
    contract = await new_contract(api, packageTo=["PADES_CONTAINER"])
    path = f"{COLLECTIONS}/{contract.collection_id}"
    assert (await api.call("GET", path)) == (
        200,
        {
            "id": contract.collection_id,
            "documents": [{"documentId": contract.document_id}],
            "packageTo": ["PADES_CONTAINER"],
            "output": {"packages": []},
        },
    )
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404
    assert (await api.call("DELETE", path))[0] == 404


async def test_what_the_server_decides_of_a_collection_is_not_taken_from_a_body(api: Api) -> None:
    """Clients made from the API description may send id and output: they count for nothing."""
    _, document = await api.call("POST", DOCUMENTS, data=PDF, headers=AS_PDF)
    member = {"documentId": document["documentId"], "description": "Terms"}
    package = {"packageId": "x", "packageType": "PADES_CONTAINER", "resultDocumentId": "x"}
    wanted = {"documents": [member], "id": "x", "output": {"packages": [package]}}
    status, headers, collection = await api.exchange("POST", COLLECTIONS, json=wanted)
    assert status == 201
    assert "X-Mock-Unknown" not in headers
    assert collection.pop("id") != "x"
    assert collection == {"documents": [member], "output": {"packages": []}}


BAD_COLLECTIONS = {
    b"[]": "body",
    b"{}": "documents",
    b'{"documents":[]}': "documents",
    b'{"documents":[1]}': "documents[0]",
    b'{"documents":[{}]}': "documents[0].documentId",
    b'{"documents":[{"documentId":"x"}]}': "documents[0].documentId",
    b'{"documents":[{"documentId":"x"}],"packageTo":["ZIP"]}': "packageTo[0]",
}


@pytest.mark.parametrize("body", BAD_COLLECTIONS, ids=range(len(BAD_COLLECTIONS)))
async def test_a_collection_of_what_there_is_not(api: Api, body: bytes) -> None:
    """Unknown documents, none at all, and unknown packages are 400, by name."""
    status, error = await api.call("POST", COLLECTIONS, data=body, headers=JSON)
    assert (status, error["code"]) == (400, "bad_request")
    assert error["invalidParams"][0]["name"] == BAD_COLLECTIONS[body]
