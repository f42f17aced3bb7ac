"""Who is at the other end of a connection that was accepted: address, Unix user, certificate."""

import asyncio
import socket
import struct
import sys
from dataclasses import dataclass
from typing import Final

from proxy.net.tls import peer_names

__all__ = ["KNOWS_UNIX_USERS", "PeerFacts", "peer_facts"]

KNOWS_UNIX_USERS: Final = sys.platform == "linux"
"""Does the system tell who has connected to a Unix socket."""

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid (unix(7))
_MAPPED: Final = "::ffff:"  # an IPv4 address, as a port for both kinds sees it


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What the system and TLS say of a peer.

    `address` is an IP address or `uid:1001`, None where neither is known. `names` are those in
    its certificate, which the handshake has verified, with `URI:` or `DNS:` before them.
    """

    address: str | None
    uid: int | None = None
    names: tuple[str, ...] = ()


def peer_facts(transport: asyncio.BaseTransport) -> PeerFacts:
    """Return who is at the other end of `transport`: asked once, when the connection stands."""
    place = transport.get_extra_info("peername")
    if isinstance(place, tuple):
        address = str(place[0]).removeprefix(_MAPPED)
        return PeerFacts(address, names=_certificate_names(transport))
    uid = _uid(transport)
    return PeerFacts(None if uid is None else f"uid:{uid}", uid)


def _uid(transport: asyncio.BaseTransport) -> int | None:
    """Return the user that connected to a Unix socket, as it was at that moment."""
    sock = transport.get_extra_info("socket")
    if not KNOWS_UNIX_USERS or sock is None or sock.family != socket.AF_UNIX:
        return None
    try:
        found = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:  # it has left already
        return None
    uid = int(_CREDENTIALS.unpack(found)[1])
    return uid if uid >= 0 else None


def _certificate_names(transport: asyncio.BaseTransport) -> tuple[str, ...]:
    """Return the names with their kind, so that no name of one kind passes for one of another."""
    uris = (f"URI:{name}" for name in peer_names(transport, "URI"))
    return (*uris, *(f"DNS:{name.lower()}" for name in peer_names(transport, "DNS")))
