"""Which `X-Request-ID` of a caller is its request's id, and what ours are like (O1)."""

import re

import pytest

from proxy.http1.headers import MessageHeaders
from proxy.http1.request_id import RequestIds, given_request_id

NONE: frozenset[bytes] = frozenset()


@pytest.mark.parametrize("value", [b"a", b"order-17", b"!~" * 64, b'{"a":1}'])
def test_a_usable_id_stands(value: bytes) -> None:
    """1 to 128 visible ASCII characters."""
    assert given_request_id(MessageHeaders([], {b"x-request-id": value}, 0, NONE)) == value


@pytest.mark.parametrize("value", [b"", b"a" * 129, b"a b", b"one, two", b"\xe5", b"a\t", b"a\x7f"])
def test_any_other_is_replaced(value: bytes) -> None:
    """A repeated header too: two ids are none."""
    assert given_request_id(MessageHeaders([], {b"x-request-id": value}, 0, NONE)) is None


def test_an_id_that_connection_names_is_for_one_hop() -> None:
    """It does not go up, so it is not what the two sides know the request by."""
    headers = MessageHeaders([], {b"x-request-id": b"a"}, 0, frozenset((b"x-request-id",)))
    assert given_request_id(headers) is None
    assert given_request_id(MessageHeaders([], {}, 0, NONE)) is None


def test_ours_are_unique_and_in_order() -> None:
    """128 random bits for the process, and a count."""
    ids, others = RequestIds(), RequestIds()
    first, second, other = ids.new(), ids.new(), others.new()
    assert re.fullmatch(rb"[0-9a-f]{32}-1", first)
    assert second == first[:-1] + b"2"
    assert other != first
