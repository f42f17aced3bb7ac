"""Listening sockets that systemd has opened, and hands to the process (sd_listen_fds(3), C5)."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.net.addresses import ListenAddress

__all__ = ["NO_CLAIMS", "NO_SOCKETS", "Claims", "Inherited", "InheritedSocket"]

_FIRST: Final = 3
_MOST: Final = 1024
_UNNAMED: Final = "unknown"  # as libsystemd calls them
_FOR_EVERYBODY: Final = 0o777
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """One socket, by the name that systemd gives it (FileDescriptorName=).

    `address` is where it listens; `fault` is why nobody can be accepted on it, None for nothing.
    """

    name: str
    descriptor: int
    address: ListenAddress
    fault: str | None = None

    def adopt(self) -> socket.socket:
        """Return it as a socket of our own, which whoever takes it closes."""
        return socket.socket(fileno=self.descriptor)

    def close(self) -> None:
        """Close our copy; systemd's goes on listening."""
        with contextlib.suppress(OSError):
            os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Claims:
    """Which entry of LISTEN and ADMIN_LISTEN takes which sockets, each of them once."""

    taken: Mapping[ListenAddress, tuple[InheritedSocket, ...]]
    unclaimed: tuple[InheritedSocket, ...]

    def of(self, entry: ListenAddress) -> tuple[InheritedSocket, ...]:
        """Return the sockets of an entry, none for one that opens its own."""
        return self.taken.get(entry, ())

    def places(self, entries: Iterable[ListenAddress]) -> tuple[ListenAddress, ...]:
        """Return where entries listen: the addresses of their sockets, or what they say."""
        return tuple(self._places(entries))

    def _places(self, entries: Iterable[ListenAddress]) -> Iterator[ListenAddress]:
        for entry in entries:
            found = self.of(entry)
            yield from (each.address for each in found) if found else (entry,)


NO_CLAIMS: Final = Claims({}, ())


@dataclass(frozen=True, slots=True)
class Inherited:
    """All sockets that systemd hands over; `why_none` says why there are none."""

    sockets: tuple[InheritedSocket, ...] = ()
    why_none: str = ""

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> "Inherited":
        """Return the sockets of process `pid`; no program that it starts gets them (C5).

        The variables are taken away: to a child, they would name other descriptors.
        """
        owner, amount, names, _ = (
            environ.pop(name, "")
            for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
        )
        if not amount.isdecimal() or not 0 < int(amount) <= _MOST:
            return NO_SOCKETS
        if owner != str(pid):
            return cls(
                why_none=f"systemd's sockets are for the process {owner or 'without a number'}, "
                f"not for this one ({pid}); a script must start the proxy with exec"
            )
        descriptors = range(_FIRST, _FIRST + int(amount))
        found = names.split(":")
        if len(found) != len(descriptors):
            found = [_UNNAMED] * len(descriptors)
        return cls(tuple(map(_inspected, found, descriptors)))

    def claims(self, entries: Iterable[ListenAddress]) -> Claims:
        """Share the sockets out: by name, and to `systemd` alone what nobody names."""
        wanted = [entry for entry in entries if entry.inherited is not None]
        names = {entry.inherited for entry in wanted}
        taken = {entry: tuple(_wanted_by(entry, self.sockets, names)) for entry in wanted}
        claimed = {each for sockets in taken.values() for each in sockets}
        return Claims(taken, tuple(each for each in self.sockets if each not in claimed))

    def why_missing(self) -> str:
        """Return why an entry finds no socket."""
        if not self.sockets:
            return self.why_none
        names = ", ".join(sorted({each.name for each in self.sockets}))
        return f"systemd has no such socket for this service; FileDescriptorName= names {names}"


NO_SOCKETS: Final = Inherited(
    why_none="systemd has handed over no socket; start the .socket unit first, and see that the "
    "service names it in Sockets="
)


def _wanted_by(
    entry: ListenAddress, sockets: Sequence[InheritedSocket], names: set[str | None]
) -> Iterator[InheritedSocket]:
    for each in sockets:
        if each.name == entry.inherited or (not entry.inherited and each.name not in names):
            yield each


def _inspected(name: str, descriptor: int) -> InheritedSocket:
    """Look at a descriptor, and keep it to this program."""
    nowhere = ListenAddress(None, None)
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        return InheritedSocket(name, descriptor, nowhere, f"is no socket ({error.strerror})")
    try:
        fault = _fault(sock)
        address = nowhere if fault else _address(sock)
    finally:
        sock.detach()
    return InheritedSocket(name, descriptor, address, fault)


def _fault(sock: socket.socket) -> str | None:
    if sock.family not in _FAMILIES:
        return "is neither a TCP nor a Unix socket"
    if sock.type != socket.SOCK_STREAM:
        return "is no stream socket; write ListenStream= in the .socket unit"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "does not listen; write Accept=no in the .socket unit"
    return None


def _address(sock: socket.socket) -> ListenAddress:
    name = sock.getsockname()
    if sock.family != socket.AF_UNIX:
        return ListenAddress(str(name[0]), int(name[1]))
    if isinstance(name, bytes):  # in the abstract namespace, which knows no modes
        return ListenAddress(None, None, f"@{os.fsdecode(name[1:])}", mode=_FOR_EVERYBODY)
    try:
        mode = Path(name).stat().st_mode & _FOR_EVERYBODY
    except OSError:  # in a folder that is shut to us: what its mode is, systemd knows
        mode = None
    return ListenAddress(None, None, name, mode=mode)
