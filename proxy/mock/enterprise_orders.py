"""MOCK of Enterprise Sign, orders: their tasks, and what becomes of them on a page of the mock."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from aiohttp import web

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.enterprise_body import NewOrder, missing_values, repeated_ids
from proxy.mock.enterprise_documents import ARCHIVE, DOCUMENTS, new_id
from proxy.mock.errors import ApiError, InvalidParam, not_found
from proxy.mock.page import page
from proxy.mock.state import Shelf

__all__ = ["ENDPOINTS", "ORDERS", "PAGES", "Order", "Task", "found_task"]

_DAYS: Final = 30
_ENDED: Final = {"complete": "COMPLETED", "reject": "REJECTED"}
_REDIRECTS: Final = {
    "complete": "onTaskComplete",
    "reject": "onTaskReject",
    "postpone": "onTaskPostpone",
}


@dataclass(slots=True)
class Task:
    """A task as it was ordered, and how it stands; `ended_by` is the word that ended it."""

    wanted: dict[str, Any]
    ended_by: str = ""
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def status(self) -> str:
        """Return the status as the API names it."""
        return _ENDED.get(self.ended_by, "CREATED")

    @property
    def documents(self) -> list[dict[str, Any]]:
        """Return the documents as they were ordered."""
        return list(self.wanted.get("documents", []))

    def note(self, call: Call, kind: str, data: str | None = None) -> None:
        """Remember that something happened."""
        # The offset has no colon here, and nowhere else.
        time = f"{call.now:%Y-%m-%dT%H:%M:%S}+0000"
        self.events.append({"eventType": kind, "eventTime": time, "data": data})


@dataclass(slots=True)
class Order:
    """An order as responses have it, and its tasks by id."""

    shown: dict[str, Any]
    tasks: dict[str, Task]


ORDERS: Final[Shelf[Order]] = Shelf("order")


def _unknown_documents(call: Call, order: NewOrder) -> Iterator[InvalidParam]:
    """Yield each document of a task that nobody has uploaded."""
    known = call.mock.shelf(DOCUMENTS)
    for number, task in enumerate(order.tasks):
        for index, document in enumerate(task.documents or []):
            if document.source == "SESSION" and (document.document_ref or "") not in known:
                place = f"tasks[{number}].documents[{index}].documentRef"
                yield InvalidParam(place, "There is no such document")


def _create(call: Call, wanted: NewOrder) -> Result:
    """Create an order: what was asked for, without nulls, with ids and where to sign."""
    invalid = (*repeated_ids(wanted), *missing_values(wanted), *_unknown_documents(call, wanted))
    if invalid:
        raise ApiError(400, "the order is not valid", invalid=invalid)
    order_id = new_id(call)
    shown = {"daysUntilDeletion": _DAYS, **wanted.given(), "id": order_id}
    tasks = {}
    for ordered in shown["tasks"]:
        for thing in (ordered, *ordered.get("documents", [])):
            thing.setdefault("id", str(uuid.uuid4()))
        ordered.setdefault("daysToLive", _DAYS)
        path = f"/mock-enterprise-sign/{order_id}/{quote(ordered['id'], safe='')}"
        ordered["signingUrl"] = call.base_url + path
        tasks[ordered["id"]] = _new_task(call, ordered)
    for packaging in shown.get("packagingTasks", []):
        packaging.setdefault("id", str(uuid.uuid4()))
    call.mock.shelf(ORDERS)[order_id] = Order(shown, tasks)
    return shown


def _new_task(call: Call, ordered: dict[str, Any]) -> Task:
    task = Task(ordered)
    task.note(call, "TASK_CREATED")
    for notification in ordered.get("notifications", []):
        moments = [item.get("triggerStatus") for item in notification.get("schedule", [])]
        if "CREATED" in moments:
            task.note(call, "NOTIFICATION_SENT", notification.get("recipient"))
    return task


def _get(call: Call) -> Result:
    return call.find(ORDERS).shown


def _delete(call: Call) -> None:
    """Delete an order; the documents of the session stay."""
    call.remove(ORDERS)


def found_task(call: Call) -> Task:
    """Return the task that the path names; raise `ApiError` 404."""
    task = call.find(ORDERS).tasks.get(call.path["task"])
    if task is None:
        raise not_found("task")
    return task


def _page(call: Call) -> Result:
    task = found_task(call)
    return page(
        "enterprise sign",
        f"Task {call.path['task']}: {task.status}",
        facts={d["id"]: d.get("description", "") for d in task.documents},
        actions={
            word: f"{quote(call.path['task'], safe='')}/{word}"
            for word in _REDIRECTS
            if not task.ended_by
        },
    )


def _decide(call: Call) -> Result:
    """Complete, reject or postpone a task, and send the browser back.

    A task that has ended stays as it is: the browser goes to where its end led.
    """
    task = found_task(call)
    word = call.path["decision"]
    if word not in _REDIRECTS:
        raise not_found("decision")
    if word in _ENDED and not task.ended_by:
        _end(call, task, word)
    target = task.wanted.get(_REDIRECTS[task.ended_by or word])
    if target is None:
        return page(task.status, "You can close this page.")
    return web.Response(status=302, headers={"Location": target})


def _end(call: Call, task: Task, word: str) -> None:
    task.ended_by = word
    for document in task.documents if word == "complete" else []:
        task.note(call, "DOCUMENT_SIGNED", document["id"])
        uploaded = call.mock.shelf(DOCUMENTS).get(document.get("documentRef", ""))
        if uploaded is not None and document.get("sendResultToArchive"):
            call.mock.shelf(ARCHIVE)[document["id"]] = uploaded
    task.note(call, f"TASK_{task.status}")


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("POST", "/orders", _create, takes=NewOrder, creates=True),
    endpoint("GET", "/orders/{id}", _get),
    endpoint("DELETE", "/orders/{id}", _delete, status=204),
)
PAGES: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", "/mock-enterprise-sign/{id}/{task}", _page),
    endpoint("POST", "/mock-enterprise-sign/{id}/{task}/{decision}", _decide),
)
