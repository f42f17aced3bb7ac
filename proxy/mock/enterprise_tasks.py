"""MOCK of Enterprise Sign, what can be read of an order's tasks: status, events, documents."""

from typing import Any, Final
from urllib.parse import quote

from proxy.mock.endpoint import Call, Endpoint, Result, endpoint
from proxy.mock.enterprise_documents import DOCUMENTS
from proxy.mock.enterprise_orders import ORDERS, Order, Task, found_task
from proxy.mock.errors import not_found

__all__ = ["ENDPOINTS"]

_PREFIX: Final = "/enterprise/sign"
_TASK: Final = "/orders/{id}/tasks/{task}"
_DOCUMENT: Final = _TASK + "/documents/{document}"
_PACKAGING: Final = "/orders/{id}/packaging-tasks/{packaging}"
_COMPLETED: Final = "COMPLETED"


def _status(call: Call) -> Result:
    order, task = call.find(ORDERS), found_task(call)
    order_id, task_id = call.path["id"], call.path["task"]
    path = f"{_PREFIX}/orders/{order_id}/tasks/{quote(task_id, safe='')}/documents"
    status: dict[str, Any] = {
        "orderId": order_id,
        "taskId": task_id,
        "taskStatus": task.status,
        "documents": [
            _document_status(call.base_url + path, document["id"], task)
            for document in task.documents
        ],
    }
    if "clientReference" in order.shown:
        status["clientReference"] = order.shown["clientReference"]
    return status


def _document_status(base: str, document_id: str, task: Task) -> dict[str, Any]:
    url = f"{base}/{quote(document_id, safe='')}"
    status: dict[str, Any] = {
        "id": document_id,
        "originalUri": f"{url}/original",
        "generatedUri": f"{url}/generated",
        "formOutputParam": [],
    }
    return status | {"resultUri": f"{url}/result"} if task.status == _COMPLETED else status


def _events(call: Call) -> Result:
    return found_task(call).events


def _forwards(call: Call) -> Result:
    """Return who has forwarded the task: in the mock, nobody."""
    found_task(call)
    return []


def _bytes(call: Call) -> Result:
    """Return the document that the path names, as it was uploaded."""
    for document in found_task(call).documents:
        uploaded = call.mock.shelf(DOCUMENTS).get(document.get("documentRef", ""))
        if document["id"] == call.path["document"] and uploaded is not None:
            return uploaded.reply()
    raise not_found("document")


def _result(call: Call) -> Result:
    """Return the signed document, which the mock leaves as it was."""
    if found_task(call).status != _COMPLETED:
        raise not_found("result yet")
    return _bytes(call)


def _found_packaging(call: Call) -> tuple[Order, dict[str, Any], bool]:
    """Return an order, its packaging task, and whether that is done: once all have signed."""
    order = call.find(ORDERS)
    for packaging in order.shown.get("packagingTasks", []):
        if packaging["id"] == call.path["packaging"]:
            is_done = all(task.status == _COMPLETED for task in order.tasks.values())
            return order, packaging, is_done
    raise not_found("packaging task")


def _packaging_status(call: Call) -> Result:
    _, packaging, is_done = _found_packaging(call)
    order_id, packaging_id = call.path["id"], packaging["id"]
    status = {
        "orderId": order_id,
        "packagingTaskId": packaging_id,
        "packagingTaskStatus": _COMPLETED if is_done else "CREATED",
    }
    path = f"{_PREFIX}/orders/{order_id}/packaging-tasks/{quote(packaging_id, safe='')}/result"
    return status | {"packagingTaskResultUri": call.base_url + path} if is_done else status


def _packaging_result(call: Call) -> Result:
    """Return the package: in the mock, the first document of the order that is still there."""
    order, _, is_done = _found_packaging(call)
    references = [d.get("documentRef", "") for task in order.tasks.values() for d in task.documents]
    held = call.mock.shelf(DOCUMENTS)
    for reference in references if is_done else []:
        if reference in held:
            return held[reference].reply()
    raise not_found("package")


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    endpoint("GET", _TASK + "/status", _status),
    endpoint("GET", _TASK + "/events", _events),
    endpoint("GET", _TASK + "/forwards", _forwards),
    endpoint("GET", _DOCUMENT + "/original", _bytes),
    endpoint("GET", _DOCUMENT + "/generated", _bytes),
    endpoint("GET", _DOCUMENT + "/result", _result),
    endpoint("GET", _PACKAGING + "/status", _packaging_status),
    endpoint("GET", _PACKAGING + "/result", _packaging_result),
)
