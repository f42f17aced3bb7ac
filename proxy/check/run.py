"""`signicat-proxy check`: tries in turn what the proxy needs.

Everything is tried with the proxy's own parts and settings, so that the two cannot disagree, and
one thing after the other, each within the time that its own setting allows.
"""

import asyncio
import contextlib
import os
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Final

import uvloop

from proxy.check.call import call_path, call_upstream
from proxy.check.certificate import certificate_results, client_certificate_results
from proxy.check.client import (
    Asked,
    clock_result,
    previous_secret,
    read_secret,
    reserve_result,
    scope_result,
    token_result,
)
from proxy.check.network import (
    Destination,
    DestinationKey,
    check_outbound_path,
    destination_key,
    destinations,
)
from proxy.check.port import port_result
from proxy.check.report import Report
from proxy.check.result import CHECKS, CheckId, Result
from proxy.check.traces import trace_results
from proxy.clock import SYSTEM_CLOCK, Clock
from proxy.files import UnusableFileError
from proxy.guard.identity import CallerStatus
from proxy.http1.parser import require_c_parsers
from proxy.net.name_cache import NameCache
from proxy.net.tls import ClientContext, client_context
from proxy.net.tls_client import ClientTlsFiles, load_client_certificate
from proxy.oauth.credential import Credential, secrets_of
from proxy.oauth.response import Grant
from proxy.oauth.token import Token
from proxy.server.assembly import configured_secrets
from proxy.server.guard import configured_callers, placeholder_paths
from proxy.server.outgoing import egress_for, new_token_endpoint
from proxy.server.process import harden
from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import ClientSettings, ListenAddress, Loaded, Settings
from proxy.settings.names import setting_name
from proxy.settings.proof_files import proof_files
from proxy.settings.risks import risks_of
from proxy.telemetry.redaction import Redactor

__all__ = ["Checker", "run_check"]

_OK, _FAILED, _BAD_USAGE = 0, 1, 2
_PLAIN_THROUGH_EGRESS: Final = (
    "a plain http:// token request goes to the egress proxy as it is, without a tunnel"
)


class Checker:
    """Checks settings that have been loaded; `secrets` is what it must never say."""

    def __init__(
        self,
        settings: Settings,
        *,
        tls: ClientContext,
        clock: Clock = SYSTEM_CLOCK,
        with_call: bool = True,
    ) -> None:
        self.secrets = set(configured_secrets(settings))
        self._settings = settings
        self._tls = tls
        self._clock = clock
        self._with_call = with_call
        self._unreachable: dict[DestinationKey, str] = {}
        self._clocks_seen: set[str] = set()

    async def results(self) -> AsyncIterator[Result]:
        """Yield each result as soon as it is known, in the order of `CHECKS`."""
        for result in self._settings_results():
            yield result
        for key, destination in destinations(self._settings).items():
            for result in await self._path_results(key, destination):
                yield result
        for client in self._settings.clients:
            async for result in self._client_results(client):
                yield result
        shown = certificate_results(self._settings, self._clock.wall)
        for result in [*shown, *await trace_results(os.environ, self._settings)]:
            yield result
        for result in client_certificate_results(self._settings, self._clock.wall):
            yield result
        for setting, address in self._addresses():
            yield await port_result(setting, address, self._settings.connect_timeout_seconds)

    def _settings_results(self) -> Iterator[Result]:
        names = ", ".join(client.name for client in self._settings.clients)
        yield Result("settings", "ok", self._settings.upstream_url, f"clients: {names}")
        if paths := placeholder_paths(self._settings):
            listed = ", ".join(sorted(path.decode() for path in paths))
            detail = f"a POST to {listed} gets a token that is worth nothing"
            yield Result("settings", "ok", setting_name("placeholder_token"), detail)
        for caller in configured_callers(self._settings):
            yield Result("settings", "ok", f"caller {caller.name}", _caller_detail(caller))
        for risk in risks_of(self._settings):
            detail = f"{risk.address}: {risk.hint}" if risk.address else risk.hint
            fix = risk.fix or f"Unless it is meant, set {risk.setting} back to its default."
            yield Result("settings", "warning", risk.setting, detail, fix)

    def _addresses(self) -> Iterator[tuple[str, ListenAddress]]:
        for address in self._settings.listen:
            yield "LISTEN", address
        yield "ADMIN_LISTEN", self._settings.admin_listen

    async def _path_results(self, key: DestinationKey, destination: Destination) -> list[Result]:
        settings = self._settings
        is_upstream = destination.url == settings.upstream_url
        if not is_upstream and key[0] == "http" and egress_for(destination.url, settings):
            return [Result("egress_proxy", "skipped", destination.place, _PLAIN_THROUGH_EGRESS)]
        tls = self._tls if is_upstream else self._tls_to_token_endpoint(key)
        results = await check_outbound_path(destination, settings, tls, self._clock.wall)
        for result in results:
            if result.state == "failed":
                self._unreachable[key] = f"{result.check} of {destination.place} failed"
        return results

    def _tls_to_token_endpoint(self, key: DestinationKey) -> ssl.SSLContext:
        """Return a context with the certificate that is shown there, where a client has one."""
        for client in self._settings.clients:
            files = proof_files(client, self._settings)
            if isinstance(files, ClientTlsFiles) and destination_key(client.token_url) == key:
                with contextlib.suppress(UnusableFileError):  # told where the client is looked at
                    return load_client_certificate(files, self._clock.wall).context(self._tls)
        return self._tls

    async def _client_results(self, client: ClientSettings) -> AsyncIterator[Result]:
        result, secret = read_secret(client, self._settings, self._clock)
        yield result
        place = destination_key(client.token_url)
        why_not = "secret failed" if secret is None else self._unreachable.get(place)
        if secret is None or why_not is not None:
            for result in _skipped(client, str(why_not), "clock", "token", "scope", "call"):
                yield result
            return
        asked = await self._ask_for_token(client, secret)
        if client.token_url not in self._clocks_seen:
            self._clocks_seen.add(client.token_url)
            yield clock_result(asked, client)
        reserve = await self._ask_with_previous(client, asked)
        if reserve is None:
            yield token_result(asked, client, self._settings)
        else:
            yield reserve_result(asked, reserve, client, self._settings)
            asked = reserve
        grant = asked.attempt.result
        if not isinstance(grant, Grant):
            for result in _skipped(client, "token failed", "scope", "call"):
                yield result
            return
        self.secrets.add(grant.access_token)
        yield scope_result(grant, client, self._settings)
        token = Token.granted(grant.access_token, grant.lifetime_seconds, asked.before, draw=0.0)
        yield await self._call_result(client, token)

    async def _ask_for_token(self, client: ClientSettings, secret: Credential) -> Asked:
        self.secrets.update(secrets_of(secret))
        names = NameCache(clock=self._clock)  # empty, so that the system is asked afresh
        endpoint = new_token_endpoint(client, self._settings, self._tls, self._clock, names)
        before = self._clock.now()
        try:
            attempt = await endpoint.request(secret)
        finally:
            self.secrets.update(endpoint.secrets_in_use())  # the proof that was made
            await endpoint.close()
        return Asked(attempt, before, self._clock.now())

    async def _ask_with_previous(self, client: ClientSettings, refused: Asked) -> Asked | None:
        """Ask as the proxy would after a refusal; None where that brings no token either (T7)."""
        previous = previous_secret(client, self._settings, refused)
        if previous is None:
            return None
        asked = await self._ask_for_token(client, previous)
        return asked if isinstance(asked.attempt.result, Grant) else None

    async def _call_result(self, client: ClientSettings, token: Token) -> Result:
        target = f"client {client.name}"
        if not self._with_call:
            return Result("call", "skipped", target, "--no-call was given")
        if why_not := self._unreachable.get(destination_key(self._settings.upstream_url)):
            return Result("call", "skipped", target, why_not)
        path = call_path(self._settings, client)
        if path is None:
            return Result(
                "call",
                "skipped",
                target,
                "routes, SIGNICAT_PROXY_ALLOWED_PATHS and SIGNICAT_PROXY_ALLOWED_METHODS allow no "
                "GET",
            )
        started = self._clock.monotonic()
        result = await call_upstream(path, token, self._settings, self._tls, self._clock.wall)
        return replace(
            result,
            target=f"client {client.name}, {result.target}",
            seconds=self._clock.monotonic() - started,
        )


def _caller_detail(caller: CallerStatus) -> str:
    """Say how a caller proves who it is, and what it may do."""
    clients = "all" if caller.clients is None else ", ".join(sorted(caller.clients))
    limit = "" if caller.max_in_flight is None else f"; {caller.max_in_flight} requests at a time"
    return f"{caller.proof}; clients: {clients}{limit}"


def _skipped(client: ClientSettings, why: str, *checks: CheckId) -> Iterator[Result]:
    """Yield `checks` of a client as not tried."""
    for check in checks:
        yield Result(check, "skipped", f"client {client.name}", why)


def _configuration_results(error: ConfigurationError) -> Iterator[Result]:
    """Yield the errors of settings that cannot be used, and everything else as skipped."""
    for each in error.errors:
        fix = f"Correct {each.setting}; `signicat-proxy config --help` lists the settings."
        yield Result("settings", "failed", each.setting, each.message, fix)
    for check in CHECKS[1:]:
        yield Result(check, "skipped", "", "settings failed")


async def _fill(report: Report, checker: Checker) -> None:
    async for result in checker.results():
        report.add(result)


def _end(report: Report, *, as_json: bool) -> None:
    report.end()
    if not as_json:
        sys.stderr.write(f"{report.summary()}\n")
        sys.stderr.flush()


def run_check(load: Callable[[], Loaded], *, as_json: bool, with_call: bool) -> int:
    """Check the settings that `load` brings; write results to stdout; return the exit code.

    Ends the process at once where something failed: a lookup of a name that
    hangs in a thread would keep it alive for longer than any of the timeouts.
    """
    require_c_parsers()
    harden()
    redact = Redactor()
    report = Report(sys.stdout, redact, as_json=as_json, no_color=bool(os.environ.get("NO_COLOR")))
    try:
        settings = load().settings
    except ConfigurationError as error:
        for result in _configuration_results(error):
            report.add(result)
        _end(report, as_json=as_json)
        return _BAD_USAGE
    checker = Checker(settings, tls=client_context(settings.ca_file), with_call=with_call)
    redact.watch(lambda: checker.secrets)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_fill(report, checker))
        _end(report, as_json=as_json)
        if report.has_failed:
            os._exit(_FAILED)
    return _OK
