"""The checks of the outbound path: one connection, made as the proxy makes them, step by step."""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from proxy.check.result import CheckId, Result
from proxy.clock import SYSTEM_CLOCK
from proxy.net.addresses import authority
from proxy.net.dialer import DialError, Progress, Step
from proxy.net.egress import EgressProxy
from proxy.net.name_cache import NameCache
from proxy.net.tls import ENDS_SOON_DAYS
from proxy.server.outgoing import egress_for, host_and_port, new_dialer
from proxy.settings.loader import Settings

__all__ = [
    "Destination",
    "DestinationKey",
    "check_outbound_path",
    "destination_key",
    "destinations",
    "dial_fix",
    "upstream_destination",
]

_CHECK_OF_STEP: Final[Mapping[Step, CheckId]] = {
    Step.DNS: "dns",
    Step.TCP: "tcp",
    Step.EGRESS_TLS: "egress_proxy",
    Step.CONNECT: "egress_proxy",
    Step.TLS: "tls",
}
_CHECKS: Final[tuple[CheckId, ...]] = ("dns", "tcp", "egress_proxy", "tls")
_DAY: Final = 86_400
_MOST_ADDRESSES: Final = 4
_OUT_OF_DATE: Final = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


DestinationKey = tuple[str, str]
"""Scheme and place: what makes two destinations the same."""


@dataclass(frozen=True, slots=True)
class Destination:
    """A host that the proxy connects to; `setting` is the one that names it."""

    url: str
    setting: str
    timeout_setting: str
    timeout_seconds: float

    @property
    def place(self) -> str:
        """Host and port."""
        return destination_key(self.url)[1]


def destination_key(url: str) -> DestinationKey:
    """Return what two URLs have in common that lead to the same host."""
    return urlsplit(url).scheme, authority(*host_and_port(url))


def upstream_destination(settings: Settings) -> Destination:
    """Return the host of the upstream."""
    return Destination(
        settings.upstream_url,
        "SIGNICAT_PROXY_UPSTREAM_URL",
        "SIGNICAT_PROXY_CONNECT_TIMEOUT_SECONDS",
        settings.connect_timeout_seconds,
    )


def destinations(settings: Settings) -> dict[DestinationKey, Destination]:
    """Return every host once, by its key: the upstream first, then the token endpoints."""
    found = [upstream_destination(settings)]
    found += [
        Destination(
            client.token_url,
            settings.name_of(client, "token_url"),
            "SIGNICAT_PROXY_TOKEN_TIMEOUT_SECONDS",
            settings.token_timeout_seconds,
        )
        for client in settings.clients
    ]
    unique: dict[DestinationKey, Destination] = {}
    for destination in found:
        unique.setdefault(destination_key(destination.url), destination)
    return unique


@dataclass(slots=True)
class _Stopwatch(Progress):
    """Notes when each check of an attempt began."""

    began: dict[CheckId, float] = field(default_factory=dict)

    def begin(self, step: Step) -> None:
        """Note the time; a second attempt (F8) begins anew."""
        self.step = step
        if step is Step.DNS:
            self.began.clear()
        self.began.setdefault(_CHECK_OF_STEP[step], time.monotonic())

    def seconds(self, check: CheckId, end: float) -> float:
        """Return how long a check took; the last one lasted until `end`."""
        later = [began for began in self.began.values() if began > self.began[check]]
        return min(later, default=end) - self.began[check]


def dial_fix(error: DialError, destination: Destination, wall: Callable[[], float]) -> str:
    """Say what to do about a connection that could not be made."""
    if error.reason == "connect_timeout":
        return (
            f"Check the host in {destination.setting}, the firewall and "
            f"SIGNICAT_PROXY_EGRESS_PROXY; {destination.timeout_setting} is the time allowed."
        )
    if error.verify_code in _OUT_OF_DATE:
        now = datetime.fromtimestamp(wall(), UTC).strftime("%Y-%m-%d %H:%M UTC")
        return (
            f"The certificate of the host in {destination.setting} must be renewed there, unless "
            f"the clock of this machine is wrong: it says {now}."
        )
    if error.connect_status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return (
            "The egress proxy wants another user and password: put them into "
            "SIGNICAT_PROXY_EGRESS_PROXY (http://user:password@host:port, percent-encoded)."
        )
    return error.detail


async def check_outbound_path(
    destination: Destination,
    settings: Settings,
    tls: ssl.SSLContext,
    wall: Callable[[], float],
) -> list[Result]:
    """Connect once, by the proxy's own dialler; return what came of DNS, TCP, CONNECT and TLS."""
    egress = egress_for(destination.url, settings)
    watch = _Stopwatch()
    dialer = new_dialer(
        destination.url,
        settings,
        tls,
        NameCache(clock=SYSTEM_CLOCK),  # empty, so that the system is asked afresh
        setting=destination.setting,
        timeout_seconds=destination.timeout_seconds,
    )
    error, certificate = None, None
    try:
        transport, _ = await dialer.dial(asyncio.Protocol, watch)
    except DialError as failure:
        error = failure
    else:
        certificate = _certificate_of(transport, wall())
        transport.close()  # in good order: an abort would look like an error in the peer's log
    path = _OutboundPath(destination, egress, bool(settings.egress_url()), watch, time.monotonic())
    return [path.result(check, error, certificate, wall) for check in _CHECKS]


@dataclass(frozen=True, slots=True)
class _Certificate:
    detail: str
    days_left: float


def _certificate_of(transport: asyncio.Transport, now: float) -> _Certificate | None:
    """Return what TLS agreed on, None for a connection without."""
    secured: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
    if secured is None:
        return None
    facts: Mapping[str, Any] = secured.getpeercert() or {}
    issuer = {key: value for parts in facts.get("issuer", ()) for key, value in parts}
    name = issuer.get("commonName") or issuer.get("organizationName") or "unnamed"
    ends = ssl.cert_time_to_seconds(facts["notAfter"])
    day = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%d")
    detail = f"{secured.version()}, certificate issued by {name}, valid until {day}"
    return _Certificate(detail, (ends - now) / _DAY)


@dataclass(frozen=True, slots=True)
class _OutboundPath:
    """How far one connection came; `end` is when that was known."""

    destination: Destination
    egress: EgressProxy | None
    has_egress_setting: bool
    watch: _Stopwatch
    end: float

    def result(
        self,
        check: CheckId,
        error: DialError | None,
        certificate: _Certificate | None,
        wall: Callable[[], float],
    ) -> Result:
        """Return the result of one check on this path."""
        target = self.destination.place
        if self.egress is not None and check in ("dns", "tcp"):
            target = self.egress.url
        failed = None if error is None else _CHECK_OF_STEP[self.watch.step]
        if check not in self.watch.began:
            return Result(check, "skipped", target, self._why_not(check, failed))
        seconds = self.watch.seconds(check, self.end)
        if error is not None and check == failed:
            fix = dial_fix(error, self.destination, wall)
            return Result(check, "failed", target, error.cause, fix, seconds)
        if check == "tls" and certificate is not None:
            return self._tls_result(certificate, seconds)
        return Result(check, "ok", target, self._seen(check), seconds=seconds)

    def _why_not(self, check: CheckId, failed: CheckId | None) -> str:
        if check == "egress_proxy" and self.egress is None:
            if self.has_egress_setting:
                return "SIGNICAT_PROXY_NO_PROXY exempts this host from the egress proxy"
            return "SIGNICAT_PROXY_EGRESS_PROXY is not set"
        if check == "tls" and self.destination.url.startswith("http:"):
            return f"{self.destination.setting} is plain http://"
        return f"{failed} failed"

    def _seen(self, check: CheckId) -> str:
        addresses = self.watch.addresses
        if check == "dns":
            more = len(addresses) - _MOST_ADDRESSES
            shown = ", ".join(dict.fromkeys(addresses[:_MOST_ADDRESSES]))
            return shown + (f" and {more} more" if more > 0 else "")
        return "connected" if check == "tcp" else "the egress proxy opens a tunnel"

    def _tls_result(self, certificate: _Certificate, seconds: float) -> Result:
        target, days = self.destination.place, certificate.days_left
        if days > ENDS_SOON_DAYS:
            return Result("tls", "ok", target, certificate.detail, seconds=seconds)
        fix = f"Whoever runs the host in {self.destination.setting} must renew its certificate."
        return Result("tls", "warning", target, certificate.detail, fix, seconds)
