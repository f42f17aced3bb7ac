"""Which `X-Request-ID` of a caller is its request's id, and what ours are like (O1)."""

import re

import pytest

from proxy.http1.headers import MessageHeaders
from proxy.http1.request_id import RequestIds, given_id_line, id_in, id_line

NONE: frozenset[bytes] = frozenset()


@pytest.mark.parametrize("value", [b"a", b"order-17", b"!~" * 64, b'{"a":1}'])
def test_a_usable_id_stands(value: bytes) -> None:
    """1 to 128 visible ASCII characters."""
    line = given_id_line(MessageHeaders([], {b"x-request-id": value}, 0, NONE))
    assert line == b"X-Request-ID: " + value + b"\r\n" == id_line(value)
    assert id_in(line) == value.decode()


@pytest.mark.parametrize("value", [b"", b"a" * 129, b"a b", b"one, two", b"\xe5", b"a\t", b"a\x7f"])
def test_any_other_is_replaced(value: bytes) -> None:
    """A repeated header too: two ids are none."""
    assert given_id_line(MessageHeaders([], {b"x-request-id": value}, 0, NONE)) is None


def test_an_id_that_connection_names_is_for_one_hop() -> None:
    """It does not go up, so it is not what the two sides know the request by."""
    headers = MessageHeaders([], {b"x-request-id": b"a"}, 0, frozenset((b"x-request-id",)))
    assert given_id_line(headers) is None
    assert given_id_line(MessageHeaders([], {}, 0, NONE)) is None


def test_ours_are_unique_and_in_order() -> None:
    """128 random bits for the process, and a count."""
    ids, others = RequestIds(), RequestIds()
    first, other = id_in(ids.new_line()), id_in(others.new_line())
    match = re.fullmatch(r"([0-9a-f]{32})-01", first)
    assert match
    assert other[:32] != match[1]
    rest = [id_in(ids.new_line()) for _ in range(2, 10_102)]
    assert rest == [f"{match[1]}-{number:02}" for number in range(2, 10_102)]
