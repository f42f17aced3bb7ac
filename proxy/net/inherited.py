"""Listening sockets that systemd has opened, and hands to the process (sd_listen_fds(3), C5)."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.net.addresses import ListenAddress
from proxy.net.whole_number import whole_number

__all__ = ["NO_CLAIMS", "NO_SOCKETS", "Claims", "Inherited", "InheritedSocket"]

_FIRST: Final = 3
_MOST: Final = 1024
_NO_DESCRIPTOR: Final = -1
_MOST_PROCESSES: Final = 2**31 - 1
_UNNAMED: Final = "unknown"  # as libsystemd calls them
_FOR_EVERYBODY: Final = 0o777
_NOWHERE: Final = ListenAddress(None, None)
_FAMILIES: Final = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)


@dataclass(frozen=True, slots=True)
class InheritedSocket:
    """One socket, by the name that systemd gives it (FileDescriptorName=).

    `address` is where it listens; `fault` is why nobody can be accepted on it, None for nothing.
    One with a fault has no `descriptor`: the number may be that of any file, and is not ours.
    """

    name: str
    address: ListenAddress
    descriptor: int = _NO_DESCRIPTOR
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

        The variables are taken away: to a child, they would name other descriptors. To be called
        before anything else is opened, which could get a number that they name.
        """
        owner, amount, names, _ = (
            environ.pop(name, "")
            for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
        )
        if amount in ("", "0"):
            return NO_SOCKETS
        number = whole_number(amount, _MOST)
        if not number:
            return cls(why_none=f"LISTEN_FDS, which systemd sets, is no number from 1 to {_MOST}")
        if owner != str(pid):
            other = "without a number" if whole_number(owner, _MOST_PROCESSES) is None else owner
            return cls(
                why_none=f"systemd's sockets are for the process {other}, "
                f"not for this one ({pid}); a script must start the proxy with exec"
            )
        descriptors = range(_FIRST, _FIRST + number)
        return cls(tuple(map(_inspected, _names(names, number), descriptors)))

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


def _names(text: str, number: int) -> list[str]:
    """Return the names of so many sockets, as libsystemd does; none that systemd cannot give."""
    found = text.split(":")
    if len(found) != number:
        return [_UNNAMED] * number
    return [name if name.isascii() and name.isprintable() else _UNNAMED for name in found]


def _inspected(name: str, descriptor: int) -> InheritedSocket:
    """Look at a descriptor, keep it to this program, and forget it unless it can be used."""
    try:
        os.set_inheritable(descriptor, False)  # noqa: FBT003
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        return InheritedSocket(name, _NOWHERE, fault=f"is no socket ({error.strerror})")
    try:
        fault = _fault(sock)
        if fault is not None:
            return InheritedSocket(name, _NOWHERE, fault=fault)
        return InheritedSocket(name, _address(sock), descriptor)
    finally:
        sock.detach()


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
