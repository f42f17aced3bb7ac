"""Why no connection could be made: exceptions of the network, named for callers and logs."""

import errno
import re
import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

__all__ = [
    "TOO_MANY_OPEN_FILES",
    "DialError",
    "Peer",
    "Reason",
    "Step",
    "closed_early",
    "lacks_descriptors",
    "no_address",
    "timed_out",
    "tls_failed",
    "tunnel_refused",
    "unreachable",
]

Reason = Literal["dns", "connect", "connect_timeout", "tls", "egress_proxy", "too_many_open_files"]
TOO_MANY_OPEN_FILES: Final = "too_many_open_files"
"""Reason of a dial, outcome of a token request: this machine's doing, and no peer's."""

_EGRESS_SETTING: Final = "SIGNICAT_PROXY_EGRESS_PROXY"
_ONLY_PROXY_HAS_DNS: Final = "if only a proxy has DNS"
_PATH_HAS_PROXY: Final = "if the outbound path leads through a proxy"
_ERRNO: Final = re.compile(r"\[Errno (\d+)\]")
_NO_DESCRIPTORS: Final = frozenset((errno.EMFILE, errno.ENFILE))


class Step(StrEnum):
    """What an attempt to connect is at, in the order in which it happens, as people read it."""

    DNS = "DNS lookup"
    TCP = "TCP connection"
    EGRESS_TLS = "TLS handshake with the egress proxy"
    CONNECT = "CONNECT through the egress proxy"
    TLS = "TLS handshake"


class DialError(Exception):
    """No connection could be made.

    `detail` is fixed text for callers that names the setting to look at;
    `cause` is short text for the log. Neither holds a secret. `is_transient`
    says that another attempt may help. `verify_code` is OpenSSL's number for what
    is wrong with a certificate, `connect_status` the status of a response to
    CONNECT that is no tunnel; each is None for any other failure.
    """

    def __init__(
        self,
        reason: Reason,
        detail: str,
        cause: str,
        *,
        is_transient: bool = False,
        verify_code: int | None = None,
        connect_status: int | None = None,
    ) -> None:
        super().__init__(f"{reason}: {cause}")
        self.reason = reason
        self.detail = detail
        self.cause = cause
        self.is_transient = is_transient
        self.verify_code = verify_code
        self.connect_status = connect_status


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is dialled, and the setting that said so."""

    host: str
    port: int
    setting: str
    is_egress: bool = False

    @classmethod
    def egress(cls, host: str, port: int) -> "Peer":
        """Return the egress proxy as a peer."""
        return cls(host, port, _EGRESS_SETTING, is_egress=True)

    def or_egress(self, condition: str) -> str:
        """Return the advice to use an egress proxy; none where that is the peer."""
        return "" if self.is_egress else f"; {condition}, set {_EGRESS_SETTING}"

    def reason(self, reason: Reason) -> Reason:
        """Return `reason`, or that it was the egress proxy."""
        return "egress_proxy" if self.is_egress else reason


def _numbers(error: BaseException) -> list[int]:
    """Return the error numbers of all addresses that were tried.

    Where they differ, aiohappyeyeballs raises one `OSError` that names each in its text alone.
    """
    number = error.errno if isinstance(error, OSError) else None
    return [number] if number else [int(found) for found in _ERRNO.findall(str(error))]


def lacks_descriptors(error: BaseException) -> bool:
    """Say whether it was the limit of open files, of the process or the machine."""
    return not _NO_DESCRIPTORS.isdisjoint(_numbers(error))


def _too_many_open_files(error: BaseException) -> DialError:
    """Name the limit of open files; one that is closed in the next moment helps."""
    is_machine = errno.ENFILE in _numbers(error)
    return DialError(
        TOO_MANY_OPEN_FILES,
        "The proxy may open no more files, and a connection is one. Raise the limit of open files "
        "(ulimit -n, LimitNOFILE of systemd, the container's), or lower "
        "SIGNICAT_PROXY_MAX_UPSTREAM_CONNECTIONS.",
        "ENFILE: the limit of open files of this machine is reached"
        if is_machine
        else "EMFILE: the limit of open files of this process is reached",
        is_transient=True,
    )


def no_address(peer: Peer, error: OSError | UnicodeError) -> DialError:
    """Name a failed lookup."""
    if lacks_descriptors(error):
        return _too_many_open_files(error)
    cause = "not a host name"
    if isinstance(error, OSError):
        cause = error.strerror or "DNS lookup failed"
    return DialError(
        peer.reason("dns"),
        f"The name of the host in {peer.setting} cannot be resolved. Check it and the DNS of this "
        f"machine{peer.or_egress(_ONLY_PROXY_HAS_DNS)}.",
        cause,
        is_transient=not isinstance(error, UnicodeError),
    )


def unreachable(peer: Peer, error: OSError | RuntimeError) -> DialError:
    """Name a failed TCP connection, by the error numbers of all addresses that were tried."""
    if lacks_descriptors(error):
        return _too_many_open_files(error)
    names = dict.fromkeys(errno.errorcode.get(number, str(number)) for number in _numbers(error))
    return DialError(
        peer.reason("connect"),
        f"The host in {peer.setting} accepts no connection. Check the address, the port and the "
        f"firewall{peer.or_egress(_PATH_HAS_PROXY)}.",
        ", ".join(names) or "connection failed",
        is_transient=True,
    )


def closed_early(peer: Peer) -> DialError:
    """Name a connection that was closed as soon as it stood."""
    return DialError(
        "connect",
        f"The host in {peer.setting} closes connections as soon as they are open.",
        "closed as soon as it was open",
        is_transient=True,
    )


def timed_out(peer: Peer, step: Step, seconds: float) -> DialError:
    """Name the step that was under way when the time was over."""
    if step is Step.DNS:
        return DialError(
            peer.reason("dns"),
            f"The name of the host in {peer.setting} was not resolved in time. Check the DNS of "
            f"this machine{peer.or_egress(_ONLY_PROXY_HAS_DNS)}.",
            f"no response within {seconds:g} s, at: {step}",
        )
    return DialError(
        "connect_timeout",
        f"The host in {peer.setting} did not respond in time. Check the address and the firewall; "
        "SIGNICAT_PROXY_CONNECT_TIMEOUT_SECONDS is the time allowed.",
        f"no response within {seconds:g} s, at: {step}",
    )


def tls_failed(peer: Peer, error: OSError) -> DialError:
    """Name what ended a TLS handshake; only a connection cut short is worth another attempt."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return DialError(
            peer.reason("tls"),
            f"The certificate of the host in {peer.setting} is not valid for it or not trusted. If "
            "an authority of your own signed it, name that in SIGNICAT_PROXY_CA_FILE.",
            f"certificate verify failed: {error.verify_message}",
            verify_code=error.verify_code,
        )
    is_cut = not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError)
    failure = error.reason if isinstance(error, ssl.SSLError) else None
    return DialError(
        peer.reason("tls"),
        f"The TLS handshake with the host in {peer.setting} failed. It must speak TLS 1.2 or "
        "later on that port.",
        "connection cut in the TLS handshake" if is_cut else f"TLS handshake failed: {failure}",
        is_transient=is_cut,
    )


def tunnel_refused(cause: str, *, may_pass: bool, status: int | None = None) -> DialError:
    """Name an egress proxy's response that is no tunnel; `status` is its own, where it has one."""
    return DialError(
        "egress_proxy",
        f"The egress proxy opened no tunnel to the upstream. Check {_EGRESS_SETTING} (address and "
        "credentials) and the proxy's rules, or list the host in SIGNICAT_PROXY_NO_PROXY.",
        cause,
        is_transient=may_pass,
        connect_status=status,
    )
