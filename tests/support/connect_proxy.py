"""A CONNECT proxy whose every answer the test decides, and which remembers what it was asked."""

import asyncio
import contextlib
import ssl
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

__all__ = ["ConnectProxy", "ConnectRequest"]

Behaviour = Literal["tunnel", "hang", "close"]
_ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_UNAUTHORISED = (
    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
    b'Proxy-Authenticate: Basic realm="test"\r\nContent-Length: 4\r\n\r\nno!\n'
)


@dataclass(frozen=True, slots=True)
class ConnectRequest:
    """What one client asked for: `host:port`, and its headers by lower-case name."""

    target: str
    headers: Mapping[str, str]


class ConnectProxy:
    """Listens on loopback while it is entered; `port` and `url` are known then.

    `hosts` maps `host:port` to the address really connected to; without it
    targets are taken as they are. `credentials` (`user:password`) are
    demanded if given. `answer` is sent instead of a tunnel, `hang` says
    nothing, `close` hangs up on the request. `tls` makes the way to the proxy TLS.
    """

    def __init__(
        self,
        *,
        hosts: Mapping[str, tuple[str, int]] | None = None,
        credentials: str | None = None,
        answer: bytes | None = None,
        behaviour: Behaviour = "tunnel",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[ConnectRequest] = []
        self.shown: list[bool] = []  # whether each client showed a certificate
        self.port = 0
        self.asked = asyncio.Event()
        self._hosts = hosts
        self._credentials = credentials
        self._answer = answer
        self._behaviour = behaviour
        self._tls = tls
        self._tasks: set[asyncio.Task[object]] = set()
        self._stack = contextlib.AsyncExitStack()

    @property
    def url(self) -> str:
        """The proxy's URL, with credentials if it demands any."""
        userinfo = f"{self._credentials}@" if self._credentials else ""
        return f"{'https' if self._tls else 'http'}://{userinfo}127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self._stack.callback(server.close)
        self._stack.push_async_callback(self._stop)
        self.port = server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def _stop(self) -> None:
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        secured = writer.get_extra_info("ssl_object")
        self.shown.append(secured is not None and bool(secured.getpeercert()))
        try:
            await self._answer_request(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # clients that leave, and the end of the test, are no failures of the proxy
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _answer_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await self._read_request(reader)
        self.requests.append(request)
        self.asked.set()
        if self._behaviour == "close":
            return
        if self._behaviour == "hang":
            await reader.read()
            return
        if not self._is_authorised(request):
            await _send_and_wait(reader, writer, _UNAUTHORISED)
        elif self._answer is not None:
            await _send_and_wait(reader, writer, self._answer)
        else:
            await self._tunnel(request, reader, writer)

    async def _read_request(self, reader: asyncio.StreamReader) -> ConnectRequest:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ")
        assert method == "CONNECT"
        headers = (line.partition(": ") for line in lines[1:] if line)
        return ConnectRequest(target, {name.lower(): value for name, _, value in headers})

    def _is_authorised(self, request: ConnectRequest) -> bool:
        if self._credentials is None:
            return True
        expected = "Basic " + b64encode(self._credentials.encode()).decode()
        return request.headers.get("proxy-authorization") == expected

    async def _tunnel(
        self, request: ConnectRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._hosts is None:
            host, _, port = request.target.rpartition(":")
            address = (host.strip("[]"), int(port))
        elif request.target in self._hosts:
            address = self._hosts[request.target]
        else:
            await _send_and_wait(reader, writer, b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
            return
        far_reader, far_writer = await asyncio.open_connection(*address)
        try:
            writer.write(_ESTABLISHED)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pump(reader, far_writer))
                tasks.create_task(_pump(far_reader, writer))
        except* OSError:
            pass
        finally:
            far_writer.transport.abort()


async def _send_and_wait(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes
) -> None:
    """Send `answer` and leave it to the client to hang up."""
    writer.write(answer)
    await writer.drain()
    await reader.read()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
    else:
        writer.close()
