"""Who may connect to a Unix socket: what its mode and group say, and the folders above it (I6)."""

import grp
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from proxy.net.addresses import ListenAddress
from proxy.net.unix_socket import group_id

__all__ = ["SocketAccess", "socket_access"]

_GROUP_CONNECTS, _OTHERS_CONNECT = 0o020, 0o002
"""Who connects must be allowed to write to the socket."""


@dataclass(frozen=True, slots=True)
class SocketAccess:
    """Who may connect, and what is in the way of whom the mode lets in.

    `text` says it in a few words. `obstacle` is a folder that keeps them out, None where they
    get through; `is_meant`: the setting names a mode or a group, so they were to get through.
    """

    text: str
    obstacle: str | None
    is_meant: bool


def socket_access(address: ListenAddress) -> SocketAccess:
    """Look at the folders of a socket; whether it is there makes no difference."""
    is_meant = address.mode is not None or address.group is not None
    user = _user_name(os.geteuid())
    folder = Path(address.path or "").parent.resolve()
    gid = _group_of(address, folder)
    if address.socket_mode & _OTHERS_CONNECT:
        who, kept_out, whose = "every user of this machine", "the others", None
    elif address.socket_mode & _GROUP_CONNECTS:
        who, kept_out, whose = f"the user {user} and the group {_group_name(gid)}", "the group", gid
    else:
        return SocketAccess(f"for the user {user} alone", None, is_meant)
    shut = [each for each in (*reversed(folder.parents), folder) if _keeps_out(each, whose)]
    if not shut:
        return SocketAccess(f"for {who}", None, is_meant)
    status = shut[0].stat()
    rights = f"mode {stat.S_IMODE(status.st_mode):04o}, group {_group_name(status.st_gid)}"
    text = f"for {who}, but {shut[0]} ({rights}) keeps {kept_out} out"
    return SocketAccess(text, str(shut[0]), is_meant)


def _group_of(address: ListenAddress, folder: Path) -> int:
    """Return the group that the socket gets: the one of the setting, else as files get theirs."""
    if address.group is not None:
        return group_id(address.group) or 0
    status = folder.stat()
    return status.st_gid if status.st_mode & stat.S_ISGID else os.getegid()


def _keeps_out(folder: Path, gid: int | None) -> bool:
    """Say whether a folder keeps out a group, or everybody else where `gid` is None."""
    status = folder.stat()
    is_of_group = gid is not None and status.st_gid == gid
    return not status.st_mode & (stat.S_IXGRP if is_of_group else stat.S_IXOTH)


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
