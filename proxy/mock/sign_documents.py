"""MOCK of the Sign API v2, its documents: they come back byte for byte; and collections of them."""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.state import Shelf

__all__ = ["DOCUMENTS", "ENDPOINTS", "Document", "store_document"]


@dataclass(slots=True)
class Document:
    """A document as it was uploaded, and what is known of it."""

    data: bytes
    metadata: dict[str, Any]


DOCUMENTS: Final[Shelf[Document]] = Shelf("document")
COLLECTIONS: Final[Shelf[dict[str, Any]]] = Shelf("document collection")


class Member(Body):
    """A document of a collection."""

    document_id: str


class NewCollection(Body):
    """What a collection is created from."""

    documents: list[Member]
    package_to: list[str] | None = None


def store_document(call: Call, data: bytes, media_type: str) -> dict[str, Any]:
    """Keep a new document; return its metadata."""
    document_id = str(uuid.uuid4())
    metadata = {
        "documentId": document_id,
        "mimeType": media_type,
        "createdAt": call.now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "documentHash": {"hash": hashlib.sha256(data).hexdigest(), "hashAlgorithm": "SHA256"},
    }
    call.mock.shelf(DOCUMENTS)[document_id] = Document(data, metadata)
    return metadata


def _create_document(call: Call) -> Result:
    if not call.data:
        raise invalid_param("body", "the document is empty")
    return store_document(call, call.data, call.media_type)


def _get_document(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    return web.Response(body=document.data, headers={"Content-Type": document.metadata["mimeType"]})


def _delete_document(call: Call) -> None:
    call.remove(DOCUMENTS)


def _get_metadata(call: Call) -> Result:
    return call.find(DOCUMENTS).metadata


def _patch_metadata(call: Call, wanted: dict[str, Any]) -> Result:
    metadata = call.find(DOCUMENTS).metadata
    metadata |= {name: value for name, value in wanted.items() if name not in metadata}
    return metadata


def _create_collection(call: Call, wanted: NewCollection) -> Result:
    if not wanted.documents:
        raise invalid_param("documents", "must name a document")
    for index, member in enumerate(wanted.documents):
        if member.document_id not in call.mock.shelf(DOCUMENTS):
            raise invalid_param(f"documents[{index}].documentId", "there is no such document")
    collection_id = str(uuid.uuid4())
    collection = {**wanted.given(), "id": collection_id, "output": {"packages": []}}
    call.mock.shelf(COLLECTIONS)[collection_id] = collection
    return collection


def _get_collection(call: Call) -> Result:
    return call.find(COLLECTIONS)


def _delete_collection(call: Call) -> None:
    call.remove(COLLECTIONS)


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/documents", _create_document, creates=True),
    endpoint("GET", "/documents/{id}", _get_document),
    endpoint("DELETE", "/documents/{id}", _delete_document, status=204),
    endpoint("GET", "/documents/{id}/metadata", _get_metadata),
    endpoint("PATCH", "/documents/{id}/metadata", _patch_metadata, takes=dict[str, Any]),
    endpoint(
        "POST",
        "/document-collections",
        _create_collection,
        takes=NewCollection,
        status=201,
        creates=True,
    ),
    endpoint("GET", "/document-collections/{id}", _get_collection),
    endpoint("DELETE", "/document-collections/{id}", _delete_collection, status=204),
)
