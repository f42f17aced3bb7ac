"""Dialling the upstream: DNS, TCP, CONNECT through an egress proxy, TLS (F8, G8).

Directly or through an egress proxy, every connection is built the same: a TCP
transport that `_Handover` reads while CONNECT and TLS are under way, and that
goes to the real protocol when all of it stands. Whoever fails or is cancelled in between
aborts that transport, so nothing half-open is left behind.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar, cast

import aiohappyeyeballs

from proxy.http1.grammar import HEAD_END
from proxy.net.dial_errors import (
    DialError,
    Peer,
    Step,
    closed_early,
    no_address,
    timed_out,
    tls_failed,
    tunnel_refused,
    unreachable,
)
from proxy.net.egress import (
    NOT_HTTP,
    EgressProxy,
    cannot_become_a_response,
    connect_refusal,
    connect_request,
)
from proxy.net.name_cache import PATIENCE_SHARE, NameCache
from proxy.net.stream import StreamProtocol

__all__ = ["DialError", "Dialer", "Progress", "Step"]

_Protocol = TypeVar("_Protocol", bound=StreamProtocol)

# RFC 8305 §5: how long one address may hesitate before the next is tried beside it.
_NEXT_ADDRESS_SECONDS: Final = 0.25
# A peer that does not return our close_notify must not keep the descriptor for long.
_TLS_SHUTDOWN_SECONDS: Final = 1.0


class _Handover(asyncio.Protocol):
    """Reads a connection until it is handed over to the protocol it was made for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._changed = loop.create_future()
        self.received = b""
        self.is_lost = False

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.is_lost = True
        self._wake()

    def _wake(self) -> None:
        if not self._changed.done():
            self._changed.set_result(None)

    async def wait_response(self) -> tuple[bytes, bytes, bytes]:
        """Return head, its end and the rest; the end is empty where no head will come."""
        while not (
            self.is_lost or HEAD_END in self.received or cannot_become_a_response(self.received)
        ):
            self._changed = self._loop.create_future()
            await self._changed
        return self.received.partition(HEAD_END)


@dataclass(slots=True)
class Progress:
    """What an attempt is at, so that a timeout can say so; a second attempt begins anew.

    `below_tls` is the TCP transport of a connection that is secured.
    """

    step: Step = Step.DNS
    addresses: tuple[str, ...] = ()
    below_tls: asyncio.Transport | None = None

    def begin(self, step: Step) -> None:
        """Note that the steps before this one are done."""
        self.step = step


def _tune(sock: socket.socket) -> None:
    """Send small writes at once, and notice within about a minute that a peer is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


@dataclass(frozen=True, slots=True)
class _Way:
    """How a host is reached: `first` is who is connected to, `tls` `None` for plain HTTP."""

    first: Peer
    tls: ssl.SSLContext | None
    egress: EgressProxy | None
    egress_tls: ssl.SSLContext | None


class Dialer:
    """Makes connections to one host, directly or through an egress proxy.

    `tls` is `None` for plain HTTP; `egress_tls` is for an egress proxy that
    is itself reached by TLS. `connect_timeout_seconds` bounds `dial` in all,
    both attempts together. `setting` is the one that named the host, for
    messages; `names` is whom to ask for addresses.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        names: NameCache,
        tls: ssl.SSLContext | None,
        egress: EgressProxy | None = None,
        egress_tls: ssl.SSLContext | None = None,
        connect_timeout_seconds: float,
        setting: str = "SIGNICAT_PROXY_UPSTREAM_URL",
    ) -> None:
        self._target = Peer(host, port, setting)
        self._timeout_seconds = connect_timeout_seconds
        self._names = names
        self._is_tls = tls is not None
        self.reach_by(egress_tls or tls, egress)

    def reach_by(self, tls: ssl.SSLContext | None, egress: EgressProxy | None) -> None:
        """Make the connections from now on with these; those being made end as they began (C4)."""
        first = self._target if egress is None else Peer.egress(egress.host, egress.port)
        egress_tls = tls if egress is not None and egress.is_tls else None
        if egress is not None and egress.is_tls and egress_tls is None:
            raise ValueError("an https:// egress proxy needs a TLS context")
        self._way = _Way(first, tls if self._is_tls else None, egress, egress_tls)

    async def dial(
        self, protocol_factory: Callable[[], _Protocol], progress: Progress | None = None
    ) -> tuple[asyncio.Transport, _Protocol]:
        """Return a connection ready for use, its protocol's `connection_made` called.

        A failure that may pass is tried again once, within the same deadline,
        after a turn of the loop in which others may have closed something
        (F8). The protocol is made only when everything stands. Raises
        `DialError`; after that, or a cancellation, nothing is left open.
        `progress` learns of each step as it begins.
        """
        progress = progress or Progress()
        way = self._way
        try:
            async with asyncio.timeout(self._timeout_seconds):
                try:
                    transport, handover = await self._attempt(way, progress)
                except DialError as error:
                    if not error.is_transient:
                        raise
                    await asyncio.sleep(0)
                    transport, handover = await self._attempt(way, progress)
        except TimeoutError:
            raise timed_out(way.first, progress.step, self._timeout_seconds) from None
        return transport, _hand_over(transport, handover, protocol_factory)

    async def _attempt(self, way: _Way, progress: Progress) -> tuple[asyncio.Transport, _Handover]:
        bottom, handover = await self._open(way, await self._connect(way, progress))
        try:
            top = await self._climb(way, bottom, handover, progress)
        except BaseException:
            bottom.abort()
            raise
        progress.below_tls = None if top is bottom else bottom
        return top, handover

    async def _open(self, way: _Way, sock: socket.socket) -> tuple[asyncio.Transport, _Handover]:
        loop = asyncio.get_running_loop()
        try:
            _tune(sock)
            return await loop.create_connection(lambda: _Handover(loop), sock=sock)
        except (OSError, RuntimeError) as error:  # uvloop has some of the latter
            sock.close()
            raise unreachable(way.first, error) from error

    async def _climb(
        self, way: _Way, transport: asyncio.Transport, handover: _Handover, progress: Progress
    ) -> asyncio.Transport:
        """Put CONNECT and TLS on a TCP transport, as far as wanted; return the topmost."""
        if way.egress is not None:
            transport = await self._open_tunnel(way, way.egress, transport, handover, progress)
        if way.tls is not None:
            progress.begin(Step.TLS)
            transport = await self._start_tls(transport, handover, way.tls, self._target)
        if handover.is_lost:
            raise closed_early(self._target)
        return transport

    async def _connect(self, way: _Way, progress: Progress) -> socket.socket:
        """Look the name up and connect to whichever of its addresses responds first (RFC 8305)."""
        peer = way.first
        progress.begin(Step.DNS)
        try:
            addresses = await self._names.look_up(
                peer.host, peer.port, patience_seconds=self._timeout_seconds * PATIENCE_SHARE
            )
        except (OSError, UnicodeError) as error:
            raise no_address(peer, error) from error
        progress.addresses = tuple(str(address[4][0]) for address in addresses)
        progress.begin(Step.TCP)
        try:
            return await aiohappyeyeballs.start_connection(
                addresses, happy_eyeballs_delay=_NEXT_ADDRESS_SECONDS
            )
        except (OSError, RuntimeError) as error:  # see `_open`
            raise unreachable(peer, error) from error

    async def _open_tunnel(
        self,
        way: _Way,
        egress: EgressProxy,
        transport: asyncio.Transport,
        handover: _Handover,
        progress: Progress,
    ) -> asyncio.Transport:
        """Ask the egress proxy for a tunnel; nothing may follow the head of its response."""
        if way.egress_tls is not None:
            progress.begin(Step.EGRESS_TLS)
            transport = await self._start_tls(transport, handover, way.egress_tls, way.first)
        progress.begin(Step.CONNECT)
        try:
            ask = connect_request(egress, self._target.host, self._target.port)
        except UnicodeError as error:
            raise no_address(self._target, error) from error
        transport.write(ask)
        head, end, rest = await handover.wait_response()
        if not end:
            is_closed = not cannot_become_a_response(head)
            cause = "CONNECT was closed by the egress proxy" if is_closed else NOT_HTTP
            raise tunnel_refused(cause, may_pass=is_closed)
        if refusal := connect_refusal(head, has_rest=bool(rest)):
            raise tunnel_refused(refusal.cause, may_pass=refusal.may_pass, status=refusal.status)
        handover.received = b""
        return transport

    async def _start_tls(
        self,
        transport: asyncio.Transport,
        handover: _Handover,
        context: ssl.SSLContext,
        peer: Peer,
    ) -> asyncio.Transport:
        if transport.is_closing():  # uvloop would wait for ever
            raise tls_failed(peer, ConnectionResetError())
        try:
            secured = await asyncio.get_running_loop().start_tls(
                transport,
                handover,
                context,
                server_hostname=peer.host.removesuffix("."),
                # The deadline of the whole comes first; this replaces the loop's minute.
                ssl_handshake_timeout=self._timeout_seconds + 1,
                ssl_shutdown_timeout=_TLS_SHUTDOWN_SECONDS,
            )
        except OSError as error:
            raise tls_failed(peer, error) from error
        if secured is None:
            raise tls_failed(peer, ConnectionResetError())
        return secured


def _hand_over(
    transport: asyncio.Transport, handover: _Handover, protocol_factory: Callable[[], _Protocol]
) -> _Protocol:
    """Give the connection, and what has come on it already, to its real protocol."""
    try:
        protocol = protocol_factory()
        transport.set_protocol(cast("asyncio.Protocol", protocol))
        protocol.connection_made(transport)
    except BaseException:
        transport.abort()
        raise
    if handover.received:
        protocol.data_received(handover.received)
    return protocol
