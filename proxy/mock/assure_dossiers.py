"""MOCK of Assure, dossiers: what is checked of one person, and the pictures of it."""

import base64
import binascii
import re
import uuid
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from proxy.mock.body import Body
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import invalid_param, not_found
from proxy.mock.state import Shelf

__all__ = ["DOSSIERS", "DOSSIER_PATH", "ENDPOINTS", "Dossier", "Process", "as_time"]

DOSSIER_PATH: Final = "/dossiers/{dossier}"
_FILE_PATH: Final = DOSSIER_PATH + "/files/{file}"
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", re.ASCII | re.DOTALL)
_FINAL_RESULT: Final = {
    "firstName": "Kari",
    "lastName": "Test",
    "dateOfBirth": "1990-01-31",
    "nationality": "NOR",
    "issuingCountry": "NOR",
    "documentNumber": "AA0000000",
    "personalIdentificationNumber": "31019000000",
}


@dataclass(slots=True)
class Process:
    """A check by one provider; `coming` are the statuses that the next looks at it will see."""

    provider: str
    process_type: str | None
    created_at: str
    updated_at: str
    status: str = "pending"
    coming: list[str] = field(default_factory=list)
    process_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def move(self, now: str) -> None:
        """Take the next status, if there is one to come."""
        if self.coming:
            self.status, self.updated_at = self.coming.pop(0), now

    def shown(self) -> dict[str, Any]:
        """Return the process as responses have it: a result once it is accepted."""
        known: dict[str, Any] = {
            "provider": self.provider,
            "status": self.status,
            "processId": self.process_id,
            "createdAt": self.created_at,
            "updatedAt": self.updated_at,
        }
        if self.process_type is not None:
            known["processType"] = self.process_type
        if self.status == "accepted":
            known["finalResult"] = _FINAL_RESULT
        return known


@dataclass(slots=True)
class Dossier:
    """Processes by id, and files by name: media type and bytes."""

    dossier_id: str
    reference: str | None
    created_at: str
    processes: dict[str, Process] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """Return the dossier as responses have it."""
        reference = {} if self.reference is None else {"externalReference": self.reference}
        return {
            "dossierId": self.dossier_id,
            **reference,
            "createdAt": self.created_at,
            "processes": [process.shown() for process in self.processes.values()],
            "files": list(self.files),
        }


DOSSIERS: Final[Shelf[Dossier]] = Shelf("dossier")


class NewDossier(Body):
    """What a dossier is created from."""

    external_reference: str | None = None


class NewFiles(Body):
    """Pictures as data URLs."""

    front: str | None = None
    back: str | None = None
    selfie: str | None = None


def as_time(call: Call) -> str:
    """Return the mock's time as Assure writes it."""
    return f"{call.now:%Y-%m-%dT%H:%M:%SZ}"


def _create(call: Call, wanted: NewDossier) -> Result:
    dossier = Dossier(str(uuid.uuid4()), wanted.external_reference, as_time(call))
    call.mock.shelf(DOSSIERS)[dossier.dossier_id] = dossier
    return dossier.shown()


def _list(call: Call) -> Result:
    return [dossier.shown() for dossier in call.mock.shelf(DOSSIERS).values()]


def _get(call: Call) -> Result:
    return call.find(DOSSIERS, "dossier").shown()


def _delete(call: Call) -> None:
    call.remove(DOSSIERS, "dossier")


def _picture(name: str, text: str) -> tuple[str, bytes]:
    """Return media type and bytes of a data URL; raise `ApiError` 400."""
    match = _DATA_URL.fullmatch(text)
    try:
        data = base64.b64decode(match[2], validate=True) if match else b""
    except (binascii.Error, ValueError):
        data = b""
    if not match or not data:
        raise invalid_param(name, "must be data:image/…;base64,…")
    return match[1], data


def _add_files(call: Call, wanted: NewFiles) -> Result:
    dossier = call.find(DOSSIERS, "dossier")
    given = wanted.given()
    if not given:
        raise invalid_param("body", "must have front, back or selfie")
    dossier.files |= {name: _picture(name, text) for name, text in given.items()}
    return dossier.shown()


def _found_file(call: Call) -> tuple[Dossier, str]:
    dossier = call.find(DOSSIERS, "dossier")
    if call.path["file"] not in dossier.files:
        raise not_found("file")
    return dossier, call.path["file"]


def _get_file(call: Call) -> Result:
    dossier, name = _found_file(call)
    media_type, data = dossier.files[name]
    return web.Response(body=data, headers={"Content-Type": media_type})


def _delete_file(call: Call) -> None:
    dossier, name = _found_file(call)
    del dossier.files[name]


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/dossiers", _create, takes=NewDossier, creates=True),
    endpoint("GET", "/dossiers", _list),
    endpoint("GET", DOSSIER_PATH, _get),
    endpoint("DELETE", DOSSIER_PATH, _delete, status=204),
    endpoint("POST", DOSSIER_PATH + "/files", _add_files, takes=NewFiles, creates=True),
    endpoint("GET", _FILE_PATH, _get_file),
    endpoint("DELETE", _FILE_PATH, _delete_file, status=204),
)
