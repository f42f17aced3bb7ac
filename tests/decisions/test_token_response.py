"""Responses of the token endpoint: what is a token, and what a failure means."""

import json
from typing import Any

import pytest

from proxy.oauth.response import (
    HINTS,
    MAX_TOKEN_LENGTH,
    OUTCOMES,
    Failure,
    FailureOutcome,
    Grant,
    read_response,
)

TOKEN = "s3cr3t.token"
WALL = 1_445_412_480.0  # Wed, 21 Oct 2015 07:28:00 GMT
DAY = 86400.0


def read(body: bytes, status: int = 200, retry_after: str | None = None) -> Grant | Failure:
    """Return how a response is read."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return read_response(status, headers, body, wall=WALL)


def granted(**changes: Any) -> bytes:
    """Return a good response with some members changed; None leaves one out."""
    response = {"access_token": TOKEN, "expires_in": 600, "token_type": "Bearer"} | changes
    return json.dumps({key: value for key, value in response.items() if value is not None}).encode()


def with_lifetime(literal: str) -> bytes:
    """Return a good response whose `expires_in` is this literal."""
    return granted(expires_in="HERE").replace(b'"HERE"', literal.encode())


def test_the_response_of_the_documentation_is_a_grant() -> None:
    """T8: token, lifetime and scope are taken over; other members are of no account."""
    body = granted(scope="signicat-api", refresh_token="r", extra=[1])
    assert read(body) == Grant(TOKEN, 600.0, "signicat-api")
    assert "s3cr3t" not in repr(read(body))


@pytest.mark.parametrize("scope", [None, 1, ["signicat-api"], {}])
def test_a_scope_that_is_no_text_is_not_said(scope: object) -> None:
    """T8: only a text says what was granted; anything else is as good as nothing."""
    assert read(granted(scope=scope)) == Grant(TOKEN, 600.0, None)


LIFETIMES = {
    "600": 600.0,
    "600.5": 600.5,
    "1": 1.0,
    "0.001": 1.0,
    "1.5": 1.5,
    "6e2": 600.0,
    '"600"': 600.0,
    '" 600 "': 600.0,
    '"600.5"': 600.5,
    '"-5"': 1.0,
    '"0"': 1.0,
    '"999999999999"': DAY,
    "null": 300.0,
    "0": 1.0,
    "-0.0": 1.0,
    "-1": 1.0,
    "-1e999": 1.0,
    "-Infinity": 1.0,
    "86400": DAY,
    "86401": DAY,
    "1e999": DAY,
    "Infinity": DAY,
    "1" * 300: DAY,
    "1" * 400: DAY,
    "-" + "1" * 400: 1.0,
}


@pytest.mark.parametrize(("literal", "seconds"), LIFETIMES.items(), ids=lambda it: str(it)[:20])
def test_a_lifetime_is_read(literal: str, seconds: float) -> None:
    """T8: `expires_in` is a number or a numeric text, between 1 s and 24 h; null is 300 s."""
    assert read(with_lifetime(literal)) == Grant(TOKEN, seconds, None)


def test_no_lifetime_is_300_seconds() -> None:
    """T8: a missing `expires_in` is 300 s."""
    assert read(granted(expires_in=None)) == Grant(TOKEN, 300.0, None)


@pytest.mark.parametrize(
    "literal",
    [
        *("NaN", "true", "false", "[600]", '{"s": 600}', '""', '"ten"', '"1e3"', '"+5"', '"NaN"'),
        *('"Infinity"', '"600s"', '"0x10"', '"1,5"', '"' + "9" * 400 + '"'),
    ],
    ids=lambda it: it[:20],
)
def test_a_lifetime_that_is_no_number_makes_the_token_unusable(literal: str) -> None:
    """T8: what can be no number of seconds is not guessed at."""
    failure = Failure("unusable_answer", detail="expires_in is no number")
    assert read(with_lifetime(literal)) == failure


@pytest.mark.parametrize("kind", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_token_type_is_bearer_in_any_case(kind: str) -> None:
    """T8: the case of `token_type` does not matter."""
    assert read(granted(token_type=kind)) == Grant(TOKEN, 600.0, None)


@pytest.mark.parametrize("kind", [None, "", "DPoP", "mac", "Bearer ", " bearer", 1, ["Bearer"]])
def test_another_token_type_is_unusable(kind: object) -> None:
    """T8: a token that is no bearer token, or of no said type, is not sent."""
    failure = Failure("unusable_answer", detail="token_type is not Bearer")
    assert read(granted(token_type=kind)) == failure


@pytest.mark.parametrize(
    "token",
    ["a", "azAZ09-._~+/", "abc=", "abc==", "eyJ.eyJ.sig-_", "x" * MAX_TOKEN_LENGTH],
    ids=lambda it: it[:20],
)
def test_a_token_of_the_alphabet_is_taken(token: str) -> None:
    """T8: the token is opaque and in RFC 6750's alphabet, up to 16 KiB."""
    result = read(granted(access_token=token))
    assert isinstance(result, Grant)
    assert result.access_token == token


ILL_FORMED = (
    *("s3cr3t\n", "s3cr3t\r\nX: y", "s3\x00", "s3\x7f", "s3 cr3t", " s3", "s3=cr3t", "="),
    *("s3crét", "s3\u0660", "s3\ud800", "s3,cr3t", '"s3"', "Bearer s3cr3t"),
)


@pytest.mark.parametrize(
    ("token", "detail"),
    [
        (None, "access_token is missing or empty"),
        ("", "access_token is missing or empty"),
        (7, "access_token is missing or empty"),
        (["s3cr3t"], "access_token is missing or empty"),
        ("x" * (MAX_TOKEN_LENGTH + 1), "access_token is too long"),
        *((token, "access_token has characters of no token") for token in ILL_FORMED),
    ],
    ids=lambda it: repr(it)[:30],
)
def test_another_token_is_unusable(token: object, detail: str) -> None:
    """T8, G7: an empty, over-long or ill-formed token is refused and shown nowhere."""
    assert read(granted(access_token=token)) == Failure("unusable_answer", detail=detail)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"<!doctype html><title>Sign in</title>",
        b"access_token=abc&token_type=Bearer",
        b"null",
        b"[]",
        b'"abc"',
        b"7",
        b'{"access_token": "abc", ',
        b'{"access_token": "abc"} x',
        b'{"access_token": "ab\xff", "token_type": "Bearer"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        with_lifetime("1" * 5000),
    ],
    ids=lambda it: repr(it)[:20],
)
def test_a_body_that_is_no_object_is_unusable(body: bytes) -> None:
    """T5, T8: whatever stands in a 200, reading it raises nothing; the failure may pass."""
    assert read(body) == Failure("unusable_answer", detail="the response is no JSON object")


def test_of_duplicate_members_the_last_counts() -> None:
    """T8: the last of two equal members counts, for the token as for its type."""
    first = b'{"access_token": "first", "token_type": "mac", '
    assert read(first + granted().removeprefix(b"{")) == Grant(TOKEN, 600.0, None)


def test_a_byte_order_mark_is_no_fault() -> None:
    """T8: UTF-8 with a byte order mark is read."""
    assert read(b"\xef\xbb\xbf" + granted()) == Grant(TOKEN, 600.0, None)


def error(code: object) -> bytes:
    """Return the body of a refusal; its description must show nowhere."""
    return json.dumps({"error": code, "error_description": "s3cr3t"}).encode()


@pytest.mark.parametrize("code", ["invalid_client", "unauthorized_client", "invalid_scope"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusals_of_the_client_are_permanent(code: FailureOutcome, status: int) -> None:
    """T6: these three codes are permanent whatever the status, and a hint says what to check."""
    assert read(error(code), status, "7") == Failure(code, is_permanent=True)
    assert HINTS[code]


REFUSALS: dict[tuple[int, object], tuple[FailureOutcome, bool, str | None]] = {
    (400, "invalid_request"): ("oauth_error", True, "status 400, error invalid_request"),
    (400, "invalid_grant"): ("oauth_error", True, "status 400, error invalid_grant"),
    (401, "urn:x/y.z-1"): ("oauth_error", True, "status 401, error urn:x/y.z-1"),
    (404, "not_here"): ("oauth_error", False, "status 404, error not_here"),
    (400, None): ("http_4xx", True, "status 400"),
    (401, 7): ("http_4xx", True, "status 401"),
    (403, ""): ("http_4xx", True, "status 403"),
    (400, "with\nline"): ("http_4xx", True, "status 400"),
    (400, "with space"): ("http_4xx", True, "status 400"),
    (400, "x" * 65): ("http_4xx", True, "status 400"),
    (404, None): ("http_4xx", False, "status 404"),
    (405, None): ("http_4xx", False, "status 405"),
    (407, None): ("http_4xx", False, "status 407"),
    (499, None): ("http_4xx", False, "status 499"),
    (408, "invalid_client"): ("http_408", False, None),
    (429, None): ("http_429", False, None),
    (500, "invalid_client"): ("http_5xx", False, "status 500"),
    (503, None): ("http_5xx", False, "status 503"),
    (599, None): ("http_5xx", False, "status 599"),
    (999, None): ("http_5xx", False, "status 999"),
}


@pytest.mark.parametrize(("said", "expected"), REFUSALS.items(), ids=lambda it: repr(it)[:40])
def test_failures_are_told_apart(
    said: tuple[int, object], expected: tuple[FailureOutcome, bool, str | None]
) -> None:
    """T5, T6, G7: status and code decide on cause and permanence; free text is not passed on."""
    status, code = said
    failure = read(error(code), status, "7")
    outcome, is_permanent, detail = expected
    assert failure == Failure(outcome, is_permanent, detail, retry_after_seconds=7.0)
    assert outcome in OUTCOMES


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b'{"error": {}}', b"{" * 100_000])
def test_a_refusal_without_a_code_goes_by_its_status(body: bytes) -> None:
    """T6: a 400 whose body cannot be read is permanent all the same."""
    assert read(body, 400) == Failure("http_4xx", is_permanent=True, detail="status 400")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(201, "unusable_answer"), (204, "unusable_answer"), (299, "unusable_answer")]
    + [(status, "redirect") for status in (300, 301, 302, 303, 304, 307, 308)],
)
def test_only_200_grants(status: int, outcome: FailureOutcome) -> None:
    """T8: another success and a redirect are unusable even with a token; both may pass."""
    assert read(granted(), status, "7") == Failure(outcome, detail=f"status {status}")


RETRY_AFTER = {
    "0": 0.0,
    "120": 120.0,
    " 120 ": 120.0,
    "9" * 5000: 999999999.0,
    "Wed, 21 Oct 2015 07:30:00 GMT": 120.0,
    "Wednesday, 21-Oct-15 07:30:00 GMT": 120.0,
    "Wed Oct 21 07:30:00 2015": 120.0,
    "Wed, 21 Oct 2015 09:30:00 +0200": 120.0,
    "Wed, 21 Oct 2015 07:28:00 GMT": 0.0,
    "Wed, 21 Oct 2015 07:00:00 GMT": 0.0,
    "": None,
    "-5": None,
    "1.5": None,
    "soon": None,
    "\u0661\u0662": None,
    "\u00b2": None,
    "Wed, 99 Oct 2015 07:28:00 GMT": None,
    "Wed, 21 Oct 99999 07:28:00 GMT": None,
    "Wed, 21 Oct 2015 07:28:00 +9999": None,
    "Wed, 21 Oct": None,
}


@pytest.mark.parametrize("status", [408, 429, 503, 404])
@pytest.mark.parametrize(("value", "seconds"), RETRY_AFTER.items(), ids=lambda it: str(it)[:35])
def test_retry_after_is_read(value: str, seconds: float | None, status: int) -> None:
    """T5: `Retry-After` is seconds or a date that may be past; garbage counts for nothing."""
    failure = read(b"", status, value)
    assert isinstance(failure, Failure)
    assert failure.retry_after_seconds == seconds


def test_hints_name_outcomes() -> None:
    """L: every hint belongs to an outcome that exists."""
    assert set(HINTS) <= set(OUTCOMES)
