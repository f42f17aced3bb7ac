"""What connections to callers and to the upstream have in common: writing, and back-pressure."""

import asyncio
import contextlib
import socket
import struct
from typing import Final, Protocol, cast

__all__ = ["Connection", "StreamProtocol"]

_WORTH_A_COPY: Final = 8 * 1024  # bytes; what is larger goes out beside its head, not joined to it
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: send RST at close


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


class Connection:
    """A transport that may be closing at any time, and whose reading can be held.

    `is_clogged`: the peer takes no more bytes for now.
    """

    __slots__ = ("_is_held", "is_clogged", "transport")

    transport: asyncio.Transport

    def __init__(self) -> None:
        self._is_held = False
        self.is_clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; uvloop's are no subclass of asyncio's."""
        self.transport = cast("asyncio.Transport", transport)

    def write(self, data: bytes) -> None:
        """Send bytes; `connection_lost` tells of those that cannot arrive any more."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def write_behind(self, head: bytes, data: bytes) -> None:
        """Send `data` behind `head`, which may be empty; what is large is not copied for it."""
        if not head:
            self.write(data)
        elif len(data) < _WORTH_A_COPY:
            self.write(head + data)
        elif not self.transport.is_closing():
            self.transport.writelines((head, data))

    def hold(self) -> None:
        """Read no more for now (F5)."""
        if not self._is_held and not self.transport.is_closing():
            self._is_held = True
            self.transport.pause_reading()

    def unhold(self) -> None:
        """Read on."""
        if self._is_held:
            self._is_held = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    @property
    def has_unsent(self) -> bool:
        """Is there anything that the peer has not taken yet."""
        return self.transport.get_write_buffer_size() > 0

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
