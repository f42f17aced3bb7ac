"""The strict reading of a stream of requests (RFC 9110, RFC 9112): the tests' oracle.

It knows nothing of the proxy. A stream is read in one way only, or not at all:
whatever two readers could read differently raises `AmbiguousError`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["AmbiguousError", "StrictRequest", "read_strictly"]

_REQUEST_LINE: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (/[!-\"$-~\x80-\xff]*) HTTP/1\.1"
)
_FIELD: Final = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*((?:[\x21-\x7e\x80-\xff]"
    rb"(?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?)[ \t]*"
)
_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,15}")
_BARE: Final = re.compile(rb"\n|\r(?!\Z)")
_ODD_SIGN: Final = re.compile(rb"[^a-z0-9]")
# What some reader may take these for decides where a request ends, or who it is for.
_DECISIVE: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"host", b"authorization", b"connection")
)
# Each asks the reader for another way of reading what follows.
_NEVER_SENT: Final = frozenset((b"upgrade", b"expect", b"te", b"trailer", b"keep-alive"))
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")


class AmbiguousError(Exception):
    """The bytes are not one request after the other with only one reading."""


class _CutError(Exception):
    """The bytes end within a request, which so is no request yet."""


@dataclass(frozen=True, slots=True)
class StrictRequest:
    """A request: method, target, fields (name in lower case, value), and body."""

    method: bytes
    target: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def values(self, name: bytes) -> list[bytes]:
        """Return the values of the fields with that lower-case name."""
        return [value for known, value in self.fields if known == name]


class _Stream:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def is_over(self) -> bool:
        return self._at == len(self._raw)

    def line(self) -> bytes:
        end = self._raw.find(b"\r\n", self._at)
        if end < 0:
            if _BARE.search(self._raw, self._at):
                raise AmbiguousError(f"bare line end in {self._raw[self._at :]!r}")
            raise _CutError
        line = self._raw[self._at : end]
        if b"\n" in line or b"\r" in line:
            raise AmbiguousError(f"bare line end in {line!r}")
        self._at = end + 2
        return line

    def take(self, size: int) -> bytes:
        data = self._raw[self._at : self._at + size]
        if len(data) < size:
            raise _CutError
        self._at += size
        return data


def _fields(stream: _Stream) -> Iterator[tuple[bytes, bytes]]:
    while line := stream.line():
        match = _FIELD.fullmatch(line)
        if match is None:
            raise AmbiguousError(f"field {line!r}")
        name = match[1].lower()
        if name not in _DECISIVE and _ODD_SIGN.sub(b"-", name) in _DECISIVE:
            raise AmbiguousError(f"disguised field {line!r}")
        if name in _NEVER_SENT or name.startswith(b"proxy-"):
            raise AmbiguousError(f"field of one hop {line!r}")
        if name == b"connection" and match[2].lower() not in {b"close", b"keep-alive"}:
            raise AmbiguousError(f"options {line!r}")
        yield name, match[2]


def _chunks(stream: _Stream) -> Iterator[bytes]:
    while True:
        size = stream.line()
        if not _SIZE.fullmatch(size):
            raise AmbiguousError(f"chunk size {size!r}")
        if not int(size, 16):
            break
        yield stream.take(int(size, 16))
        if stream.take(2) != b"\r\n":
            raise AmbiguousError("chunk longer than its size")
    if stream.line():
        raise AmbiguousError("trailers")


def _body(stream: _Stream, fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise AmbiguousError("two framings")
    if codings:
        if codings != [b"chunked"]:
            raise AmbiguousError(f"coding {codings!r}")
        return b"".join(_chunks(stream))
    if lengths and not _LENGTH.fullmatch(lengths[0]):
        raise AmbiguousError(f"length {lengths!r}")
    return stream.take(int(lengths[0])) if lengths else b""


def _request(stream: _Stream) -> StrictRequest:
    line = stream.line()
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        raise AmbiguousError(f"request line {line!r}")
    fields = tuple(_fields(stream))
    names = [name for name, _ in fields]
    if names.count(b"host") != 1 or names.count(b"authorization") > 1:
        raise AmbiguousError("Host or Authorization")
    return StrictRequest(match[1], match[2], fields, _body(stream, fields))


def read_strictly(raw: bytes) -> tuple[list[StrictRequest], bool]:
    """Return the whole requests of a stream, and whether it ends with the end of one.

    Raises `AmbiguousError`.
    """
    stream = _Stream(raw)
    requests: list[StrictRequest] = []
    while not stream.is_over():
        try:
            requests.append(_request(stream))
        except _CutError:
            return requests, False
    return requests, True
