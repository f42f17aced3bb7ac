"""Reads what a peer said before it hung up on a body, below TLS (F11).

A write that fails ends a connection at once, and what had arrived is never read: a loop
tells TLS of the loss first. So while a body goes up, this stands between the two.
"""

import asyncio
from typing import cast

from proxy.net.stream import read_rest

__all__ = ["LastWords"]


class LastWords:
    """Passes a TCP transport's events on to the protocol of TLS; the loss of it comes last.

    Its methods are those of `asyncio.BufferedProtocol`; the ones that every byte
    passes are TLS's own.
    """

    def __init__(self, tcp: asyncio.Transport) -> None:
        self._tcp = tcp
        self._tls = tls = cast("asyncio.BufferedProtocol", tcp.get_protocol())
        self.get_buffer = tls.get_buffer
        self.buffer_updated = tls.buffer_updated
        self.eof_received = tls.eof_received
        self.pause_writing = tls.pause_writing
        self.resume_writing = tls.resume_writing
        tcp.set_protocol(cast("asyncio.BaseProtocol", self))

    def withdraw(self) -> None:
        """Leave the two alone again."""
        if not self._tcp.is_closing():
            self._tcp.set_protocol(self._tls)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give TLS what had arrived, then tell it of the loss."""
        if exc is not None:
            for data in read_rest(self._tcp):
                self._feed(data)
        self._tls.connection_lost(exc)

    def _feed(self, data: bytes) -> None:
        while data:
            buffer = memoryview(self._tls.get_buffer(len(data)))
            size = min(len(buffer), len(data))
            buffer[:size] = data[:size]
            self._tls.buffer_updated(size)
            data = data[size:]
