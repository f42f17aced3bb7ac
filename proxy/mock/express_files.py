"""MOCK of Express Sign: files, as they were sent and as they are signed."""

from pathlib import PurePosixPath
from typing import Final

from aiohttp import web

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.express_body import decoded
from proxy.mock.express_life import DOCUMENTS, Attachment, ExpressDocument, Signer
from proxy.mock.express_parts import attachment_of, signer_of
from proxy.mock.express_signer_body import FileFormat
from proxy.mock.pdf import pdf_reply

__all__ = ["ENDPOINTS"]

_PDF: Final = b"%PDF-"
_MEDIA_TYPES: Final = {".pdf": "application/pdf", ".txt": "text/plain", ".xml": "application/xml"}
_UNKNOWN_TYPE: Final = "application/octet-stream"


class Wanted(Body):
    """In which format a file is wanted; its name is the client's matter."""

    file_format: FileFormat
    original_file_name: str | None = None


def _original(data: bytes, name: str | None, *, converts: bool | None) -> web.Response:
    """Return a file as it was sent; or the PDF that was made of it, if that was asked for."""
    if converts and not data.startswith(_PDF):
        return pdf_reply(data.decode("utf-8", "replace").splitlines())
    kind = _MEDIA_TYPES.get(PurePosixPath(name or "").suffix.lower(), _UNKNOWN_TYPE)
    return web.Response(body=data, content_type=kind)


def _signed(call: Call, document: ExpressDocument, what: str, signers: list[Signer]) -> Result:
    """Return what this mock has for a signed file: a PDF that says who signed what."""
    lines = [what, f"Document {document.id}: {document.status(call.now)}", ""]
    for signer in signers:
        signature = signer.signature
        lines.append(f"Signed by {signature['fullName']}, {signature['signedTime']}")
    return pdf_reply(lines)


def _document_file(call: Call, wanted: Wanted) -> Result:
    document = call.find(DOCUMENTS)
    if wanted.file_format != "unsigned":
        if wanted.file_format not in document.packages(call.now):
            raise not_found("file in that format")
        return _signed(call, document, document.wanted.title or "", document.signatures)
    data = document.wanted.data_to_sign
    if data is None or not data.base64_content:
        raise not_found("file")
    content = decoded(data.base64_content)
    return _original(content, data.file_name, converts=data.convert_to_pdf)


def _signer_file(call: Call, wanted: Wanted) -> Result:
    """Return the document with one signature, which is there once that signer has signed."""
    document = call.find(DOCUMENTS)
    signer = signer_of(call, document)
    if wanted.file_format == "unsigned":
        return _document_file(call, wanted)
    if not signer.signed:
        raise not_found("file in that format")
    return _signed(call, document, document.wanted.title or "", [signer])


def _attachment_file(call: Call, wanted: Wanted) -> Result:
    document = call.find(DOCUMENTS)
    attachment = attachment_of(call, document)
    if wanted.file_format == "unsigned":
        return _original_attachment(attachment)
    packages = document.attachment_packages(call.now).get(attachment.id, [])
    if wanted.file_format not in packages:
        raise not_found("file in that format")
    return _signed(call, document, attachment.wanted.title or "", document.signatures)


def _attachment_file_of_signer(call: Call, wanted: Wanted) -> Result:
    document = call.find(DOCUMENTS)
    attachment, signer = attachment_of(call, document), signer_of(call, document)
    if wanted.file_format == "unsigned":
        return _original_attachment(attachment)
    if not signer.signed or not attachment.is_signed_too:
        raise not_found("file in that format")
    return _signed(call, document, attachment.wanted.title or "", [signer])


def _original_attachment(attachment: Attachment) -> web.Response:
    wanted = attachment.wanted
    return _original(decoded(wanted.data), wanted.file_name, converts=wanted.convert_to_pdf)


_FILES: Final = "/documents/{id}/files"

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", _FILES, _document_file, takes=Wanted),
    endpoint("GET", _FILES + "/signers/{signer}", _signer_file, takes=Wanted),
    endpoint("GET", _FILES + "/attachments/{attachment}", _attachment_file, takes=Wanted),
    endpoint(
        "GET",
        _FILES + "/attachments/{attachment}/signers/{signer}",
        _attachment_file_of_signer,
        takes=Wanted,
    ),
)
