"""`signicat-proxy demo`: mock Signicat and the proxy in one go, and one request to look at."""

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import uvloop

from proxy.http1.parser import require_c_parsers
from proxy.mock import serve_mock
from proxy.mock.command import DEFAULT_CLIENT, DEFAULT_SECRET, new_mock
from proxy.net.addresses import ListenAddress, is_loopback, parse_listen_address
from proxy.net.binding import CannotListenError, obstacles, why_not_listening
from proxy.server.lifecycle import Control, serve
from proxy.server.process import harden, listen_to_signals
from proxy.settings.loader import Loaded, load
from proxy.settings.report import settings_report
from proxy.telemetry.logs import open_logs

__all__ = ["ALLOWED_HOSTS", "add_arguments", "run"]

ALLOWED_HOSTS: Final = "localhost,127.0.0.1,[::1],api.signicat.com"
"""Whom the demo may be called by: the default, and the upstream that the mock stands for (F3)."""

_FAILED, _BAD_USAGE = 1, 2
_DEFAULTS: Final = {
    "--listen": "localhost:8080",
    "--admin-listen": "localhost:8081",
    "--mock-listen": "127.0.0.1:9090",
}
_SESSION: Final = (
    '{"flow":"redirect","allowedProviders":["nbid"],"requestedAttributes":["firstName","lastName"],'
    '"externalReference":"mock-success",'
    '"callbackUrls":{"success":"https://shop.example/ok","abort":"https://shop.example/abort",'
    '"error":"https://shop.example/error"}}'
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the demo."""
    for flag, default in _DEFAULTS.items():
        parser.add_argument(
            flag, metavar="HOST:PORT", help=f"default: {default}, or a free port if it is taken"
        )


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _complain(text: str) -> None:
    sys.stderr.write(f"signicat-proxy: {text}\n")


def _parsed(flag: str, text: str) -> ListenAddress:
    """Return a TCP address; raise `ValueError` with a line that names the flag."""
    try:
        address = parse_listen_address(text)
    except ValueError:
        address = None
    if address is None or address.host is None:
        raise ValueError(f"{flag}: write host:port, as in {_DEFAULTS[flag]}")
    return address


def _free(default: str) -> ListenAddress:
    """Return a default address, or one with a free port where it is taken."""
    address = parse_listen_address(default)
    if any(obstacle.is_taken for obstacle in obstacles("LISTEN", address)):
        _say(f"{default} is in use, a free port is taken instead")
        return ListenAddress(address.host, 0)
    return address


def _addresses(args: argparse.Namespace) -> dict[str, ListenAddress]:
    """Return where to listen, by flag; raise `ValueError` before anything is opened."""
    wanted = {flag: getattr(args, flag[2:].replace("-", "_")) for flag in _DEFAULTS}
    given = {flag: _parsed(flag, text) for flag, text in wanted.items() if text is not None}
    return {flag: given.get(flag) or _free(default) for flag, default in _DEFAULTS.items()}


def _to_call(address: ListenAddress, port: int) -> str:
    """Return the URL to call an address by: one that means all interfaces is no such."""
    host = address.host or ""
    if host in {"0.0.0.0", "::", "*"}:  # noqa: S104 - compared with, not listened on
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settings(mock_url: str, listen: ListenAddress, admin: ListenAddress) -> Loaded:
    """Return settings for the mock; what is set for real use is left alone on purpose."""
    environ = {
        "SIGNICAT_PROXY_CLIENT_ID": DEFAULT_CLIENT,
        "SIGNICAT_PROXY_CLIENT_SECRET": DEFAULT_SECRET,
        "SIGNICAT_PROXY_TOKEN_URL": f"{mock_url}/auth/open/connect/token",
        "SIGNICAT_PROXY_UPSTREAM_URL": mock_url,
        # The way to the mock, wherever it was told to listen.
        "SIGNICAT_PROXY_UNSAFE_PLAIN_HTTP": str(not is_loopback(urlsplit(mock_url).hostname or "")),
        "SIGNICAT_PROXY_ALLOWED_HOSTS": ALLOWED_HOSTS,
        "SIGNICAT_PROXY_PLACEHOLDER_TOKEN": "true",
        "SIGNICAT_PROXY_LISTEN": str(listen),
        "SIGNICAT_PROXY_ADMIN_LISTEN": str(admin),
        "SIGNICAT_PROXY_LOG_LEVEL": "warning",
    }
    return load(environ=environ, directory=Path("/nonexistent"))


async def _show_one_request(url: str) -> None:
    """Create a session through the proxy; show the request and the response."""
    target = "/auth/rest/sessions"
    _say(f"\nPOST {target}   (no credentials)\nContent-Type: application/json\n\n{_SESSION}\n")
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            url + target, data=_SESSION, headers={"Content-Type": "application/json"}
        ) as response,
    ):
        _say(f"HTTP/1.1 {response.status} {response.reason}")
        for name in ("Content-Type", "x-trace-id", "X-Mock", "Via"):
            if name in response.headers:
                _say(f"{name}: {', '.join(response.headers.getall(name))}")
        _say(f"\n{await response.text()}")


def _lines_to_try(url: str, admin_url: str) -> str:
    return f"""
The proxy listens on {url}, its admin port on {admin_url}. Try:

  curl -i {url}/auth/rest/sessions -H 'Content-Type: application/json' -d '{_SESSION}'
  curl -i {url}/sign/documents -H 'Content-Type: text/plain' --data-binary 'a contract'
  curl -s {admin_url}/readyz

Ctrl-C ends it."""


async def _play(addresses: Mapping[str, ListenAddress]) -> int:
    place = addresses["--mock-listen"]
    async with contextlib.AsyncExitStack() as stack:
        host = "" if place.host == "*" else place.host or ""  # for the mock: everywhere
        mock = serve_mock(new_mock(), host, place.port or 0)
        try:
            running = await stack.enter_async_context(mock)
        except OSError as error:
            _complain(f"--mock-listen: cannot listen on {place}: {why_not_listening(error)}")
            return _FAILED
        mock_url = _to_call(place, running.port)
        _say(f"MOCK Signicat listens on {mock_url}")
        loaded = _settings(mock_url, addresses["--listen"], addresses["--admin-listen"])
        control = Control()
        listen_to_signals(control)
        async with asyncio.TaskGroup() as tasks:
            server = tasks.create_task(_serve(loaded, control))
            shown = tasks.create_task(_show(control))
            code = await server
            shown.cancel()
    return code


async def _serve(loaded: Loaded, control: Control) -> int:
    logs = open_logs(level="warning", log_format="auto", stream=sys.stderr)
    try:
        return await serve(
            loaded.settings, control=control, logs=logs, settings_report=settings_report(loaded)
        )
    except CannotListenError as error:
        flag = f"--{error.setting.lower().replace('_', '-')}"
        _complain(f"{flag}: cannot listen on {error.address}: {error.reason}")
        return _FAILED


async def _show(control: Control) -> None:
    await control.started.wait()
    listen, admin = control.listen_addresses[0], control.admin_address
    if admin is None:
        raise AssertionError("started without an admin port")
    url = _to_call(listen, listen.port or 0)
    await _show_one_request(url)
    _say(_lines_to_try(url, _to_call(admin, admin.port or 0)))


def run(args: argparse.Namespace) -> int:
    """Play until Ctrl-C; return the exit code."""
    require_c_parsers()
    harden()
    try:
        addresses = _addresses(args)
    except ValueError as error:
        _complain(str(error))
        return _BAD_USAGE
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_play(addresses))
