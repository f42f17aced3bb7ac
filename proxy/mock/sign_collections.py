"""MOCK of the Sign API v2, its collections: documents that are signed, and packaged, together."""

import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param
from proxy.mock.sign_body import NewCollection
from proxy.mock.sign_documents import DOCUMENTS
from proxy.mock.state import Shelf

__all__ = ["COLLECTIONS", "ENDPOINTS", "Collection"]


@dataclass(slots=True)
class Collection:
    """A collection; once it has packages, nothing more can be signed in it."""

    collection_id: str
    wanted: NewCollection
    packages: list[dict[str, Any]] = field(default_factory=list)

    def has(self, document_id: str) -> bool:
        """Say whether a document is in it."""
        return any(member.document_id == document_id for member in self.wanted.documents)

    def as_json(self) -> dict[str, Any]:
        """Return it as the API does."""
        own = {"id": self.collection_id, "output": {"packages": self.packages}}
        return self.wanted.given() | own


COLLECTIONS: Final[Shelf[Collection]] = Shelf("document collection")


def _create(call: Call, wanted: NewCollection) -> Result:
    for index, member in enumerate(wanted.documents):
        if member.document_id not in call.mock.shelf(DOCUMENTS):
            raise invalid_param(f"documents[{index}].documentId", "there is no such document")
    collection = Collection(str(uuid.uuid4()), wanted)
    call.mock.shelf(COLLECTIONS)[collection.collection_id] = collection
    return collection.as_json()


def _get(call: Call) -> Result:
    return call.find(COLLECTIONS).as_json()


def _delete(call: Call) -> None:
    call.remove(COLLECTIONS)


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint(
        "POST",
        "/document-collections",
        _create,
        takes=NewCollection,
        status=201,
        creates=True,
    ),
    endpoint("GET", "/document-collections/{id}", _get),
    endpoint("DELETE", "/document-collections/{id}", _delete, status=204),
)
