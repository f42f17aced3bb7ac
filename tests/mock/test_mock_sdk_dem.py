"""The official SDK's calls to Digital Evidence Management, and what its classes read (K)."""

import json

from tests.mock.bench import Api
from tests.mock.sdk_reading import (
    ERROR,
    anything,
    each,
    flag,
    guid,
    map_of,
    may_have,
    members,
    misread,
    one_of,
    text,
    texts,
    whole,
)
from tests.mock.sdk_wire import sdk_asks, sdk_reads

RECORDS = "/dem/records"
NEW = (
    '{"type":"LOG_IN","metadata":{"timestamp":"2026-01-15T11:00:00.1234567+00:00",'
    '"hash":"fe8df9859245b024ec1c0f6f825a3b4441fc0dee37dc28e09cc64308ba6714f3"},'
    '"coreData":{"name":"Bruce Wayne","identityProvider":"WayneEnterpriseCorporateId",'
    '"subject":"9764384103"},"ttl":2,"relations":[],"auditLevel":"ADVANCED"}'
)
INVALID = (
    '{"type":null,"metadata":null,"coreData":null,"ttl":0,"relations":[],"auditLevel":"QUALIFIED"}'
)
QUERY = (
    '{"and":[{"field":"metadata.hash","operator":"eq",'
    '"value":"fe8df9859245b024ec1c0f6f825a3b4441fc0dee37dc28e09cc64308ba6714f3"}],'
    '"or":[],"not":null}'
)
LINKS = map_of(
    may_have(
        {
            **texts("href", "hreflang", "title", "type", "deprecation", "profile", "name"),
            "templated": flag,
        }
    )
)
TYPE = one_of("OTHER", "GDPR", "TRANSACTION", "LOG_IN", "SIGNATURE")
RECORD = members(
    {
        "id": guid,
        "systemMetadata": map_of(anything),
        "metadata": map_of(anything),
        "coreData": map_of(anything),
        "timestampData": members({"timestamp": text}),
        # The SDK calls it relationId: the case of a name does not count.
        "relations": each(members({"relationID": text, "type": TYPE, "_links": LINKS})),
        # The SDK looks for `links`, and so never reads it.
        "_links": LINKS,
    }
)
SELF = members({"self": may_have({"href": text, "templated": flag})})
HIT = members(
    {
        "id": guid,
        "metadata": map_of(anything),
        # Of these two the SDK knows nothing here.
        "systemMetadata": map_of(anything),
        "timestampData": map_of(anything),
        "relations": each(anything),
        "_links": SELF,
    }
)
FOUND = members(
    {
        "_embedded": members({"records": each(HIT)}),
        "_links": SELF,
        "page": members(dict.fromkeys(("size", "totalElements", "totalPages", "number"), whole)),
    }
)
INFO = members(
    {
        **texts("collectionSize", "avgRecordSize"),
        "totalRecords": whole,
        "totalRecordsByType": map_of(anything),
    }
)


async def test_records_of_the_sdk(api: Api) -> None:
    """Created and read back: type, audit level, and every key that was sent."""
    created = await sdk_reads(api, RECORD, "POST", RECORDS, NEW)
    record = await sdk_reads(api, RECORD, "GET", f"{RECORDS}/{created['id']}")
    sent = json.loads(NEW)
    assert record["systemMetadata"]["type"] == "LOG_IN"
    assert record["systemMetadata"]["auditLevel"] == "ADVANCED"
    assert set(sent["metadata"]) <= set(record["metadata"])
    assert set(sent["coreData"]) <= set(record["coreData"])
    related = NEW.replace('"relations":[]', f'"relations":["{created["id"]}"]')
    (relation,) = (await sdk_reads(api, RECORD, "POST", RECORDS, related))["relations"]
    assert relation["type"] == "LOG_IN"
    response = await sdk_asks(api, "PATCH", f"{RECORDS}/{created['id']}", body=b'{"ttl":365}')
    assert (response.status, response.body) == (204, b"")


async def test_an_invalid_record_of_the_sdk(api: Api) -> None:
    """400, with an error that it can read."""
    response = await sdk_asks(api, "POST", RECORDS, body=INVALID.encode())
    assert response.status == 400
    error = json.loads(response.body)
    assert not misread(error, ERROR)
    names = [parameter["name"] for parameter in error["invalidParams"]]
    assert names == ["type", "metadata", "coreData", "ttl"]


async def test_queries_of_the_sdk(api: Api) -> None:
    """A page in the form of HAL, statistics, names of fields, a report."""
    created = await sdk_reads(api, RECORD, "POST", RECORDS, NEW)
    found = await sdk_reads(api, FOUND, "POST", f"{RECORDS}/query", QUERY)
    assert [record["id"] for record in found["_embedded"]["records"]] == [created["id"]]
    await sdk_reads(api, FOUND, "POST", f"{RECORDS}/query", '{"and":[],"or":[],"not":[]}')
    await sdk_reads(api, INFO, "GET", "/dem/info")
    names = each(text)
    expected = ["hash", "timestamp"]
    assert await sdk_reads(api, names, "GET", "/dem/info/custom-fields") == expected
    assert await sdk_reads(api, names, "GET", "/dem/info/custom-fields/LOG_IN") == expected
    report = await sdk_asks(api, "GET", f"/dem/reports/{created['id']}")
    assert report.body.startswith(b"%PDF")
