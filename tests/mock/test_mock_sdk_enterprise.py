"""Enterprise Sign as the official .NET SDK meets it (K)."""

import asyncio
import json
from typing import Any

import pytest

from tests.mock.bench import JSON, Api
from tests.mock.sdk_enterprise_shapes import EVENT, ORDER, PACKAGING_STATUS, TASK_STATUS
from tests.mock.sdk_reading import each, misread
from tests.mock.sdk_wire import sdk_asks

SIGN = "/enterprise/sign"
DOCUMENTS, ORDERS = f"{SIGN}/documents", f"{SIGN}/orders"
GUID = "8f0c5a52-0000-4000-8000-00000000000"
TASK, DOCUMENT, PACKAGING = f"{GUID}2", f"{GUID}3", f"{GUID}6"
FILE = b"%PDF-1.7 a contract \x00\xff"
# As the SDK writes it, with every null, in its order of members.
BODY = (
    '{"clientReference":"8f0c5a52-0000-4000-8000-000000000001","tasks":[{"id":'
    '"8f0c5a52-0000-4000-8000-000000000002","profile":null,"language":"en","daysToLive":1,'
    '"configuration":null,"documents":[{"id":"8f0c5a52-0000-4000-8000-000000000003",'
    '"description":"A document to sign","action":"SIGN","source":"SESSION","documentRef":"%s",'
    '"externalReference":"8f0c5a52-0000-4000-8000-000000000004","signTextEntry":null,'
    '"sendResultToArchive":true,"form":null}],"signatureMethods":[{"name":null,"type":null,'
    '"handwritten":true}],"authentication":{"methods":["scid-sms"],"artifact":false},'
    '"onTaskPostpone":"https://shop.example/#postpone",'
    '"onTaskComplete":"https://shop.example/#success",'
    '"onTaskReject":"https://shop.example/#reject","dialog":null,"notifications":[{"id":'
    '"8f0c5a52-0000-4000-8000-000000000005","recipient":"kari@example.test","sender":'
    '"noreply@example.test","header":"To sign","message":"Please sign: ${taskUrl}","type":"EMAIL",'
    '"schedule":[{"triggerStatus":"CREATED"}]}],"signText":null,"signingUrl":null,"subject":null,'
    '"dependsOnTasks":null}],"notifications":null,"daysUntilDeletion":1,"packagingTasks":[{"id":'
    '"8f0c5a52-0000-4000-8000-000000000006","sendToArchive":false,"method":"pades",'
    '"notifications":[{"id":"8f0c5a52-0000-4000-8000-000000000007","recipient":'
    '"https://hook.example.test","sender":null,"header":null,"message":"test","type":"URL"}],'
    '"documents":[{"taskId":"8f0c5a52-0000-4000-8000-000000000002","documentIds":['
    '"8f0c5a52-0000-4000-8000-000000000003"]}]}]}'
)
SUBJECT = '"subject":{"id":null,"attributes":[{"name":"Test Person","value":null,"methods":null}]}'


async def read(api: Api, method: str, target: str, body: bytes | None = None) -> Any:
    """Ask as the SDK does; return what it deserializes."""
    message = await sdk_asks(api, method, target, body=body)
    assert (message.status // 100, message.head.value("X-Mock-Unknown")) == (2, None)
    return json.loads(message.body)


async def new_document(api: Api) -> str:
    """Upload a document as the SDK does; return its id."""
    message = await sdk_asks(api, "POST", DOCUMENTS, body=FILE, media_type="application/pdf")
    assert message.status == 200
    document_id: str = json.loads(message.body)["documentId"]
    return document_id


async def new_order(api: Api) -> tuple[dict[str, Any], str]:
    """Create the order of the SDK's test; return it, and the id of its document."""
    document = await new_document(api)
    order = await read(api, "POST", ORDERS, (BODY % document).encode())
    return order, document


async def test_a_document_comes_back_byte_for_byte(api: Api) -> None:
    """Uploaded, fetched, deleted, gone (K)."""
    path = f"{DOCUMENTS}/{await new_document(api)}"
    message = await sdk_asks(api, "GET", path)
    assert (message.status, message.body) == (200, FILE)
    assert message.head.value("Content-Type") == "application/pdf"
    assert (await sdk_asks(api, "DELETE", path)).status == 204
    for method in ("GET", "DELETE"):
        message = await sdk_asks(api, method, path)
        error = json.loads(message.body)
        assert (message.status, error["status"], error["title"]) == (404, 404, "Not found")
        assert {"type", "detail", "traceId"} <= set(error)
    message = await sdk_asks(api, "POST", DOCUMENTS, body=b"", media_type="application/pdf")
    assert message.status == 400


async def test_an_order_as_the_sdk_writes_it(api: Api) -> None:
    """It comes back with ids, and without what the SDK could not read (K)."""
    order, document = await new_order(api)
    assert not misread(order, ORDER)
    assert order["tasks"][0]["id"] == TASK
    assert order["tasks"][0]["documents"][0]["documentRef"] == document
    assert await read(api, "GET", f"{ORDERS}/{order['id']}") == order
    status = await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/status")
    assert not misread(status, TASK_STATUS)
    assert (status["taskId"], status["taskStatus"]) == (TASK, "CREATED")
    assert "resultUri" not in status["documents"][0]
    events = await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/events")
    assert not misread(events, each(EVENT))
    assert [event["eventType"] for event in events] == ["TASK_CREATED", "NOTIFICATION_SENT"]
    assert await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/forwards") == []


async def test_the_sdks_own_test_cleans_up_all_at_once(api: Api) -> None:
    """Documents and orders are deleted together, in any order; all of it is 2xx (K)."""
    made = [await new_order(api) for _ in range(3)]
    paths = [f"{ORDERS}/{order['id']}" for order, _ in made]
    paths += [f"{DOCUMENTS}/{document}" for _, document in made]
    done = await asyncio.gather(*(sdk_asks(api, "DELETE", path) for path in paths))
    assert {message.status for message in done} == {204}
    for path in (*paths, f"{paths[0]}/tasks/{TASK}/status"):
        assert (await sdk_asks(api, "GET", path)).status == 404


async def test_the_violation_of_the_sdks_own_test(api: Api) -> None:
    """A subject's attribute without a value is 400, told by place and in these words (K)."""
    body = (BODY % await new_document(api)).replace('"subject":null', SUBJECT)
    message = await sdk_asks(api, "POST", ORDERS, body=body.encode())
    error = json.loads(message.body)
    assert (message.status, error["title"]) == (400, "Constraint Violation")
    path = "tasks[0].subject.attributes[0].value"
    assert error["violations"] == [
        {"propertyPath": path, "message": "Subject attribute value is required"}
    ]
    assert error["traceId"]


VIOLATIONS: list[tuple[str, str, str]] = [
    ('"daysUntilDeletion":1', '"daysUntilDeletion":31', "daysUntilDeletion"),
    ('"action":"SIGN"', '"action":"READ"', "tasks[0].documents[0].action"),
    ('"documentRef":"', '"documentRef":"x', "tasks[0].documents[0].documentRef"),
    ('"onTaskReject":"', '"onTaskReject":" ', "tasks[0].onTaskReject"),
    ('"clientReference":"', '"clientReference":1,"x":"', "clientReference"),
]


@pytest.mark.parametrize(("old", "new", "path"), VIOLATIONS)
async def test_other_violations(api: Api, old: str, new: str, path: str) -> None:
    """What else is wrong is told in the same way."""
    body = (BODY % await new_document(api)).replace(old, new)
    status, error = await api.call("POST", ORDERS, data=body.encode(), headers=JSON)
    assert (status, error["violations"][0]["propertyPath"]) == (400, path)


ODD_TASKS: list[tuple[list[dict[str, Any]], str]] = [
    ([{"id": ""}], "tasks[0].id"),
    ([{"id": "a"}, {}, {"id": "b"}, {"id": "a"}], "tasks[3].id"),
    ([{"daysToLive": 2**31}], "tasks[0].daysToLive"),
    ([{"daysToLive": -(2**31) - 1}], "tasks[0].daysToLive"),
]


@pytest.mark.parametrize(("tasks", "path"), ODD_TASKS)
async def test_tasks_that_no_client_could_use(
    api: Api, tasks: list[dict[str, Any]], path: str
) -> None:
    """No path leads to a task without an id, or to two; the SDK reads days into 32 bits."""
    status, error = await api.call("POST", ORDERS, json={"tasks": tasks})
    assert (status, [one["propertyPath"] for one in error["violations"]]) == (400, [path])


async def test_the_most_days_that_the_sdk_can_read(api: Api) -> None:
    """Are taken; tasks without ids get one each."""
    tasks = [{"daysToLive": 2**31 - 1}, {}, {"id": None}]
    _, order = await api.call("POST", ORDERS, json={"tasks": tasks})
    assert not misread(order, ORDER)
    assert len({task["id"] for task in order["tasks"]}) == 3


@pytest.mark.parametrize("wanted", [{"tasks": []}, {"tasks": None}, {}])
async def test_an_order_needs_a_task(api: Api, wanted: dict[str, Any]) -> None:
    """One at the least."""
    status, error = await api.call("POST", ORDERS, json=wanted)
    assert (status, error["violations"][0]["propertyPath"]) == (400, "tasks")


async def test_what_is_left_out_is_filled_in(api: Api) -> None:
    """Where the SDK would write ids and numbers, another client may leave them out."""
    wanted = {"tasks": [{"documents": [{"description": "a"}]}], "packagingTasks": [{}]}
    _, order = await api.call("POST", ORDERS, json=wanted)
    assert not misread(order, ORDER)
    task = order["tasks"][0]
    _, status = await api.call("GET", f"{ORDERS}/{order['id']}/tasks/{task['id']}/status")
    assert not misread(status, TASK_STATUS)
    original = status["documents"][0]["originalUri"].removeprefix(api.running.url)
    assert (await api.call("GET", original))[0] == 404


async def test_a_task_is_completed_on_its_page(api: Api) -> None:
    """Then it has results, the archive has one too, and the package is made."""
    order, document = await new_order(api)
    path, page = f"{ORDERS}/{order['id']}", order["tasks"][0]["signingUrl"]
    page = page.removeprefix(api.running.url)
    file = f"{path}/tasks/{TASK}/documents/{DOCUMENT}"
    packaging = f"{path}/packaging-tasks/{PACKAGING}"
    waiting = await read(api, "GET", f"{packaging}/status")
    assert not misread(waiting, PACKAGING_STATUS)
    assert waiting["packagingTaskStatus"] == "CREATED"
    for early in (f"{file}/result", f"{packaging}/result", f"{SIGN}/archive-documents/{DOCUMENT}"):
        assert (await sdk_asks(api, "GET", early)).status == 404
    assert b"MOCK" in (await api.ask("GET", page))[2]
    for word, end in {"postpone": "postpone", "complete": "success"}.items():
        status, headers, _ = await api.ask("POST", f"{page}/{word}")
        assert (status, headers["Location"]) == (302, f"https://shop.example/#{end}")
    assert (await api.ask("POST", f"{page}/x"))[0] == 404
    done = await read(api, "GET", f"{path}/tasks/{TASK}/status")
    assert not misread(done, TASK_STATUS)
    assert done["taskStatus"] == "COMPLETED"
    packaged = await read(api, "GET", f"{packaging}/status")
    assert not misread(packaged, PACKAGING_STATUS)
    assert packaged["packagingTaskStatus"] == "COMPLETED"
    links = [done["documents"][0][f"{kind}Uri"] for kind in ("original", "generated", "result")]
    links += [packaged["packagingTaskResultUri"], f"{SIGN}/archive-documents/{DOCUMENT}"]
    for link in links:
        assert (await sdk_asks(api, "GET", link.removeprefix(api.running.url))).body == FILE
    events = await read(api, "GET", f"{path}/tasks/{TASK}/events")
    assert not misread(events, each(EVENT))
    assert [event["eventType"] for event in events][2:] == ["DOCUMENT_SIGNED", "TASK_COMPLETED"]
    assert (await sdk_asks(api, "DELETE", f"{DOCUMENTS}/{document}")).status == 204
    assert (await sdk_asks(api, "GET", f"{packaging}/result")).status == 404


async def test_a_task_is_rejected_on_its_page(api: Api) -> None:
    """Then there are no results; without a place to go, the browser stays."""
    body = (BODY % await new_document(api)).replace('"onTaskReject":', '"x":')
    body = body.replace('{"triggerStatus":"CREATED"}', '{"triggerStatus":"COMPLETED"}')
    _, order = await api.call("POST", ORDERS, data=body.encode(), headers=JSON)
    page = order["tasks"][0]["signingUrl"].removeprefix(api.running.url)
    assert b"REJECTED" in (await api.ask("POST", f"{page}/reject"))[2]
    status = await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/status")
    assert (status["taskStatus"], "resultUri" in status["documents"][0]) == ("REJECTED", False)
    events = await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/events")
    assert [event["eventType"] for event in events] == ["TASK_CREATED", "TASK_REJECTED"]


@pytest.mark.parametrize(("end", "target"), [("complete", "success"), ("reject", "reject")])
async def test_no_button_changes_a_task_that_has_ended(api: Api, end: str, target: str) -> None:
    """The page has none left; one of an older page leads to where the end led."""
    order, _ = await new_order(api)
    page = order["tasks"][0]["signingUrl"].removeprefix(api.running.url)
    assert (await api.ask("GET", page))[2].count(b"<button>") == 3
    await api.ask("POST", f"{page}/{end}")
    events = await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/events")
    for word in ("complete", "reject", "postpone"):
        status, headers, _ = await api.ask("POST", f"{page}/{word}")
        assert (status, headers["Location"]) == (302, f"https://shop.example/#{target}")
    assert b"<button>" not in (await api.ask("GET", page))[2]
    assert await read(api, "GET", f"{ORDERS}/{order['id']}/tasks/{TASK}/events") == events


async def test_what_is_not_for_the_archive_is_not_in_it(api: Api) -> None:
    """Neither what nobody wants there, nor a document that is gone when the task is completed."""
    for change in ('"sendResultToArchive":false', '"sendResultToArchive":true'):
        document = await new_document(api)
        body = (BODY % document).replace('"sendResultToArchive":true', change)
        order = await read(api, "POST", ORDERS, body.encode())
        if "true" in change:
            await sdk_asks(api, "DELETE", f"{DOCUMENTS}/{document}")
        page = order["tasks"][0]["signingUrl"].removeprefix(api.running.url)
        assert (await api.ask("POST", f"{page}/complete"))[0] == 302
        path = f"{SIGN}/archive-documents/{DOCUMENT}"
        assert (await sdk_asks(api, "GET", path)).status == 404


async def test_who_is_refused(api: Api) -> None:
    """401 without a token; the SDK's slip of a slash is no path of the product's (K)."""
    message = await sdk_asks(api, "GET", f"{ORDERS}/x", is_signed_in=False)
    assert (message.status, json.loads(message.body)["code"]) == (401, "invalid_token")
    message = await sdk_asks(api, "DELETE", "/enterprise/signarchive-documents/1")
    assert (message.status, message.body[:9].lower()) == (404, b"<!doctype")


@pytest.mark.parametrize("end", ["status", "events", "forwards", f"documents/{DOCUMENT}/original"])
async def test_what_there_is_not(api: Api, end: str) -> None:
    """An order, a task, a packaging task or a document that is not there is 404."""
    order, _ = await new_order(api)
    targets = [f"{path}/tasks/x/{end}" for path in (f"{ORDERS}/x", f"{ORDERS}/{order['id']}")]
    targets += [f"{ORDERS}/{order['id']}/packaging-tasks/x/{end}" for end in ("status", "result")]
    targets += [f"{ORDERS}/{order['id']}/tasks/{TASK}/documents/x/original"]
    for target in targets:
        assert (await sdk_asks(api, "GET", target)).status == 404
