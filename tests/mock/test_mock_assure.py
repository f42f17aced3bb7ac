"""Assure as the documentation and others' code use it (K)."""

import base64
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.mock.bench import Api

DOSSIERS = "/assure/dossiers"
SHOP = "https://shop.test/callback"
ONFIDO = {"provider": "onfido", "processType": "documentSelfie"}
VIDEO_ID = {"provider": "signicatvideoid", "processType": "substantialFullyAuto"}
# The members that others' code sends, the optional ones too.
CAPTURE = {
    "providers": [VIDEO_ID],
    "sdk": "native",
    "redirectUrl": SHOP,
    "requestDomain": "demo.sandbox.signicat.com",
    "captureParameters": {"uiProfile": "my-configuration"},
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


async def new_dossier(api: Api, **wanted: object) -> str:
    """Create a dossier; return its path."""
    status, dossier = await api.call("POST", DOSSIERS, json=wanted)
    assert status == 200
    return f"{DOSSIERS}/{dossier['dossierId']}"


async def statuses(api: Api, path: str, looks: int) -> list[str]:
    """Look at a process that often; return what was seen."""
    return [(await api.call("GET", path))[1]["status"] for _ in range(looks)]


async def test_dossiers_come_and_go(api: Api) -> None:
    """A dossier is created, found alone and in the list, and deleted with all that it has."""
    path = await new_dossier(api, externalReference="order-17")
    _, dossier = await api.call("GET", path)
    assert (dossier["externalReference"], dossier["processes"]) == ("order-17", [])
    other = await new_dossier(api)
    assert "externalReference" not in (await api.call("GET", other))[1]
    _, listed = await api.call("GET", DOSSIERS)
    assert [f"{DOSSIERS}/{one['dossierId']}" for one in listed] == [path, other]
    _, process = await api.call("POST", f"{path}/processes", json=ONFIDO)
    assert (await api.call("GET", path))[1]["processes"] == [process]
    assert (await api.call("DELETE", path))[0] == 204
    for method, target in (
        ("GET", path),
        ("DELETE", path),
        ("GET", f"{path}/processes/{process['processId']}"),
    ):
        status, error = await api.call(method, target)
        assert (status, error["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("reference", "end"),
    [("order-17", "accepted"), ("mock-accepted", "accepted"), ("mock-rejected", "rejected")],
)
async def test_a_process_goes_its_way(api: Api, reference: str, end: str) -> None:
    """Pending, processing, then an end; only one that is accepted has a result (K)."""
    path = await new_dossier(api, externalReference=reference)
    wanted = ONFIDO | {"notificationUrl": SHOP, "authorizationHeader": "Basic eDp5"}
    status, process = await api.call("POST", f"{path}/processes", json=wanted)
    assert status == 200
    assert (process["status"], "finalResult" in process) == ("pending", False)
    assert TIME.fullmatch(process["createdAt"])
    assert "eDp5" not in str(process)
    path += f"/processes/{process['processId']}"
    api.now += 60
    assert await statuses(api, path, 4) == ["pending", "processing", end, end]
    _, process = await api.call("GET", path)
    assert process["updatedAt"] > process["createdAt"]
    result = process.get("finalResult", {})
    assert bool(result) is (end == "accepted")
    assert result.get("nationality", "NOR") == "NOR"
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404


@pytest.mark.parametrize(("word", "end"), [("accept", "accepted"), ("reject", "rejected")])
@pytest.mark.parametrize("target", [SHOP, f"{SHOP}?x=1#end", "shop.app:/done", "https://[::1]:9/a"])
async def test_a_browser_takes_the_pictures(api: Api, word: str, end: str, target: str) -> None:
    """The launch URL leads to a page; a button lets the process end, and leads back (K)."""
    path = await new_dossier(api)
    wanted = CAPTURE | {"redirectUrl": target}
    status, capture = await api.call("POST", f"{path}/capture", json=wanted)
    assert status == 200
    process = f"{path}/processes/{capture['processId']}"
    assert await statuses(api, process, 2) == ["pending", "pending"]
    launch = capture["url"].removeprefix(api.running.url)
    _, _, shown = await api.ask("GET", launch)
    assert b"MOCK" in shown
    assert b"signicatvideoid" in shown
    assert shown.count(b"<button>") == 2
    assert (await api.ask("POST", f"{launch}/x"))[0] == 404
    status, headers, _ = await api.ask("POST", f"{launch}/{word}")
    location = headers["Location"]
    assert status == 302
    assert location.startswith(target.partition("#")[0])
    query = parse_qs(urlsplit(location).query)
    assert query.pop("x", ["1"]) == ["1"]
    assert query == {
        "dossierId": [capture["dossierId"]],
        "processId": [capture["processId"]],
        "status": ["processing"],
    }
    assert urlsplit(location).fragment == urlsplit(target).fragment
    assert await statuses(api, process, 2) == ["processing", end]
    assert b"<button>" not in (await api.ask("GET", launch))[2]
    _, headers, _ = await api.ask("POST", f"{launch}/reject")
    assert headers["Location"] == location
    assert await statuses(api, process, 1) == [end]


REDIRECT_URLS = {
    "myapp:///cb": "myapp:///cb?{}",
    "HTTPS://Shop.Test/ok": "HTTPS://Shop.Test/ok?{}",
    "https://shop.test/#": "https://shop.test/?{}#",
    "https://shop.test/?": "https://shop.test/?{}",
    "https://shop.test/?a=%2f&b#c?d": "https://shop.test/?a=%2f&b&{}#c?d",
}


@pytest.mark.parametrize("url", REDIRECT_URLS)
async def test_a_redirect_url_stays_as_it_is(api: Api, url: str) -> None:
    """Letter for letter, but for what is added to its query (K)."""
    path = await new_dossier(api)
    _, capture = await api.call("POST", f"{path}/capture", json=CAPTURE | {"redirectUrl": url})
    launch = capture["url"].removeprefix(api.running.url)
    _, headers, _ = await api.ask("POST", f"{launch}/accept")
    ids = f"dossierId={capture['dossierId']}&processId={capture['processId']}"
    assert headers["Location"] == REDIRECT_URLS[url].format(f"{ids}&status=processing")


async def test_two_providers_check_together(api: Api) -> None:
    """Then only the dossier is named, in response and browser; both processes end (K)."""
    path = await new_dossier(api)
    wanted = CAPTURE | {"providers": [VIDEO_ID, {"provider": "onfido", "processType": None}]}
    _, capture = await api.call("POST", f"{path}/capture", json=wanted)
    assert "processId" not in capture
    launch = capture["url"].removeprefix(api.running.url)
    _, headers, _ = await api.ask("POST", f"{launch}/accept")
    assert set(parse_qs(urlsplit(headers["Location"]).query)) == {"dossierId", "status"}
    _, dossier = await api.call("GET", path)
    assert [process["status"] for process in dossier["processes"]] == ["processing"] * 2
    assert [process.get("processType") for process in dossier["processes"]] == [
        VIDEO_ID["processType"],
        None,
    ]


async def test_a_magic_reference_needs_no_browser(api: Api) -> None:
    """`mock-accepted` and `mock-rejected` end a capture as well (K)."""
    path = await new_dossier(api, externalReference="mock-rejected")
    _, capture = await api.call("POST", f"{path}/capture", json=CAPTURE)
    process = f"{path}/processes/{capture['processId']}"
    assert await statuses(api, process, 3) == ["pending", "processing", "rejected"]


def data_url(data: bytes) -> str:
    """Return a picture as Assure takes it."""
    return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"


async def test_files(api: Api) -> None:
    """Pictures come back as bytes, and can be deleted one by one (K)."""
    path = await new_dossier(api)
    pictures = {"front": data_url(b"\xff\xd8front"), "back": None, "selfie": data_url(b"selfie")}
    status, dossier = await api.call("POST", f"{path}/files", json=pictures)
    assert (status, dossier["files"]) == (200, ["front", "selfie"])
    status, headers, data = await api.exchange("GET", f"{path}/files/front")
    assert (status, headers["Content-Type"], data) == (200, "image/jpeg", b"\xff\xd8front")
    assert (await api.call("DELETE", f"{path}/files/front"))[0] == 204
    for name in ("front", "back", "portrait"):
        assert (await api.call("GET", f"{path}/files/{name}"))[0] == 404
    assert (await api.call("GET", path))[1]["files"] == ["selfie"]


async def test_configurations(api: Api) -> None:
    """An unknown one is 404; it is created, replaced, and listed (K)."""
    path = "/assure/capture/configurations"
    assert (await api.call("GET", f"{path}/my-look"))[0] == 404
    for method, look in (("POST", {"colour": "red"}), ("PUT", {"colour": None, "deep": [{}]})):
        assert await api.call(method, f"{path}/my-look", json=look) == (200, look)
        assert await api.call("GET", f"{path}/my-look") == (200, look)
    assert await api.call("GET", path) == (200, [look | {"configurationId": "my-look"}])


@pytest.mark.parametrize(
    ("provider", "status"),
    {"onfido": 200, "SignicatVideoID": 200, "dossiers": 404, "x": 404}.items(),
)
async def test_document_types(api: Api, provider: str, status: int) -> None:
    """Each provider has a list of them (K)."""
    got, types = await api.call("GET", f"/assure/{provider}/document-types")
    assert (got, isinstance(types, list)) == (status, status == 200)


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("", {"externalReference": 1}, "externalReference"),
    ("/processes", {"provider": "onfido"}, "processType"),
    ("/processes", ONFIDO | {"notificationUrl": "x"}, "notificationUrl"),
    ("/capture", {"providers": [VIDEO_ID]}, "redirectUrl"),
    ("/capture", CAPTURE | {"providers": []}, "providers"),
    ("/capture", CAPTURE | {"providers": [{}]}, "providers[0].provider"),
    ("/capture", CAPTURE | {"redirectUrl": "https://shop.test:99999/"}, "redirectUrl"),
    ("/files", {}, "body"),
    ("/files", {"front": None}, "body"),
    ("/files", {"front": "/9j/4AAQ"}, "front"),
    ("/files", {"back": "data:image/jpeg;base64,"}, "back"),
    ("/files", {"back": "data:image/jpeg;base64,é"}, "back"),
    ("/files", {"selfie": "data:image/jpeg;base64,a"}, "selfie"),
]


@pytest.mark.parametrize(("path", "body", "name"), BAD, ids=range(len(BAD)))
async def test_what_makes_no_sense_is_refused(
    api: Api, path: str, body: dict[str, Any], name: str
) -> None:
    """With the member that is wrong."""
    target = (await new_dossier(api)) + path if path else DOSSIERS
    status, error = await api.call("POST", target, json=body)
    assert (status, error["invalidParams"][0]["name"]) == (400, name)


@pytest.mark.parametrize(
    ("end", "body"),
    [("/processes", ONFIDO), ("/capture", CAPTURE), ("/files", {"front": data_url(b"a")})],
)
async def test_what_is_sent_to_no_dossier(api: Api, end: str, body: dict[str, Any]) -> None:
    """A dossier that is not there is 404."""
    status, error = await api.call("POST", f"{DOSSIERS}/x{end}", json=body)
    assert (status, error["code"]) == (404, "not_found")
