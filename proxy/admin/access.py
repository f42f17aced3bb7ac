"""The guard of the admin port: who may ask for what, and what no response lacks (G2, G3).

Probes and metrics are open to whoever calls them by an address, as a kubelet
or a Prometheus does, by a name in the settings, or by none, as HTTP/1.0 may: a
page that has rebound a name of its own to us calls us by that name.
Everything else passes the same checks of `Host` and `Origin` as the traffic
port, with one exception: the button of the status page.
"""

import ipaddress
import re
import secrets
from typing import Final, Protocol

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from structlog.typing import FilteringBoundLogger

from proxy.errors import NO_ROUTE, ProxyError
from proxy.guard.routing import UNROUTED
from proxy.problem import problem_reply
from proxy.telemetry.counters import Counters
from proxy.telemetry.recent_errors import RecentErrors

__all__ = ["Guard", "guarded", "harden"]

_OPEN_PATHS: Final = frozenset(("/livez", "/readyz", "/startupz", "/metrics"))
_ADDRESS: Final = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::[0-9]{0,5})?")
_BUTTON: Final = "/-/refresh"
_IMPLIED_METHODS: Final = frozenset(("HEAD", "OPTIONS"))
# Defence in depth, for browsers: no response is run, framed, sniffed, kept or embedded by others.
_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Guard(Protocol):
    """The checks of the traffic port that count here too."""

    def check_host(self, host: bytes) -> None:
        """Raise `ProxyError` for a name that this proxy does not respond to."""

    def is_listed(self, host: bytes) -> bool:
        """Say whether it is a name in the settings, even where any is allowed."""

    def check_browser(self, origin: bytes | None, fetch_site: bytes | None) -> None:
        """Raise `ProxyError` for a request made by a foreign web page."""


def _joined(request: web.Request, name: str) -> bytes | None:
    values = request.headers.getall(name, [])
    return ", ".join(values).encode("utf-8", "surrogateescape") if values else None


def _endpoint(request: web.Request) -> str | None:
    """Return the endpoint that a request is for, None where there is none."""
    resource = request.match_info.route.resource
    return None if resource is None else resource.canonical


def _is_own_button(policy: Guard, request: web.Request, host: bytes) -> bool:
    """Say whether the status page itself asks: the browser says so, under a name of ours.

    A page that reached us under a name of its own by DNS rebinding would be
    of the same origin too, but that name is in no settings (G2); and a page
    from another port of this host is not.
    """
    return (
        _endpoint(request) == _BUTTON
        and _joined(request, "Sec-Fetch-Site") == b"same-origin"
        and _joined(request, "Origin") == b"http://" + host
        and policy.is_listed(host)
    )


def _is_address(host: bytes) -> bool:
    """Say whether `Host` is an IPv4 or IPv6 address: no page can make that its own."""
    match = _ADDRESS.fullmatch(host)
    if match is None:
        return False
    try:
        ipaddress.ip_address((match[1] or match[2]).decode())
    except ValueError:
        return False
    return True


def _check_open(policy: Guard, request: web.Request) -> None:
    """Raise `ProxyError` for who asks a probe or the metrics by a name of another (A)."""
    host = _joined(request, "Host")
    if host is not None and not _is_address(host):
        policy.check_host(host)


def _check(policy: Guard, request: web.Request) -> None:
    """Raise `ProxyError` for whoever may not ask."""
    host = _joined(request, "Host") or b""
    policy.check_host(host)
    if not _is_own_button(policy, request, host):
        policy.check_browser(_joined(request, "Origin"), _joined(request, "Sec-Fetch-Site"))


def _check_endpoint(request: web.Request) -> None:
    """Raise `ProxyError` where there is nothing at the path; its detail lists what there is."""
    if isinstance(request.match_info.http_exception, web.HTTPNotFound):
        endpoints = (
            f"{route.method} {route.resource.canonical}"
            for route in request.app.router.routes()
            if route.resource is not None and route.method not in _IMPLIED_METHODS
        )
        raise ProxyError(
            NO_ROUTE, f"The admin port has no such endpoint. It has {', '.join(endpoints)}."
        )


def _refused(
    request: web.Request,
    error: ProxyError,
    counters: Counters,
    recent: RecentErrors,
    log: FilteringBoundLogger,
) -> web.Response:
    """Count, note and log a refusal; of the request only names of our own are logged (L)."""
    endpoint = _endpoint(request)
    request_id = secrets.token_hex(6)
    method = "OTHER" if endpoint is None else request.method
    kind = error.kind
    counters.error_reply(UNROUTED, kind)
    recent.add("admin", kind.code, None, endpoint, method, kind.status, request_id, error.detail)
    log.warning(
        "admin_request_refused",
        outcome=kind.code,
        method=method,
        endpoint=endpoint,
        request_id=request_id,
        hint=error.detail,
    )
    status, headers, body = problem_reply(error, request_id)
    return web.Response(status=status, headers=dict(headers), body=body)


def guarded(
    policy: Guard, counters: Counters, recent: RecentErrors, log: FilteringBoundLogger
) -> Middleware:
    """Return the middleware that lets nobody past the guard.

    A refusal is a reply of table E, counted in `rejected_total` and logged.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        check = _check_open if _endpoint(request) in _OPEN_PATHS else _check
        try:
            check(policy, request)
            _check_endpoint(request)
            return await handler(request)
        except ProxyError as error:
            return _refused(request, error, counters, recent, log)

    return middleware


async def harden(_: web.Request, response: web.StreamResponse) -> None:
    """Add what protects a response in a browser, whatever made it; its own headers stay."""
    response.headers["Server"] = "signicat-proxy"  # and no versions
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
