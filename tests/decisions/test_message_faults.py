"""What is wrong with bytes that are no message: named, whatever else is in them (G5, F9, G10)."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http1 import foreign_protocols, message_faults
from proxy.http1.failures import ambiguous_message
from proxy.http1.foreign_protocols import HTTP_2, PROXY_PROTOCOL, SOCKS, TLS, foreign_protocol
from proxy.http1.message_faults import UNCLEAR, remedy, request_fault, response_fault
from tests.hostile.test_ambiguous_requests import AMBIGUOUS
from tests.support.source_tree import read

HOST = b"Host: localhost\r\n"
HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

PROTOCOLS = {
    "TLS": (HELLO, TLS),
    "TLS 1.3 in two pieces": (b"\x16", TLS),
    "TLS with line ends in it": (HELLO + b"\r\n\r\n", TLS),
    "TLS alert": (b"\x15\x03\x01\x00\x02\x02\x30", TLS),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_2),
    "SOCKS 5": (b"\x05\x01\x00", SOCKS),
    "SOCKS 5 with two methods": (b"\x05\x02\x00\x02", SOCKS),
    "SOCKS 4": (b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00", SOCKS),
    "PROXY protocol": (b"PROXY TCP4 192.0.2.1 192.0.2.2 5 80\r\nGET / HT", PROXY_PROTOCOL),
    "PROXY protocol, version 2": (b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", PROXY_PROTOCOL),
    "the same without its first line": (b"\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", PROXY_PROTOCOL),
    "nothing": (b"", None),
    "HTTP": (b"GET / HTTP/1.1\r\n", None),
    "SSH": (b"SSH-2.0-OpenSSH_9.2\r\n", None),
    "zeros": (bytes(16), None),
    "five": (b"\x05\x01\x00 and more than a greeting", None),
    "a record of no TLS": (b"\x16\x16\x16", None),
}


@pytest.mark.parametrize(("data", "protocol"), PROTOCOLS.values(), ids=PROTOCOLS.keys())
def test_protocols_are_known_by_their_first_bytes(data: bytes, protocol: str | None) -> None:
    """The likely mistakes are told apart, and nothing is taken for one of them (G10)."""
    assert foreign_protocol(data) == protocol


REQUESTS = {
    b"SSH-2.0-OpenSSH_9.2\r\n": "the bytes are not HTTP",
    b"*1\r\n$4\r\nPING\r\n": "the bytes are not HTTP",
    b"\x00\x00\x00\x08\x04\xd2\x16\x2f": "the bytes are not HTTP",
    b"DESCRIBE rtsp://a/ RTSP/1.0\r\n": "the bytes are not HTTP",
    b"\r\nGET / HTTP/1.1\r\n": "more than one empty line",
    b"GET / HTTP/1.1\nHost: a\n\n": "LF or CR alone",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\rB: 2\r\n\r\n": "LF or CR alone",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: \x01": "a control character",
    b"GET / HTTP/1.1\r\nA: \x01\r": "a control character",
    b"GET /\x00x HTTP/1.1\r\n\r\n": "a control character",
    b"GET /\r\n": "does not end with HTTP/1.1",
    b"GET / HTTP/1.2\r\n\r\n": "does not end with HTTP/1.1",
    b"GET / http/1.1\r\n\r\n": "does not end with HTTP/1.1",
    b"GET / HTTP/1.1 \r\n\r\n": "does not end with HTTP/1.1",
    b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n": "space or tab too many",
    b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n": "space or tab too many",
    b"GET /\ta HTTP/1.1\r\n" + HOST + b"\r\n": "space or tab too many",
    b'"}GET / HTTP/1.1\r\n' + HOST + b"\r\n": "the method is not a word",
    b" / HTTP/1.1\r\n" + HOST + b"\r\n": "the method is not a word",
    "GET /søk HTTP/1.1\r\n\r\n".encode(): "letters outside ASCII in the URL",
    "GET /?q=é HTTP/1.1\r\n\r\n".encode("latin-1"): "letters outside ASCII in the URL",
    b"GET localhost/ HTTP/1.1\r\n" + HOST + b"\r\n": "the request target is neither",
    b"GET http:///a HTTP/1.1\r\n" + HOST + b"\r\n": "the request target is neither",
    b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n": "begins with a space or tab",
    b"GET / HTTP/1.1\r\n" + HOST + b"A\r\n\r\n": "has no colon",
    b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n": "before the colon",
    b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n": "the name of a header",
    b"GET / HTTP/1.1\r\n" + HOST + b": c\r\n\r\n": "the name of a header",
    b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n": "Host is there more than once",
    b"GET / HTTP/1.1\r\nA: b\r\n\r\n": "there is no Host header",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\ncontent-length: 1\r\n\r\n": (
        "Content-Length is there more than once"
    ),
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1, 1\r\n\r\n": "not one whole number",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n": (
        "both Content-Length and Transfer-Encoding"
    ),
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip\r\n\r\n": "not chunked alone",
    b"GET / HTTP/1.1\r\n" + HOST + b"\r\n": UNCLEAR,  # nothing is wrong with it that is known here
    b"GET / HTTP/1.0\r\n\r\n": UNCLEAR,
    b"": "the bytes are not HTTP",
}


@pytest.mark.parametrize(("head", "words"), REQUESTS.items())
def test_the_part_of_a_request_that_is_wrong_is_named(head: bytes, words: str) -> None:
    """Whoever sent it reads which part it is, and not that there is one."""
    assert words in request_fault(head)


ANSWERS = {
    b"SSH-2.0-OpenSSH_9.2\r\n": "the bytes are not HTTP",
    b"<html>": "the bytes are not HTTP",
    b"\x15\x03\x01\x00\x02\x02\x30": "the bytes are TLS",
    b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03": "the bytes are HTTP/2",
    b"HTTP/2.0 200 OK\r\n\r\n": "the status line is not",
    b"HTTP/1.1 200 OK\nA: b\n": "LF or CR alone",
    b"HTTP/1.1 200 OK\r\nA: \x1b[1m\r\n\r\n": "a control character",
    b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n": "before the colon",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n": "more than once",
    b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n": "the header lines",
}


@pytest.mark.parametrize(("head", "words"), ANSWERS.items())
def test_the_part_of_an_answer_that_is_wrong_is_named(head: bytes, words: str) -> None:
    """The same for what the upstream sent (F9)."""
    assert words in response_fault(head)


def test_every_refused_head_has_a_fault_with_a_name() -> None:
    """Of the corpus of refused requests none is only `not HTTP/1.1 with only one reading`."""
    heads = {name: raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" for name, raw in AMBIGUOUS.items()}
    in_bodies = {name for name in heads if name.startswith("chunk ")}
    # Refused elsewhere, in other words.
    elsewhere = {"fragment", "chunks in HTTP/1.0"}
    unclear = {name for name, head in heads.items() if request_fault(head) == UNCLEAR}
    assert unclear <= in_bodies | elsewhere


TEXTS = {
    text
    for name, text in (vars(message_faults) | vars(foreign_protocols)).items()
    if name.isupper() and not name.startswith("_") and isinstance(text, str)
}


def test_the_texts_on_the_page_are_those_of_the_replies() -> None:
    """Whoever looks for the `detail` in troubleshoot.md finds it."""
    part = read("docs/troubleshoot.md").partition("### What is not HTTP/1.1\n")[2]
    lines = part.partition("\n## ")[0].splitlines()
    rows = [line.split("|")[1] for line in lines if line.startswith("| `")]
    quoted = [text for row in rows for text in re.findall("`([^`]+)`", row) if text != "detail"]
    assert len(quoted) >= 7
    assert [text for text in quoted if not any(known.startswith(text) for known in TEXTS)] == []


@given(st.binary() | st.builds(lambda *p: b"".join(p), st.sampled_from([*REQUESTS]), st.binary()))
def test_the_texts_are_a_closed_set(data: bytes) -> None:
    """Whatever came, nothing of it is told: a query can name a person (G7)."""
    for fault in (request_fault(data), response_fault(data)):
        assert fault in TEXTS or fault.endswith(" is there more than once")


@pytest.mark.parametrize("text", sorted(TEXTS))
def test_every_text_makes_two_sentences(text: str) -> None:
    """The fault goes into a sentence, and the remedy is one of its own."""
    assert text[0].islower() or text.startswith(("Content-Length", "Transfer-Encoding"))
    assert not text.endswith(".")
    assert remedy(text)[0].isupper()
    assert remedy(text)[-1] in ".?"
    assert "(" not in text
    assert text in ambiguous_message(text).detail
