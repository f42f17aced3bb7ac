"""Single values of settings: each function reads one, or raises `ValueError` with the fix."""

import pwd
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from proxy.guard.paths import has_dot_segment, lenient_reading
from proxy.http1.grammar import DEFAULT_PORTS, NEVER_FORWARDED
from proxy.net.addresses import parse_listen_address
from proxy.net.egress import parse_egress_proxy
from proxy.oauth.credential import MAX_KEY_ID, is_key_id
from proxy.oauth.secret import as_seen

__all__ = [
    "NO_TEXT",
    "allowed_host",
    "at_most",
    "certificate_name",
    "client_id",
    "egress_proxy",
    "is_text",
    "key_digest",
    "key_id",
    "listen_address",
    "listen_addresses",
    "method",
    "origin",
    "path_prefix",
    "secret",
    "unix_users",
    "url",
    "word",
    "words",
]

NO_TEXT: Final = "must be UTF-8 text"
"""What is wrong where `is_text` says no."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]|\*")
_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\]))(?::(\d{1,5}))?|null", re.IGNORECASE
)
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,=:@/-]*")
_VISIBLE: Final = re.compile(r"[!-~]+")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_OPTION: Final = re.compile(r"[A-Za-z]+=.*")
_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{64}")
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]*://[!-~]+")
_DNS_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_NO_USER_HERE: Final = 65534  # the kernel's overflowuid, mostly "nobody" (user_namespaces(7))
_LARGEST_UID: Final = 2**32 - 2
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def word(value: object) -> object:
    """Read a word of a closed list in any case: elsewhere, log levels have capitals."""
    return value.lower() if isinstance(value, str) else value


def words(read: Callable[[str], str]) -> Callable[[object], object]:
    """Return a reader of comma lists: text is split, and `read` checks each entry."""

    def split(value: object) -> object:
        entries = value.split(",") if isinstance(value, str) else value
        if not isinstance(entries, list | tuple) or not all(isinstance(e, str) for e in entries):
            raise ValueError("must be a comma-separated list")
        return tuple(read(entry.strip()) for entry in entries if entry.strip())

    return split


def listen_address(value: object) -> object:
    """Read one listen address."""
    return parse_listen_address(value.strip()) if isinstance(value, str) else value


def listen_addresses(value: object) -> object:
    """Read a comma list of listen addresses."""
    entries = words(str)(value)
    assert isinstance(entries, tuple)  # noqa: S101 (see words)
    joined: list[str] = []
    for entry in entries:
        if joined and _OPTION.fullmatch(entry):  # of the entry before: unix:/path,mode=0660
            joined[-1] += f",{entry}"
        else:
            joined.append(entry)
    return tuple(map(parse_listen_address, joined))


def url(value: str) -> str:
    """Check an http or https URL without credentials, query and fragment."""
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be a URL like https://host/path")
    if not _VISIBLE.fullmatch(value) or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be a URL without credentials, query, fragment and blanks")
    if has_dot_segment(lenient_reading(parts.path.encode())) or "\\" in value:
        raise ValueError("must be a URL without '.' and '..' as segments, and without backslashes")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("has a port that is no number up to 65535") from None
    return value


def client_id(value: str) -> str:
    """Check a client id: visible ASCII."""
    if not _VISIBLE.fullmatch(value):
        raise ValueError("must be visible ASCII without blanks")
    return value


def key_id(value: str) -> str:
    """Check the id of a key, by which the server knows it."""
    if not is_key_id(value):
        raise ValueError(f"must be up to {MAX_KEY_ID} printable characters")
    return value


def is_text(value: str) -> bool:
    """Say whether a variable or flag was UTF-8: Python gives other bytes as surrogates."""
    return _SURROGATE.search(value) is None


def secret(value: str) -> str:
    """Check a secret and return it as its operator sees it; the error never quotes it (T13)."""
    value = as_seen(value)
    if not value or _CONTROL.search(value):
        raise ValueError("must not be empty or hold control characters or line ends")
    if not is_text(value):
        raise ValueError(NO_TEXT)
    return value


def allowed_host(value: str) -> str:
    """Check a name for ALLOWED_HOSTS: no port."""
    if not _HOST.fullmatch(value):
        raise ValueError(f"'{value[:60]}' is no host name; leave out scheme, port and path")
    return value.lower()


def origin(value: str) -> str:
    """Check a browser origin; return it as browsers write it (RFC 6454 §6.2).

    They leave out a scheme's own port and write letters small; an origin that
    is written otherwise would never be let through.
    """
    match = _ORIGIN.fullmatch(value)
    if match is None:
        raise ValueError(f"'{value[:60]}' is no origin; write scheme://host[:port]")
    scheme = value.partition(":")[0].lower()
    is_default_port = match[2] == str(DEFAULT_PORTS.get(scheme))
    return (match[1] if is_default_port else value).lower()


def method(value: str) -> str:
    """Check a method name; tunnels are never forwarded (F1)."""
    if not _METHOD.fullmatch(value) or value.encode() in NEVER_FORWARDED:
        raise ValueError(f"'{value[:60]}' is no method that is forwarded; write GET, POST …")
    return value


def path_prefix(value: str) -> str:
    """Check a path prefix: plain, absolute, without dot segments."""
    segments = value.split("/")
    if not _PATH.fullmatch(value) or "." in segments or ".." in segments or "//" in value:
        raise ValueError(f"'{value[:60]}' is no plain path; write /a/b without '%', '..' and '//'")
    return value.rstrip("/") or "/"


def egress_proxy(value: str) -> str:
    """Check the URL of a CONNECT proxy; the error never quotes it."""
    parse_egress_proxy(value)
    return value


def at_most(most: int) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    """Return a check of how many entries a list has."""

    def check(entries: tuple[str, ...]) -> tuple[str, ...]:
        if len(entries) > most:
            raise ValueError(f"has {len(entries)} entries; at most {most} are valid at once")
        return entries

    return check


def key_digest(value: str) -> str:
    """Check the SHA-256 digest of a caller's key; return it in lower case (I2)."""
    if not _DIGEST.fullmatch(value):
        raise ValueError("must be a list of SHA-256 digests, 64 hexadecimal digits each")
    return value.lower()


def certificate_name(value: str) -> str:
    """Check a name in callers' certificates; return it with the kind of its entry there (I1).

    Names are compared whole: what stands for many is no proof of one.
    """
    if _URI.fullmatch(value):
        return f"URI:{value}"
    if not _DNS_NAME.fullmatch(value):
        raise ValueError(
            f"'{value[:60]}' is no name in a certificate; write a URI as "
            "spiffe://example.com/billing, or a DNS name without '*'"
        )
    return f"DNS:{value.lower()}"


def unix_users(value: object) -> object:
    """Read a list of users, by name or number, and return their numbers (I1)."""
    if isinstance(value, list):
        value = [str(entry) if type(entry) is int else entry for entry in value]
    entries = words(str)(value)
    assert isinstance(entries, tuple)  # noqa: S101 (see words)
    return tuple(map(_uid, entries))


def _uid(user: str) -> int:
    if user.isascii() and user.isdigit():
        uid = int(user)
    else:
        try:
            uid = pwd.getpwnam(user).pw_uid
        except KeyError:
            raise ValueError(f"there is no user '{user[:60]}' on this machine") from None
    if uid == _NO_USER_HERE or uid > _LARGEST_UID:
        raise ValueError(
            f"{user[:60]} is no user of its own: the system names everybody so who has no number "
            "here, as those in other containers"
        )
    return uid
