"""The admin port: health in three grades, metrics, and a page for people (A)."""

import html
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from proxy import __version__
from proxy.admin_guard import Guard, guarded, harden
from proxy.metrics import CONTENT_TYPE, Metrics
from proxy.token import ClientStatus

__all__ = ["create_admin_app"]

_OK, _UNAVAILABLE, _ACCEPTED = 200, 503, 202
_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}
_PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>signicat-proxy</title>
<meta name="color-scheme" content="light dark">
<style>body{{font:16px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse}}td,th{{text-align:left;padding:.3rem 1rem .3rem 0}}</style></head>
<body><h1>signicat-proxy {version}</h1><p>{summary}</p>
<p>Up for {uptime} s. Requests running: {in_flight}, ended: {requests}.
Connections to the upstream: {connections}.</p>
<table><tr><th>Client</th><th>State</th><th>Expires in</th><th>Next attempt in</th>
<th>Last error</th></tr>{rows}</table>
<p><a href="readyz">readyz</a> · <a href="metrics">metrics</a> · <a href="status">status</a></p>
</body></html>
"""


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _client_facts(status: ClientStatus) -> dict[str, object]:
    return {
        "state": status.state,
        "seconds_to_expiry": _seconds(status.seconds_to_expiry),
        "next_attempt_seconds": _seconds(status.next_attempt_seconds),
        "last_error": status.last_error,
    }


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    text = json.dumps(body, default=str) + "\n"
    return web.Response(status=status, text=text, content_type="application/json")


class _Admin:
    """The handlers; each reads the state at the moment it is asked, and calls nobody."""

    def __init__(
        self,
        *,
        clients: Callable[[], Sequence[ClientStatus]],
        is_draining: Callable[[], bool],
        metrics: Metrics,
        renew: Callable[[], None],
        quit_: Callable[[], None] | None,
        settings_report: Mapping[str, object],
        log: FilteringBoundLogger,
        monotonic: Callable[[], float],
    ) -> None:
        self._clients = clients
        self._is_draining = is_draining
        self._metrics = metrics
        self._renew = renew
        self._quit = quit_
        self._settings_report = settings_report
        self._log = log
        self._monotonic = monotonic
        self._started = monotonic()

    def _process_facts(self) -> dict[str, object]:
        return {
            "uptime_seconds": _seconds(self._monotonic() - self._started),
            "in_flight": self._metrics.in_flight(),
            "requests": self._metrics.request_total(),
            "connections": dict(self._metrics.connections()),
        }

    def _health(self, *, is_good: bool) -> web.Response:
        clients = {status.client: _client_facts(status) for status in self._clients()}
        body = {
            "status": "ok" if is_good else "unavailable",
            "draining": self._is_draining(),
            "clients": clients,
        }
        return _json(_OK if is_good else _UNAVAILABLE, body)

    async def livez(self, _: web.Request) -> web.Response:
        """Answer: so the loop turns."""
        return self._health(is_good=True)

    async def startupz(self, _: web.Request) -> web.Response:
        """Say whether every client's first token attempt is over, well or not."""
        return self._health(is_good=all(status.attempted for status in self._clients()))

    def _is_ready(self) -> bool:
        return not self._is_draining() and all(
            status.state != "not_ready" for status in self._clients()
        )

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether every client holds a usable token and we are not draining."""
        return self._health(is_good=self._is_ready())

    async def metrics(self, _: web.Request) -> web.Response:
        """Return the Prometheus exposition."""
        return web.Response(body=self._metrics.render(), headers={"Content-Type": CONTENT_TYPE})

    async def status(self, _: web.Request) -> web.Response:
        """Return all that is known, as JSON."""
        clients = {
            status.client: _client_facts(status)
            | {
                "consecutive_failures": status.consecutive_failures,
                "token": status.fingerprint,
                "waiters": status.waiters,
            }
            for status in self._clients()
        }
        body = {
            "version": __version__,
            "ready": self._is_ready(),
            "draining": self._is_draining(),
            **self._process_facts(),
            "clients": clients,
            "settings": self._settings_report,
        }
        return _json(_OK, body)

    async def page(self, _: web.Request) -> web.Response:
        """Return the status page for people."""
        rows = "".join(_row(status) for status in self._clients())
        summary = "Draining." if self._is_draining() else "Ready."
        if not self._is_ready() and not self._is_draining():
            summary = "Not ready: a client has no usable token."
        states = self._metrics.connections().items()
        text = _PAGE.format(
            version=html.escape(__version__),
            summary=summary,
            uptime=round(self._monotonic() - self._started),
            in_flight=self._metrics.in_flight(),
            requests=self._metrics.request_total(),
            connections=", ".join(f"{amount} {state}" for state, amount in states),
            rows=rows,
        )
        return web.Response(text=text, content_type="text/html", headers=_PAGE_HEADERS)

    async def refresh(self, _: web.Request) -> web.Response:
        """Read the secrets again and renew every token now."""
        self._log.info("refresh_requested")
        self._renew()
        return _json(_ACCEPTED, {"status": "renewing"})

    async def quit(self, _: web.Request) -> web.Response:
        """Begin to drain, where ADMIN_QUIT allows it."""
        if self._quit is None:
            raise web.HTTPNotFound(text="Set SIGNICAT_PROXY_ADMIN_QUIT=true to enable this.\n")
        self._log.info("quit_requested")
        self._quit()
        return _json(_ACCEPTED, {"status": "draining"})


def _row(status: ClientStatus) -> str:
    facts = _client_facts(status)
    cells = (status.client, *("-" if value is None else value for value in facts.values()))
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in cells) + "</tr>"


def _routes(admin: _Admin) -> list[web.RouteDef]:
    return [
        web.get("/livez", admin.livez),
        web.get("/startupz", admin.startupz),
        web.get("/readyz", admin.readyz),
        web.get("/metrics", admin.metrics),
        web.get("/status", admin.status),
        web.get("/", admin.page),
        web.post("/-/refresh", admin.refresh),
        web.post("/-/quit", admin.quit),
    ]


def create_admin_app(
    *,
    clients: Callable[[], Sequence[ClientStatus]],
    is_draining: Callable[[], bool],
    metrics: Metrics,
    renew: Callable[[], None],
    quit_: Callable[[], None] | None,
    settings_report: Mapping[str, object],
    policy: Guard,
    log: FilteringBoundLogger,
    monotonic: Callable[[], float] = time.monotonic,
) -> web.Application:
    """Return the admin application; `settings_report` is already redacted.

    The uptime it tells counts from this call, by `monotonic`, in seconds.
    """
    admin = _Admin(
        clients=clients,
        is_draining=is_draining,
        metrics=metrics,
        renew=renew,
        quit_=quit_,
        settings_report=settings_report,
        log=log,
        monotonic=monotonic,
    )
    app = web.Application(middlewares=[guarded(policy, metrics, log)])
    app.on_response_prepare.append(harden)
    app.add_routes(_routes(admin))
    return app
