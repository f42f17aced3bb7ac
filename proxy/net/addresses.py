"""Addresses to listen on, and whether a host is this very machine."""

import ipaddress
import itertools
import os
import re
from dataclasses import dataclass, replace
from typing import Final

__all__ = ["ListenAddress", "authority", "is_loopback", "parse_listen_address"]

_HOST_PORT: Final = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>\*|[A-Za-z0-9.-]*)):(?P<port>\d{1,5})"
)
_MAX_PORT: Final = 65535
_UNIX: Final = re.compile(r"unix:(?P<path>.*?)(?P<options>(?:\s*,\s*[A-Za-z]+=[^,]*)*)")
_MAX_PATH_BYTES: Final = 107
_SYSTEMD: Final = "systemd"
_SOCKET_NAME: Final = re.compile(r"[A-Za-z0-9._@-]{1,255}")
_MODE: Final = re.compile(r"0?[0-7]{3}")
_OWNER: Final = 0o600
_DEFAULT_MODE: Final = 0o660
_THIS_MACHINE: Final = "localhost"
_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 (only where a setting asks for it)
_TOGETHER: Final = {_THIS_MACHINE: ("127.0.0.1", "::1"), "*": _EVERYWHERE}
"""Hosts that mean one address of each family, whatever the machine's files say of them."""


def authority(host: str, port: int) -> str:
    """Return `host:port`, with brackets around an IPv6 address (RFC 3986 §3.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Say whether `host`, a name or an address, is reached from this machine alone."""
    if host.lower() == "localhost":
        return True
    address = _ip_address(host)
    return address is not None and address.is_loopback


def _plain(host: str) -> str:
    """Return one spelling for a host, and for what a machine mostly calls itself only one."""
    name = host.lower().rstrip(".")
    address = _ip_address(name)
    if address is None:
        return name
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    is_this = address.is_unspecified or str(address) in ("127.0.0.1", "::1")
    return _THIS_MACHINE if is_this else str(address)


def _ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _covers(host: str | None, other: str | None) -> bool:
    """Say whether `host` is every address of the family that `other` belongs to."""
    everywhere, address = _ip_address(host or ""), _ip_address(other or "")
    if everywhere is None or address is None:
        return False
    return everywhere.is_unspecified and everywhere.version == address.version


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host and port, the path of a Unix socket, or sockets of systemd.

    `str()` gives back how it is written.

    The host `localhost` is both loopback addresses, `*` every address of both families.
    `mode` and `group`, a name or a number, are of the socket, where they are written.
    `inherited` names sockets that systemd opens; empty: those that no other entry names.
    """

    host: str | None
    port: int | None
    path: str | None = None
    mode: int | None = None
    group: str | None = None
    inherited: str | None = None

    def __str__(self) -> str:
        if self.inherited is not None:
            return f"{_SYSTEMD}:{self.inherited}" if self.inherited else _SYSTEMD
        if self.path is not None:
            mode = "" if self.mode is None else f",mode={self.mode:04o}"
            return f"unix:{self.path}{mode}" + (f",group={self.group}" if self.group else "")
        return authority(self.host or "", self.port or 0)

    @property
    def socket_mode(self) -> int:
        """The mode of a Unix socket: who may write to it may connect."""
        return _DEFAULT_MODE if self.mode is None else self.mode

    @property
    def is_local(self) -> bool:
        """Can only this machine reach it; of sockets of systemd, their own addresses tell."""
        if self.inherited is not None:
            return True
        return self.path is not None or is_loopback(self.host or "")

    @property
    def takes_what_there_is(self) -> bool:
        """Whether it stands for both families, of which the machine may lack one."""
        return (self.host or "").lower() in _TOGETHER

    @property
    def is_name(self) -> bool:
        """Whether the host must be looked up."""
        if self.host is None or self.takes_what_there_is:
            return False
        return _ip_address(self.host) is None

    def each(self) -> tuple["ListenAddress", ...]:
        """Return the addresses that it stands for, IPv4 first; most stand for themselves."""
        hosts = _TOGETHER.get((self.host or "").lower(), (self.host,))
        return tuple(replace(self, host=host) for host in hosts)

    def overlaps(self, other: "ListenAddress") -> bool:
        """Say whether only one of two can be listened on, as far as that shows without a lookup."""
        if self.inherited is not None or other.inherited is not None:
            return self.inherited == other.inherited
        if self.path is not None or self.port != other.port:
            return self.path is not None and self.path == other.path
        pairs = itertools.product(self.each(), other.each())
        hosts = [(one.host, two.host) for one, two in pairs]
        return any(one == two or _covers(one, two) or _covers(two, one) for one, two in hosts)

    def is_reached_at(self, host: str, port: int) -> bool:
        """Say whether who connects to `host` and `port` on this machine comes here (G10).

        Nothing is looked up: a name is only itself, but for `localhost`.
        """
        if self.port != port or self.host is None:
            return False
        listening, called = _plain(self.host), _plain(host)
        is_everywhere = self.host in (*_EVERYWHERE, "*")
        return listening == called or (is_everywhere and is_loopback(called))


def parse_listen_address(text: str) -> ListenAddress:
    """Read one entry; raise `ValueError` with a plain reason.

    `host:port`, `[v6]:port`, `*:port`, `unix:/path[,mode=0660][,group=NAME]` or
    `systemd[:NAME]`.
    """
    if text == _SYSTEMD or text.startswith(f"{_SYSTEMD}:"):
        return _systemd_address(text)
    if text.startswith("unix:"):
        return _unix_address(text)
    if ",mode=" in text or ",group=" in text:
        raise ValueError("mode and group belong behind a Unix socket, as in unix:/run/a,mode=0660")
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match["port"]) > _MAX_PORT:
        raise ValueError("write host:port, [IPv6]:port, *:port, unix:/path or systemd")
    host = match["v6"] or match["host"]
    if not host:
        raise ValueError("name the host to listen on, as in localhost:8080 (*:8080 for all)")
    try:
        host.encode("idna")  # as whoever looks the name up does
    except UnicodeError:
        raise ValueError("the host has a part that is empty or longer than 63 letters") from None
    return ListenAddress(host, int(match["port"]))


def _systemd_address(text: str) -> ListenAddress:
    name = text.removeprefix(_SYSTEMD).removeprefix(":")
    if text != _SYSTEMD and not _SOCKET_NAME.fullmatch(name):
        raise ValueError("name a socket of systemd by its FileDescriptorName=, as in systemd:web")
    return ListenAddress(None, None, inherited=name)


def _unix_address(text: str) -> ListenAddress:
    match = _UNIX.fullmatch(text)
    if match is None or not match["path"].startswith("/") or "\0" in match["path"]:
        raise ValueError("a Unix socket needs an absolute path, as in unix:/run/proxy.sock")
    if len(os.fsencode(match["path"])) > _MAX_PATH_BYTES:
        raise ValueError(f"the path of a Unix socket has at most {_MAX_PATH_BYTES} bytes")
    options: dict[str, str] = {}
    for option in match["options"].split(",")[1:]:
        name, _, value = option.strip().partition("=")
        if name not in ("mode", "group") or name in options:
            raise ValueError("a Unix socket has mode=0660 and group=NAME, each once at most")
        options[name] = value.strip()
    group = options.get("group")
    if group == "":
        raise ValueError("group needs a name or a number, as in group=www-data")
    mode = _mode(options["mode"]) if "mode" in options else None
    return ListenAddress(None, None, match["path"], mode, group)


def _mode(text: str) -> int:
    mode = int(text, 8) if _MODE.fullmatch(text) else 0
    if mode & _OWNER != _OWNER:
        raise ValueError("mode is octal, and lets the proxy itself read and write, as in mode=0660")
    return mode
