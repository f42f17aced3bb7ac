"""One call to the token endpoint: the OAuth 2.0 client-credentials grant (RFC 6749 §4.4)."""

import asyncio
import base64
import os
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import quote_plus, urlencode

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from proxy import __version__
from proxy.hosts import host_of
from proxy.net.dial_errors import TOO_MANY_OPEN_FILES, lacks_descriptors
from proxy.net.egress import EgressProxy
from proxy.net.name_cache import PATIENCE_SHARE, NameCache
from proxy.net.tls import ClientContext
from proxy.net.tls_client import CertifiedTls, ClientCertificate
from proxy.oauth.credential import ClientAuth, Credential
from proxy.oauth.response import Failure, FailureOutcome, Grant, read_response
from proxy.oauth.sent_assertions import SentAssertions
from proxy.oauth.server_clock import skew_text

__all__ = ["Attempt", "TokenEndpoint", "basic_credentials", "valid_trace_id"]

_ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_PERHAPS: Final = "perhaps the server refuses the client's certificate"
_MAX_BODY: Final = 1 << 20
_TRACE_ID: Final = frozenset("0123456789abcdefABCDEF-")
_MAX_TRACE_ID: Final = 64


@dataclass(frozen=True, slots=True)
class Attempt:
    """What one call brought; `trace_id` is the endpoint's `x-trace-id`, where it is valid.

    `date` is the response's `Date` as it came, whatever that holds.
    """

    result: Grant | Failure
    trace_id: str | None = None
    date: str | None = None


def basic_credentials(client_id: str, secret: str) -> str:
    """Return the `Authorization` value of `client_secret_basic` (T11).

    Both halves are form-encoded before they are joined (RFC 6749 §2.3.1);
    servers that follow the RFC refuse anything else for secrets with `+` or `%`.
    """
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + base64.b64encode(pair.encode("ascii")).decode("ascii")


def valid_trace_id(value: str | None) -> str | None:
    """Return an `x-trace-id` that people may be shown, None for any other."""
    if value is None or len(value) > _MAX_TRACE_ID or not set(value) <= _TRACE_ID:
        return None
    return value


def _cause_of(error: Exception, egress: EgressProxy | None) -> Failure:
    """Name a failed call by the library's exception; its text may hold anything and is dropped."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if lacks_descriptors(cause):
        return Failure(TOO_MANY_OPEN_FILES, detail="the limit of open files is reached")
    outcome: FailureOutcome
    detail = None
    match error:
        case aiohttp.ClientConnectorDNSError() if egress is not None:  # no other name is looked up
            outcome, detail = "egress_proxy", "its name cannot be resolved"
        case aiohttp.ClientConnectorDNSError() | UnicodeError():  # a name that is none (IDNA)
            outcome = "dns_failed"
        case aiohttp.ClientHttpProxyError() | aiohttp.ClientProxyConnectionError():
            outcome = "egress_proxy"
        case aiohttp.ClientConnectorCertificateError():
            reason = getattr(error.certificate_error, "verify_message", None)
            return Failure("tls_failed", detail=f"certificate: {reason or 'wrong host name'}")
        case aiohttp.ClientSSLError() | ssl.SSLError():
            outcome = "tls_failed"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return Failure("connect_failed", detail=os.strerror(number) if number else None)
        case RuntimeError():  # uvloop has some, when it connects
            return Failure("connect_failed", detail="the event loop could not connect")
        case aiohttp.ClientError() | OSError():
            outcome = "connection_lost"
        case _:
            return Failure("connection_lost", detail=f"unexpected {type(error).__name__}")
    return Failure(outcome, detail=detail)


def _may_be_refusal(error: Exception) -> bool:
    """Say whether a call may have failed as servers make it that refuse a certificate in TLS.

    They send an alert, or just hang up, in the handshake or after it.
    """
    if isinstance(
        error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientProxyConnectionError
    ):
        return False
    if isinstance(error, aiohttp.ClientConnectorError):
        return isinstance(error.os_error, ConnectionResetError | ssl.SSLError)
    return isinstance(error, ssl.SSLError | aiohttp.ClientOSError | aiohttp.ServerDisconnectedError)


class _Resolver(AbstractResolver):
    """Lets aiohttp look up names in the cache that the whole process shares (F13)."""

    def __init__(self, names: NameCache, patience_seconds: float) -> None:
        self._names = names
        self._patience_seconds = patience_seconds

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return every address of the host; the session asks for no family of its own."""
        del family
        found = await self._names.look_up(host, port, patience_seconds=self._patience_seconds)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]) + (f"%{address[3]}" if address[3:] and address[3] else ""),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Do nothing: the names belong to the whole process."""


class TokenEndpoint:
    """The token endpoint as one client sees it, with a connection pool of its own (T11).

    Follows no redirect, keeps no cookie. `timeout_seconds` bounds one request
    in all; `egress` is the CONNECT proxy to go through, None for none; `names` looks up
    addresses.
    """

    def __init__(
        self,
        *,
        url: str,
        client_id: str,
        client_auth: ClientAuth,
        scope: str,
        timeout_seconds: float,
        tls: ClientContext,
        egress: EgressProxy | None,
        names: NameCache,
        wall: Callable[[], float],
    ) -> None:
        self._url = url
        self._host = host_of(url)
        self._client_id = client_id
        self._client_auth = client_auth
        self._scope = scope
        self._timeout_seconds = timeout_seconds
        self._tls = tls
        self._certified = CertifiedTls()
        self._egress = egress
        self._resolver = _Resolver(names, timeout_seconds * PATIENCE_SHARE)
        self._wall = wall
        self._assertions = SentAssertions(wall)
        self._session: aiohttp.ClientSession | None = None

    def reach_by(self, tls: ClientContext, egress: EgressProxy | None) -> None:
        """Make the connections from now on with these (C4)."""
        self._tls = tls
        self._egress = egress

    @property
    def scope(self) -> str:
        """The scope that is asked for."""
        return self._scope

    def secrets_in_use(self) -> Iterator[str]:
        """Yield what must never be logged: the assertions that may still be of use."""
        yield from self._assertions

    def _request(self, secret: Credential) -> tuple[dict[str, str], bytes]:
        """Return headers and body; the credentials go one way only (RFC 6749 §2.3)."""
        form = {"grant_type": "client_credentials"}
        if self._scope:
            form["scope"] = self._scope
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
            "User-Agent": f"signicat-proxy/{__version__}",
        }
        if isinstance(secret, ClientCertificate):
            form["client_id"] = self._client_id  # the handshake is the proof (RFC 8705 §2)
        elif not isinstance(secret, str):
            # The assertion says who asks (RFC 7523 §2.2).
            assertion = secret.assertion(self._client_id, self._url, self._wall())
            self._assertions.add(assertion)
            form |= {"client_assertion_type": _ASSERTION_TYPE, "client_assertion": assertion}
        elif self._client_auth == "client_secret_basic":
            headers["Authorization"] = basic_credentials(self._client_id, secret)
        else:
            form |= {"client_id": self._client_id, "client_secret": secret}
        return headers, urlencode(form).encode("ascii")

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=2, resolver=self._resolver, use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._session

    async def request(self, secret: Credential) -> Attempt:
        """Ask for one token; every way to fail is an `Attempt` with a `Failure`.

        Raises nothing but `CancelledError`, whatever the library or the event loop may raise:
        the task that renews tokens must survive it (C3).
        """
        try:
            async with asyncio.timeout(self._timeout_seconds):
                return await self._post(secret)
        except TimeoutError:
            return Attempt(Failure("timeout", detail=f"{self._timeout_seconds:g} seconds"))
        except Exception as error:  # noqa: BLE001 (see above; the outcome names it)
            failure = _cause_of(error, self._egress)
            if isinstance(secret, ClientCertificate) and _may_be_refusal(error):
                failure = replace(failure, detail=_PERHAPS, may_be_refusal=True)
            return Attempt(failure)

    async def _post(self, secret: Credential) -> Attempt:
        headers, form = self._request(secret)
        tls: ssl.SSLContext = self._tls
        if isinstance(secret, ClientCertificate):
            tls = await self._certified.context(secret, self._tls)
        proxy = None if self._egress is None else self._egress.url
        proxy_headers = _proxy_headers(self._egress)
        if self._url.startswith("http:"):  # no tunnel: the request itself goes to the proxy
            headers |= proxy_headers
        async with self._open_session().post(
            self._url,
            data=form,
            headers=headers,
            allow_redirects=False,
            proxy=proxy,
            proxy_headers=proxy_headers,
            server_hostname=self._host,  # else that in a tunnel may have a dot at its end
            ssl=tls,  # part of what tells connections apart: another needs a new one
        ) as response:
            trace_id = valid_trace_id(response.headers.get("x-trace-id"))
            body = b""
            async for data in response.content.iter_any():
                body += data
                if len(body) > _MAX_BODY:
                    too_large = Failure("unusable_answer", detail="the response is over 1 MiB")
                    return Attempt(too_large, trace_id)
            result = read_response(response.status, response.headers, body, wall=self._wall())
            date = response.headers.get("Date")
            if not isinstance(secret, str | ClientCertificate):
                result = self._with_skew(result, date)
            return Attempt(result, trace_id, date)

    def _with_skew(self, result: Grant | Failure, date: str | None) -> Grant | Failure:
        """Say of a refusal that the clocks are apart, where they are: nothing else tells (T12)."""
        if not isinstance(result, Failure) or not result.is_permanent:
            return result
        facts = filter(None, (result.detail, skew_text(date, self._wall())))
        return replace(result, detail=", ".join(facts) or None)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _proxy_headers(egress: EgressProxy | None) -> dict[str, str]:
    if egress is None or egress.authorization is None:
        return {}
    return {"Proxy-Authorization": egress.authorization.decode("ascii")}
