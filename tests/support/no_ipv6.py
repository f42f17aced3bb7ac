"""A process for which the machine has no IPv6, as with systemd's RestrictAddressFamilies=."""

import platform
import sys
from typing import Final

__all__ = ["HAS_SECCOMP", "WITHOUT_IPV6"]

_SOCKET: Final = {"x86_64": 41, "aarch64": 198}
HAS_SECCOMP: Final = sys.platform == "linux" and platform.machine() in _SOCKET
"""Whether the number of the system call `socket` is known here."""

# A filter of six instructions (seccomp(2)): `socket` with AF_INET6 fails with EAFNOSUPPORT.
_SCRIPT: Final = """
import ctypes, os, struct, sys
program = b"".join(struct.pack("HBBI", *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 3, {number}), (0x20, 0, 0, 16), (0x15, 0, 1, 10),
    (0x06, 0, 0, 0x50000 | 97), (0x06, 0, 0, 0x7FFF0000),
))
kept = ctypes.create_string_buffer(program)
filter = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(kept))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.create_string_buffer(filter), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
WITHOUT_IPV6: Final = (
    sys.executable,
    "-c",
    _SCRIPT.format(number=_SOCKET.get(platform.machine(), 0)),
)
"""The command that runs another one so."""
