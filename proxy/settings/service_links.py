"""Variables that Kubernetes sets for each Service of a namespace: those that begin like ours.

A Service called `signicat-proxy`, or `signicat-proxy-…`, puts into every pod
of its namespace what programs once found it by (`enableServiceLinks`). They
are no settings, and no typing errors either. Name and value must both be of
that form, so that nothing else passes as one.
"""

import ipaddress
import re
from collections.abc import Mapping
from typing import Final

__all__ = ["service_links"]

_SERVICE: Final = "SIGNICAT_PROXY(?:_[A-Z0-9]+)*?"
_LINK: Final = re.compile(
    rf"{_SERVICE}_(?:(?P<host>SERVICE_HOST)|(?P<number>SERVICE_PORT(?:_[A-Z0-9_]+)?)"
    r"|PORT(?:_(?P<port>[0-9]{1,5})_(?P<protocol>TCP|UDP|SCTP)(?:_(?P<part>ADDR|PORT|PROTO))?)?)"
)
_URL: Final = re.compile(r"(tcp|udp|sctp)://(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})")
_MAX_PORT: Final = 65535


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 5 and 0 < int(value) <= _MAX_PORT  # noqa: PLR2004 (digits)


def _is_url(value: str, port: str | None, protocol: str | None) -> bool:
    match = _URL.fullmatch(value)
    if match is None or not _is_address(match[2] or match[3]) or not _is_port(match[4]):
        return False
    return port is None or (match[4], match[1].upper()) == (port, protocol)


def _is_link(name: str, value: str) -> bool:
    match = _LINK.fullmatch(name)
    if match is None:
        return False
    port, protocol, part = match["port"], match["protocol"], match["part"]
    if match["host"] or part == "ADDR":
        return _is_address(value)
    if match["number"]:
        return _is_port(value)
    if part == "PORT":
        return value == port
    if part == "PROTO":
        return value.upper() == protocol and value.islower()
    return _is_url(value, port, protocol)


def service_links(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the variables that are such links, sorted."""
    return tuple(sorted(name for name, value in environ.items() if _is_link(name, value)))
