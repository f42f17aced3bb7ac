"""A cable between two network namespaces, whose middle is in the test's hands.

Both ends are TUN devices: the kernels' own TCP runs over them, and what one end
sends reaches the other only if `Cable` carries it there. So packets are lost,
late, out of order or doubled as a test says, on any kernel: `tc netem` is a
module that many lack. The namespaces have no names, and end with the test's
process at the latest.
"""

import asyncio
import contextlib
import ctypes
import fcntl
import os
import random
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.support.peers import Channel
from tests.support.waiting import within

__all__ = ["FAR", "NEAR", "Cable", "Line", "why_no_cable"]

NEAR, FAR = "10.77.0.1", "10.77.0.2"
"""The addresses of the ends; only the two namespaces know them."""
_CLONE_NEWNET: Final = 0x40000000
_TUNSETIFF: Final = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST_PACKET: Final = 65_535
_HERE: Final = "/proc/thread-self/ns/net"
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def why_no_cable() -> str:
    """Return why this machine cannot have a cable; empty where it can."""
    missing = [program for program in ("ip", "nsenter") if shutil.which(program) is None]
    if missing:
        return f"needs {' and '.join(missing)}"
    if not Path("/dev/net/tun").exists():
        return "needs /dev/net/tun"
    try:
        os.close(_new_namespace())
    except PermissionError:
        return "needs the right to make network namespaces"
    return ""


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _new_namespace() -> int:
    """Return a descriptor of a new network namespace; this thread stays where it is."""
    home = os.open(_HERE, os.O_RDONLY)
    try:
        _checked(_LIBC.unshare(_CLONE_NEWNET))
        try:
            return os.open(_HERE, os.O_RDONLY)
        finally:
            _checked(_LIBC.setns(home, _CLONE_NEWNET))
    finally:
        os.close(home)


@dataclass(frozen=True, slots=True)
class Line:
    """How packets fare, in each direction; jitter puts them out of order."""

    loss: float = 0
    delay_seconds: float = 0
    jitter_seconds: float = 0
    doubling: float = 0


class _End:
    """One end of the cable: a namespace with a TUN device and an address."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.namespace = _new_namespace()
        with self.entered():
            self.device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            wanted = struct.pack("16sH22x", b"cable", _IFF_TUN | _IFF_NO_PI)
            fcntl.ioctl(self.device, _TUNSETIFF, wanted)
        self.ip("link", "set", "lo", "up")
        self.ip("address", "add", f"{address}/30", "dev", "cable")
        self.ip("link", "set", "cable", "up")
        self.received = 0
        self.newest = 0

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """Make this the namespace of the thread; nothing may be awaited meanwhile."""
        home = os.open(_HERE, os.O_RDONLY)
        try:
            _checked(_LIBC.setns(self.namespace, _CLONE_NEWNET))
            try:
                yield
            finally:
                _checked(_LIBC.setns(home, _CLONE_NEWNET))
        finally:
            os.close(home)

    def ip(self, *arguments: str) -> None:
        """Configure the namespace."""
        with self.entered():
            subprocess.run(["ip", *arguments], check=True)

    def close(self) -> None:
        """Give device and namespace back to the kernel."""
        os.close(self.device)
        os.close(self.namespace)


class Cable:
    """Joins `near`, where the proxy runs, and `far`, where its peers are.

    `line` is how it is at the moment, `is_pulled` whether nothing gets
    through. What happened to packets is counted.
    """

    def __init__(self, seed: int = 1) -> None:
        self.line = Line()
        self.is_pulled = False
        self.carried = self.lost = self.doubled = self.out_of_order = 0
        self._dice = random.Random(seed)
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            self.near = stack.enter_context(contextlib.closing(_End(NEAR)))
            self.far = stack.enter_context(contextlib.closing(_End(FAR)))
            for sender, receiver in ((self.near, self.far), (self.far, self.near)):
                loop.add_reader(sender.device, self._carry, sender, receiver)
                stack.callback(loop.remove_reader, sender.device)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- packets ---

    def _carry(self, sender: _End, receiver: _End) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._fare(os.read(sender.device, _LARGEST_PACKET), receiver)

    def _fare(self, packet: bytes, receiver: _End) -> None:
        line, dice = self.line, self._dice
        if self.is_pulled or dice.random() < line.loss:
            self.lost += 1
            return
        is_doubled = dice.random() < line.doubling
        self.doubled += is_doubled
        receiver.received += 1
        number = receiver.received
        for _ in range(1 + is_doubled):
            delay = line.delay_seconds + dice.random() * line.jitter_seconds
            if delay:
                loop = asyncio.get_running_loop()
                loop.call_later(delay, self._deliver, packet, number, receiver)
            else:
                self._deliver(packet, number, receiver)

    def _deliver(self, packet: bytes, number: int, receiver: _End) -> None:
        if self.is_pulled:
            self.lost += 1
            return
        self.carried += 1
        self.out_of_order += number < receiver.newest
        receiver.newest = max(receiver.newest, number)
        with contextlib.suppress(OSError):  # the device is down, or gone with the test
            os.write(receiver.device, packet)

    @contextlib.asynccontextmanager
    async def pulled(self, seconds: float = 0) -> AsyncIterator[None]:
        """Carry nothing while the block runs, and for `seconds` at least."""
        loop = asyncio.get_running_loop()
        self.is_pulled, end = True, loop.time() + seconds
        try:
            yield
            await asyncio.sleep(end - loop.time())  # the fault itself
        finally:
            self.is_pulled = False

    # --- who uses it ---

    @property
    def prefix(self) -> tuple[str, ...]:
        """The command that runs another one at the near end."""
        return ("nsenter", f"--net=/proc/{os.getpid()}/fd/{self.near.namespace}")

    def listen(self, address: str = FAR) -> socket.socket:
        """Return a listening socket at the far end, or at the near end on another address."""
        end = self.far if address == FAR else self.near
        with end.entered():
            return socket.create_server((address, 0))

    def bind_datagrams(self, port: int) -> socket.socket:
        """Return a bound UDP socket at the far end."""
        with self.far.entered():
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((FAR, port))
        return sock

    async def connect(self, port: int) -> Channel:
        """Connect from the far end to the proxy."""
        with self.far.entered():
            sock = socket.socket()
        sock.settimeout(0)
        loop = asyncio.get_running_loop()
        await within(loop.sock_connect(sock, (NEAR, port)), "a connection over the cable")
        return await Channel.over(sock)
