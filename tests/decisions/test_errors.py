"""The table of error codes: a row that lacks something, or that nobody finds, fails here (E)."""

import re
from http import HTTPStatus

import pytest

from proxy import errors
from proxy.errors import ERROR_KINDS, ErrorKind

# RFC 9209 §2.3: those of its error types that the proxy uses.
PROXY_ERRORS = {
    "connection_limit_reached",
    "connection_read_timeout",
    "connection_terminated",
    "destination_not_found",
    "destination_unavailable",
    "http_protocol_error",
    "http_request_denied",
    "http_request_error",
    "proxy_internal_response",
}


@pytest.mark.parametrize("kind", ERROR_KINDS, ids=[kind.code for kind in ERROR_KINDS])
def test_every_row_is_whole(kind: ErrorKind) -> None:
    """A code has a status of HTTP, a title, a type of RFC 9209 and a sentence for the operator."""
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", kind.code)
    assert 400 <= HTTPStatus(kind.status) < 600
    assert re.fullmatch(r"[A-Z][a-z ]+", kind.title)
    assert kind.proxy_error in PROXY_ERRORS
    assert re.fullmatch(r"[A-Z].{10,88}[.?]", kind.meaning)


def test_every_row_has_its_own_name_and_code() -> None:
    """A row is exported under its code in capitals, and is in the table; no code is there twice."""
    names = {name for name, row in vars(errors).items() if isinstance(row, ErrorKind)}
    assert names == {kind.code.upper() for kind in ERROR_KINDS} <= set(errors.__all__)
    assert len(names) == len(ERROR_KINDS)


def test_what_the_caller_could_not_help_is_no_client_error() -> None:
    """A failure on the path is a 5xx; a refusal is one only for want of room or time."""
    refused = {kind.code for kind in ERROR_KINDS if kind.is_refusal and kind.status >= 500}
    assert refused == {"overloaded", "draining"}
    assert all(kind.status >= 500 for kind in ERROR_KINDS if not kind.is_refusal)
