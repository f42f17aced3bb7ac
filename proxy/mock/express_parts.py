"""MOCK of Express Sign: the signers and the attachments of a document."""

from typing import Final

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.express_body import REQUIRED, NewAttachment
from proxy.mock.express_documents import open_document
from proxy.mock.express_life import DOCUMENTS, Attachment, ExpressDocument, Signer, changed
from proxy.mock.express_signer_body import NewSigner
from proxy.mock.express_view import attachment_as_json, signer_as_json

__all__ = ["ENDPOINTS", "attachment_of", "signer_of"]


def signer_of(call: Call, document: ExpressDocument) -> Signer:
    """Return the signer that the path names; raise `ApiError` 404 where there is none."""
    signer = document.signers.get(call.path["signer"])
    if signer is None:
        raise not_found("signer")
    return signer


def attachment_of(call: Call, document: ExpressDocument) -> Attachment:
    """Return the attachment that the path names; raise `ApiError` 404 where there is none."""
    attachment = document.attachments.get(call.path["attachment"])
    if attachment is None:
        raise not_found("attachment")
    return attachment


def _list_signers(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    return [signer_as_json(call, document, signer) for signer in document.signers.values()]


def _add_signer(call: Call, wanted: NewSigner) -> Result:
    document = open_document(call)
    return signer_as_json(call, document, document.add_signer(wanted, call.now))


def _get_signer(call: Call) -> Result:
    document = call.find(DOCUMENTS)
    return signer_as_json(call, document, signer_of(call, document))


def _change_signer(call: Call, change: NewSigner) -> Result:
    document = open_document(call)
    signer = signer_of(call, document)
    signer.wanted = changed(signer.wanted, change)
    document.updated = call.now
    return signer_as_json(call, document, signer)


def _remove_signer(call: Call) -> None:
    document = open_document(call)
    del document.signers[signer_of(call, document).id]
    document.updated = call.now


def _list_attachments(call: Call) -> Result:
    return [attachment_as_json(one) for one in call.find(DOCUMENTS).attachments.values()]


def _add_attachment(call: Call, wanted: NewAttachment) -> Result:
    document = open_document(call)
    for name, text in (("title", wanted.title), ("fileName", wanted.file_name)):
        if not text:
            raise invalid_param(name, REQUIRED)
    _check_signers(document, wanted)
    return attachment_as_json(document.add_attachment(wanted, call.now))


def _check_signers(document: ExpressDocument, wanted: NewAttachment) -> None:
    for index, name in enumerate(wanted.signers or ()):
        if name not in document.signers:
            raise invalid_param(f"signers[{index}]", "is none of the document's")


def _get_attachment(call: Call) -> Result:
    return attachment_as_json(attachment_of(call, call.find(DOCUMENTS)))


def _change_attachment(call: Call, change: NewAttachment) -> Result:
    document = open_document(call)
    attachment = attachment_of(call, document)
    _check_signers(document, change)
    attachment.wanted = changed(attachment.wanted, change)
    document.updated = call.now
    return attachment_as_json(attachment)


def _remove_attachment(call: Call) -> None:
    document = open_document(call)
    del document.attachments[attachment_of(call, document).id]
    document.updated = call.now


_SIGNERS: Final = "/documents/{id}/signers"
_ATTACHMENTS: Final = "/documents/{id}/attachments"

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", _SIGNERS, _list_signers),
    endpoint("POST", _SIGNERS, _add_signer, takes=NewSigner, creates=True),
    endpoint("GET", _SIGNERS + "/{signer}", _get_signer),
    endpoint("PATCH", _SIGNERS + "/{signer}", _change_signer, takes=NewSigner),
    endpoint("DELETE", _SIGNERS + "/{signer}", _remove_signer, status=204),
    endpoint("GET", _ATTACHMENTS, _list_attachments),
    endpoint("POST", _ATTACHMENTS, _add_attachment, takes=NewAttachment, creates=True),
    endpoint("GET", _ATTACHMENTS + "/{attachment}", _get_attachment),
    endpoint("PATCH", _ATTACHMENTS + "/{attachment}", _change_attachment, takes=NewAttachment),
    endpoint("DELETE", _ATTACHMENTS + "/{attachment}", _remove_attachment, status=204),
)
