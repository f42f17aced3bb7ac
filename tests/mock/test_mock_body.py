"""Reading bodies and queries: what is declared, and what is refused with which name (K)."""

from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from proxy.mock.body import ANY_CASE, Body, Moment, Reader, RefusedError, Url
from proxy.mock.errors import ApiError
from tests.mock.odd_values import ODD_BODIES


class Part(Body):
    """A part of the example."""

    document_id: str
    url: Url | None = None


class Example(Body):
    """One member of each kind."""

    flow: Annotated[Literal["redirect", "headless", "RSA-OAEP"], ANY_CASE] | None = None
    parts: list[Part] | None = None
    named: dict[str, Part] | None = None
    life_time: Annotated[int, Field(ge=1, le=100)] = 60
    is_open: bool | None = None
    share: float | None = None
    born: date | None = None
    due: Moment | None = None
    extra: dict[str, Any] | None = None


JSON = Reader(Example)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("{}", {"lifeTime": 60}),
        ('{"flow":null,"parts":null,"extra":null}', {"lifeTime": 60}),
        ('{"flow":"REDIRECT"}', {"flow": "redirect", "lifeTime": 60}),
        ('{"flow":"RSAOAEP"}', {"flow": "RSA-OAEP", "lifeTime": 60}),
        ('{"lifeTime":1,"isOpen":true,"share":2}', {"lifeTime": 1, "isOpen": True, "share": 2}),
        ('{"lifeTime":1,"lifeTime":2}', {"lifeTime": 2}),
        ('{"parts":[{"documentId":"a"}]}', {"parts": [{"documentId": "a"}], "lifeTime": 60}),
        ('{"extra":{"a":{"b":null}}}', {"extra": {"a": {"b": None}}, "lifeTime": 60}),
        ('{"born":"2026-01-31"}', {"born": "2026-01-31", "lifeTime": 60}),
        ('{"due":"2026-01-31T12:00:00.1234567Z"}', {"due": "2026-01-31T12:00:00.123456Z"}),
        ('{"due":"2026-01-31T12:00:00"}', {"due": "2026-01-31T12:00:00Z"}),
        ('{"due":"2026-01-31T12:00:00+02:00"}', {"due": "2026-01-31T10:00:00Z"}),
    ],
)
def test_what_is_read(text: str, members: dict[str, Any]) -> None:
    """Nulls are not given, enumerations come in any case, and go back as they are declared."""
    assert JSON.json(text.encode()).value.given() == {"lifeTime": 60} | members


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[]", ["body"]),
        ("{", ["body"]),
        ('{"flow":"x","isOpen":1,"share":"1"}', ["flow", "isOpen", "share"]),
        ('{"flow":3}', ["flow"]),
        ('{"lifeTime":null}', ["lifeTime"]),
        ('{"lifeTime":"60"}', ["lifeTime"]),
        ('{"lifeTime":0}', ["lifeTime"]),
        ('{"lifeTime":true}', ["lifeTime"]),
        ('{"parts":[{},{"documentId":1}]}', ["parts[0].documentId", "parts[1].documentId"]),
        ('{"parts":[{"documentId":"a","url":"https://a:99999"}]}', ["parts[0].url"]),
        ('{"born":"2026-02-30"}', ["born"]),
        ('{"born":1}', ["born"]),
        ('{"due":"soon"}', ["due"]),
        ('{"due":"0001-01-01T00:00:00+14:00"}', ["due"]),
        ('{"extra":{"a":NaN}}', ["body"]),
        ('{"extra":{"a":-1e999}}', ["body"]),
        ('{"extra":[]}', ["extra"]),
        ('{"extra":{"a":"\\ud800"}}', ["body"]),
    ],
)
def test_what_is_refused(text: str, names: list[str]) -> None:
    """Each member that is wrong is named, with a reason, and nothing of what it held."""
    with pytest.raises(ApiError) as refused:
        JSON.json(text.encode())
    error = refused.value
    assert error.status == 400
    assert [parameter.name for parameter in error.invalid] == names
    assert all(parameter.reason for parameter in error.invalid)
    assert "99999" not in error.detail


@pytest.mark.parametrize("body", [body for body in ODD_BODIES if not body.startswith(b"{")])
def test_odd_bodies_are_refused(body: bytes) -> None:
    """Whatever is no JSON object is an error of the caller's."""
    with pytest.raises(ApiError):
        JSON.json(body)


def test_refusals_have_an_end() -> None:
    """Many wrong members do not make a response of megabytes."""
    with pytest.raises(ApiError) as refused:
        Reader(list[Part]).json(b"[" + b"{}," * 10_000 + b"{}]")
    assert len(refused.value.invalid) == 50


def test_members_that_nobody_knows_are_named_and_dropped() -> None:
    """At every depth, but not in objects that are free."""
    read = JSON.json(b'{"x":1,"parts":[{"documentId":"a","y":{"z":1}}],"extra":{"free":1}}')
    assert read.unknown == ("x", "parts[0].y")
    assert read.value.given() == {
        "lifeTime": 60,
        "parts": [{"documentId": "a"}],
        "extra": {"free": 1},
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"lifeTime":0,"x":1}', ["x"]),
        (
            '{"parts":[{"documentid":"a"},{"documentId":"a","y":{"z":1}}]}',
            ["parts[0].documentid", "parts[1].y"],
        ),
        ('{"named":{"a":{"documentid":"a"}}}', ["named.a.documentid"]),
        ('{"isOpen":1,"extra":{"free":{"a":1}},"x":1}', ["x"]),
        ('{"flow":{"a":1},"share":[{"a":1}]}', []),
        ('{"parts":{"a":1}}', []),
        ('{"extra":{"a":NaN},"x":1}', ["x"]),
        ('{"x":1', []),
        ('[{"x":1}]', []),
    ],
)
def test_unknown_members_are_named_where_others_are_wrong(text: str, names: list[str]) -> None:
    """A required member with a typing error in it is refused as missing: its name helps."""
    with pytest.raises(RefusedError) as refused:
        JSON.json(text.encode())
    assert list(refused.value.unknown) == names


@pytest.mark.parametrize("body", ODD_BODIES)
def test_odd_bodies_have_no_unknown_members_beyond_reason(body: bytes) -> None:
    """Whatever is nested deeply, or is no JSON, is refused all the same."""
    with pytest.raises(RefusedError) as refused:
        Reader(list[Part]).json(body if body != b"[]" else b"[0]")
    assert refused.value.unknown in {(), ("[0].a",)}


def test_no_body_is_null() -> None:
    """So a kind that accepts null can be left out altogether; no other can."""
    assert Reader[object](type(None)).json(b"").value is None
    with pytest.raises(ApiError):
        JSON.json(b"")


def test_free_objects_and_lists_can_be_read() -> None:
    """What an endpoint takes need not be one object."""
    assert Reader(dict[str, Any]).json(b'{"a":null}').value == {"a": None}
    assert Reader(list[Part]).json(b'[{"documentId":"a","b":1}]').unknown == ("[0].b",)


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("https://shop.test/ok?a=b#c", True),
        ("https://user:pass@shop.test:8443", True),
        ("https://[::1]:8443/ok", True),
        ("app.scheme:/done", True),
        ("app://done", True),
        ("HTTPS://shop.test", True),
        ("https://shop.test:99999/", False),
        ("https://[::1/", False),
        ("https://", False),
        ("https:/ok", False),
        ("/ok", False),
        ("", False),
        ("https://shop.test/a b", False),
        ("https://shop.test/\n", False),
        ("https://shop.test/\x7f", False),
    ],
)
def test_urls_are_kept_or_refused(url: str, is_good: bool) -> None:  # noqa: FBT001 (a table)
    """A URL that a browser can be sent to stays letter for letter."""
    reader = Reader(Part)
    body = {"documentId": "a", "url": url}
    data = str(body).replace("'", '"').encode()
    if is_good:
        assert reader.json(data).value.given() == body
        return
    with pytest.raises(ApiError):
        reader.json(data)


class Query(Body):
    """An example of a query."""

    from_date: date | None = None
    limit: int = 20
    raw_json: bool = False
    since: Moment | None = None


def test_queries_are_read_from_text() -> None:
    """Names in any case, numbers and dates from their texts, empty ones left out."""
    texts = {"FROMDATE": "2026-01-31", "limit": "3", "rawJSON": "true", "since": "", "x": "1"}
    read = Reader(Query).query(texts)
    assert (read.value.from_date, read.value.limit) == (date(2026, 1, 31), 3)
    assert (read.value.raw_json, read.value.since, read.unknown) == (True, None, ("x",))
    moment = Reader(Query).query({"since": "2026-01-31T12:00:00Z"}).value.since
    assert moment == datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize("texts", [{"limit": "x"}, {"fromDate": "1"}, {"rawJson": "maybe"}])
def test_bad_queries_name_their_parameter(texts: dict[str, str]) -> None:
    """As a body does."""
    with pytest.raises(ApiError) as refused:
        Reader(Query).query(texts)
    assert [parameter.name for parameter in refused.value.invalid] == list(texts)


def test_unknown_parameters_are_named_where_others_are_wrong() -> None:
    """As members are."""
    with pytest.raises(RefusedError) as refused:
        Reader(Query).query({"limit": "x", "LIMITS": "1", "fromdate": "2026-01-31"})
    assert refused.value.unknown == ("LIMITS",)
