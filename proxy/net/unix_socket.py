"""Unix sockets to listen on: what a killed process has left is taken away, nothing else."""

import errno
import os
import socket
import stat
from pathlib import Path

__all__ = ["check_socket_path", "listening_unix_socket"]


def _is_leftover(path: str) -> bool:
    """Say whether a file is a socket that nobody listens on, as a killed process leaves behind.

    Raises `OSError` where somebody does: it is not ours to take away.
    """
    try:
        if not stat.S_ISSOCK(Path(path).lstat().st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return False
    except ConnectionRefusedError:
        return True
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def check_socket_path(path: str) -> None:
    """Raise the `OSError` that listening on this path would bring; leave everything as it is."""
    if _is_leftover(path):
        return
    if Path(path).exists():
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    folder = Path(path).parent
    folder.stat()
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def listening_unix_socket(path: str, backlog: int) -> socket.socket:
    """Return a socket that listens on this path; raise `OSError`."""
    if _is_leftover(path):
        Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock
