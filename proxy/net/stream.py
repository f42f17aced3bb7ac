"""What connections to callers and to the upstream have in common: writing, and back-pressure."""

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import ssl
import struct
import sys
import termios
from collections.abc import Iterator
from typing import Final, Protocol, cast

__all__ = [
    "FULL",
    "NOBODY",
    "NO_TURN",
    "PEER_IS_SLOW",
    "Connection",
    "SecuredProtocol",
    "StreamProtocol",
    "read_rest",
]

PEER_IS_SLOW: Final = 1
"""A reason to read no more: whoever gets the bytes does not take them."""
NO_TURN: Final = 2
"""A reason to read no more: there is work left for a later turn of the loop (G11)."""
FULL: Final = 4
"""A reason to read no more: enough has come ahead (F5)."""

_WORTH_A_COPY: Final = 8 * 1024  # bytes; what is larger goes out beside its head, not joined to it
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: send RST at close
_PIECE: Final = 64 * 1024
_GONE: Final = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class StreamProtocol(Protocol):
    """What a loop calls: the methods of `asyncio.Protocol`.

    That class is no base of ours: a compiled class with an interpreted base would
    keep its attributes as an interpreted one does.
    """

    def connection_made(self, transport: asyncio.BaseTransport, /) -> None:
        """Get the transport."""

    def connection_lost(self, exc: Exception | None, /) -> None:
        """Learn that the connection is gone."""

    def data_received(self, data: bytes, /) -> None:
        """Get bytes."""

    def eof_received(self) -> bool | None:
        """Learn that the peer sends no more; return True to keep the connection."""

    def pause_writing(self) -> None:
        """Learn that the peer takes no more for now."""

    def resume_writing(self) -> None:
        """Learn that it does again."""


class SecuredProtocol(StreamProtocol, Protocol):
    """What a `TlsStream` (`tls_stream`) calls: as a loop does, and as the handshake goes on."""

    def on_handshake(self) -> None:
        """Learn that a handshake begins or goes on: call `shake_hands` when there is time."""

    def on_secured(self) -> None:
        """Learn that TLS stands; what comes from now on is what the caller has sent by it."""

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Learn that it does not come to stand; the caller has been sent the alert."""

    def on_plain(self, data: bytes) -> None:
        """Get the first bytes of a caller that speaks no TLS; what is written goes out plain."""


class _Nobody:
    """Stands above a stream that is lost."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Do nothing."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Do nothing."""

    def data_received(self, data: bytes) -> None:
        """Do nothing."""

    def eof_received(self) -> bool | None:
        """Do nothing."""
        return None

    def pause_writing(self) -> None:
        """Do nothing."""

    def resume_writing(self) -> None:
        """Do nothing."""

    def on_handshake(self) -> None:
        """Do nothing."""

    def on_secured(self) -> None:
        """Do nothing."""

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Do nothing."""

    def on_plain(self, data: bytes) -> None:
        """Do nothing."""


NOBODY: Final = _Nobody()
"""For a stream that no protocol is above any more."""


def _descriptor(transport: asyncio.BaseTransport) -> int:
    """Return the descriptor below `transport`, -1 where there is none any more."""
    sock = transport.get_extra_info("socket")
    return -1 if sock is None else int(sock.fileno())


def _queued(transport: asyncio.BaseTransport, queue: int) -> int:
    """Return how many bytes lie in a queue of the system; 0 where it does not tell."""
    size = bytearray(4)
    try:
        fcntl.ioctl(_descriptor(transport), queue, size)
    except (OSError, ValueError):
        return 0
    return int.from_bytes(size, sys.byteorder)


def read_rest(transport: asyncio.BaseTransport) -> Iterator[bytes]:
    """Yield what had arrived on a connection that a failed write has ended (F11).

    To be called while `connection_lost` runs: the loop closes the descriptor after it.
    """
    descriptor = _descriptor(transport)
    with contextlib.suppress(OSError):
        while descriptor >= 0 and (data := os.read(descriptor, _PIECE)):
            yield data


class Connection:
    """A transport that may be closing at any time, and whose reading can be held.

    `is_write_paused`: the peer takes no more bytes for now. Reading is held as long as
    there is a reason for it, each given and taken back by one side alone. `tcp` is the
    transport below TLS, None without: reading is held there, since TLS that is not read
    from throws away what it holds when the peer closes (F7).
    """

    __slots__ = ("_reasons", "_written", "is_write_paused", "tcp", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.tcp: asyncio.Transport | None = None
        self._reasons = 0
        self._written = 0
        self.is_write_paused = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; uvloop's are no subclass of asyncio's."""
        self.transport = cast("asyncio.Transport", transport)

    def write(self, data: bytes) -> None:
        """Send bytes; `connection_lost` tells of those that cannot arrive any more."""
        if not self.transport.is_closing():
            self._written += len(data)
            self.transport.write(data)

    def write_behind(self, head: bytes, data: bytes) -> None:
        """Send `data` behind `head`, which may be empty; what is large is not copied for it."""
        if not head:
            self.write(data)
        elif len(data) < _WORTH_A_COPY:
            self.write(head + data)
        elif not self.transport.is_closing():
            self._written += len(head) + len(data)
            self.transport.writelines((head, data))

    def write_between(self, head: bytes, data: bytes, tail: bytes) -> None:
        """Send `data` between `head` and `tail`; what is large is not copied for it."""
        if len(data) < _WORTH_A_COPY:
            self.write(b"%b%b%b" % (head, data, tail))
        elif not self.transport.is_closing():
            self._written += len(head) + len(data) + len(tail)
            self.transport.writelines((head, data, tail))

    def pause_reading(self, reason: int) -> None:
        """Read no more for `reason` (F5)."""
        if not self._reasons and not self.transport.is_closing():
            (self.tcp or self.transport).pause_reading()
        self._reasons |= reason

    def resume_reading(self, reason: int) -> None:
        """Read on as far as `reason` is concerned."""
        if self._reasons & reason:
            self._reasons &= ~reason
            if not self._reasons and not self.transport.is_closing():
                (self.tcp or self.transport).resume_reading()

    @property
    def scheme(self) -> bytes:
        """What the URLs begin with by which this connection is reached."""
        return b"http"

    @property
    def is_reading_paused(self) -> bool:
        """Is there a reason not to read: then not even the end of the peer shows."""
        return self._reasons != 0

    @property
    def has_unsent(self) -> bool:
        """Is there anything that the peer has not taken yet."""
        return self.transport.get_write_buffer_size() > 0

    def taken(self) -> int:
        """Return how many of the bytes written so far the peer's system has taken (G12)."""
        transport = self.transport
        if transport.is_closing() and not self.has_unsent:
            return self._written
        unsent = transport.get_write_buffer_size() + _queued(transport, termios.TIOCOUTQ)
        return self._written - unsent

    def has_unread(self) -> bool:
        """Say whether bytes have arrived that the loop has not brought yet."""
        return _queued(self.transport, termios.FIONREAD) > 0

    def is_left(self) -> bool:
        """Say whether the peer has closed or reset its end, seen where reading is held (F7)."""
        descriptor = _descriptor(self.transport)
        if descriptor < 0:
            return False
        poll = select.poll()
        poll.register(descriptor, _GONE)
        return any(events & _GONE for _, events in poll.poll(0))

    def abort(self) -> None:
        """End at once; what is still to be written must not look as if it were all (F7)."""
        if self.has_unsent:
            self.reset()
        else:
            self.transport.abort()

    def reset(self) -> None:
        """End at once and, over TCP, by a reset: the peer must not take this for a good end."""
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX:
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.transport.abort()
