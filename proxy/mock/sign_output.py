"""MOCK of the Sign API v2: what comes of signing, a signed document for each, and packages.

A PDF becomes a PDF (PAdES), a text becomes XML (XAdES). Neither has a signature, and both
say so: they are there to be fetched, stored and opened.
"""

import base64
import uuid
from typing import Any, Final

from proxy.mock.endpoint import Call
from proxy.mock.pdf import pdf
from proxy.mock.sign_body import ToSign
from proxy.mock.sign_documents import DOCUMENTS, PDF, Document, store_document

__all__ = ["new_package", "signature_of"]

_XML: Final = "application/xml"
_XADES: Final = """<?xml version="1.0" encoding="UTF-8"?>
<Signature xmlns="http://www.w3.org/2000/09/xmldsig#"><!-- MOCK: not a signature -->
<SignedInfo><Reference URI="{uri}"><DigestMethod Algorithm="{algorithm}"/>\
<DigestValue>{digest}</DigestValue></Reference></SignedInfo>
</Signature>
"""
_SHA256: Final = "http://www.w3.org/2001/04/xmlenc#sha256"


def signature_of(call: Call, item: ToSign, session_id: str, title: str) -> dict[str, Any] | None:
    """Sign one document of a session; None for one that is only viewed."""
    if item.action != "SIGN":
        return None
    # It is there: what a session can still sign is not deleted.
    original = call.mock.shelf(DOCUMENTS)[item.document_id]
    is_pdf = original.media_type == PDF
    data = _pades(original, session_id, title) if is_pdf else _xades(original)
    result = store_document(call, data, PDF if is_pdf else _XML)
    return {
        "originalDocumentId": item.document_id,
        "resultDocumentId": result["documentId"],
        "documentCollectionId": item.document_collection_id,
        "signatureType": "PADES" if is_pdf else "XADES",
    }


def _pades(original: Document, session_id: str, title: str) -> bytes:
    return pdf(
        (
            "Signed document",
            f"Title: {title}",
            f"Signing session: {session_id}",
            f"Document: {original.metadata['documentId']}",
            f"SHA-256: {original.metadata['documentHash']['hash']}",
        )
    )


def _xades(original: Document) -> bytes:
    digest = bytes.fromhex(original.metadata["documentHash"]["hash"])
    text = _XADES.format(
        uri=original.metadata["documentId"],
        algorithm=_SHA256,
        digest=base64.b64encode(digest).decode("ascii"),
    )
    return text.encode("utf-8")


def new_package(call: Call, signatures: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put signed PDFs into one; return the package in a list, or none where there is no PDF."""
    signed = [s["resultDocumentId"] for s in signatures if s["signatureType"] == "PADES"]
    if not signed:
        return []
    lines = ("Package", *(f"Signed document: {document_id}" for document_id in signed))
    result = store_document(call, pdf(lines), PDF)
    return [
        {
            "packageId": str(uuid.uuid4()),
            "packageType": "PADES_CONTAINER",
            "resultDocumentId": result["documentId"],
        }
    ]
