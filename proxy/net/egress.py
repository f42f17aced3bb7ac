"""The egress proxy: its URL, who goes past it, and the bytes of CONNECT (RFC 9110 §9.3.6)."""

import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, unquote_to_bytes, urlsplit

from proxy.files import UnusableFileError, read_file
from proxy.http1.grammar import CRLF, DEFAULT_PORTS, RESPONSE_START, STATUS_LINE_PATTERN
from proxy.net.addresses import authority

__all__ = [
    "MAX_HEAD_BYTES",
    "NOT_HTTP",
    "EgressProxy",
    "Refusal",
    "cannot_become_a_response",
    "connect_refusal",
    "connect_request",
    "is_bypassed",
    "parse_egress_proxy",
    "read_egress_url",
    "secrets_in",
]

MAX_HEAD_BYTES: Final = 16 * 1024
"""The longest head of a response to CONNECT that is read."""

NOT_HTTP: Final = "the response to CONNECT is not HTTP/1"
"""The cause where what came begins no response."""

_MAX_URL_FILE_BYTES: Final = 64 * 1024
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """A CONNECT proxy between us and the world; its `repr` holds no credentials.

    `authorization` is the value of `Proxy-Authorization`, `None` without
    credentials; `is_tls` says that the proxy itself is reached by TLS.
    """

    host: str
    port: int
    is_tls: bool = False
    authorization: bytes | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The URL without credentials: for logs, and for clients that get those apart."""
        return f"{'https' if self.is_tls else 'http'}://{authority(self.host, self.port)}"


def _basic(parts: SplitResult) -> bytes | None:
    """Return Basic credentials (RFC 7617) from the userinfo of a URL."""
    if parts.username is None:
        return None
    user = unquote_to_bytes(parts.username)
    password = unquote_to_bytes(parts.password or "")
    if b":" in user or _CONTROL.search(user + password):
        raise ValueError("the credentials hold a character that Basic cannot carry")
    return b"Basic " + b64encode(user + b":" + password)


def _split(url: str) -> SplitResult:
    return urlsplit(url if "://" in url else f"http://{url}")


def secrets_in(url: str) -> tuple[str, ...]:
    """Return what must not be shown of a valid URL: itself and its password, if it has any (G7)."""
    parts = _split(url)
    if parts.username is None:
        return ()
    return (url, unquote(parts.password), parts.password) if parts.password else (url,)


def parse_egress_proxy(url: str) -> EgressProxy:
    """Read `[http[s]://][user:password@]host[:port]`; credentials are percent-encoded.

    Without scheme it is `http://`, as programs take `HTTPS_PROXY`; the port
    defaults to the scheme's. Raises `ValueError` whose text never holds the value.
    """
    if _UNPRINTABLE.search(url):
        raise ValueError("holds a space, a control character or a letter outside ASCII")
    try:
        parts = _split(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        # The standard library's own text may quote the password.
        raise ValueError("is no URL of the form http://user:password@host:port") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError("must begin with http:// or https:// (no SOCKS)")
    if not host or port == 0 or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(
            "must be http://user:password@host:port and no more; percent-encode / ? # @ : "
            "in user and password"
        )
    is_tls = parts.scheme == "https"
    return EgressProxy(host, port or DEFAULT_PORTS[parts.scheme], is_tls, _basic(parts))


def read_egress_url(path: Path) -> str:
    """Return the URL in the file of EGRESS_PROXY_FILE, without the blanks around it.

    Raises `UnusableFileError` whose text never holds it.
    """
    file = "egress_proxy_file"
    content = read_file(file, path, max_bytes=_MAX_URL_FILE_BYTES)
    url = content.decode("utf-8-sig", "replace").strip()
    if not url:
        raise UnusableFileError(file, "the file is empty")
    try:
        parse_egress_proxy(url)
    except ValueError as error:
        raise UnusableFileError(file, f"the URL in this file {error}") from None
    return url


def connect_request(proxy: EgressProxy, host: str, port: int) -> bytes:
    """Return the bytes that ask `proxy` for a tunnel to `host`:`port`."""
    target = authority(host, port).encode("idna")
    credentials = (
        b"" if proxy.authorization is None else b"Proxy-Authorization: %b\r\n" % proxy.authorization
    )
    return b"CONNECT %b HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (target, target, credentials)


def cannot_become_a_response(data: bytes) -> bool:
    """Say whether the beginning of a response can no longer become a good one."""
    return not data.startswith(RESPONSE_START[: len(data)]) or len(data) > MAX_HEAD_BYTES


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why there is no tunnel, in safe words; `status` is that of the response, if it is one."""

    cause: str
    status: int | None = None

    @property
    def may_pass(self) -> bool:
        """Is it worth another attempt: 5xx stands for trouble behind the proxy."""
        return self.status is not None and self.status >= HTTPStatus.INTERNAL_SERVER_ERROR


def connect_refusal(head: bytes, *, has_rest: bool) -> Refusal | None:
    """Read the head of a response to CONNECT; return `None` where the tunnel stands.

    No peer speaks before we do, so anything after the head belongs to nobody.
    """
    match = STATUS_LINE_PATTERN.fullmatch(head.partition(CRLF)[0])
    if match is None:
        return Refusal(NOT_HTTP)
    status = int(match[2])
    if not match[2].startswith(b"2"):  # any 2xx, RFC 9110 §9.3.6
        return Refusal(f"CONNECT was refused with {status}", status)
    return Refusal("bytes after the response to CONNECT") if has_rest else None


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _split_entry(entry: str) -> tuple[str, str]:
    """Return host (without brackets) and port of an entry of NO_PROXY; the port may be empty."""
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""


def _covers_address(entry: str, address: IPv4Address | IPv6Address) -> bool:
    try:
        return address == _address(entry) or address in ip_network(entry, strict=False)
    except ValueError:
        return False


def _covers_name(entry: str, name: str) -> bool:
    domain = entry.lower().removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def is_bypassed(host: str, port: int, no_proxy: Iterable[str]) -> bool:
    """Say whether `host`:`port` is reached past the egress proxy.

    Entries of NO_PROXY, in any case: `*`; a name, which means its subdomains
    too, with or without `.` or `*.` before it; an IP address; a network
    (`10.0.0.0/8`); all with `:port` or without. Names are not resolved, and
    loopback needs an entry like any other. Entries of another form mean nobody.
    """
    name = host.removeprefix("[").removesuffix("]").removesuffix(".").lower()
    address = _address(name)
    for listed in no_proxy:
        entry, wanted_port = _split_entry(listed.strip())
        if wanted_port not in ("", str(port)):
            continue
        if entry == "*":
            return True
        if _covers_name(entry, name) if address is None else _covers_address(entry, address):
            return True
    return False
