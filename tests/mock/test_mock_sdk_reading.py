"""The reader that stands for the SDK's: it must not overlook what .NET would fail on."""

from typing import Any

import pytest

from tests.mock.sdk_reading import (
    ERROR,
    Check,
    anything,
    day,
    each,
    exactly,
    flag,
    guid,
    map_of,
    may_have,
    may_lack,
    members,
    misread,
    moment,
    number,
    one_of,
    or_null,
    text,
    texts,
    whole,
)

ROLE = members({"role": one_of("ceo", "auditor"), "start": or_null(moment)})
CASES: list[tuple[Check, Any, bool]] = [
    (text, "a", True),
    (text, 1, False),
    (flag, True, True),
    (flag, 1, False),
    (number, 1.5, True),
    (number, True, False),
    (number, "1", False),
    (or_null(number), None, False),
    (whole, 2, True),
    (whole, 2.5, False),
    (day, "2026-01-31", True),
    (day, "2026-01-31T00:00:00Z", False),
    (moment, "2026-01-31T00:00:00.000Z", True),
    (moment, "2026-01-31T00:00:00+01:00", True),
    (moment, "2026-01-31T00:00:00+0100", False),
    (moment, "2026-02-30", False),
    (guid, "8f0c5a52-0000-4000-8000-000000000001", True),
    (guid, "8f0c5a52000040008000000000000001", False),
    (guid, "x", False),
    (ROLE, {"role": "CEO", "start": None}, True),
    (ROLE, {"role": None, "start": None}, False),
    (ROLE, {"role": "ceo"}, False),
    (ROLE, {"role": "ceo", "start": None, "end": None}, False),
    (ROLE, [], False),
    (each(ROLE), [{"role": "other", "start": None}], False),
    (each(ROLE), {}, False),
    (each(text), [], True),
    (members({"a": each(text), "b": ROLE}), {"a": None, "b": None}, True),
    (members({"a": may_lack(text)}), {}, True),
    (members({"a": may_lack(text)}), {"a": 1}, False),
    (may_have(texts("a", "b")), {"a": None}, True),
    (may_have(texts("a", "b")), {"c": "x"}, False),
    (map_of(number), {"a": 1, "b": 2}, True),
    (map_of(number), {"a": 1, "b": "2"}, False),
    (map_of(number), [], False),
    (map_of(number), {}, True),
    (exactly("pades"), "pades", True),
    (exactly("pades"), "PADES", False),
    (exactly("pades"), None, False),
    (anything, [], True),
    (ERROR, {"code": 1}, False),
    (ERROR, {"errors": {"title": ["is required"]}}, False),
    (ERROR, {"title": "x", "status": 400, "invalidParams": []}, True),
]


@pytest.mark.parametrize(("check", "value", "is_read"), CASES, ids=range(len(CASES)))
def test_what_the_sdk_reads(
    check: Check,
    value: Any,
    is_read: bool,  # noqa: FBT001 (a table)
) -> None:
    """Nulls for .NET's value types, other types, and members without a counterpart are told."""
    assert (not misread(value, check)) is is_read
