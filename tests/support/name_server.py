"""A name server that knows one address, and can fall silent."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

from tests.support.cable import FAR, Cable

__all__ = ["NameServer", "at_the_far_end", "name_server"]

_HEADER_BYTES = 12
_IS_ANSWER = 0x8180  # a response; recursion wanted and available
_NAME_OF_THE_QUESTION = 0xC000 | _HEADER_BYTES
_A, _IN, _TTL_SECONDS = 1, 1, 60


class NameServer(asyncio.DatagramProtocol):
    """Answers every name with 127.0.0.1, and with no IPv6 address, unless `is_silent`."""

    def __init__(self) -> None:
        self.is_silent = False
        self.asked = 0
        self._transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer one question."""
        self.asked += 1
        if self.is_silent:
            return
        end = data.index(b"\0", _HEADER_BYTES) + 5  # of the name, then type and class
        (kind,) = struct.unpack_from("!H", data, end - 4)
        known = int(kind == _A)
        header = data[:2] + struct.pack("!HHHHH", _IS_ANSWER, 1, known, 0, 0)
        record = struct.pack("!HHHIH", _NAME_OF_THE_QUESTION, _A, _IN, _TTL_SECONDS, 4)
        record += socket.inet_aton("127.0.0.1")
        self._transport.sendto(header + data[_HEADER_BYTES:end] + record * known, addr)


@contextlib.asynccontextmanager
async def name_server(sock: socket.socket) -> AsyncIterator[NameServer]:
    """Serve on a socket that is bound already."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, sock=sock)
    try:
        yield server
    finally:
        transport.close()


def at_the_far_end(cable: Cable, directory: Path, options: str) -> tuple[str, ...]:
    """Return the command that runs another one where the name server is at the far end."""
    (directory / "resolv.conf").write_text(f"nameserver {FAR}\noptions {options}\n")
    command = f'mount --bind "{directory}/resolv.conf" /etc/resolv.conf && exec "$@"'
    return (*cable.prefix, "unshare", "--mount", "sh", "-c", command, "sh")
