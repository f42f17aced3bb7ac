"""Sockets for an entry of LISTEN: one for each address that it stands for.

An address in use is one line that names the setting.
"""

import contextlib
import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from proxy.net.addresses import ListenAddress
from proxy.net.unix_socket import check_socket_path, listening_unix_socket

__all__ = [
    "Bound",
    "CannotListenError",
    "listen",
    "obstacles",
    "resolve",
    "why_not_listening",
]

_MISSING: Final = frozenset((errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL))
"""How a system says that it does not have a family, or no address of it."""

_FREE_PORT_ATTEMPTS: Final = 20


def why_not_listening(error: OSError) -> str:
    """Return why an address cannot be listened on, as the system says it."""
    if isinstance(error, socket.gaierror) or error.errno is None:
        return "the name cannot be resolved"
    return os.strerror(error.errno)


class CannotListenError(Exception):
    """An address cannot be listened on; the text is one line and names the setting.

    `setting` is its name without the prefix, `address` the entry, `place` the one of its
    addresses that failed. `is_taken`: somebody else listens there. `is_missing`: the machine
    does not have it, and the entry takes what there is.
    """

    def __init__(
        self,
        setting: str,
        address: ListenAddress,
        error: OSError,
        place: ListenAddress | None = None,
    ) -> None:
        self.setting = setting
        self.address = address
        self.place = place or address
        self.reason = why_not_listening(error)
        if self.place.host != address.host:
            self.reason += f" ({self.place})"
        self.is_taken = error.errno == errno.EADDRINUSE
        self.is_missing = address.takes_what_there_is and error.errno in _MISSING
        super().__init__(f"SIGNICAT_PROXY_{setting}: cannot listen on {address}: {self.reason}")


@dataclass(frozen=True, slots=True)
class Bound:
    """The sockets of an entry; `address` is the entry with its real port.

    `left_out` tells which of its addresses this machine does not have.
    """

    address: ListenAddress
    sockets: tuple[socket.socket, ...]
    left_out: tuple[str, ...] = ()


def resolve(setting: str, address: ListenAddress) -> Sequence[ListenAddress]:
    """Return the addresses that an entry stands for; a name is looked up, which may take long.

    Raises `CannotListenError`.
    """
    if not address.is_name:
        return address.each()
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        raise CannotListenError(setting, address, error) from error
    return tuple(replace(address, host=host) for host in dict.fromkeys(str(f[4][0]) for f in found))


def obstacles(setting: str, address: ListenAddress) -> list[CannotListenError]:
    """Return what keeps an entry from being listened on; nobody can connect meanwhile.

    A name is looked up, which may take long.
    """
    try:
        if address.path is not None:
            check_socket_path(address.path)
            return []
        places = resolve(setting, address)
    except CannotListenError as error:
        return [error]
    except OSError as error:
        return [CannotListenError(setting, address, error)]
    found = []
    for place in places:
        try:
            _bound_tcp_socket(place, place.port or 0).close()
        except OSError as error:
            found.append(CannotListenError(setting, address, error, place))
    if any(not error.is_missing for error in found) or len(found) < len(places):
        return [error for error in found if not error.is_missing]
    return found


def listen(
    setting: str, address: ListenAddress, places: Sequence[ListenAddress], backlog: int
) -> Bound:
    """Listen on `places`, which `resolve` has found for an entry; raise `CannotListenError`."""
    if address.path is not None:
        try:
            return Bound(address, (listening_unix_socket(address, backlog),))
        except OSError as error:
            raise CannotListenError(setting, address, error) from error
    for attempts_left in reversed(range(_FREE_PORT_ATTEMPTS if address.port == 0 else 1)):
        try:
            return _listen_on_each(setting, address, places, backlog)
        except CannotListenError as error:
            if not (error.is_taken and attempts_left):  # what is free here may be taken there
                raise
    raise AssertionError


def _listen_on_each(
    setting: str, address: ListenAddress, places: Sequence[ListenAddress], backlog: int
) -> Bound:
    """Listen on them all on one port: that of the entry, or the one that the first gets for 0."""
    port = address.port or 0
    sockets: list[socket.socket] = []
    missing: list[CannotListenError] = []
    with contextlib.ExitStack() as stack:
        for place in places:
            try:
                sock = stack.enter_context(_bound_tcp_socket(place, port))
                sock.listen(backlog)
            except OSError as error:
                failure = CannotListenError(setting, address, error, replace(place, port=port))
                if not failure.is_missing:
                    raise failure from error
                missing.append(failure)
            else:
                sockets.append(sock)
                port = sock.getsockname()[1]
        if not sockets:
            raise missing[0]
        stack.pop_all()
    left_out = tuple(failure.reason for failure in missing)
    return Bound(replace(address, port=port), tuple(sockets), left_out)


def _bound_tcp_socket(place: ListenAddress, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in (place.host or "") else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a socket of its own
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((place.host, port))
    except BaseException:
        sock.close()
        raise
    return sock
