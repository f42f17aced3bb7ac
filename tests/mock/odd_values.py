"""Odd JSON, made from what an endpoint takes: every place can get a value that does not belong."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from hypothesis import strategies as st

__all__ = [
    "KNOWN",
    "ODD_BODIES",
    "ODD_TEXTS",
    "good_value",
    "odd_at_every_place",
    "odd_bodies",
    "odd_together",
]

Place: TypeAlias = tuple[int | str, ...]

ODD_TEXTS: Final = (
    *("", " ", "\x00", "\r\nX-Evil: 1", "\ud800", "é€😀", "x" * 5000, "../..", "%2F", "null", "-1"),
    *("https://shop.test:99999/", "https://[::1/", "http://", "https://[::1]:8443/ok?a#b", "a:b"),
    *("app.scheme:/done", "https://user:pass@shop.test/", "9" * 400, "1e999", "٣", "2026-02-30"),
    *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00", "<b>'\""),
)
"""Texts that somebody does not expect: of another kind, without an end, of another alphabet."""
_ODD_VALUES: Final[tuple[object, ...]] = (
    *(None, True, False, 0, -1, 1.5, 10**30, -(10**30), 1e308, [], {}, [[]], [None], [{}]),
    *({"": ""}, {"a": None}, ["a", 1], {"\ud800": "\udfff"}, {"__class__": 1}),
)
ODD_BODIES: Final = (
    *(b"", b" ", b"null", b"true", b"0", b'""', b"[]", b"{}", b"[[]]", b"[null]", b"[{}]", b"{"),
    *(b'{"a":1,"a":2}', b"\xff\xfe", b"\xef\xbb\xbf{}", b"{}{}", b"NaN", b'{"a":NaN}', b"\x00"),
    *(b'{"a":1e999}', b"[" * 100_000, b'{"a":' * 300 + b"1" + b"}" * 300, b"9" * 10_000),
    *(b'"\\ud800"', '{"a":1}'.encode("utf-16"), b"a=b&c=d", b"%PDF-1.7", b"-", b"[1,]"),
)
"""Whole bodies that are no JSON, or JSON of another kind."""

_odd_json = st.recursive(
    st.sampled_from(ODD_TEXTS + _ODD_VALUES) | st.text(max_size=8) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)

KNOWN: Final[Mapping[str, object]] = {
    "documentId": "A-DOCUMENT",
    "documentCollectionId": "A-COLLECTION",
    "subsequentTo": [],
}
"""Members that name what must be there already: whoever asks writes an id in place of the text."""


def good_value(schema: Mapping[str, Any]) -> Any:
    """Return a value that fits a JSON schema of pydantic's, with every member that it names."""
    return _good(schema, schema.get("$defs", {}))


def _good(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        return _good(named[schema["$ref"].rpartition("/")[2]], named)
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return _good(schema[several][0], named)
    if schema.get("type") == "object":
        members = schema.get("properties", {})
        return {
            name: KNOWN[name] if name in KNOWN else _good(member, named)
            for name, member in members.items()
        }
    if schema.get("type") == "array":
        return [_good(schema.get("items", {}), named)]
    return _good_text_or_number(schema)


def _good_text_or_number(schema: Mapping[str, Any]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "enum" in schema or "const" in schema:
        return schema.get("const") or schema["enum"][0]
    if schema.get("type") in {"integer", "number"}:
        return max(schema.get("minimum", 1), 1)
    if schema.get("type") == "boolean":
        return True
    return "2026-01-31T12:00:00Z" if schema.get("format") == "date-time" else "https://shop.test/"


def _places(value: object, place: Place = ()) -> Iterator[Place]:
    """Yield every place in a value: its own, and those inside."""
    yield place
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _places(item, (*place, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _places(item, (*place, index))


def _with(value: Any, place: Place, odd: object) -> Any:
    """Return a copy with another value at one place; as it was where that place is gone."""
    if not place:
        return odd
    first, rest = place[0], place[1:]
    if isinstance(value, dict) and first in value:
        return {**value, first: _with(value[first], rest, odd)}
    if isinstance(value, list) and isinstance(first, int) and first < len(value):
        return [_with(item, rest, odd) if i == first else item for i, item in enumerate(value)]
    return value


def odd_at_every_place(schema: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield a good body, then it with each odd value at each place, one at a time."""
    value = good_value(schema)
    yield json.dumps(value).encode("utf-8")
    for place in _places(value):
        for odd in ODD_TEXTS + _ODD_VALUES:
            yield json.dumps(_with(value, place, odd)).encode("utf-8")


def odd_together(schema: Mapping[str, Any], accepts: Callable[[bytes], bool]) -> Iterator[bytes]:
    """Yield the same, but with each odd value at all places at once that accept it.

    Only places that are not inside each other can share a body: those that
    hold nothing do, and those that hold something, by how deep they are.
    """
    value = good_value(schema)
    places = list(_places(value))
    leaves = [place for place in places if not any(_is_inside(one, place) for one in places)]
    branches = [place for place in places if place not in leaves]
    depths = sorted({len(place) for place in branches})
    groups = [leaves, *([one for one in branches if len(one) == depth] for depth in depths)]
    yield json.dumps(value).encode("utf-8")
    for odd in ODD_TEXTS + _ODD_VALUES:
        for group in groups:
            together = value
            for place in group:
                body = _with(together, place, odd)
                together = body if accepts(json.dumps(body).encode("utf-8")) else together
            if together is not value:
                yield json.dumps(together).encode("utf-8")


def _is_inside(place: Place, other: Place) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


@st.composite
def odd_bodies(draw: st.DrawFn, schema: Mapping[str, Any] | None) -> bytes:
    """Draw a body: odd as a whole, or what is taken with odd values at one to three places."""
    if schema is None or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(ODD_BODIES) | st.binary(max_size=40))
    value = good_value(schema)
    places = list(_places(value))
    for _ in range(draw(st.integers(0, 3))):
        value = _with(value, draw(st.sampled_from(places)), draw(_odd_json))
    return json.dumps(value).encode("utf-8")
