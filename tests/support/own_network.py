"""A network namespace for one process: its own loopback, with IPv6 or without."""

import asyncio
import ctypes
import errno
import os
import shutil
import socket
import struct
import subprocess
import sys
from typing import Final

__all__ = ["LOOPBACK_UP", "NO_IPV6_ADDRESS", "NO_IPV6_SOCKET", "inside", "own_network", "why_none"]

LOOPBACK_UP: Final = "ip link set lo up"
NO_IPV6_ADDRESS: Final = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
"""As on a machine whose administrator has turned IPv6 off."""

NO_IPV6_SOCKET: Final = (sys.executable, "-P", __file__)  # as a file: no package is needed
"""As under `RestrictAddressFamilies=AF_INET AF_UNIX`, or with `ipv6.disable=1`."""

_SYSTEM_CALL: Final = {"x86_64": 41, "aarch64": 198}
"""The numbers of `socket`."""

_NO_NEW_PRIVILEGES, _SECCOMP, _FILTER = 38, 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000


def why_none() -> str:
    """Return why this machine can make no namespace; empty where it can."""
    missing = [name for name in ("unshare", "nsenter", "ip", "curl") if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)}"
    if subprocess.run(["unshare", "-n", "true"], check=False, capture_output=True).returncode:
        return "needs the right to make network namespaces"
    return ""


def own_network(*commands: str) -> tuple[str, ...]:
    """Return what to put before a command: it runs in a network of its own, after `commands`."""
    return ("unshare", "-n", "sh", "-c", " && ".join((*commands, 'exec "$@"')), "sh")


async def inside(pid: int, *arguments: str) -> tuple[int, str]:
    """Run a command in the network of a process; return exit code and output."""
    command = await asyncio.create_subprocess_exec(
        *("nsenter", f"--net=/proc/{pid}/ns/net", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await command.communicate()
    return command.returncode or 0, output.decode()


def _instruction(code: int, value: int, *, if_equal: int = 0, if_not: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_equal, if_not, value)


def _refuse_ipv6_sockets() -> None:
    """Have `socket` fail for IPv6 in this process and all that it starts or becomes."""
    program = b"".join(
        (
            _instruction(_LOAD, 0),
            _instruction(_EQUAL, _SYSTEM_CALL[os.uname().machine], if_not=3),
            _instruction(_LOAD, 16),
            _instruction(_EQUAL, socket.AF_INET6, if_not=1),
            _instruction(_RETURN, _FAIL | errno.EAFNOSUPPORT),
            _instruction(_RETURN, _ALLOW),
        )
    )
    code = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    refused = libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) or libc.prctl(_SECCOMP, _FILTER, header)
    if refused:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    _refuse_ipv6_sockets()
    os.execvp(sys.argv[1], sys.argv[1:])
