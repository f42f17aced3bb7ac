"""Addresses to listen on, and whether a host is this very machine."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final

__all__ = ["ListenAddress", "authority", "is_loopback", "parse_listen_address"]

_HOST_PORT: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[A-Za-z0-9.-]*)):(?P<port>\d{1,5})"
)
_MAX_PORT: Final = 65535
_THIS_MACHINE: Final = "localhost"
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 (looked for, not listened on)


def authority(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address (RFC 3986 §3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address, is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _plain(host: str) -> str:
    """Return one spelling for a host, and for what a machine mostly calls itself only one."""
    name = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_this = address.is_unspecified or str(address) in ("127.0.0.1", "::1")
    return _THIS_MACHINE if is_this else str(address)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and port, or the path of a Unix socket; `str()` gives back how it is written."""

    host: str | None
    port: int | None
    path: str | None = None

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return authority(self.host or "", self.port or 0)

    @property
    def is_local(self) -> bool:
        """Can only this machine reach it."""
        return self.path is not None or is_loopback(self.host or "")

    def is_reached_at(self, host: str, port: int) -> bool:
        """Say whether who connects to `host` and `port` on this machine comes here (G10).

        Nothing is looked up: a name is only itself, but for `localhost`.
        """
        if self.port != port or self.host is None:
            return False
        listening, called = _plain(self.host), _plain(host)
        return listening == called or (self.host in _EVERYWHERE and is_loopback(called))


def parse_listen_address(text: str) -> ListenAddress:
    """Read `host:port`, `[v6]:port` or `unix:/path`; raise `ValueError` with a plain reason."""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path.startswith("/"):
            raise ValueError("a Unix socket needs an absolute path, as in unix:/run/proxy.sock")
        return ListenAddress(None, None, path)
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ValueError("write host:port, [IPv6]:port or unix:/path")
    host = match["v6"] or match["host"]
    if not host:
        raise ValueError("name the host to listen on, as in 127.0.0.1:8080 (0.0.0.0 for all)")
    try:
        host.encode("idna")  # as whoever looks the name up does
    except UnicodeError:
        raise ValueError("the host has a part that is empty or longer than 63 letters") from None
    return ListenAddress(host, int(match["port"]))
