"""Unix sockets to listen on: their mode and group, and what they may take the place of (I6)."""

import contextlib
import errno
import grp
import os
import socket
import stat
from pathlib import Path
from typing import Final

from proxy.net.addresses import ListenAddress

__all__ = ["check_socket_path", "file_id", "group_id", "listening_unix_socket", "may_give_to"]

_MAX_GROUP_ID: Final = 2**32 - 2


def group_id(group: str) -> int | None:
    """Return the number of a group that is given by name or number, None if there is none."""
    if group.isascii() and group.isdecimal():
        return int(group) if int(group) <= _MAX_GROUP_ID else None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None


def may_give_to(gid: int) -> bool:
    """Say whether this process may give a file of its own to that group.

    It is tried on a socket that nobody sees.
    """
    with socket.socket(socket.AF_UNIX) as mine:
        try:
            os.fchown(mine.fileno(), -1, gid)
        except PermissionError:
            return False
        except OSError:  # not Linux: a socket without a path has no group there
            return True
    return True


def _is_leftover(path: str) -> bool:
    """Say whether a file is a socket that nobody listens on, as a killed process leaves behind.

    Raises `OSError` where somebody does: it is not ours to take away.
    """
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(0)  # who accepts nothing, and has a full queue, is not waited for
            probe.connect(path)
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        return True
    except BlockingIOError:
        pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def file_id(path: str) -> tuple[int, int] | None:
    """Return what tells the file at `path` from every other that is there now, None if none is.

    The number of a socket's file is not given to another one while the socket is open.
    """
    try:
        status = Path(path).lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def check_socket_path(path: str) -> None:
    """Raise the `OSError` that listening on this path would bring; leave everything as it is."""
    if _is_leftover(path):
        return
    if os.path.lexists(path):  # a link to nowhere is in the way too
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    folder = Path(path).parent
    folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def listening_unix_socket(address: ListenAddress, backlog: int) -> socket.socket:
    """Return a socket that listens on the path of `address`; raise `OSError`.

    Nobody can connect before it listens, and by then it has its mode and group,
    whatever the umask (I6).
    """
    path = address.path or ""
    if _is_leftover(path):
        Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.ExitStack() as undo:
        undo.callback(sock.close)
        with contextlib.suppress(OSError):
            # Linux gives the file this mode less the umask: it is never wider than it should be.
            os.fchmod(sock.fileno(), address.socket_mode)
        sock.bind(path)
        undo.callback(Path(path).unlink, missing_ok=True)
        if address.group is not None:
            os.chown(path, -1, _required_group(address.group), follow_symlinks=False)
        Path(path).chmod(address.socket_mode)
        sock.listen(backlog)
        undo.pop_all()
    return sock


def _required_group(group: str) -> int:
    gid = group_id(group)
    if gid is None:  # the settings were checked: it has gone since
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return gid
