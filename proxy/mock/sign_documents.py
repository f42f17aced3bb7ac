"""MOCK of the Sign API v2, its documents: they come back byte for byte.

To delete one is in `proxy.mock.sign`, which knows the sessions that may need it.
"""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.sign_body import Description
from proxy.mock.state import Shelf

__all__ = ["DOCUMENTS", "ENDPOINTS", "PDF", "Document", "store_document"]

PDF: Final = "application/pdf"
_CAN_BE_SIGNED: Final = frozenset((PDF, "text/plain", "text/markdown"))


@dataclass(slots=True)
class Document:
    """A document as it was uploaded, and what is known of it."""

    data: bytes
    metadata: dict[str, Any]

    @property
    def media_type(self) -> str:
        """Return what the bytes are."""
        return str(self.metadata["mimeType"])


DOCUMENTS: Final[Shelf[Document]] = Shelf("document")


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


def _create(call: Call) -> Result:
    if call.media_type not in _CAN_BE_SIGNED:
        known = ", ".join(sorted(_CAN_BE_SIGNED))
        raise invalid_param("Content-Type", f"must be one of {known}")
    if not call.data:
        raise invalid_param("body", "the document is empty")
    return store_document(call, call.data, call.media_type)


def _get(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    return web.Response(body=document.data, headers={"Content-Type": document.media_type})


def _get_metadata(call: Call) -> Result:
    return call.find(DOCUMENTS).metadata


def _patch_metadata(call: Call, wanted: Description) -> Result:
    metadata = call.find(DOCUMENTS).metadata
    metadata |= wanted.given()
    return metadata


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/documents", _create, creates=True),
    endpoint("GET", "/documents/{id}", _get),
    endpoint("GET", "/documents/{id}/metadata", _get_metadata),
    endpoint("PATCH", "/documents/{id}/metadata", _patch_metadata, takes=Description),
)
