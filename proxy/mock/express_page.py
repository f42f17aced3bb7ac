"""The page that a signer's `url` leads to, and where its buttons lead."""

from typing import Final

from aiohttp import web

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.express_life import DOCUMENTS, Signer
from proxy.mock.express_parts import signer_of
from proxy.mock.page import page

__all__ = ["PAGES"]

_DECISIONS: Final = ("sign", "cancel")
_REDIRECTS: Final = frozenset(
    ("redirect", "iframe_with_redirect", "iframe_with_redirect_and_webmessaging")
)


def _signing_page(call: Call) -> Result:
    """Show the signer what is to be signed, and a button to sign and one to leave."""
    document = call.find(DOCUMENTS)
    signer = signer_of(call, document)
    status = document.status(call.now)
    can_sign = not signer.signed and status in {"unsigned", "partialsigned"}
    titles = (one.wanted.title or "" for one in document.attachments.values())
    return page(
        "sign",
        f"Document {document.id}: {status}",
        facts={
            "Title": document.wanted.title or "",
            "Signer": signer.wanted.external_signer_id or signer.id,
            "Attachments": ", ".join(titles),
            "Signatures": f"{len(document.signatures)} of {document.required_signatures}",
        },
        actions={word: f"{signer.id}/{word}" for word in _DECISIONS} if can_sign else {},
    )


def _decide(call: Call) -> Result:
    """Sign, or leave without: then the document waits on. What is signed stays signed."""
    document = call.find(DOCUMENTS)
    signer = signer_of(call, document)
    word = call.path["decision"]
    if word not in _DECISIONS:
        raise not_found("decision")
    if word == "sign":
        document.sign(signer, call.now)
    target = _target(signer)
    if target is None:
        return page("signed" if signer.signed else "not signed", "You can close this page.")
    return web.Response(status=302, headers={"Location": target})


def _target(signer: Signer) -> str | None:
    """Return where the signer's browser goes, None where it stays."""
    settings = signer.wanted.redirect_settings
    if settings is None or settings.redirect_mode not in _REDIRECTS:
        return None
    return settings.success if signer.signed else settings.cancel


PAGES: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/mock-express/{id}/{signer}", _signing_page),
    endpoint("POST", "/mock-express/{id}/{signer}/{decision}", _decide),
)
