"""Express Sign: the life of a document, from its status to what is shown of it.

    waiting_for_attachments ──► unsigned ──► partialsigned ──► signed
              └──────────────────┴─────────────┴──► canceled, expired (after its deadline)

The status follows from what the document holds and what time it is; nothing stores it.
An `externalId` of `mock-success` has every signer sign after the first look at the
document or its status, one of `mock-abort` has it canceled, without a browser.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from proxy.mock.body import Body
from proxy.mock.express_body import NewAttachment, NewDocument
from proxy.mock.express_signer_body import NewSigner
from proxy.mock.state import Shelf

__all__ = ["DOCUMENTS", "Attachment", "ExpressDocument", "Signer", "changed"]

_LONGEST_LIFE: Final = timedelta(days=45)
_ENDED: Final = frozenset(("signed", "canceled", "expired"))
_MAGIC_SIGNED: Final = "mock-success"
_MAGIC_CANCELED: Final = "mock-abort"


def changed(model: Any, change: Body) -> Any:
    """Return a copy of what was sent, with what a change gives; null leaves a member as it is."""
    given = {
        name: value
        for name in type(change).model_fields
        if (value := getattr(change, name)) is not None
    }
    return model.model_copy(update=given)


@dataclass(slots=True)
class Signer:
    """A signer of a document; `signed` is when."""

    id: str
    wanted: NewSigner
    signed: datetime | None = None

    @property
    def signature(self) -> dict[str, Any]:
        """Return the signature as it is shown; an invented person's."""
        kind = self.wanted.signature_type
        methods = (kind.signature_methods if kind else None) or ["no_bankid"]
        info = self.wanted.signer_info
        first = (info.first_name if info else None) or "Kari"
        last = (info.last_name if info else None) or "Test"
        return {
            "signatureMethod": methods[0],
            "fullName": f"{first} {last}",
            "firstName": first,
            "lastName": last,
            "signedTime": self.signed.isoformat() if self.signed else None,
            "dateOfBirth": "310190",
            "signatureMethodUniqueId": "9578-6000-4-000000",
            "clientIp": "192.0.2.10",
            "mechanism": (kind.mechanism if kind else None) or "pkisignature",
            "personalInfoOrigin": "eid",
        }


@dataclass(slots=True)
class Attachment:
    """An attachment of a document."""

    id: str
    wanted: NewAttachment

    @property
    def is_signed_too(self) -> bool:
        """Say whether who signs the document signs this as well."""
        return self.wanted.type == "sign"


@dataclass(slots=True)
class ExpressDocument:
    """A document; whatever changes it says when."""

    id: str
    wanted: NewDocument
    created: datetime
    updated: datetime
    signers: dict[str, Signer] = field(default_factory=dict)
    attachments: dict[str, Attachment] = field(default_factory=dict)
    notifications: list[dict[str, str]] = field(default_factory=list)
    is_canceled: bool = False

    def add_signer(self, wanted: NewSigner, now: datetime) -> Signer:
        """Add a signer."""
        signer = Signer(str(uuid.uuid4()), wanted)
        self.signers[signer.id] = signer
        self.updated = now
        return signer

    def add_attachment(self, wanted: NewAttachment, now: datetime) -> Attachment:
        """Add an attachment."""
        attachment = Attachment(str(uuid.uuid4()), wanted)
        self.attachments[attachment.id] = attachment
        self.updated = now
        return attachment

    def sign(self, signer: Signer, now: datetime) -> None:
        """Have a signer sign, if the document can be signed."""
        if signer.signed is None and self.status(now) in {"unsigned", "partialsigned"}:
            signer.signed = self.updated = now

    def looked_at(self, now: datetime) -> None:
        """Sign or cancel it if its external id is magic: the application has seen it once."""
        if self.wanted.external_id == _MAGIC_SIGNED:
            for signer in self.signers.values():
                self.sign(signer, now)
        elif self.wanted.external_id == _MAGIC_CANCELED and not self.has_ended(now):
            self.is_canceled = True
            self.updated = now

    def status(self, now: datetime) -> str:
        """Return the status at a time."""
        if self.is_canceled:
            return "canceled"
        if self.signatures and len(self.signatures) >= self.required_signatures:
            return "signed"
        if now >= self.deadline:
            return "expired"
        advanced = self.wanted.advanced
        if len(self.attachments) < ((advanced and advanced.attachments) or 0):
            return "waiting_for_attachments"
        return "partialsigned" if self.signatures else "unsigned"

    def has_ended(self, now: datetime) -> bool:
        """Say whether nobody can sign it any more."""
        return self.status(now) in _ENDED

    @property
    def signatures(self) -> list[Signer]:
        """Return the signers that have signed."""
        return [signer for signer in self.signers.values() if signer.signed]

    @property
    def required_signatures(self) -> int:
        """Return how many must sign: all, unless the document says another number."""
        advanced = self.wanted.advanced
        return (advanced and advanced.required_signatures) or len(self.signers)

    @property
    def deadline(self) -> datetime:
        """Return until when it can be signed: at most 45 days from its creation."""
        advanced = self.wanted.advanced
        life = advanced.time_to_live if advanced else None
        return (life and life.deadline) or self.created + _LONGEST_LIFE

    def packages(self, now: datetime) -> list[str]:
        """Return the formats in which the signed document can be fetched."""
        if self.status(now) != "signed":
            return []
        data = self.wanted.data_to_sign
        packaging = data.packaging if data else None
        formats = (packaging and packaging.signature_package_formats) or ["pades"]
        return ["standard_packaging", *dict.fromkeys(formats)]

    def attachment_packages(self, now: datetime) -> Mapping[str, list[str]]:
        """Return the same for each attachment that is signed too, by its id."""
        packages = self.packages(now)
        signed = (one.id for one in self.attachments.values() if one.is_signed_too)
        return dict.fromkeys(signed, packages) if packages else {}


DOCUMENTS: Final[Shelf[ExpressDocument]] = Shelf("document")
