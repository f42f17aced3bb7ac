"""The guard's decisions, as tables of bytes (G2 to G4, F1, F3)."""

import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import (
    AMBIGUOUS_PATH,
    BAD_REQUEST,
    HOST_NOT_ALLOWED,
    METHOD_NOT_ALLOWED,
    ORIGIN_NOT_ALLOWED,
    PATH_NOT_ALLOWED,
    ErrorKind,
    ProxyError,
)
from proxy.guard.paths import (
    TokenPaths,
    UnreadablePathError,
    has_dot_segment,
    lenient_reading,
    lenient_segments,
)
from proxy.guard.policy import Policy
from proxy.guard.routing import Route

UPSTREAM = "https://api.signicat.com"
TOKEN_URL = "https://api.signicat.com/auth/open/connect/token"
HOSTS = ("localhost", "127.0.0.1", "[::1]")
ANY_ROUTE = Route(b"/", "default")
GW = "https://gw.test"


def make_policy(
    *,
    upstream_url: str = UPSTREAM,
    token_urls: tuple[str, ...] = (TOKEN_URL,),
    allowed_hosts: tuple[str, ...] = HOSTS,
    allowed_origins: tuple[str, ...] = (),
    allowed_paths: tuple[str, ...] = (),
    allowed_methods: tuple[str, ...] = (),
    routes_restrict_paths: bool = False,
) -> Policy:
    """Return a policy with the defaults of the settings."""
    return Policy(
        upstream_url=upstream_url,
        token_urls=token_urls,
        allowed_hosts=allowed_hosts,
        allowed_origins=allowed_origins,
        allowed_paths=allowed_paths,
        allowed_methods=allowed_methods,
        routes_restrict_paths=routes_restrict_paths,
    )


@pytest.mark.parametrize(
    "host",
    [
        b"localhost",
        b"localhost:8080",
        b"LocalHost:8080",
        b"localhost:",
        b"localhost:65535",
        b"127.0.0.1",
        b"127.0.0.1:1",
        b"[::1]",
        b"[::1]:8080",
    ],
)
def test_listed_host_passes_with_any_port_in_any_case(host: bytes) -> None:
    """A listed name passes whatever its port and case, the second time as well."""
    policy = make_policy()
    policy.check_host(host)
    policy.check_host(host)


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        (b"evil.example", HOST_NOT_ALLOWED),
        (b"localhost.evil.example", HOST_NOT_ALLOWED),
        (b"sub.localhost", HOST_NOT_ALLOWED),
        (b"localhost.", HOST_NOT_ALLOWED),
        (b"127.0.0.2", HOST_NOT_ALLOWED),
        (b"127.1", HOST_NOT_ALLOWED),
        (b"[::2]:8080", HOST_NOT_ALLOWED),
        (b"[0:0:0:0:0:0:0:1]", HOST_NOT_ALLOWED),
        (b"[::ffff:127.0.0.1]:8080", HOST_NOT_ALLOWED),
        (b"[::]", HOST_NOT_ALLOWED),
        (b"0.0.0.0:8080", HOST_NOT_ALLOWED),
        (b"0", HOST_NOT_ALLOWED),
        (b"2130706433", HOST_NOT_ALLOWED),
        (b"0x7f.1", HOST_NOT_ALLOWED),
        (b"localhost.:8080", HOST_NOT_ALLOWED),
        (b"localhost..", HOST_NOT_ALLOWED),
        (b"localhost:80a", BAD_REQUEST),
        (b"localhost:-1", BAD_REQUEST),
        (b"localhost:+80", BAD_REQUEST),
        (b"localhost:8080, evil.example", BAD_REQUEST),
        (b"localhost;evil.example", BAD_REQUEST),
        (b"localhost%2eevil.example", BAD_REQUEST),
        (b"user:pass@localhost:8080", BAD_REQUEST),
        (b"http://localhost", BAD_REQUEST),
        (b"[::1%25eth0]", BAD_REQUEST),
        (b"[localhost]", BAD_REQUEST),
        (b"[::1]:8080:1", BAD_REQUEST),
        (b"\xe2\x93\x9bocalhost", BAD_REQUEST),
        (b"/run/proxy.sock", BAD_REQUEST),
        (b"*", BAD_REQUEST),
        (b"", BAD_REQUEST),
        (b":8080", BAD_REQUEST),
        (b"::1", BAD_REQUEST),
        (b"user@localhost", BAD_REQUEST),
        (b"localhost@evil.example", BAD_REQUEST),
        (b"localhost:80:80", BAD_REQUEST),
        (b"localhost:eighty", BAD_REQUEST),
        (b"localhost:8080000", BAD_REQUEST),
        (b"localhost, localhost", BAD_REQUEST),
        (b"localhost/path", BAD_REQUEST),
        (b"localhost ", BAD_REQUEST),
        (b"localhost\n", BAD_REQUEST),
        (b"[::1", BAD_REQUEST),
        (b"[::1]x", BAD_REQUEST),
        (b"l\xc3\xb6calhost", BAD_REQUEST),
    ],
)
def test_other_host_is_refused(host: bytes, kind: ErrorKind) -> None:
    """Names are compared whole, and what is no authority is a bad request."""
    with pytest.raises(ProxyError) as caught:
        make_policy().check_host(host)
    assert caught.value.kind is kind


def test_spellings_of_hosts_are_not_hoarded() -> None:
    """A caller who uses a port of its own each time fills no memory (G6)."""
    policy = make_policy()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for port in range(20_000):
            policy.check_host(b"localhost:%d" % port)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 64 * 1024


def test_refused_host_names_the_setting() -> None:
    """The reply says which setting lets a host in (G2)."""
    with pytest.raises(ProxyError) as caught:
        make_policy().check_host(b"evil.example")
    assert "SIGNICAT_PROXY_ALLOWED_HOSTS" in caught.value.detail


def test_star_switches_the_host_check_off() -> None:
    """With `*` among the allowed hosts every name passes."""
    policy = make_policy(allowed_hosts=("localhost", "*"))
    policy.check_host(b"anything.example:1")
    policy.check_target_authority(b"anything.example")


@pytest.mark.parametrize("host", [b"", b"a b", b"a, b", b"a@b", b"a/b", b"[::1", b"a:b"])
def test_star_lets_no_malformed_host_in(host: bytes) -> None:
    """What is no name or address is a bad request whoever may call (RFC 9112 §3.2)."""
    with pytest.raises(ProxyError) as caught:
        make_policy(allowed_hosts=("*",)).check_host(host)
    assert caught.value.kind is BAD_REQUEST


def test_allowed_host_is_compared_in_lower_case_and_with_brackets() -> None:
    """A listed name may be written in capitals, a listed IPv6 address without brackets."""
    policy = make_policy(allowed_hosts=("Sidecar.Example", "FD00::1"))
    policy.check_host(b"sidecar.example:8080")
    policy.check_host(b"[fd00::1]:8080")


def test_very_many_spellings_of_a_host_all_pass() -> None:
    """What is remembered of spellings is bounded, and changes no decision."""
    policy = make_policy()
    for port in range(1, 1000):
        policy.check_host(b"localhost:%d" % port)
    with pytest.raises(ProxyError):
        policy.check_host(b"evil.example:1")


@pytest.mark.parametrize(
    ("upstream_url", "authority", "is_allowed"),
    [
        (UPSTREAM, b"api.signicat.com", True),
        (UPSTREAM, b"API.signicat.com", True),
        (UPSTREAM, b"api.signicat.com:443", True),
        (UPSTREAM, b"api.signicat.com:80", True),
        (UPSTREAM, b"api.signicat.com:8443", False),
        (UPSTREAM, b"localhost:8080", True),
        (UPSTREAM, b"[::1]:8080", True),
        (UPSTREAM, b"evil.example", False),
        (UPSTREAM, b"api.signicat.com.evil.example", False),
        (UPSTREAM, b"api.signicat.com@evil.example", False),
        (UPSTREAM, b"", False),
        ("https://api.signicat.com:443", b"api.signicat.com", True),
        ("http://mock.test:9000", b"mock.test:9000", True),
        ("http://mock.test:9000", b"mock.test", False),
        ("http://mock.test:9000", b"mock.test:80", False),
        ("http://mock.test", b"mock.test", True),
        ("http://[fd00::1]:9000/base", b"[fd00::1]:9000", True),
        ("http://[fd00::1]:9000/base", b"fd00::1:9000", False),
    ],
)
def test_target_authority_is_ours_or_the_upstreams(
    upstream_url: str, authority: bytes, *, is_allowed: bool
) -> None:
    """An absolute target may name us or the upstream, whose default port may be left out."""
    policy = make_policy(upstream_url=upstream_url)
    if is_allowed:
        policy.check_target_authority(authority)
        return
    with pytest.raises(ProxyError) as caught:
        policy.check_target_authority(authority)
    assert caught.value.kind is HOST_NOT_ALLOWED
    assert "SIGNICAT_PROXY_ALLOWED_HOSTS" in caught.value.detail


LISTED = b"https://app.example"


@pytest.mark.parametrize(
    ("origin", "fetch_site", "is_allowed"),
    [
        (None, None, True),
        (None, b"none", True),
        (None, b"same-origin", True),
        (None, b"same-site", False),
        (None, b"cross-site", False),
        (None, b"Cross-Site", False),
        (None, b"", False),
        (None, b"none, cross-site", False),
        (None, b"something-new", False),
        (None, b"NONE", False),
        (None, b"none ", False),
        (None, b"none, none", False),
        (None, b"same-origin, cross-site", False),
        (None, b'"none"', False),
        (None, b"none;x", False),
        (LISTED, None, True),
        (LISTED, b"cross-site", True),
        (LISTED, b"same-site", True),
        (b"https://app.example:8443", None, False),
        (b"http://app.example", None, False),
        (b"https://app.example.evil.example", None, False),
        (b"https://app.example, https://app.example", None, False),
        (b"https://evil.example", b"same-origin", False),
        (b"http://localhost:8080", b"same-origin", False),
        (b"null", None, False),
        (b"null", b"none", False),
        (b"", None, False),
        (b"HTTPS://APP.EXAMPLE", None, False),
        (b"https://app.example:443", None, False),
        (b"https://app.example/", None, False),
        (b"https://app.example.", None, False),
        (b"https://u@app.example", None, False),
        (b"https://app.example https://app.example", None, False),
        (b"https://evil.example, https://app.example", b"same-origin", False),
        (LISTED, b"none", True),
    ],
)
def test_web_pages_are_refused_unless_their_origin_is_listed(
    origin: bytes | None, fetch_site: bytes | None, *, is_allowed: bool
) -> None:
    """Only a listed origin opens the way for a page; without one, a foreign site is refused."""
    policy = make_policy(allowed_origins=(LISTED.decode(),))
    if is_allowed:
        policy.check_browser(origin, fetch_site)
        return
    with pytest.raises(ProxyError) as caught:
        policy.check_browser(origin, fetch_site)
    assert caught.value.kind is ORIGIN_NOT_ALLOWED
    assert "SIGNICAT_PROXY_ALLOWED_ORIGINS" in caught.value.detail


def test_null_origin_passes_only_where_listed() -> None:
    """`Origin: null` (files, sandboxed frames) is an origin like any other."""
    make_policy(allowed_origins=("null",)).check_browser(b"null", b"cross-site")


GET_AND_POST = Route(b"/sign", "sign", frozenset((b"GET", b"POST")))


@pytest.mark.parametrize(
    ("allowed_methods", "route", "method"),
    [
        ((), ANY_ROUTE, b"GET"),
        ((), ANY_ROUTE, b"DELETE"),
        ((), ANY_ROUTE, b"PURGE"),
        ((), GET_AND_POST, b"POST"),
        (("GET", "DELETE"), ANY_ROUTE, b"DELETE"),
        (("GET", "DELETE"), GET_AND_POST, b"GET"),
        (("PURGE",), ANY_ROUTE, b"PURGE"),
    ],
)
def test_method_passes_where_settings_and_route_allow_it(
    allowed_methods: tuple[str, ...], route: Route, method: bytes
) -> None:
    """Every method passes unless a list says otherwise, and then those on all lists."""
    make_policy(allowed_methods=allowed_methods).check_method(method, route)


@pytest.mark.parametrize(
    ("allowed_methods", "route", "method", "allow"),
    [
        ((), ANY_ROUTE, b"CONNECT", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ((), ANY_ROUTE, b"TRACE", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ((), ANY_ROUTE, b"trace", "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"),
        ((), GET_AND_POST, b"DELETE", "GET, POST"),
        (("GET", "DELETE"), ANY_ROUTE, b"POST", "DELETE, GET"),
        (("GET", "DELETE"), GET_AND_POST, b"POST", "GET"),
        (("GET",), ANY_ROUTE, b"get", "GET"),
        (("GET", "TRACE"), ANY_ROUTE, b"TRACE", "GET"),
        ((), Route(b"/", "default", frozenset((b"GET", b"TRACE"))), b"TRACE", "GET"),
        (("DELETE",), GET_AND_POST, b"GET", ""),
    ],
)
def test_method_refused_is_told_which_are_allowed(
    allowed_methods: tuple[str, ...], route: Route, method: bytes, allow: str
) -> None:
    """A refused method gets 405 with the allowed ones in `Allow`; CONNECT and TRACE never pass."""
    with pytest.raises(ProxyError) as caught:
        make_policy(allowed_methods=allowed_methods).check_method(method, route)
    assert caught.value.kind is METHOD_NOT_ALLOWED
    assert caught.value.headers == (("Allow", allow),)


PASSING = [
    b"/",
    b"/auth/rest/sessions/7f9a5a1e",
    b"/auth/.well-known/openid-configuration",
    b"/a/.hidden",
    b"/a..b",
    b"/a..",
    b"/..a",
    b"/...",
    b"/a/.../b",
    b"/a/..../b",
    b"//",
    b"///a//b//",
    b"/a%2Fb",
    b"/a%2fb",
    b"/a%5Cb",
    b"/a\\b",
    b"/a%252Fb",
    b"/a%20b",
    b"/a;v=1/b",
    b"/a;b",
    b"/a%3Bb",
    b"/a%3Fb",
    b"/a%2Eb",
    b"/v1.2/x",
    b"/a./b",
    b"/100%",
    b"/%zz",
    b"/%",
    b"/~user/$x/(1)/a,b/@me/a:b/!/*/'",
    b"/caf%C3%A9",
    b"/caf\xc3\xa9",
    b"/%E9",
    b"/\xe9",
    b"/auth/open/connect/tokens",
    b"/auth/open/connect/toke",
    b"/auth/open/connect",
    b"/auth/open/connect/token-exchange/x",
    b"/auth/openconnecttoken",
    b"/open/connect/token",
    b"/x/auth/open/connect/token",
    b"/auth/open/connect/authorize",
    b"/%E2%80%A6",
]

DOT_SEGMENTS = [
    b"/.",
    b"/..",
    b"/./",
    b"/../",
    b"/a/./b",
    b"/a/../b",
    b"/a/..",
    b"/a/.",
    b"//..//",
    b"/%2e",
    b"/%2E%2e/a",
    b"/.%2E/a",
    b"/a/%2e./b",
    b"/a/..;/b",
    b"/a/..;x=1/b",
    b"/a/.;/b",
    b"/a/%2e%2e%3bx/b",
    b"/a%2f..%2fb",
    b"/a%2F%2e%2E%2Fb",
    b"/a\\..\\b",
    b"/a/..\\b",
    b"/a%5c..%5cb",
    b"/a/..%5Cb",
    b"/a/%252e%252e/b",
    b"/a/%25252e%25252e/b",
    b"/a/..%20/b",
    b"/a/..%09",
    b"/a/..%3Fq",
    b"/a/..%23f",
    b"/a/%c0%ae%c0%ae/b",
    b"/a/%e0%80%ae./b",
    b"/a/%u002e%u002e/b",
    b"/a/%EF%BC%8E%EF%BC%8E/b",
    b"/a/\xef\xbc\x8e\xef\xbc\x8e/b",
    b"/a/%E2%80%A5/b",
    b"/a%c0%af..%c0%afb",
]

UNREADABLE = [
    b"/auth%00",
    b"/auth/%2500/x",
    b"/%c0%80",
    b"/%" + b"25" * 20 + b"41",
]

TOKEN_PATHS = [
    b"/auth/open/connect/token",
    b"/auth/open/connect/token/",
    b"/auth/open/connect/token//",
    b"/auth/open/connect/token/x",
    b"/auth/open/connect/token.",
    b"/auth/open/connect/token..",
    b"/auth/open/connect/token%20",
    b"/auth/open/connect/token%09",
    b"/auth/open/connect/token;x=1",
    b"/auth/open/connect/token;",
    b"/auth/open/connect/token%3Bx",
    b"/auth/open/connect/token%3Fx=1",
    b"/auth/open/connect/token%23x",
    b"/Auth/Open/Connect/Token",
    b"/AUTH/OPEN/CONNECT/TOKEN",
    b"//auth/open/connect/token",
    b"/auth//open///connect/token",
    b"/auth;a=b/open/connect/token",
    b"/auth./open/connect/token",
    b"/auth/open%20/connect/token",
    b"/%61uth/open/connect/token",
    b"/auth/open/connect/tok%65n",
    b"/auth/open/connect/tok%2565n",
    b"/auth/open/connect/%74%6F%6b%45%4e",
    b"/auth%2Fopen%2fconnect%2Ftoken",
    b"/auth%252Fopen/connect/token",
    b"\\auth\\open\\connect\\token",
    b"/auth\\open/connect/token",
    b"/auth%5Copen%5Cconnect%5Ctoken",
    b"/auth%c0%afopen/connect/token",
    b"/auth/open/connect/to%E2%84%AAen",
    b"/auth/open/connect/to\xe2\x84\xaaen",
    b"/auth/open/connect/%EF%BD%94oken",
    b"/auth/open/connect/tok%u0065n",
    b"/auth/open/connect/token%5c",
]


@pytest.mark.parametrize("path", PASSING)
def test_path_with_one_reading_passes(path: bytes) -> None:
    """A path passes byte for byte unless a rule of G4 names it."""
    make_policy().check_path(path)


@pytest.mark.parametrize("path", DOT_SEGMENTS + UNREADABLE)
def test_dot_segment_is_refused_however_spelled(path: bytes) -> None:
    """`.` and `..` as a segment, for any reader, are ambiguous; so is an encoded NUL."""
    with pytest.raises(ProxyError) as caught:
        make_policy().check_path(path)
    assert caught.value.kind is AMBIGUOUS_PATH


@pytest.mark.parametrize("path", TOKEN_PATHS)
def test_token_endpoint_is_refused_however_spelled(path: bytes) -> None:
    """No spelling of the token endpoint's path, nor anything below it, is forwarded."""
    with pytest.raises(ProxyError) as caught:
        make_policy().check_path(path)
    assert caught.value.kind is PATH_NOT_ALLOWED


@pytest.mark.parametrize(
    ("upstream_url", "token_url", "path", "is_allowed"),
    [
        # The caller's path is put behind the upstream's.
        (f"{GW}/signicat", f"{GW}/signicat/connect/token", b"/connect/token", False),
        (f"{GW}/signicat/", f"{GW}/signicat/connect/token", b"/Connect/tok%65n", False),
        (f"{GW}/a/b", f"{GW}/a/b/t", b"/t", False),
        (f"{GW}/a/b", f"{GW}/a/b/t", b"/x", True),
        (f"{GW}/a/b", f"{GW}/a/b/t", b"/b/t", True),
        # A gateway may take its own path off again.
        (f"{GW}/signicat", TOKEN_URL, b"/auth/open/connect/token", False),
        ("https://api.signicat.com/auth", TOKEN_URL, b"/open/connect/token", False),
        ("https://api.signicat.com/auth/open/connect", TOKEN_URL, b"/token/", False),
        ("https://api.signicat.com/auth/open/connect/token", TOKEN_URL, b"/anything", False),
        ("https://api.signicat.com/auth/open/connect/token/x", TOKEN_URL, b"/", False),
        # Another token endpoint does not open Signicat's own.
        (UPSTREAM, "https://idp.test/oauth2/token", b"/auth/open/connect/token", False),
        (UPSTREAM, "https://idp.test/oauth2/token", b"/oauth2/token", False),
        (UPSTREAM, "https://idp.test/OAuth2/v1.0/tok%65n", b"/oauth2/v1.0/token", False),
        (UPSTREAM, "https://idp.test/oauth2/token", b"/oauth2/keys", True),
        # Bytes that are no UTF-8 are as good as others.
        (UPSTREAM, "https://idp.test/a%a0/token", b"/a%A0/token", False),
        (UPSTREAM, "https://idp.test/a%a0/token", b"/a\xa0/token", False),
        (UPSTREAM, "https://idp.test/a%a0/token", b"/a%a1/token", True),
        # A token endpoint without a path is the root and nothing below.
        (UPSTREAM, "https://idp.test", b"/", False),
        (UPSTREAM, "https://idp.test/", b"//", False),
        (UPSTREAM, "https://idp.test/", b"/sign", True),
    ],
)  # fmt: skip
def test_token_endpoint_is_refused_alone_and_behind_the_upstreams_path(
    upstream_url: str, token_url: str, path: bytes, *, is_allowed: bool
) -> None:
    """What counts is where the forwarded path leads, with and without the upstream's own path."""
    policy = make_policy(upstream_url=upstream_url, token_urls=(token_url,))
    if is_allowed:
        policy.check_path(path)
        return
    with pytest.raises(ProxyError) as caught:
        policy.check_path(path)
    assert caught.value.kind is PATH_NOT_ALLOWED


def test_token_endpoints_of_all_clients_are_refused() -> None:
    """Each client may have a token endpoint of its own, and none of them is reachable."""
    policy = make_policy(token_urls=("https://a.test/one", "https://b.test/two"))
    for path in (b"/one", b"/two"):
        with pytest.raises(ProxyError):
            policy.check_path(path)
    policy.check_path(b"/three")


@pytest.mark.parametrize(
    "path",
    [b"/a%2Fb", b"/a%2fb", b"/a%5Cb", b"/a%5cb", b"/a\\b", b"/a%252fb", b"/a%c0%afb", b"/a%u002fb"],
)
@pytest.mark.parametrize("is_by_routes", [True, False])
def test_encoded_slash_is_refused_where_paths_are_restricted(
    path: bytes, *, is_by_routes: bool
) -> None:
    """Where a path decides something, every reader must see the same segments."""
    policy = (
        make_policy(routes_restrict_paths=True)
        if is_by_routes
        else make_policy(allowed_paths=("/a",))
    )
    with pytest.raises(ProxyError) as caught:
        policy.check_path(path)
    assert caught.value.kind is AMBIGUOUS_PATH
    make_policy().check_path(path)


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        (b"/sign", True),
        (b"/sign/documents", True),
        (b"/sign//documents", True),
        (b"/sign/a%20b", True),
        (b"/auth/rest/sessions", True),
        (b"/auth/rest", True),
        (b"/auth", False),
        (b"/signature", False),
        (b"/", False),
        (b"//sign", False),
        (b"/SIGN", False),
        (b"/%73ign", False),
        (b"/sign;x", False),
    ],
)
def test_allowed_paths_are_prefixes_on_segment_boundaries(path: bytes, *, is_allowed: bool) -> None:
    """With ALLOWED_PATHS, a path passes under one of them, as received."""
    policy = make_policy(allowed_paths=("/sign/", "/auth/rest", "/sign"))
    if is_allowed:
        policy.check_path(path)
        return
    with pytest.raises(ProxyError) as caught:
        policy.check_path(path)
    assert caught.value.kind is PATH_NOT_ALLOWED
    assert "SIGNICAT_PROXY_ALLOWED_PATHS" in caught.value.detail


def test_allowed_paths_with_the_root_allow_every_path() -> None:
    """`/` among ALLOWED_PATHS allows all, and the token endpoint still not."""
    policy = make_policy(allowed_paths=("/",))
    policy.check_path(b"/anything/there")
    with pytest.raises(ProxyError):
        policy.check_path(b"/auth/open/connect/token")


_ATOMS = st.sampled_from(
    [b"/", b".", b"..", b"%2e", b"%2F", b"%5c", b"\\", b";", b"%25", b"%252e", b"%c0%ae", b"%00",
     b"%u002e", b"%", b"2e", b"\xc0\xae", b"\xef\xbc\x8e", b"%e2%84%aa", b"a", b"Token", b" ",
     b"auth", b"open", b"connect", b"token"]
)  # fmt: skip
PATHS = st.lists(_ATOMS, max_size=16).map(lambda atoms: b"/" + b"".join(atoms)) | st.binary(
    max_size=40
).map(lambda tail: b"/" + tail)


@given(PATHS)
@example(b"/%2525252e")
def test_reading_of_a_reading_is_itself(path: bytes) -> None:
    """Nothing is left to undo in a lenient reading."""
    try:
        reading = lenient_reading(path)
    except UnreadablePathError:
        return
    assert lenient_reading(reading.encode("utf-8", "surrogateescape")) == reading


@pytest.mark.parametrize("row", ["\u0301\u0323", "\ufdfa", "\ufb03", "\uff0e", "\u00c5"], ids=ascii)
def test_long_rows_of_odd_signs_are_read_in_time(row: str) -> None:
    """Four times the length takes about four times as long, not sixteen times (G6)."""

    def seconds(length: int) -> float:
        path = b"/" + (row * length).encode()[:length]
        started = time.process_time()
        lenient_reading(path.decode("utf-8", "ignore").encode())
        return time.process_time() - started

    # In turns, so that whatever slows the processor down slows both.
    short, long = map(min, zip(*((seconds(8_000), seconds(32_000)) for _ in range(5)), strict=True))
    assert long < 9 * short


@given(PATHS)
def test_whatever_passes_has_no_dot_segment_and_is_not_the_token_endpoint(path: bytes) -> None:
    """The quick look lets nothing by that the full reading would refuse."""
    try:
        make_policy().check_path(path)
    except ProxyError:
        return
    reading = lenient_reading(path)
    assert not has_dot_segment(reading)
    assert lenient_segments(reading)[:4] != ("auth", "open", "connect", "token")


@given(PATHS)
def test_whatever_passes_under_a_restriction_has_the_same_segments_for_all(path: bytes) -> None:
    """Where paths are restricted, what passes has as many slashes when read leniently."""
    try:
        make_policy(routes_restrict_paths=True).check_path(path)
    except ProxyError:
        return
    assert lenient_reading(path).count("/") == path.count(b"/")


@given(st.text("abcdefghijklmnopqrstuvwxyz0123456789-_~", min_size=1, max_size=30))
def test_plain_paths_are_read_as_they_are(name: str) -> None:
    """A path of ordinary characters has one reading and passes."""
    path = f"/files/{name}"
    assert lenient_reading(path.encode()) == path
    assert lenient_segments(path) == ("files", name)
    assert ("files", name) not in TokenPaths([TOKEN_URL], UPSTREAM)
    make_policy().check_path(path.encode())
