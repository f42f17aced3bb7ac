"""Paths: what a lenient reader could take one for, and lookups by prefix.

Routes and allow-lists read the path as received. `lenient_reading` is the
other reading: the one of a peer that undoes every encoding, so that no
spelling of a forbidden path goes by (G4).
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

__all__ = [
    "DOT",
    "GLANCE",
    "UNUSUAL",
    "SegmentPrefixes",
    "TokenPaths",
    "UnreadablePathError",
    "has_dot_segment",
    "lenient_path",
    "lenient_reading",
    "lenient_segments",
]

_Value = TypeVar("_Value")

# One pass over a path shows whether it needs a closer look: letters become
# small, slashes go, and whatever has a second reading becomes a percent sign.
_PLAIN: Final = b"abcdefghijklmnopqrstuvwxyz0123456789-_.~!$&'()*+,:=@/"
GLANCE: Final = bytes(byte if byte in _PLAIN else ord("%") for byte in bytes(range(256)).lower())
UNUSUAL: Final = ord("%")
DOT: Final = ord(".")
# Whatever endpoint the settings name, the upstream has this one too.
_SIGNICAT_ENDPOINT: Final = "/auth/open/connect/token"
_MAX_ROUNDS: Final = 6
# `%uXXXX` is what some Windows readers undo as well.
_ENCODED: Final = re.compile(rb"%(?:[uU]00)?([0-9a-fA-F]{2})")
# UTF-8 with more bytes than the ASCII character needs (RFC 3629 §10).
_OVERLONG: Final = re.compile(
    rb"[\xc0\xc1][\x80-\xbf]|\xe0[\x80\x81][\x80-\xbf]|\xf0\x80[\x80\x81][\x80-\xbf]"
)
_NOT_ASCII: Final = re.compile(r"[^\x00-\x7f]")
_PARAMETERS: Final = re.compile(r"[;?#].*", re.DOTALL)
_PADDING: Final = ". \t\r\n\v\f"


class UnreadablePathError(ValueError):
    """A path that is encoded too often, or holds an encoded NUL."""


def _decoded_byte(match: re.Match[bytes]) -> bytes:
    return bytes.fromhex(match[1].decode())


def _shortened(match: re.Match[bytes]) -> bytes:
    return bytes(((match[0][-2] & 1) << 6 | match[0][-1] & 0x3F,))


def _folded(match: re.Match[str]) -> str:
    """Return the ASCII that wide forms, and signs such as U+212A, stand for.

    One character at a time, and nothing else: no ASCII comes of several, one
    sign can stand for eighteen others, and a long row of accents would cost the
    square of its length to put in order.
    """
    folded = unicodedata.normalize("NFKC", match[0])
    return folded if folded.isascii() else match[0]


def _undone_once(path: bytes) -> bytes:
    """Undo one layer of everything that can stand for another character."""
    plain = _OVERLONG.sub(_shortened, _ENCODED.sub(_decoded_byte, path))
    text = plain.decode("utf-8", "surrogateescape")
    if not plain.isascii():
        text = _NOT_ASCII.sub(_folded, text)
    return text.casefold().replace("\\", "/").encode("utf-8", "surrogateescape")


def lenient_reading(path: bytes) -> str:
    """Return `path` as the most lenient reader sees it.

    All is decoded, in lower case, with slashes for backslashes; the reading of
    a reading is itself. Raises `UnreadablePathError` for an encoded NUL, where
    some readers stop, and for more layers of encoding than anybody needs.
    """
    for _ in range(_MAX_ROUNDS):
        undone = _undone_once(path)
        if undone == path:
            break
        path = undone
    else:
        raise UnreadablePathError("too many layers of encoding")
    if b"\0" in path:
        raise UnreadablePathError("encoded NUL")
    return path.decode("utf-8", "surrogateescape")


def _without_parameters(reading: str) -> list[str]:
    return [_PARAMETERS.sub("", segment) for segment in reading.split("/")]


def has_dot_segment(reading: str) -> bool:
    """Say whether a segment is `.` or `..`, parameters and blanks after it set aside."""
    return any(segment.rstrip() in (".", "..") for segment in _without_parameters(reading))


def lenient_segments(reading: str) -> tuple[str, ...]:
    """Return the segments that decide where a path leads.

    Empty ones, parameters, and the dots and blanks that Windows drops at the
    end of a name are left out.
    """
    names = (segment.rstrip(_PADDING) for segment in _without_parameters(reading))
    return tuple(name for name in names if name)


def lenient_path(path: bytes) -> bytes:
    """Return where the most lenient reader sees `path` lead; raise `UnreadablePathError`.

    That is `path` itself, or without its capitals, unless there is something
    unusual in it.
    """
    glance = path.translate(GLANCE)
    if not (UNUSUAL in glance or b"//" in path or b"./" in path or path.endswith(b".")):
        return glance
    segments = lenient_segments(lenient_reading(path))
    return b"/" + "/".join(segments).encode("utf-8", "surrogateescape")


def _segments_of_url(url: str) -> tuple[str, ...]:
    return lenient_segments(lenient_reading(urlsplit(url).path.encode()))


class TokenPaths:
    """The paths of token endpoints: Signicat's own and those of `token_urls`.

    A caller's path is one of them, or below one, as it stands or behind the
    path of `upstream_url`. `beginnings` is how plain paths begin, translated
    by `GLANCE`, that may be; too many are no harm.
    """

    __slots__ = ("_base", "_paths", "beginnings")

    def __init__(self, token_urls: Iterable[str], upstream_url: str) -> None:
        self._base = _segments_of_url(upstream_url)
        self._paths = frozenset(_segments_of_url(url) for url in (_SIGNICAT_ENDPOINT, *token_urls))
        forms = {form for path in self._paths for form in self._forms(path)}
        self.beginnings = tuple(
            "".join(form).encode("utf-8", "surrogateescape").translate(GLANCE, b"/")
            for form in sorted(forms)
        )

    def _forms(self, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        yield path
        if self._base[: len(path)] == path[: len(self._base)]:
            yield path[len(self._base) :]

    def __contains__(self, segments: tuple[str, ...]) -> bool:
        joined = self._base + segments
        return any(
            path in (joined[: len(path)], segments[: len(path)]) if path else not segments
            for path in self._paths
        )


class SegmentPrefixes(Generic[_Value]):
    """Values by path prefix; the longest that ends on a segment boundary wins.

    A lookup costs one dictionary access per segment of the deepest prefix,
    however many prefixes there are and however long the path is. `/a` and
    `/a/` are the same prefix. Raises `ValueError` for one that stands twice
    or does not begin with a slash.
    """

    __slots__ = ("_by_prefix", "_depth")

    def __init__(self, values: Iterable[tuple[bytes, _Value]]) -> None:
        self._by_prefix: dict[bytes, _Value] = {}
        for path, value in values:
            prefix = path.rstrip(b"/")
            if not path.startswith(b"/") or prefix in self._by_prefix:
                raise ValueError(f"path {path.decode(errors='replace')!r}: repeated or without '/'")
            self._by_prefix[prefix] = value
        self._depth = max((prefix.count(b"/") for prefix in self._by_prefix), default=0)

    def longest(self, path: bytes) -> _Value | None:
        """Return the value of the longest prefix of `path`, `None` where there is none."""
        segments = path.split(b"/", self._depth + 1)[: self._depth + 1]
        while segments:
            value = self._by_prefix.get(b"/".join(segments))
            if value is not None:
                return value
            segments.pop()
        return None
