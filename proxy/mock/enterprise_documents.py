"""MOCK of Enterprise Sign, documents: those of a session, and those in the archive."""

import secrets
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.state import Shelf

__all__ = ["ARCHIVE", "DOCUMENTS", "ENDPOINTS", "Document", "new_id"]


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was uploaded."""

    data: bytes
    media_type: str

    def reply(self) -> web.Response:
        """Return the response that is the document."""
        return web.Response(body=self.data, headers={"Content-Type": self.media_type})


DOCUMENTS: Final[Shelf[Document]] = Shelf("document")
ARCHIVE: Final[Shelf[Document]] = Shelf("archived document")


def new_id(call: Call) -> str:
    """Return an id of Signicat's form: the time, then letters and digits."""
    return f"{call.now:%d%m%y%H%M}{secrets.token_hex(24)}"


def _upload(call: Call) -> Result:
    if not call.data:
        raise invalid_param("body", "the document is empty")
    document_id = new_id(call)
    call.mock.shelf(DOCUMENTS)[document_id] = Document(call.data, call.media_type)
    return {"documentId": document_id}


def _of(path: str, shelf: Shelf[Document]) -> tuple[Endpoint, Endpoint]:
    """Return the endpoints that fetch and delete the documents of a shelf."""

    def get(call: Call) -> Result:
        return call.find(shelf).reply()

    def delete(call: Call) -> None:
        call.remove(shelf)

    return endpoint("GET", path, get), endpoint("DELETE", path, delete, status=204)


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/documents", _upload, creates=True),
    *_of("/documents/{id}", DOCUMENTS),
    *_of("/archive-documents/{id}", ARCHIVE),
)
