"""What is wrong with bytes that are no HTTP/1 message: the part, in words of ours (G5, F9, G10).

The parsers say that there is a fault, the functions here which one it is. The
texts are a closed set and hold nothing that a peer has sent: its queries can
name persons. A refused message may be as long as it likes to be, and there
may be a flood of them, so it is searched and not looped over.
"""

import re
from typing import Final

from proxy.http1.foreign_protocols import (
    HTTP_2,
    HTTP_2_REPLY,
    PROXY_PROTOCOL,
    SOCKS,
    TLS,
    foreign_protocol,
)
from proxy.http1.grammar import (
    CRLF,
    METHODS,
    NEVER_FORWARDED,
    STATUS_LINE_PATTERN,
    TOKEN,
    VERSIONS,
)

__all__ = [
    "BOTH_LENGTHS",
    "CHUNKED_BODY",
    "CHUNKS_IN_HTTP_10",
    "CHUNKS_WITHOUT_DATA",
    "CONTENT_LENGTH",
    "FOLDED",
    "HEADER_NAME",
    "INTERIM_BODY",
    "INTERIM_RESPONSES",
    "LENGTH_TWICE",
    "NOT_CHUNKED",
    "RESPONSE_HEAD_TOO_LARGE",
    "SPACE_BEFORE_COLON",
    "STATUS_LINE",
    "UNCLEAR",
    "remedy",
    "request_fault",
    "response_fault",
]

NOT_HTTP: Final = "the bytes are not HTTP"
EMPTY_LINES: Final = "there is more than one empty line before the request"
LINE_ENDS: Final = "a line ends in LF or CR alone"
CONTROL: Final = "there is a control character in the request line or a header"
VERSION: Final = "the request line does not end with HTTP/1.1 or HTTP/1.0"
SPACE_IN_TARGET: Final = "there is a space or tab too many in the request line"
METHOD: Final = "the method is not a word of ASCII letters"
NOT_ASCII: Final = "there are letters outside ASCII in the URL"
TARGET: Final = "the request target is neither a path that begins with / nor an http:// URL"
FOLDED: Final = "a header line begins with a space or tab"
NO_COLON: Final = "a header line has no colon"
SPACE_BEFORE_COLON: Final = "there is a space or tab before the colon of a header"
HEADER_NAME: Final = "the name of a header is empty or has characters that are not allowed there"
NO_HOST: Final = "there is no Host header"
BOTH_LENGTHS: Final = "there are both Content-Length and Transfer-Encoding"
CHUNKS_IN_HTTP_10: Final = "there is Transfer-Encoding in HTTP/1.0"
NOT_CHUNKED: Final = "Transfer-Encoding is not chunked alone"
CONTENT_LENGTH: Final = "Content-Length is not one whole number of up to 18 digits"
CHUNKED_BODY: Final = "sizes, data and line ends of the chunked body do not fit together"
CHUNKS_WITHOUT_DATA: Final = "the chunked body has 16 KiB of framing without data"
HEADER_LINES: Final = "the header lines have more than one reading"
STATUS_LINE: Final = "the status line is not HTTP/1.1 or HTTP/1.0 with a status from 100 to 599"
INTERIM_RESPONSES: Final = "there are more than 16 interim responses, or 101 Switching Protocols"
INTERIM_BODY: Final = "an interim response declares a body"
RESPONSE_HEAD_TOO_LARGE: Final = "status line and headers together exceed 64 KiB"
UNCLEAR: Final = "it is not HTTP/1.1 with only one reading"

_ONCE: Final = {
    name.lower().encode(): f"{name} is there more than once"
    for name in (
        "Content-Length",
        "Content-Location",
        "Content-Range",
        "Content-Type",
        "ETag",
        "Host",
        "Max-Forwards",
        "Server",
        "Transfer-Encoding",
        "User-Agent",
    )
}
LENGTH_TWICE: Final = _ONCE[b"content-length"]
_CORRECT: Final = "Correct the application, or use another HTTP library."
_SURPLUS: Final = "Or was the body before it longer than its Content-Length?"
_REMEDIES: Final = {
    TLS: "This port speaks plain HTTP; call it with http://.",
    HTTP_2: "This port speaks HTTP/1.1; switch HTTP/2 off in the caller.",
    HTTP_2_REPLY: "This port speaks HTTP/1.1.",
    SOCKS: "This port is no SOCKS proxy; call it with http:// as the server itself.",
    PROXY_PROTOCOL: "Switch the PROXY protocol (send-proxy) off in the load balancer.",
    NOT_HTTP: f"This port speaks HTTP/1.1 only. {_SURPLUS}",
    EMPTY_LINES: f"Begin with the request line. {_SURPLUS}",
    LINE_ENDS: "End every line with CR LF.",
    CONTROL: "Take it out; in a URL it must be percent-encoded.",
    VERSION: "Send HTTP/1.1.",
    METHOD: f"{_CORRECT} {_SURPLUS}",
    SPACE_IN_TARGET: "A space in a URL must be percent-encoded, as %20.",
    NOT_ASCII: "Percent-encode them, as UTF-8.",
    FOLDED: "Put each header on one line.",
    NO_HOST: "HTTP/1.1 needs one.",
    BOTH_LENGTHS: "Send only one of them.",
    CHUNKS_IN_HTTP_10: "Send Content-Length, or speak HTTP/1.1.",
    NOT_CHUNKED: "No other transfer coding is understood.",
    CHUNKED_BODY: "Frame the body as RFC 9112 section 7.1 says, or send Content-Length.",
    CHUNKS_WITHOUT_DATA: "Send larger chunks, without extensions.",
}

_KNOWN_METHOD: Final = re.compile(b"(?:%b) " % b"|".join((*METHODS, *NEVER_FORWARDED)))
_ANY_VERSION: Final = re.compile(rb" HTTP/", re.IGNORECASE)
_VERSIONS: Final = tuple(b" " + version for version in VERSIONS)
_ORDINARY: Final = bytes(sorted({*range(0x20, 0x100), *b"\t\r\n"} - {0x7F}))
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")
_TARGET: Final = re.compile(rb"/|https?://[^/]|\*$", re.IGNORECASE)
_BAD_LINE: Final = re.compile(rb"\r\n(?!\r\n|$|%b:)[^\r\n]*" % TOKEN.pattern)
_SPECIAL: Final = re.compile(
    rb"\r\n(?i:(" + b"|".join(map(re.escape, _ONCE)) + rb")):[ \t]*([^\r\n]*)"
)
_MAX_LENGTH_DIGITS: Final = 18
_LINE_END: Final = re.compile(rb"[\r\n]")
_HTTP_1: Final = b"HTTP/1."


def remedy(fault: str) -> str:
    """Return what the sender of a request should do about a fault."""
    return _REMEDIES.get(fault, _CORRECT)


def request_fault(head: bytes) -> str:
    """Return what is wrong with a request head, whole or not, that was refused."""
    foreign = foreign_protocol(head)
    if foreign is not None:
        return foreign
    if head.startswith(CRLF):
        return EMPTY_LINES
    line = _LINE_END.split(head, maxsplit=1)[0]
    if not _KNOWN_METHOD.match(line) and not _ANY_VERSION.search(line):
        return NOT_HTTP
    return (
        _fault_of_bytes(head)
        or _fault_of_request_line(line)
        or _fault_of_headers(head, needs_host=line.endswith(b"1.1"))
        or UNCLEAR
    )


def response_fault(head: bytes) -> str:
    """Return what is wrong with the head of a response, whole or not, that was refused."""
    if not head.startswith(_HTTP_1[: len(head)]):
        is_other_version = head.startswith(b"HTTP/")
        return foreign_protocol(head) or (STATUS_LINE if is_other_version else NOT_HTTP)
    return (
        _fault_of_bytes(head)
        or _fault_of_status_line(head)
        or _fault_of_headers(head, needs_host=False)
        or HEADER_LINES
    )


def _fault_of_status_line(head: bytes) -> str | None:
    line = head.partition(CRLF)[0]
    return None if STATUS_LINE_PATTERN.fullmatch(line) else STATUS_LINE


def _fault_of_bytes(head: bytes) -> str | None:
    ends = head.count(CRLF)
    half = head.endswith(b"\r")  # of a line end whose other half is still to come
    if head.count(b"\n") != ends or head.count(b"\r") != ends + half:
        return LINE_ENDS
    return CONTROL if head.translate(None, _ORDINARY) else None


def _fault_of_request_line(line: bytes) -> str | None:
    if not line.endswith(_VERSIONS):
        return VERSION
    method, _, target = line[: -len(_VERSIONS[0])].partition(b" ")
    if not target or b" " in target or b"\t" in target:
        return SPACE_IN_TARGET if method else METHOD
    if not TOKEN.fullmatch(method):
        return METHOD
    if _NOT_ASCII.search(target):
        return NOT_ASCII
    return None if _TARGET.match(target) else TARGET


def _fault_of_headers(head: bytes, *, needs_host: bool) -> str | None:
    bad = _BAD_LINE.search(head)
    if bad is not None:
        return _fault_of_line(bad[0][2:])
    known: dict[bytes, bytes] = {}
    for match in _SPECIAL.finditer(head):
        name = match[1].lower()
        if name in known:
            return _ONCE[name]
        known[name] = match[2].strip(b" \t")
    length, coding = known.get(b"content-length"), known.get(b"transfer-encoding")
    if length is not None and coding is not None:
        return BOTH_LENGTHS
    if length is not None and (not length.isdigit() or len(length) > _MAX_LENGTH_DIGITS):
        return CONTENT_LENGTH
    if coding is not None and coding.lower() != b"chunked":
        return NOT_CHUNKED
    return NO_HOST if needs_host and b"host" not in known else None


def _fault_of_line(line: bytes) -> str:
    if line.startswith((b" ", b"\t")):
        return FOLDED
    name, colon, _ = line.partition(b":")
    if not colon:
        return NO_COLON
    return SPACE_BEFORE_COLON if name.endswith((b" ", b"\t")) else HEADER_NAME
