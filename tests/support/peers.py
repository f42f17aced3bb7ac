"""Raw TCP peers: what the tests say to the proxy and hear from it, byte by byte."""

import asyncio
import contextlib
import os
import re
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

from tests.support.messages import Head, Message
from tests.support.waiting import PATIENCE_SECONDS, eventually, patience, task_group, within

__all__ = [
    "Answer",
    "ByteServer",
    "Channel",
    "ClosedEarlyError",
    "eventually",
    "within",
]

_FOR_EVER: Final = 3600.0
_REMEMBERED_BYTES: Final = 16 * 1024
_NO_LINGERING: Final = struct.pack("ii", 1, 0)  # close() sends RST
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")


class ClosedEarlyError(ConnectionError):
    """The peer closed or reset the connection in the middle of a message."""


class Channel:
    """One end of a connection; `received` holds every byte that was read from it.

    `sent` holds the beginning of what was sent.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self.received = bytearray()
        self.sent = bytearray()

    @classmethod
    async def connect(cls, host: str, port: int) -> Self:
        """Connect over TCP."""
        return cls(*await within(asyncio.open_connection(host, port), f"connection to {port}"))

    @classmethod
    async def over(cls, sock: socket.socket) -> Self:
        """Use a socket that is connected."""
        return cls(*await asyncio.open_connection(sock=sock))

    @classmethod
    async def small(cls, host: str, port: int) -> Self:
        """Connect over TCP, with hardly any room for what is not read."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(0)
        await within(
            asyncio.get_running_loop().sock_connect(sock, (host, port)), f"connection to {port}"
        )
        return await cls.over(sock)

    @classmethod
    async def connect_unix(cls, path: str) -> Self:
        """Connect to a Unix socket."""
        return cls(*await within(asyncio.open_unix_connection(path), f"connection to {path}"))

    @property
    def tls(self) -> tuple[str | None, str | None]:
        """The version of TLS, and the protocol that was agreed on (ALPN)."""
        secured: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        return secured.version(), secured.selected_alpn_protocol()

    @property
    def has_shown(self) -> bool:
        """Whether the peer has shown a certificate that was verified."""
        secured: ssl.SSLObject | None = self._writer.get_extra_info("ssl_object")
        return secured is not None and bool(secured.getpeercert())

    @property
    def shown_serial(self) -> int:
        """The serial number of the certificate that the peer has shown."""
        secured: ssl.SSLObject = self._writer.get_extra_info("ssl_object")
        return int(str((secured.getpeercert() or {})["serialNumber"]), 16)

    # --- sending and ending ---

    async def send(self, data: bytes) -> None:
        """Send `data`; wait until the peer takes it; raise ConnectionError where it is gone."""
        if self._writer.is_closing():  # uvloop would raise RuntimeError
            raise ClosedEarlyError("closed before this could be sent")
        self.sent += data[: max(0, _REMEMBERED_BYTES - len(self.sent))]
        self._writer.write(data)
        await within(self._writer.drain(), f"the peer to take {data[:60]!r}")

    def send_at_once(self, data: bytes) -> None:
        """Give a little to the system at once: no other side has its turn before it is there."""
        sent = os.write(self._writer.get_extra_info("socket").fileno(), data)
        assert sent == len(data)

    async def send_until_stuck(self, data: bytes, limit: int, seconds: float = 0.7) -> int:
        """Send `data` again and again until nothing moves for `seconds`; return bytes sent."""
        sent = 0
        with contextlib.suppress(TimeoutError, ConnectionError):
            while sent < limit:
                async with patience(seconds):
                    self._writer.write(data)
                    sent += len(data)
                    await self._writer.drain()
        return sent

    def half_close(self) -> None:
        """Say that nothing more will be sent, and go on reading."""
        self._writer.write_eof()

    def shut_down(self) -> None:
        """Say the same at once, whatever still waits to be sent."""
        descriptor = self._writer.get_extra_info("socket").fileno()
        with socket.socket(fileno=os.dup(descriptor)) as copy:
            copy.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close both directions in good order."""
        self._writer.close()

    def reset(self) -> None:
        """Break the connection with a reset."""
        if self._writer.is_closing():
            return
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
        self._writer.transport.abort()

    def hang_up(self) -> None:
        """End TCP in good order but without the end of TLS that should come before."""
        self._writer.transport.abort()

    # --- reading ---

    async def _fill(self) -> bool:
        try:
            data = await self._reader.read(1 << 18)
        except ConnectionError as error:
            raise ClosedEarlyError(f"reset after {bytes(self._buffer)[:200]!r}") from error
        self._buffer += data
        self.received += data
        return bool(data)

    async def _take_until(self, mark: bytes) -> bytes:
        while (end := self._buffer.find(mark)) < 0:
            if not await self._fill():
                raise ClosedEarlyError(f"closed after {bytes(self._buffer)[:200]!r}")
        taken = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        return taken

    async def _take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not await self._fill():
                raise ClosedEarlyError(f"closed after {len(self._buffer)} of {size} bytes")
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    async def read_head(self, seconds: float = PATIENCE_SECONDS) -> Head:
        """Return the next head."""
        return Head.parse(await within(self._take_until(b"\r\n\r\n"), "a head", seconds))

    async def read(self, size: int, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Return exactly `size` bytes."""
        return await within(self._take(size), f"{size} bytes", seconds)

    async def read_to_end(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Return what comes until the peer closes in good order; a reset is `ClosedEarlyError`."""

        async def fill() -> bytes:
            while await self._fill():
                pass
            taken = bytes(self._buffer)
            self._buffer.clear()
            return taken

        return await within(fill(), "the end of the connection", seconds)

    async def read_whatever(self, seconds: float = PATIENCE_SECONDS) -> bytes:
        """Return what comes until the connection ends in any way."""
        with contextlib.suppress(ClosedEarlyError):
            await self.read_to_end(seconds)
        return bytes(self.received)

    async def has_ended(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait for the next byte or the end; say whether it was the end in good order."""
        return not self._buffer and not await within(self._fill(), "a byte or the end", seconds)

    async def stays_silent(self, seconds: float = 0.2) -> bool:
        """Say whether nothing, not even an end, comes within `seconds`."""
        if self._buffer:
            return False
        try:
            async with patience(seconds):
                await self._fill()
        except TimeoutError:
            return True
        except ClosedEarlyError:
            pass
        return False

    async def _read_chunks(self) -> tuple[bytes, tuple[bytes, ...]]:
        body = bytearray()
        while True:
            line = await self._take_until(b"\r\n")
            assert _CHUNK_SIZE.fullmatch(line), f"malformed chunk size {line!r}"
            size = int(line, 16)
            if not size:
                break
            body += await self._take(size)
            assert await self._take(2) == b"\r\n", "chunk longer than its size"
        trailers = []
        while line := await self._take_until(b"\r\n"):
            trailers.append(line)
        return bytes(body), tuple(trailers)

    async def _read_framed(self, head: Head, *, until_close: bool) -> Message:
        length, coding = head.value("Content-Length"), head.value("Transfer-Encoding")
        assert length is None or coding is None, f"two framings: {head}"
        if coding is not None:
            assert coding == "chunked", f"unknown framing: {coding}"
            return Message(head, *await self._read_chunks())
        if length is not None:
            return Message(head, await self._take(int(length)))
        return Message(head, await self.read_to_end() if until_close else b"")

    async def read_request(self, seconds: float = PATIENCE_SECONDS) -> Message:
        """Return the next whole request."""
        head = await self.read_head(seconds)
        framed = self._read_framed(head, until_close=False)
        return await within(framed, "a request's body", seconds)

    async def read_answer(self, method: str = "GET", seconds: float = PATIENCE_SECONDS) -> Message:
        """Return the next whole answer; an interim one counts as an answer."""
        head = await self.read_head(seconds)
        if method == "HEAD" or head.status in {204, 304} or head.status < 200:
            return Message(head)
        return await within(self._read_framed(head, until_close=True), "an answer's body", seconds)

    async def ask(self, message: bytes, seconds: float = PATIENCE_SECONDS) -> Message:
        """Send one request and return its answer."""
        await self.send(message)
        return await self.read_answer(message.split(b" ")[0].decode(), seconds)


Answer = Callable[[Message], Awaitable[bytes | None]]


class ByteServer:
    """Listens on loopback while it is entered; what it answers is the test's business.

    Without `answer` every connection waits for the test in `accepted`. With
    one (bytes, or a function of the request) requests are read and answered by
    themselves; None hangs up instead, and so does an answer with
    `Connection: close` after it is sent. `listener` is a socket that listens
    already, elsewhere.
    """

    def __init__(
        self,
        answer: bytes | Answer | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        listener: socket.socket | None = None,
    ) -> None:
        self.connections: list[Channel] = []
        self.requests: list[Message] = []
        self.port = 0
        self._answer = answer
        self._tls = tls
        self._listener = listener
        self._host = "127.0.0.1" if listener is None else listener.getsockname()[0]
        self._waiting: asyncio.Queue[Channel] = asyncio.Queue()
        self._is_over = False
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """The server's URL, without a path."""
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    @property
    def received(self) -> bytes:
        """Every byte that was read so far, over all connections."""
        return b"".join(bytes(channel.received) for channel in self.connections)

    async def __aenter__(self) -> Self:
        self._is_over = False
        tasks = await self._stack.enter_async_context(task_group())

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            channel = Channel(reader, writer)
            self.connections.append(channel)
            if self._is_over:
                channel.reset()  # the system had taken it, but it came up after the others went
            elif self._answer is None:
                self._waiting.put_nowait(channel)
            else:
                serving = tasks.create_task(self._serve(channel, self._answer), name="peer")
                self._stack.callback(serving.cancel)

        if self._listener is None:
            server = await asyncio.start_server(accept, self._host, self.port, ssl=self._tls)
        else:
            server = await asyncio.start_server(accept, sock=self._listener, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._stack.callback(self._drop_all)
        self._stack.callback(server.close)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, traceback)

    def _drop_all(self) -> None:
        self._is_over = True
        for channel in self.connections:
            channel.reset()

    async def accepted(self, seconds: float = PATIENCE_SECONDS) -> Channel:
        """Return the next connection."""
        return await within(self._waiting.get(), "a connection", seconds)

    async def _serve(self, channel: Channel, answer: bytes | Answer) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                message = await channel.read_request(_FOR_EVER)
                self.requests.append(message)
                answered = answer if isinstance(answer, bytes) else await answer(message)
                if answered is None:
                    break
                await channel.send(answered)
                if b"connection: close" in answered.partition(b"\r\n\r\n")[0].lower():
                    break
        channel.close()
