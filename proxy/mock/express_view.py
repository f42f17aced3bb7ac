"""Express Sign: what is shown of documents, signers and attachments."""

from typing import Any

from proxy.mock.endpoint import Call
from proxy.mock.express_life import Attachment, ExpressDocument, Signer

__all__ = [
    "attachment_as_json",
    "document_as_json",
    "signer_as_json",
    "status_as_json",
    "summary_as_json",
]


def status_as_json(call: Call, document: ExpressDocument) -> dict[str, Any]:
    """Return the status of a document, and what of it can be fetched."""
    return {
        "documentStatus": document.status(call.now),
        "completedPackages": document.packages(call.now),
        "attachmentPackages": document.attachment_packages(call.now),
    }


def document_as_json(call: Call, document: ExpressDocument) -> dict[str, Any]:
    """Return a document: what was sent, and what the service knows of it."""
    return {
        **document.wanted.given(),
        "documentId": document.id,
        "signers": [signer_as_json(call, document, one) for one in document.signers.values()],
        "status": status_as_json(call, document),
        "links": [],
    }


def signer_as_json(call: Call, document: ExpressDocument, signer: Signer) -> dict[str, Any]:
    """Return a signer: what was sent, the URL to sign at, and the signature if there is one."""
    shown = {
        **signer.wanted.given(),
        "id": signer.id,
        "url": f"{call.base_url}/mock-express/{document.id}/{signer.id}",
        "links": [],
    }
    return shown | ({"documentSignature": signer.signature} if signer.signed else {})


def attachment_as_json(attachment: Attachment) -> dict[str, Any]:
    """Return an attachment: what was sent, and its id."""
    return {**attachment.wanted.given(), "id": attachment.id}


def summary_as_json(call: Call, document: ExpressDocument) -> dict[str, Any]:
    """Return a document in short: ids in place of what they stand for.

    There is no account: the official SDK reads a GUID there, which the
    accounts of today are not.
    """
    wanted, signatures = document.wanted, document.signatures
    texts = {"title": wanted.title, "description": wanted.description}
    texts["externalId"] = wanted.external_id
    shown = {
        "documentId": document.id,
        **{name: text for name, text in texts.items() if text is not None},
        "created": document.created.isoformat(),
        "lastUpdated": document.updated.isoformat(),
        "deadline": document.deadline.isoformat(),
        "status": status_as_json(call, document),
        "documentSignatures": [_summary_of(signer) for signer in signatures],
        "requiredSignatures": document.required_signatures,
        "currentSignatures": len(signatures),
        "tags": (wanted.advanced.tags if wanted.advanced else None) or [],
        "attachments": list(document.attachments),
        "signers": list(document.signers),
    }
    if document.status(call.now) == "signed":
        shown["signedDate"] = max(one.signed for one in signatures if one.signed).isoformat()
    return shown


def _summary_of(signer: Signer) -> dict[str, Any]:
    shown = {**signer.signature, "signerId": signer.id}
    external_id = signer.wanted.external_signer_id
    return shown if external_id is None else shown | {"externalSignerId": external_id}
