"""The admin port: health in three grades, metrics, and a page for people (A)."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from structlog.typing import FilteringBoundLogger

from proxy.admin.access import Guard, guarded, harden
from proxy.admin.page import StatusPage
from proxy.admin.report import Reporter, client_facts, status_json
from proxy.errors import BAD_REQUEST, ProxyError
from proxy.telemetry.counters import Counters
from proxy.telemetry.exposition import Exposition
from proxy.telemetry.recent_errors import RecentErrors
from proxy.telemetry.scrape_format import preferred_format

__all__ = ["create_admin_app"]

_OK, _ACCEPTED, _SEE_OTHER, _UNAVAILABLE = 200, 202, 303, 503
_RENEWAL_EVERY_SECONDS: Final = 1.0
_REQUIREMENT: Final = "first-token"


def _json(status: int, body: Mapping[str, object]) -> web.Response:
    text = json.dumps(body, default=str) + "\n"
    return web.Response(status=status, text=text, content_type="application/json")


def _needs_first_token_alone(request: web.Request) -> bool:
    """Say whether `require=first-token` is asked for; raise `ProxyError` for anything else.

    A value that is misspelt must fail, and not ask something else than was meant. Other names are
    ignored: what is left then asks for more, not for less.
    """
    wanted = request.query.getall("require", [])
    if any(each != _REQUIREMENT for each in wanted):
        raise ProxyError(
            BAD_REQUEST,
            f"/readyz knows one value of 'require': {_REQUIREMENT}. Leave 'require' out to ask "
            "for a token that can be used now.",
        )
    return bool(wanted)


class _Admin:
    """The handlers; each reads the state at the moment it is asked, and calls nobody."""

    def __init__(
        self,
        *,
        reporter: Reporter,
        exposition: Exposition,
        renew: Callable[[], None],
        quit_: Callable[[], None] | None,
        start_needs_tokens: bool,
        log: FilteringBoundLogger,
        monotonic: Callable[[], float],
    ) -> None:
        self._reporter = reporter
        self._clients = reporter.clients
        self._is_draining = reporter.is_draining
        self._exposition = exposition
        self._renew = renew
        self._quit = quit_
        self._start_needs_tokens = start_needs_tokens
        self._log = log
        self._page = StatusPage(reporter.settings)
        self._monotonic = monotonic
        self._renewed_at = -math.inf

    def _health(self, *, is_good: bool) -> web.Response:
        clients = {status.client: client_facts(status) for status in self._clients()}
        body = {
            "status": "ok" if is_good else "unavailable",
            "draining": self._is_draining(),
            "clients": clients,
        }
        return _json(_OK if is_good else _UNAVAILABLE, body)

    async def livez(self, _: web.Request) -> web.Response:
        """Respond, which shows that the event loop runs."""
        return self._health(is_good=True)

    async def startupz(self, _: web.Request) -> web.Response:
        """Say whether every client's first token attempt is over, well or not.

        With STARTUP_DEADLINE_SECONDS it must have gone well: behind a native sidecar, the
        application of a Job then never starts without a token.
        """
        if self._start_needs_tokens:
            return self._health(is_good=self._have_had_tokens())
        return self._health(is_good=all(status.attempted for status in self._clients()))

    async def readyz(self, request: web.Request) -> web.Response:
        """Say whether every client holds a usable token and we are not draining.

        `?require=first-token` asks only that every client has had one in this process: a wrong
        secret stops a rollout, and an outage of the token endpoint takes no pod out.
        """
        if _needs_first_token_alone(request):
            has_tokens = self._have_had_tokens()
        else:
            has_tokens = all(status.is_ready for status in self._clients())
        return self._health(is_good=has_tokens and not self._is_draining())

    def _have_had_tokens(self) -> bool:
        return all(status.has_had_token for status in self._clients())

    async def metrics(self, request: web.Request) -> web.Response:
        """Return the metrics, in the format that the scrape prefers."""
        content_type = preferred_format(",".join(request.headers.getall("Accept", ())))
        body = self._exposition.render(content_type)
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def status(self, _: web.Request) -> web.Response:
        """Return all that is known, as JSON."""
        return _json(_OK, status_json(self._reporter.report()))

    async def page(self, _: web.Request) -> web.Response:
        """Return the same for people."""
        text = self._page.render(self._reporter.report())
        return web.Response(text=text, content_type="text/html", headers=self._page.headers)

    async def refresh(self, request: web.Request) -> web.Response:
        """Read the secrets again and renew every token now; a form is shown the page again."""
        now = self._monotonic()
        # Whoever asks faster gets the same response: nobody floods the token endpoint from here.
        if now - self._renewed_at >= _RENEWAL_EVERY_SECONDS:
            self._renewed_at = now
            self._log.info("refresh_requested")
            self._renew()
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(status=_SEE_OTHER, headers={"Location": "../"})
        return _json(_ACCEPTED, {"status": "renewing"})

    async def quit(self, _: web.Request) -> web.Response:
        """Begin to drain, where ADMIN_QUIT allows it."""
        if self._quit is None:
            raise web.HTTPNotFound(text="Set SIGNICAT_PROXY_ADMIN_QUIT=true to enable this.\n")
        self._log.info("quit_requested")
        self._quit()
        return _json(_ACCEPTED, {"status": "draining"})


def _for_options(handler: Handler) -> Handler:
    """Let load balancers ask by OPTIONS: the response is that to GET (A)."""

    async def respond(request: web.Request) -> web.StreamResponse:
        response = await handler(request)
        response.headers["Allow"] = "GET, HEAD, OPTIONS"
        return response

    return respond


def _routes(admin: _Admin) -> list[web.RouteDef]:
    open_to_strangers = [
        web.get("/livez", admin.livez),
        web.get("/startupz", admin.startupz),
        web.get("/readyz", admin.readyz),
        web.get("/metrics", admin.metrics),
    ]
    return [
        *open_to_strangers,
        *(web.options(route.path, _for_options(route.handler)) for route in open_to_strangers),
        web.get("/status", admin.status),
        web.get("/", admin.page),
        web.post("/-/refresh", admin.refresh),
        web.post("/-/quit", admin.quit),
    ]


def create_admin_app(
    *,
    reporter: Reporter,
    exposition: Exposition,
    counters: Counters,
    recent: RecentErrors,
    renew: Callable[[], None],
    quit_: Callable[[], None] | None,
    start_needs_tokens: bool,
    policy: Guard,
    log: FilteringBoundLogger,
    monotonic: Callable[[], float],
) -> web.Application:
    """Return the admin application; what it refuses goes to `counters`, `recent` and `log`.

    `start_needs_tokens`: `/startupz` asks for a token of every client, and not for an attempt.
    """
    admin = _Admin(
        reporter=reporter,
        exposition=exposition,
        renew=renew,
        quit_=quit_,
        start_needs_tokens=start_needs_tokens,
        log=log,
        monotonic=monotonic,
    )
    app = web.Application(middlewares=[guarded(policy, counters, recent, log)])
    app.on_response_prepare.append(harden)
    app.add_routes(_routes(admin))
    return app
