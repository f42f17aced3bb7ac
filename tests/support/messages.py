"""HTTP/1 messages as the tests write and read them: strictly, and with no code of the proxy."""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Self

__all__ = ["Head", "Message", "assert_problem", "reply", "request"]

_HEADER: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[^\x00-\x20\x7f](?:[^\x00-\x08\x0a-\x1f\x7f]*"
    rb"[^\x00-\x20\x7f])?)?)[ \t]*"
)
_PROBLEM_MEMBERS: Final = {"type", "title", "status", "detail", "code", "request_id"}
_PROXY_STATUS: Final = re.compile(r"signicat-proxy; error=[a-z_]+")


@dataclass(frozen=True, slots=True)
class Head:
    """Start line and headers of one message, in order, with their case; values are trimmed."""

    start: bytes
    headers: tuple[tuple[bytes, bytes], ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a head without its empty line; fail on anything that RFC 9112 forbids."""
        start, *lines = raw.split(b"\r\n")
        matches = [_HEADER.fullmatch(line) for line in lines]
        assert None not in matches, f"malformed header line in {raw!r}"
        return cls(start, tuple((m[1], m[2]) for m in matches if m))

    @property
    def status(self) -> int:
        """The status of an answer."""
        match = re.fullmatch(rb"HTTP/1\.1 ([1-5][0-9]{2}) [^\r\n]*", self.start)
        assert match, f"malformed status line {self.start!r}"
        return int(match[1])

    @property
    def names(self) -> list[str]:
        """The names of all headers, in order and in their case."""
        return [name.decode() for name, _ in self.headers]

    def values(self, name: str) -> list[str]:
        """Return the values of all headers of that name, in order."""
        key = name.lower().encode()
        return [value.decode("latin-1") for known, value in self.headers if known.lower() == key]

    def value(self, name: str) -> str | None:
        """Return the value of a header that must not be repeated."""
        values = self.values(name)
        assert len(values) <= 1, f"repeated header {name}: {values}"
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Message:
    """One whole request or answer, its body without framing; trailers are raw lines."""

    head: Head
    body: bytes = b""
    trailers: tuple[bytes, ...] = ()

    @property
    def status(self) -> int:
        """The status of an answer."""
        return self.head.status

    @property
    def target(self) -> str:
        """The target of a request, as it came."""
        return self.head.start.split(b" ")[1].decode("latin-1")

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.head.start.split(b" ")[0].decode("latin-1")


def _lines(start: str, lines: tuple[str, ...]) -> bytes:
    return "\r\n".join((start, *lines, "", "")).encode("latin-1")


def request(start: str, *lines: str, body: bytes = b"", host: str | None = "localhost") -> bytes:
    """Return `start` (method and target) as an HTTP/1.1 request; characters are bytes (Latin-1)."""
    if " HTTP/" not in start:
        start += " HTTP/1.1"
    if host is not None:
        lines = (f"Host: {host}", *lines)
    return _lines(start, lines) + body


def reply(status: str = "200 OK", *lines: str, body: bytes = b"") -> bytes:
    """Return an answer with `Content-Length`."""
    return _lines(f"HTTP/1.1 {status}", (*lines, f"Content-Length: {len(body)}")) + body


def assert_problem(answer: Message, status: int, code: str) -> dict[str, Any]:
    """See that an answer is one of the proxy's own (table E); return its members."""
    assert answer.status == status
    assert answer.head.value("Content-Type") == "application/problem+json"
    assert _PROXY_STATUS.fullmatch(answer.head.value("Proxy-Status") or "")
    members: dict[str, Any] = json.loads(answer.body)
    assert set(members) == _PROBLEM_MEMBERS
    assert members["type"] == f"urn:signicat-proxy:error:{code}"
    assert (members["code"], members["status"]) == (code, status)
    assert members["title"]
    assert members["detail"]
    assert members["request_id"]
    return members
