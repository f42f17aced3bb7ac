"""The mock's Digital Evidence Management: records, queries, reports (K)."""

import re
from typing import Any

import pytest

from tests.mock.bench import CLIENT, JSON, Api

RECORDS = "/dem/records"
RECORD = {"type": "LOG_IN", "metadata": {"a": 1}, "coreData": {"b": [None]}, "ttl": 2}


async def new_record(api: Api, **members: Any) -> dict[str, Any]:
    """Create a record."""
    status, record = await api.call("POST", RECORDS, json=RECORD | members)
    assert status == 201
    return dict(record)


async def query(api: Api, wanted: object, parameters: str = "") -> list[Any]:
    """Return the marks (`metadata.mark`) of what a query finds."""
    status, found = await api.call("POST", f"{RECORDS}/query{parameters}", json=wanted)
    assert status == 200
    return [record["metadata"].get("mark") for record in found["_embedded"]["records"]]


async def test_a_record_is_kept(api: Api) -> None:
    """A record comes back as it was created, with what the service knows of it."""
    record = await new_record(api)
    path = f"{RECORDS}/{record['id']}"
    assert (await api.call("GET", path)) == (200, record)
    assert (record["metadata"], record["coreData"]) == ({"a": 1}, {"b": [None]})
    assert record["systemMetadata"] == {
        "type": "LOG_IN",
        "auditLevel": "QUALIFIED",
        "createdBy": CLIENT,
        "createdDate": "2027-01-15",
        "createdDateTime": "2027-01-15T08:00:00+00:00",
        "expiryDate": "2027-01-17",
    }
    assert record["_links"]["self"]["href"] == api.running.url + path
    assert (await api.call("GET", f"{RECORDS}/x"))[0] == 404


@pytest.mark.parametrize(
    "wrong",
    [
        *({name: None} for name in RECORD),
        *({"ttl": value} for value in (0, -1, 1.5, "2", 10**9)),
        {"type": "PARTY"},
        {"metadata": []},
        {"coreData": "x"},
        {"relations": [1]},
        {"auditLevel": "HIGH"},
    ],
    ids=str,
)
async def test_a_bad_record_is_refused(api: Api, wrong: dict[str, Any]) -> None:
    """Four members must be there, none of them null, and all of their kind."""
    status, error = await api.call("POST", RECORDS, json=RECORD | wrong)
    names = [parameter["name"].partition("[")[0] for parameter in error["invalidParams"]]
    assert (status, names) == (400, list(wrong))
    without = {name: value for name, value in RECORD.items() if name not in wrong}
    if None in wrong.values():
        assert (await api.call("POST", RECORDS, json=without))[0] == 400


async def test_a_lifetime_can_be_changed(api: Api) -> None:
    """204 and no body; it counts from the creation. Nothing else can be changed."""
    record = await new_record(api)
    path = f"{RECORDS}/{record['id']}"
    assert await api.call("PATCH", path, json={"ttl": 365}) == (204, b"")
    _, changed = await api.call("GET", path)
    expected = record | {"systemMetadata": record["systemMetadata"] | {"expiryDate": "2028-01-15"}}
    assert changed == expected
    for body in ({}, {"ttl": None}, {"ttl": 0}):
        assert (await api.call("PATCH", path, json=body))[0] == 400
    assert (await api.call("PATCH", f"{RECORDS}/x", json={"ttl": 1}))[0] == 404


async def test_lifetimes_of_many_can_be_changed(api: Api) -> None:
    """Of those that a query finds."""
    one = await new_record(api)
    other = await new_record(api, metadata={"mark": 1})
    wanted = {"and": [{"field": "metadata.mark", "operator": "eq", "value": 1}]}
    body = {"query": wanted, "ttl": 365}
    assert await api.call("PATCH", RECORDS, json=body) == (200, "MOCK: 1 records were changed")
    assert (await api.call("GET", f"{RECORDS}/{one['id']}"))[1] == one
    _, changed = await api.call("GET", f"{RECORDS}/{other['id']}")
    assert changed["systemMetadata"]["expiryDate"] == "2028-01-15"


async def test_relations_come_in_as_texts_and_go_out_as_objects(api: Api) -> None:
    """With the type of what is related, where the mock knows it and the SDK can read it."""
    known = await new_record(api, type="transaction")
    kyc = await new_record(api, type="KYC")
    record = await new_record(api, relations=[known["id"], kyc["id"], "elsewhere"])
    relations = [(one["relationID"], one["type"]) for one in record["relations"]]
    types = [(known["id"], "TRANSACTION"), (kyc["id"], "OTHER"), ("elsewhere", "OTHER")]
    assert relations == types
    assert record["relations"][0]["_links"] == known["_links"]


def condition(field: str, operator: str, value: object) -> dict[str, object]:
    """Return a condition."""
    return {"field": field, "operator": operator, "value": value}


CONDITIONS: list[tuple[dict[str, object], list[int]]] = [
    (condition("metadata.mark", "eq", 2), [2]),
    (condition("metadata.mark", "NE", 2), [1, 3]),
    (condition("metadata.mark", "gt", 1), [2, 3]),
    (condition("metadata.mark", "gte", 2), [2, 3]),
    (condition("metadata.mark", "lt", 2), [1]),
    (condition("metadata.mark", "le", 2), [1]),
    (condition("metadata.mark", "lte", 2), [1, 2]),
    (condition("metadata.mark", "gt", "1"), []),
    (condition("metadata.mark", "gt", None), []),
    (condition("metadata.mark", "in", [1, 3, "x"]), [1, 3]),
    (condition("metadata.mark", "nin", [1, 3]), [2]),
    (condition("metadata.name", "regex", "^k.*i$"), [1]),
    (condition("metadata.name", "gt", "l"), [2]),
    (condition("metadata.name", "eq", None), [3]),
    (condition("metadata.in.ner", "eq", "x"), [3]),
    (condition("metadata.dot.ted", "eq", "y"), [3]),
    (condition("metadata.mark.x", "eq", None), [1, 2, 3]),
    (condition("metadata", "eq", {}), []),
    (condition("metadata.flag", "gt", 0), []),
    (condition("systemMetadata.type", "eq", "KYC"), [2]),
    (condition("systemMetadata.createdDate", "lte", "2027-01-15"), [1, 2, 3]),
    (condition("relations", "eq", "r1"), [3]),
    (condition("relations", "ne", "r1"), [1, 2]),
]


@pytest.mark.parametrize(("one", "marks"), CONDITIONS, ids=[str(one) for one, _ in CONDITIONS])
async def test_a_condition(api: Api, one: dict[str, object], marks: list[int]) -> None:
    """Each operator, on metadata, system metadata and relations; `not` turns it round."""
    await new_record(api, metadata={"mark": 1, "name": "kari", "flag": True})
    await new_record(api, metadata={"mark": 2, "name": "ola"}, type="KYC")
    inner = {"mark": 3, "in": {"ner": "x"}, "dot.ted": "y"}
    await new_record(api, metadata=inner, relations=["r1", "r2"])
    assert await query(api, {"and": [one], "or": [], "not": None}) == marks
    assert await query(api, {"or": [one]}) == marks
    assert await query(api, {"not": [one]}) == [mark for mark in (1, 2, 3) if mark not in marks]


async def test_conditions_together(api: Api) -> None:
    """All of `and`, one of `or`, none of `not`; nothing at all finds everything."""
    for mark in range(5):
        await new_record(api, metadata={"mark": mark})

    def marks(operator: str, value: int) -> dict[str, object]:
        return condition("metadata.mark", operator, value)

    wanted = {
        "and": [marks("gt", 0), marks("lt", 4)],
        "or": [marks("eq", 1), marks("eq", 2), marks("eq", 4)],
        "not": [marks("eq", 2)],
    }
    assert await query(api, wanted) == [1]
    assert await query(api, {}) == list(range(5))
    for body in (b"", b"null"):
        status, found = await api.call("POST", f"{RECORDS}/query", data=body, headers=JSON)
        assert (status, found["page"]["totalElements"]) == (200, 5)
    assert (await api.call("POST", f"{RECORDS}/query"))[0] == 200
    _, found = await api.call("POST", f"{RECORDS}/query?page=1&size=2&sort=x", json={})
    assert [record["metadata"]["mark"] for record in found["_embedded"]["records"]] == [2, 3]
    assert found["page"] == {"size": 2, "totalElements": 5, "totalPages": 3, "number": 1}
    assert "coreData" not in found["_embedded"]["records"][0]
    assert await query(api, {}, "?page=9") == []


@pytest.mark.parametrize(
    ("one", "name"),
    [
        (condition("coreData.a", "eq", 1), "and[0].field"),
        (condition("metadata.a", "like", 1), "and[0].operator"),
        (condition("metadata.a", "in", 1), "and[0].value"),
        (condition("metadata.a", "regex", "("), "and[0].value"),
        (condition("metadata.a", "regex", 1), "and[0].value"),
        ({"operator": "eq"}, "and[0].field"),
    ],
)
async def test_a_bad_query_is_refused(api: Api, one: dict[str, object], name: str) -> None:
    """With the member that has no sense."""
    status, error = await api.call("POST", f"{RECORDS}/query", json={"and": [one]})
    assert (status, error["invalidParams"][0]["name"]) == (400, name)


@pytest.mark.parametrize("parameters", ["page=-1", "size=0", "size=1001", "page=x"])
async def test_a_bad_page_is_refused(api: Api, parameters: str) -> None:
    """As a bad query is."""
    status, _ = await api.call("POST", f"{RECORDS}/query?{parameters}", json={})
    assert status == 400


async def test_what_there_is_can_be_asked(api: Api) -> None:
    """Counts by type, sizes as texts, names in the metadata, and whether it is there at all."""
    _, empty = await api.call("GET", "/dem/info")
    assert (empty["totalRecords"], empty["avgRecordSize"]) == (0, "0 B")
    await new_record(api)
    await new_record(api, type="KYC", metadata={"z": 1, "b": 2})
    _, info = await api.call("GET", "/dem/info")
    assert (info["totalRecords"], info["totalRecordsByType"]) == (2, {"LOG_IN": 1, "KYC": 1})
    assert re.fullmatch(r"[1-9]\d+ B", info["collectionSize"])
    names = {"": ["a", "b", "z"], "/LOG_IN": ["a"], "/kyc": ["b", "z"], "/GDPR": []}
    for path, expected in names.items():
        assert await api.call("GET", f"/dem/info/custom-fields{path}") == (200, expected)
    assert await api.call("GET", "/dem/.ping") == (200, "MOCK pong")


async def test_a_report_is_a_pdf(api: Api) -> None:
    """It names the record."""
    record = await new_record(api)
    status, headers, body = await api.exchange("GET", f"/dem/reports/{record['id']}")
    assert (status, headers["Content-Type"]) == (200, "application/pdf")
    assert record["id"].encode() in body
    assert (await api.call("GET", "/dem/reports/x"))[0] == 404


async def test_what_is_no_record(api: Api) -> None:
    """Whatever was to be one."""
    for body in (b"{}", b"x", b"[]", b""):
        assert (await api.call("POST", RECORDS, data=body, headers=JSON))[0] == 400
