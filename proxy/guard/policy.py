"""Who may ask for what: the guard's decisions on Host, Origin, method and path (G2 to G4).

Every method is called for every request, so each has a way for the ordinary
case that costs a lookup or two; only what is unusual is read in full.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from proxy.errors import (
    AMBIGUOUS_PATH,
    BAD_REQUEST,
    HOST_NOT_ALLOWED,
    ORIGIN_NOT_ALLOWED,
    PATH_NOT_ALLOWED,
    ProxyError,
)
from proxy.guard.paths import (
    DOT,
    GLANCE,
    UNUSUAL,
    SegmentPrefixes,
    TokenPaths,
    UnreadablePathError,
    has_dot_segment,
    lenient_reading,
    lenient_segments,
)
from proxy.guard.routing import Route
from proxy.http1.failures import method_not_allowed
from proxy.http1.grammar import DEFAULT_PORTS, METHODS, NEVER_FORWARDED

__all__ = ["Policy"]

_ORDINARY_METHODS: Final = frozenset(METHODS)
_HARMLESS_SITES: Final = frozenset((b"same-origin", b"none"))
_AUTHORITY: Final = re.compile(rb"(\[[0-9a-f:.]+\]|[a-z0-9._~-]+)(?::([0-9]{0,5}))?")
# Spellings of allowed hosts (port, case) remembered so that they cost one lookup.
_MAX_REMEMBERED: Final = 64


def _host_of(authority: bytes) -> bytes:
    """Return the host in lower case, without its port; raise `ProxyError` for no authority."""
    match = _AUTHORITY.fullmatch(authority.lower())
    if match is None:
        raise ProxyError(
            BAD_REQUEST, "Host must be a name or an address, with a port or without one."
        )
    return match[1]


def _bracketed(host: str) -> bytes:
    is_bare_ipv6 = ":" in host and not host.startswith("[")
    return (f"[{host}]" if is_bare_ipv6 else host).lower().encode()


def _authorities_of(url: str) -> frozenset[bytes]:
    """Return what callers that take us for a plain HTTP proxy may call the upstream (F3).

    No port stands for the default one: that of the upstream's scheme, and
    that of HTTP, which is what such callers speak.
    """
    parts = urlsplit(url)
    host = _bracketed(parts.hostname or "")
    default = DEFAULT_PORTS.get(parts.scheme)
    port = default if parts.port is None else parts.port
    with_port = host + b":" + str(port).encode()
    if port != default:
        return frozenset((with_port,))
    return frozenset((host, host + b":", host + b":80", with_port))


class Policy:
    """The guard's rules, from the settings, for one upstream.

    Empty `allowed_paths` or `allowed_methods` allow all; `*` among
    `allowed_hosts` switches that check off. `token_urls` are the token
    endpoints of all clients; `upstream_url`'s path stands before the caller's.
    `routes_restrict_paths` says that routes tell paths apart (`Router.restricts_paths`).

    Each check returns nothing or raises `ProxyError` with a detail that says
    what to do and names the setting.
    """

    __slots__ = (
        "_allowed_hosts",
        "_allowed_methods",
        "_allowed_origins",
        "_allowed_paths",
        "_any_host",
        "_known_hosts",
        "_restricts_paths",
        "_token_beginnings",
        "_token_paths",
        "_upstream_authorities",
    )

    def __init__(
        self,
        *,
        upstream_url: str,
        token_urls: Iterable[str],
        allowed_hosts: Iterable[str],
        allowed_origins: Iterable[str] = (),
        allowed_paths: Iterable[str] = (),
        allowed_methods: Iterable[str] = (),
        routes_restrict_paths: bool = False,
    ) -> None:
        self._allowed_hosts = frozenset(_bracketed(host) for host in allowed_hosts)
        self._any_host = b"*" in self._allowed_hosts
        self._known_hosts = set(self._allowed_hosts)
        self._allowed_origins = frozenset(origin.encode() for origin in allowed_origins)
        methods = frozenset(method.encode() for method in allowed_methods)
        self._allowed_methods = methods - NEVER_FORWARDED if methods else None
        paths = frozenset(path.rstrip("/").encode() or b"/" for path in allowed_paths)
        self._allowed_paths = SegmentPrefixes((path, True) for path in paths) if paths else None
        self._restricts_paths = routes_restrict_paths or bool(paths)
        self._upstream_authorities = _authorities_of(upstream_url)
        self._token_paths = TokenPaths(token_urls, upstream_url)
        self._token_beginnings = self._token_paths.beginnings

    @property
    def methods(self) -> frozenset[bytes]:
        """The methods that pass on some route, as `Allow` lists them."""
        return _ORDINARY_METHODS if self._allowed_methods is None else self._allowed_methods

    def check_host(self, host: bytes) -> None:
        """Check the value of `Host`: exact names, any port, any case (G2).

        A name with a final dot is another name. Malformed values are
        `bad_request` (RFC 9112 §3.2), even where any host may be named; others
        are `host_not_allowed`.
        """
        if host in self._known_hosts:
            return
        name = _host_of(host)
        if self._any_host:
            return
        if name not in self._allowed_hosts:
            raise ProxyError(
                HOST_NOT_ALLOWED,
                "The name in Host is not one this proxy answers to. Call it by a name listed in "
                "SIGNICAT_PROXY_ALLOWED_HOSTS, or add this one there (without a port).",
            )
        if len(self._known_hosts) < _MAX_REMEMBERED:
            self._known_hosts.add(host)

    def is_listed(self, host: bytes) -> bool:
        """Say whether the value of `Host` is a name in the settings, even where any is allowed."""
        return _host_of(host) in self._allowed_hosts

    def check_target_authority(self, authority: bytes) -> None:
        """Check the authority of a target in absolute form (F3): one of ours or the upstream's."""
        if authority.lower() in self._upstream_authorities:
            return
        try:
            self.check_host(authority)
        except ProxyError:
            raise ProxyError(
                HOST_NOT_ALLOWED,
                "The request target names a host that is neither the upstream "
                "(SIGNICAT_PROXY_UPSTREAM_URL) nor listed in SIGNICAT_PROXY_ALLOWED_HOSTS; "
                "this proxy reaches no other.",
            ) from None

    def check_browser(self, origin: bytes | None, fetch_site: bytes | None) -> None:
        """Check `Origin` and `Sec-Fetch-Site` (G3); `None` where the header is missing.

        Repeated headers come joined, and a joined value is never allowed.
        """
        if origin is None:
            if fetch_site is None or fetch_site in _HARMLESS_SITES:
                return
        elif origin in self._allowed_origins:
            return
        raise ProxyError(
            ORIGIN_NOT_ALLOWED,
            "Requests made by web pages are refused. To let one in, add its origin "
            "(scheme://host[:port]) to SIGNICAT_PROXY_ALLOWED_ORIGINS.",
        )

    def check_method(self, method: bytes, route: Route) -> None:
        """Check the method: never CONNECT or TRACE (F1), else as settings and route allow."""
        allowed = self._allowed_methods
        of_route = route.methods
        if (
            (allowed is None or method in allowed)
            and (of_route is None or method in of_route)
            and (method in _ORDINARY_METHODS or method.upper() not in NEVER_FORWARDED)
        ):
            return
        raise _method_not_allowed(allowed, of_route)

    def check_path(self, path: bytes) -> None:
        """Check the path, as received and without the query (G4)."""
        glance = path.translate(GLANCE, b"/")
        if (
            UNUSUAL in glance
            or glance.startswith(self._token_beginnings)
            or (DOT in glance and (b"/." in path or b"./" in path))
        ):
            self._check_reading(path)
        if self._allowed_paths is not None and self._allowed_paths.longest(path) is None:
            raise ProxyError(
                PATH_NOT_ALLOWED, "This path is under none in SIGNICAT_PROXY_ALLOWED_PATHS."
            )

    def _check_reading(self, path: bytes) -> None:
        try:
            reading = lenient_reading(path)
        except UnreadablePathError as error:
            raise ProxyError(
                AMBIGUOUS_PATH, "The path holds an encoded NUL or is encoded many times over."
            ) from error
        if has_dot_segment(reading):
            raise ProxyError(
                AMBIGUOUS_PATH,
                "The path holds '.' or '..' as a segment, plain or encoded; resolve it first.",
            )
        if lenient_segments(reading) in self._token_paths:
            raise ProxyError(
                PATH_NOT_ALLOWED,
                "The token endpoint is not reachable here; this proxy adds the token itself. "
                "Send requests without one. For an application that has to fetch one, "
                "SIGNICAT_PROXY_PLACEHOLDER_TOKEN responds to a POST to exactly that path.",
            )
        if self._restricts_paths and reading.count("/") != path.count(b"/"):
            raise ProxyError(
                AMBIGUOUS_PATH,
                "Backslashes and encoded slashes are refused because routes or "
                "SIGNICAT_PROXY_ALLOWED_PATHS restrict paths.",
            )


def _method_not_allowed(
    allowed: frozenset[bytes] | None, of_route: frozenset[bytes] | None
) -> ProxyError:
    lists = [methods for methods in (allowed, of_route) if methods is not None]
    return method_not_allowed(
        frozenset.intersection(*lists or [_ORDINARY_METHODS]) - NEVER_FORWARDED,
        "Use a method named in the Allow header. CONNECT and TRACE are never forwarded; others "
        "are permitted by SIGNICAT_PROXY_ALLOWED_METHODS and by `methods` of the route.",
    )
