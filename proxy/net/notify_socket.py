"""The datagram socket on which systemd listens to a service (sd_notify(3), C5)."""

import os
import socket
from collections.abc import MutableMapping
from typing import Final

from proxy.net.whole_number import whole_number

__all__ = ["NotifySocket"]

_PLACE: Final = "NOTIFY_SOCKET"
_WATCHDOG: Final = "WATCHDOG_USEC"
_WATCHED: Final = "WATCHDOG_PID"
_MICROSECONDS: Final = 1_000_000
_LONGEST: Final = 2**64 - 2  # microseconds; one more means no end (sd_watchdog_enabled(3))


class NotifySocket:
    """Sends states to systemd; nothing that is wrong with the socket is raised.

    `watchdog_seconds` is how long systemd waits for a sign of life, None for ever.
    """

    def __init__(self, place: str, watchdog_seconds: float | None = None) -> None:
        # A name in the abstract namespace begins with a zero byte, which @ stands for.
        self._place = f"\0{place[1:]}" if place.startswith("@") else place
        self.watchdog_seconds = watchdog_seconds
        # Kept open: a process that has run out of descriptors must not look dead.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)  # noqa: FBT003

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str], pid: int) -> "NotifySocket | None":
        """Return the socket that the environment names, None if nobody listens to process `pid`.

        The variables are taken away: no process that we start may speak for us. A watchdog whose
        time is no number of microseconds is none.
        """
        place, watchdog, watched = (environ.pop(name, "") for name in (_PLACE, _WATCHDOG, _WATCHED))
        if not place:
            return None
        microseconds = whole_number(watchdog, _LONGEST)
        if not microseconds or watched not in ("", str(pid)):
            return cls(place)
        return cls(place, microseconds / _MICROSECONDS)

    def send(self, message: str) -> str | None:
        """Send one datagram without waiting; return None, or why it was not sent."""
        try:
            self._socket.sendto(message.encode(), self._place)
        except BlockingIOError:
            return "it is full"
        except OSError as error:
            return os.strerror(error.errno) if error.errno else str(error)
        return None

    def close(self) -> None:
        """Send nothing more."""
        self._socket.close()
