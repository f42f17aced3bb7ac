"""MOCK of Assure, processes: a check goes its way by itself, or on a page of the mock.

A process that is started by itself is `pending`, then `processing`, then
`accepted`, a step at each look. One that a capture started waits for the
browser, unless the dossier's `externalReference` says how it ends.
"""

import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Final

from aiohttp import web
from pydantic import Field

from proxy.mock.assure_dossiers import DOSSIER_PATH, DOSSIERS, Dossier, Process, as_time
from proxy.mock.body import Body, Url
from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.errors import not_found
from proxy.mock.page import page
from proxy.mock.redirect import with_parameter
from proxy.mock.state import Shelf

__all__ = ["ENDPOINTS", "PAGES"]

_MAGIC: Final = {"mock-accepted": "accepted", "mock-rejected": "rejected"}
_BUTTONS: Final = {"accept": "accepted", "reject": "rejected"}
_PROCESS_PATH: Final = DOSSIER_PATH + "/processes/{process}"


@dataclass(frozen=True, slots=True)
class Capture:
    """Pictures that a browser is to take, for one process or several."""

    dossier: Dossier
    processes: tuple[Process, ...]
    redirect_url: str

    @property
    def waits(self) -> bool:
        """Say whether a process still waits for the pictures."""
        return any(process.status == "pending" for process in self.processes)


CAPTURES: Final[Shelf[Capture]] = Shelf("capture")


class NewProcess(Body):
    """What a process is started from; the mock calls nobody back."""

    provider: str
    process_type: str
    notification_url: Url | None = None
    authorization_header: str | None = None


class Provider(Body):
    """Who checks what the browser takes."""

    provider: str
    process_type: str | None = None


class NewCapture(Body):
    """What a capture is started from."""

    providers: Annotated[list[Provider], Field(min_length=1, max_length=10)]
    redirect_url: Url
    sdk: str | None = None
    request_domain: str | None = None
    capture_parameters: dict[str, Any] | None = None
    notification_url: Url | None = None
    authorization_header: str | None = None


def _started(
    call: Call, dossier: Dossier, wanted: NewProcess | Provider, coming: list[str]
) -> Process:
    now = as_time(call)
    process = Process(wanted.provider, wanted.process_type, now, now, coming=coming)
    dossier.processes[process.process_id] = process
    return process


def _create(call: Call, wanted: NewProcess) -> Result:
    dossier = call.find(DOSSIERS, "dossier")
    outcome = _MAGIC.get(dossier.reference or "", "accepted")
    return _started(call, dossier, wanted, ["processing", outcome]).shown()


def _found(call: Call) -> tuple[Dossier, Process]:
    dossier = call.find(DOSSIERS, "dossier")
    process = dossier.processes.get(call.path["process"])
    if process is None:
        raise not_found("process")
    return dossier, process


def _get(call: Call) -> Result:
    """Return a process as it is; the next look sees its next status."""
    _, process = _found(call)
    seen = process.shown()
    process.move(as_time(call))
    return seen


def _delete(call: Call) -> None:
    dossier, process = _found(call)
    del dossier.processes[process.process_id]


def _capture(call: Call, wanted: NewCapture) -> Result:
    """Start a process for each provider; `url` is where the browser goes."""
    dossier = call.find(DOSSIERS, "dossier")
    outcome = _MAGIC.get(dossier.reference or "")
    processes = [
        _started(call, dossier, provider, ["processing", outcome] if outcome else [])
        for provider in wanted.providers
    ]
    capture_id = str(uuid.uuid4())
    call.mock.shelf(CAPTURES)[capture_id] = Capture(dossier, tuple(processes), wanted.redirect_url)
    return {
        **_ids(dossier, processes),
        "url": f"{call.base_url}/mock-capture/{capture_id}",
        "redirectUrl": wanted.redirect_url,
    }


def _ids(dossier: Dossier, processes: list[Process] | tuple[Process, ...]) -> dict[str, str]:
    """Return the dossier's id, and the process's where there is only one."""
    ids = {"dossierId": dossier.dossier_id}
    return ids | {"processId": processes[0].process_id} if len(processes) == 1 else ids


def _page(call: Call) -> Result:
    capture = call.find(CAPTURES, "capture")
    return page(
        "capture",
        "Pretend that the pictures were taken.",
        facts={process.provider: process.status for process in capture.processes},
        actions={word: f"{call.path['capture']}/{word}" for word in _BUTTONS if capture.waits},
    )


def _decide(call: Call) -> Result:
    """Let the processes that wait go on, and send the browser back."""
    capture = call.find(CAPTURES, "capture")
    outcome = _BUTTONS.get(call.path["decision"])
    if outcome is None:
        raise not_found("decision")
    for process in capture.processes:
        if process.status == "pending":
            process.coming = ["processing", outcome]
            process.move(as_time(call))
    location = capture.redirect_url
    parameters = {**_ids(capture.dossier, capture.processes), "status": "processing"}
    for name, value in parameters.items():
        location = with_parameter(location, name, value)
    return web.Response(status=302, headers={"Location": location})


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", DOSSIER_PATH + "/processes", _create, takes=NewProcess, creates=True),
    endpoint("GET", _PROCESS_PATH, _get),
    endpoint("DELETE", _PROCESS_PATH, _delete, status=204),
    endpoint("POST", DOSSIER_PATH + "/capture", _capture, takes=NewCapture, creates=True),
)
PAGES: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/mock-capture/{capture}", _page),
    endpoint("POST", "/mock-capture/{capture}/{decision}", _decide),
)
