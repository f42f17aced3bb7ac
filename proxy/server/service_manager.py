"""What systemd is told of this process: ready, reloading, stopping, a line of status (C5)."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from structlog.typing import FilteringBoundLogger

from proxy.net.notify_socket import NotifySocket
from proxy.oauth.token import ClientStatus

__all__ = ["ServiceManager", "status_of_clients"]

_LOOK_SECONDS: Final = 1.0
_SHORTEST_SLEEP_SECONDS: Final = 0.05
_RETRY_SECONDS: Final = 0.25  # its queue is full for a moment: one loss must not be the last
_LONGEST_RELOAD_SECONDS: Final = 30.0
_MARGIN_SECONDS: Final = 5.0
_MOST_OWED: Final = 8
_MOST_LISTED: Final = 5
_MICROSECONDS: Final = 1_000_000


def status_of_clients(clients: Sequence[ClientStatus]) -> str:
    """Return in one line whether requests get a token, and if not, why."""
    good = [each.client for each in clients if each.is_ready]
    troubles = [trouble for trouble in map(_trouble, clients) if trouble is not None]
    state = "Ready" if len(good) == len(clients) else "Not ready"
    if not troubles:
        return f"{state}: {_listed(good, ', ')}"
    if good and len(good) < len(clients):
        state += f" ({len(good)} of {len(clients)} clients are)"
    return f"{state}: {_listed(troubles, '; ')}"


def _trouble(client: ClientStatus) -> str | None:
    if not client.is_ready:
        reason = "no token yet" if client.last_error is None else f"no token ({client.last_error})"
        return f"{client.client} has {reason}"
    if client.state == "degraded":
        return f"{client.client} cannot renew its token ({client.last_error})"
    if client.is_on_last_secret:
        return f"{client.client} uses the last secret that worked"
    return None


def _listed(items: Sequence[str], separator: str) -> str:
    more = len(items) - _MOST_LISTED
    shown = separator.join(items[:_MOST_LISTED])
    return f"{shown} and {more} more" if more > 0 else shown


class ServiceManager:
    """Owns what systemd has been told; `run` tells what has changed, and that the loop turns.

    `clients` and `in_flight` are what the status line is made of. `is_reloading` says whether
    what a SIGHUP has asked for is still under way. Without a socket nothing is told.
    """

    def __init__(
        self,
        socket: NotifySocket | None,
        *,
        clients: Callable[[], Sequence[ClientStatus]],
        in_flight: Callable[[], int],
        is_reloading: Callable[[], bool],
        monotonic: Callable[[], float],
        log: FilteringBoundLogger,
    ) -> None:
        self._socket = socket
        self._clients = clients
        self._in_flight = in_flight
        self._is_reloading = is_reloading
        self._monotonic = monotonic
        self._log = log
        self._owed: deque[str] = deque(maxlen=_MOST_OWED)
        self._is_started = False
        self._stop_seconds: float | None = None
        self._reload_ends: float | None = None  # it is over by then, whatever is still under way
        self._next_sign = monotonic()
        self._status = ""
        self._has_warned = False
        self._wake = asyncio.Event()

    # --- what has happened ---

    def started(self) -> None:
        """Tell that the ports are open; who starts after us finds them."""
        self._is_started = True
        self._owe("READY=1")

    def reloading(self) -> None:
        """Tell that a reload begins; `run` tells when it is over."""
        if self._is_started and self._stop_seconds is None:
            self._reload_ends = self._monotonic() + _LONGEST_RELOAD_SECONDS
            # systemd compares it with its own clock, which is none of those that tests hold.
            self._owe(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, seconds: float) -> None:
        """Tell that the drain begins, and that it may last for `seconds`."""
        self._stop_seconds, self._reload_ends = seconds, None
        microseconds = int((seconds + _MARGIN_SECONDS) * _MICROSECONDS)
        self._owe(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={microseconds}")

    def _owe(self, state: str) -> None:
        self._owed.append(state)
        self._wake.set()

    # --- telling ---

    async def run(self) -> None:
        """Tell what changes, until cancelled; nothing that is wrong with the socket ends it."""
        while self._socket is not None:
            try:
                async with asyncio.timeout(self._seconds_to_sleep()):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._is_started:
                self._tell(self._socket)

    def _seconds_to_sleep(self) -> float:
        if not self._is_started:
            return _LOOK_SECONDS
        if self._reload_ends is not None:
            return _SHORTEST_SLEEP_SECONDS
        left = self._next_sign - self._monotonic()
        return max(_SHORTEST_SLEEP_SECONDS, min(_LOOK_SECONDS, left))

    def _tell(self, socket: NotifySocket) -> None:
        """Send what is owed, in its order, a changed status, and a sign of life when it is time."""
        now = self._monotonic()
        if self._reload_ends is not None and (now >= self._reload_ends or not self._is_reloading()):
            self._reload_ends = None
            self._owed.append("READY=1")
        status = self._status_line()
        while self._owed and self._send(socket, f"{self._owed[0]}\nSTATUS={status}"):
            self._owed.popleft()
            self._status = status
        is_new = not self._owed and status != self._status
        if is_new and self._send(socket, f"STATUS={status}"):
            self._status = status
        if now >= self._next_sign:
            self._give_sign(socket, now)

    def _give_sign(self, socket: NotifySocket, now: float) -> None:
        """Tell the watchdog, in half of its time, that the loop turns; soon again if it fails."""
        seconds = socket.watchdog_seconds
        if seconds is None:
            self._next_sign = math.inf
            return
        is_told = self._send(socket, "WATCHDOG=1")
        self._next_sign = now + (seconds / 2 if is_told else min(seconds / 2, _RETRY_SECONDS))

    def _status_line(self) -> str:
        if self._stop_seconds is None:
            return status_of_clients(self._clients())
        running = self._in_flight()
        return f"Draining, {self._stop_seconds:g} s at most; requests running: {running}"

    def _send(self, socket: NotifySocket, message: str) -> bool:
        why_not = socket.send(message)
        if why_not is not None and not self._has_warned:
            self._has_warned = True
            self._log.warning("service_manager_unreachable", reason=why_not)
        return why_not is None
