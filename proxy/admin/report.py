"""What the admin port shows of the running process, for its JSON and its page alike (A)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from proxy import __version__
from proxy.clock import Clock
from proxy.guard.identity import CallerStatus
from proxy.guard.routing import NO_CLIENT
from proxy.oauth.token import ClientStatus
from proxy.telemetry.counters import Counters, FileCounters
from proxy.telemetry.rates import Rates, Traffic
from proxy.telemetry.recent_errors import RecentError, RecentErrors

__all__ = ["Reporter", "StatusReport", "client_facts", "status_json"]

_DAY: Final = 86_400


@dataclass(frozen=True, slots=True)
class StatusReport:
    """The state of the process at one moment, `wall` in Unix seconds; `settings` are redacted.

    `rates` has a row for each client and one, `none`, for what was refused
    before a route was known, and for token calls of applications; `total` is
    all of them together. `callers` are those of [callers]. `certificates` says
    when those that callers meet end, Unix time, by the setting of the file.
    `placeholder_tokens` is how many token calls got one since the start, None
    where they get none (P1).
    """

    wall: float
    uptime_seconds: float
    is_draining: bool
    in_flight: int
    requests: int
    placeholder_tokens: int | None
    connections: Mapping[str, int]
    clients: Sequence[ClientStatus]
    callers: Sequence[CallerStatus]
    certificates: Mapping[str, float]
    rates: Mapping[str, Rates]
    total: Rates
    recent: Sequence[RecentError]
    settings: Mapping[str, object]

    @property
    def is_ready(self) -> bool:
        """Whether every client holds a usable token and we are not draining."""
        return not self.is_draining and all(client.is_ready for client in self.clients)

    @property
    def refused(self) -> int:
        """The requests of the last minute that were refused before a route was known."""
        return self.rates[NO_CLIENT].unsuccessful


class Reporter:
    """Reads all that at the moment it is asked; calls nobody."""

    def __init__(
        self,
        *,
        clients: Callable[[], Sequence[ClientStatus]],
        is_draining: Callable[[], bool],
        in_flight: Callable[[], int],
        connections: Callable[[], Mapping[str, int]],
        known_callers: Callable[[], Sequence[CallerStatus]],
        counters: Counters,
        files: FileCounters,
        traffic: Traffic,
        recent: RecentErrors,
        gives_placeholders: bool,
        settings_report: Mapping[str, object],
        clock: Clock,
    ) -> None:
        self.clients = clients
        self.is_draining = is_draining
        self._in_flight = in_flight
        self._connections = connections
        self._known_callers = known_callers
        self._counters = counters
        self._files = files
        self._traffic = traffic
        self._recent = recent
        self._gives_placeholders = gives_placeholders
        self.settings = settings_report
        self._clock = clock
        self._started = clock.monotonic()

    def report(self) -> StatusReport:
        """Return the state as it is now."""
        return StatusReport(
            wall=self._clock.wall(),
            uptime_seconds=self._clock.monotonic() - self._started,
            is_draining=self.is_draining(),
            in_flight=self._in_flight(),
            requests=self._counters.requests_ended(),
            placeholder_tokens=(
                self._counters.placeholder_tokens if self._gives_placeholders else None
            ),
            connections=self._connections(),
            clients=self.clients(),
            callers=self._known_callers(),
            certificates=dict(self._files.certificate_ends),
            rates=self._traffic.rates(),
            total=self._traffic.total(),
            recent=self._recent.newest_first(),
            settings=self.settings,
        )


def _rounded(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def client_facts(status: ClientStatus) -> dict[str, object]:
    """Return what the probes say of a client."""
    return {
        "state": status.state,
        "seconds_to_expiry": _rounded(status.seconds_to_expiry),
        "next_attempt_seconds": _rounded(status.next_attempt_seconds),
        "last_error": status.last_error,
        "secret": "fallback" if status.is_on_last_secret else "configured",
    }


def _rate_facts(rates: Rates) -> dict[str, object]:
    return {
        "requests": rates.requests,
        "requests_per_second": round(rates.per_second, 3),
        "errors": rates.errors,
        "error_share": _rounded(rates.error_share, 4),
        "p50_seconds": _rounded(rates.p50_seconds, 4),
        "p95_seconds": _rounded(rates.p95_seconds, 4),
    }


def _caller_facts(caller: CallerStatus) -> dict[str, object]:
    return {
        "in_flight": caller.in_flight,
        "max_in_flight": caller.max_in_flight,
        "keys": caller.keys,
        "certificates": caller.certificates,
        "unix_users": caller.unix_users,
    }


def _certificate_facts(end: float, wall: float) -> dict[str, object]:
    return {"ends": end, "days_left": round((end - wall) / _DAY, 1)}


def status_json(report: StatusReport) -> dict[str, object]:
    """Return the body of `GET /status` (docs/monitor.md)."""
    clients = {
        status.client: client_facts(status)
        | {
            "consecutive_failures": status.consecutive_failures,
            "token": status.fingerprint,
            "waiters": status.waiters,
            "last_minute": _rate_facts(report.rates[status.client]),
        }
        for status in report.clients
    }
    window = {"seconds": round(report.total.seconds, 1), "refused": report.refused}
    return {
        "version": __version__,
        "ready": report.is_ready,
        "draining": report.is_draining,
        "uptime_seconds": round(report.uptime_seconds, 1),
        "in_flight": report.in_flight,
        "requests": report.requests,
        "placeholder_tokens": report.placeholder_tokens,
        "connections": dict(report.connections),
        "last_minute": window | _rate_facts(report.total),
        "clients": clients,
        "callers": {caller.name: _caller_facts(caller) for caller in report.callers},
        "certificates": {
            file: _certificate_facts(end, report.wall) for file, end in report.certificates.items()
        },
        "recent": [error._asdict() for error in report.recent],
        "settings": report.settings,
    }
