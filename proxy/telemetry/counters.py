"""What is counted (M): plain numbers, most of them added to on the request path.

Labels come from closed sets only; nothing that a caller chooses becomes one.
`telemetry.exposition` reads the numbers at a scrape, `telemetry.rates` for people.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, get_args

from proxy.errors import ERROR_KINDS, ErrorKind
from proxy.guard.routing import NO_CLIENT, UNROUTED
from proxy.net.dial_errors import Reason
from proxy.net.name_cache import LOOKUP_OUTCOMES, LookupOutcome
from proxy.oauth.response import OUTCOMES
from proxy.telemetry.histogram import Histogram

__all__ = [
    "REPLAY_OUTCOMES",
    "TLS_HANDSHAKE",
    "UPSTREAM_ERROR_REASONS",
    "Counters",
    "FileCounters",
    "OutboundCounters",
    "ReplayOutcome",
    "RouteCounters",
    "UpstreamErrorReason",
]

TLS_HANDSHAKE: Final = "tls_handshake"
"""Why a connection was refused that never came to a request; `rejected` has it too."""
UpstreamErrorReason = Literal[Reason, "closed", "invalid_response", "timeout", "truncated"]
"""Why a request failed on its path to the upstream: no connection, or what went wrong on one."""
ReplayOutcome = Literal["ok", "refused", "failed", "not_possible"]
"""What became of a 401 (T10)."""
UPSTREAM_ERROR_REASONS: Final[tuple[UpstreamErrorReason, ...]] = get_args(UpstreamErrorReason)
REPLAY_OUTCOMES: Final[tuple[ReplayOutcome, ...]] = get_args(ReplayOutcome)
_SERVER_ERROR: Final = 500
_STATUS: Final = {kind.code: kind.status for kind in ERROR_KINDS}
_CLASSES: Final = ("2xx", "3xx", "4xx", "5xx")


class RouteCounters:
    """Owns what is counted of the requests of one route; all of them are of one client.

    `requests` is by method, status code and caller, `own_replies` by error code.
    """

    __slots__ = (
        "client",
        "own_replies",
        "request_bytes",
        "request_seconds",
        "requests",
        "response_bytes",
        "upstream_seconds",
    )

    def __init__(self, client: str) -> None:
        self.client = client
        self.requests: dict[tuple[str, int, str], int] = {}
        self.request_seconds = Histogram()
        self.upstream_seconds = Histogram()
        self.request_bytes = 0
        self.response_bytes = 0
        self.own_replies = {kind.code: 0 for kind in ERROR_KINDS}

    @property
    def is_forwarded(self) -> bool:
        """Does the upstream get these requests."""
        return self.client != NO_CLIENT

    def error_replies(self) -> dict[str, int]:
        """Return how many replies of our own are 5xx, by error code."""
        return {
            code: amount
            for code, amount in self.own_replies.items()
            if _STATUS[code] >= _SERVER_ERROR
        }

    def upstream_responses(self) -> dict[str, int]:
        """Return how many responses came from the upstream, by class of status.

        Each request that has ended got a response of the upstream, one of our own, or
        none (code 0). So these are all but our own, and no request pays for the count.
        """
        found = dict.fromkeys(_CLASSES, 0)
        for (_, status, _), amount in self.requests.items():
            name = f"{status // 100}xx"
            if name in found:
                found[name] += amount
        for code, amount in self.own_replies.items():
            found[f"{_STATUS[code] // 100}xx"] -= amount
        return found


class Counters:
    """Owns what is counted of requests; `routes` are the names of the routes, and their clients.

    Only its methods write. Requests that reach none of the routes are counted as `UNROUTED`.
    """

    __slots__ = (
        "failed_handshakes",
        "placeholder_tokens",
        "replays",
        "routes",
        "upstream_errors",
    )

    def __init__(self, routes: Mapping[str, str]) -> None:
        self.routes = {route: RouteCounters(client) for route, client in routes.items()}
        self.routes[UNROUTED] = RouteCounters(NO_CLIENT)
        self.failed_handshakes = 0
        self.upstream_errors = dict.fromkeys(UPSTREAM_ERROR_REASONS, 0)
        self.replays = dict.fromkeys(REPLAY_OUTCOMES, 0)
        self.placeholder_tokens = 0

    def request_finished(
        self,
        route: str,
        method: str,
        code: int,
        caller: str,
        seconds: float,
        head_seconds: float | None,
        bytes_in: int,
        bytes_out: int,
    ) -> None:
        """Count one request; `code` is 0 where the caller left before any response.

        `caller` is the name of a known caller, else `none`.
        `head_seconds` is from sending it to the head of the upstream's response,
        None if there was none.
        """
        counted = self.routes[route]
        key = (method, code, caller)
        try:
            counted.requests[key] += 1
        except KeyError:
            counted.requests[key] = 1
        counted.request_seconds.observe(seconds)
        if head_seconds is not None:
            counted.upstream_seconds.observe(head_seconds)
        counted.request_bytes += bytes_in
        counted.response_bytes += bytes_out

    def request_traced(
        self, route: str, seconds: float, head_seconds: float | None, trace_id: bytes, wall: float
    ) -> None:
        """Keep the trace of a request that was counted, beside its durations (O5)."""
        counted = self.routes[route]
        counted.request_seconds.traced(seconds, trace_id, wall)
        if head_seconds is not None:
            counted.upstream_seconds.traced(head_seconds, trace_id, wall)

    def error_reply(self, route: str, kind: ErrorKind) -> None:
        """Count a reply of our own."""
        self.routes[route].own_replies[kind.code] += 1

    def requests_ended(self) -> int:
        """Return how many requests have ended, on all routes and on none."""
        return sum(sum(counted.requests.values()) for counted in self.routes.values())

    def rejected(self) -> dict[str, int]:
        """Return how many requests, and connections, were refused, by error code."""
        refused = {kind.code: 0 for kind in ERROR_KINDS if kind.is_refusal}
        for counted in self.routes.values():
            for code, amount in counted.own_replies.items():
                if code in refused:
                    refused[code] += amount
        refused[TLS_HANDSHAKE] = self.failed_handshakes
        return refused

    def handshake_failed(self) -> None:
        """Count a caller with which TLS did not come to stand."""
        self.failed_handshakes += 1

    def upstream_error(self, reason: UpstreamErrorReason) -> None:
        """Count a failure on the path to the upstream."""
        self.upstream_errors[reason] += 1

    def replay(self, outcome: ReplayOutcome) -> None:
        """Count how one replay ended, or that there was none (T10)."""
        self.replays[outcome] += 1

    def placeholder_token(self) -> None:
        """Count a token call that got a token worth nothing (P1)."""
        self.placeholder_tokens += 1


class OutboundCounters:
    """Owns what is counted of what the proxy asks for by itself: tokens, addresses of names."""

    __slots__ = ("name_lookups", "secret_fallbacks", "token_requests", "token_seconds")

    def __init__(self, clients: Sequence[str]) -> None:
        self.token_seconds = {client: Histogram() for client in clients}
        self.token_requests = {
            (client, outcome): 0
            for client in clients
            for outcome in OUTCOMES
            if outcome != "secret_unreadable"  # then the token endpoint is not called
        }
        self.secret_fallbacks = dict.fromkeys(clients, 0)
        self.name_lookups = dict.fromkeys(LOOKUP_OUTCOMES, 0)

    def token_request(self, client: str, outcome: str, seconds: float) -> None:
        """Count one call of the token endpoint."""
        key = (client, outcome)
        self.token_requests[key] = self.token_requests.get(key, 0) + 1
        self.token_seconds[client].observe(seconds)

    def token_request_traced(
        self, client: str, seconds: float, trace_id: bytes, wall: float
    ) -> None:
        """Keep the trace of a call that was counted, beside its duration (O5)."""
        self.token_seconds[client].traced(seconds, trace_id, wall)

    def secret_fallback(self, client: str) -> None:
        """Count a return to the last secret that worked (T7)."""
        self.secret_fallbacks[client] += 1

    def name_lookup(self, outcome: LookupOutcome) -> None:
        """Count how one need of an address ended (F13)."""
        self.name_lookups[outcome] += 1


class FileCounters:
    """Owns what is counted of files that change while the process runs (C4).

    `file` is the setting that names one, in lower case; the settings are a closed set.
    """

    __slots__ = ("certificate_ends", "reload_failures")

    def __init__(self) -> None:
        self.certificate_ends: dict[str, float] = {}
        self.reload_failures: dict[str, int] = {}

    def watch(self, file: str) -> None:
        """Begin to count, from 0."""
        self.reload_failures.setdefault(file, 0)

    def certificate_ends_at(self, file: str, wall: float) -> None:
        """Note when the certificate that is in force ends, in Unix time."""
        self.certificate_ends[file] = wall

    def reload_failed(self, file: str) -> None:
        """Count a change that was not put into force."""
        self.reload_failures[file] = self.reload_failures.get(file, 0) + 1
