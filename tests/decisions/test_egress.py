"""The egress proxy's URL, who goes past it, and what its responses mean."""

from base64 import b64encode

import pytest

from proxy.net.egress import (
    MAX_HEAD_BYTES,
    EgressProxy,
    cannot_become_a_response,
    connect_refusal,
    connect_request,
    is_bypassed,
    parse_egress_proxy,
    secrets_in,
)


def basic(credentials: bytes) -> bytes:
    """Return the value of a Basic header."""
    return b"Basic " + b64encode(credentials)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.test:3128", EgressProxy("proxy.test", 3128)),
        ("http://proxy.test:3128/", EgressProxy("proxy.test", 3128)),
        ("proxy.test:3128", EgressProxy("proxy.test", 3128)),
        ("http://proxy.test", EgressProxy("proxy.test", 80)),
        ("HTTPS://Proxy.Test", EgressProxy("proxy.test", 443, is_tls=True)),
        ("https://proxy.test:8443", EgressProxy("proxy.test", 8443, is_tls=True)),
        ("http://[fd00::1]:3128", EgressProxy("fd00::1", 3128)),
        ("http://u:p@proxy.test:1", EgressProxy("proxy.test", 1, authorization=basic(b"u:p"))),
        ("u:p@proxy.test:1", EgressProxy("proxy.test", 1, authorization=basic(b"u:p"))),
        ("http://u@proxy.test:1", EgressProxy("proxy.test", 1, authorization=basic(b"u:"))),
        (
            "http://u%40x:p%3A%2F%C3%A9@proxy.test:1",
            EgressProxy("proxy.test", 1, authorization=basic("u@x:p:/é".encode())),
        ),
    ],
)
def test_proxy_url_is_read(url: str, expected: EgressProxy) -> None:
    """Scheme, host, port and percent-encoded credentials are taken from the URL."""
    assert parse_egress_proxy(url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://proxy.test:3128", set()),
        ("proxy.test:3128", set()),
        ("http://u:p%2Bw@proxy.test:1", {"http://u:p%2Bw@proxy.test:1", "p%2Bw", "p+w"}),
        ("u:p%2Bw@proxy.test:1", {"u:p%2Bw@proxy.test:1", "p%2Bw", "p+w"}),
        ("http://u@proxy.test:1", {"http://u@proxy.test:1"}),
    ],
)
def test_only_a_url_with_credentials_is_a_secret(url: str, expected: set[str]) -> None:
    """G7: its password is looked for however it is spelled; an address alone may be shown."""
    assert set(secrets_in(url)) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "socks5://s3cret:s3cret@proxy.test:1080",
        "http://s3cret:s3/cret@proxy.test:1",
        "http://s3cret:s3?cret@proxy.test:1",
        "http://s3cret:s3#cret@proxy.test:1",
        "http://u:s3cret@proxy.test:port",
        "http://u:s3cret@proxy.test:70000",
        "http://u:s3cret@proxy.test:0",
        "http://u:s3cret@[proxy.test",
        "http://u%3As3cret:p@proxy.test:1",
        "http://u:s3cret%0d%0a@proxy.test:1",
        "http://u:s3cret@proxy.test:1\n",
        "http://u:s3 cret@proxy.test:1",
        "http://u:s3cret@próxy.test:1",
        "http://u:s3cret@proxy.test/path",
    ],
)
def test_bad_proxy_url_is_refused_without_quoting_it(url: str) -> None:
    """A proxy URL that cannot be used is refused, and the text holds nothing of it."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        parse_egress_proxy(url)
    assert "s3" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_credentials_are_not_shown() -> None:
    """Neither `repr` nor the URL for logs holds the credentials (G7)."""
    proxy = parse_egress_proxy("https://user:s3cret@[fd00::1]:8443")
    shown = repr(proxy) + proxy.url
    assert "user" not in shown
    assert "s3cret" not in shown
    assert b64encode(b"user:s3cret").decode() not in shown
    assert proxy.url == "https://[fd00::1]:8443"


def test_connect_request_names_the_host_and_carries_credentials() -> None:
    """CONNECT names host and port twice, IPv6 in brackets, with credentials where there are any."""
    assert connect_request(EgressProxy("p", 1), "api.test", 443) == (
        b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n"
    )
    assert connect_request(EgressProxy("p", 1, authorization=basic(b"u:p")), "fd00::1", 8443) == (
        b"CONNECT [fd00::1]:8443 HTTP/1.1\r\nHost: [fd00::1]:8443\r\n"
        b"Proxy-Authorization: Basic dTpw\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("head", "has_rest", "cause", "may_pass"),
    [
        (b"HTTP/1.1 200 Connection established", False, None, False),
        (b"HTTP/1.0 200 OK\r\nVia: x", False, None, False),
        (b"HTTP/1.1 204", False, None, False),
        (b"HTTP/1.1 200 ", False, None, False),
        (b"HTTP/1.1 200 OK", True, "bytes after", False),
        (b"HTTP/1.1 407 Proxy Authentication Required", True, "refused with 407", False),
        (b"HTTP/1.1 403 Forbidden", False, "refused with 403", False),
        (b"HTTP/1.1 101 Switching", False, "refused with 101", False),
        (b"HTTP/1.1 302 Found", False, "refused with 302", False),
        (b"HTTP/1.1 502 Bad Gateway", False, "refused with 502", True),
        (b"HTTP/1.1 503", False, "refused with 503", True),
        (b"HTTP/1.1 2000 OK", False, "not HTTP/1", False),
        (b"HTTP/1.1 20", False, "not HTTP/1", False),
        (b"HTTP/1.1  200 OK", False, "not HTTP/1", False),
        (b"HTTP/1.1 +20 OK", False, "not HTTP/1", False),
        (b"HTTP/1.1 200OK", False, "not HTTP/1", False),
        (b"HTTP/2 200", False, "not HTTP/1", False),
        (b"ICY 200 OK", False, "not HTTP/1", False),
        (b"", False, "not HTTP/1", False),
    ],
)
def test_response_to_connect_is_read_exactly(
    head: bytes, cause: str | None, *, has_rest: bool, may_pass: bool
) -> None:
    """Only a whole 2xx with nothing after its head is a tunnel."""
    refusal = connect_refusal(head, has_rest=has_rest)
    if cause is None:
        assert refusal is None
    else:
        assert refusal is not None
        assert cause in refusal.cause
        assert refusal.may_pass is may_pass


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", False),
        (b"H", False),
        (b"HTTP/1.1 200", False),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * (MAX_HEAD_BYTES - 17), False),
        (b"HTTP/1.1 200 OK\r\n" + b"x" * MAX_HEAD_BYTES, True),
        (b"SSH-2.0-OpenSSH", True),
        (b"\x15\x03\x01", True),
        (b"HTTP/2", True),
    ],
)
def test_answer_that_is_none_is_noticed_at_once(data: bytes, *, expected: bool) -> None:
    """Another protocol or an endless head is not waited for."""
    assert cannot_become_a_response(data) is expected


@pytest.mark.parametrize(
    ("host", "port", "no_proxy", "expected"),
    [
        ("api.signicat.com", 443, [], False),
        ("api.signicat.com", 443, [""], False),
        ("api.signicat.com", 443, ["*"], True),
        ("api.signicat.com", 443, ["*:80"], False),
        ("api.signicat.com", 443, ["api.signicat.com"], True),
        ("API.Signicat.com", 443, ["api.SIGNICAT.com"], True),
        ("api.signicat.com.", 443, ["api.signicat.com"], True),
        ("api.signicat.com", 443, ["api.signicat.com."], True),
        ("api.signicat.com", 443, ["signicat.com"], True),
        ("api.signicat.com", 443, [".signicat.com"], True),
        ("api.signicat.com", 443, ["*.signicat.com"], True),
        ("signicat.com", 443, [".signicat.com"], True),
        ("api.notsignicat.com", 443, ["signicat.com"], False),
        ("api.signicat.com", 443, ["pi.signicat.com"], False),
        ("signicat.com", 443, ["api.signicat.com"], False),
        ("api.signicat.com", 443, ["."], False),
        ("api.signicat.com", 443, ["other.test", " signicat.com "], True),
        ("api.signicat.com", 443, ["api.signicat.com:443"], True),
        ("api.signicat.com", 443, ["api.signicat.com:8443"], False),
        ("api.signicat.com", 443, [".com:443"], True),
        ("10.1.2.3", 443, ["10.1.2.3"], True),
        ("10.1.2.3", 443, ["10.1.2.3:443"], True),
        ("10.1.2.3", 443, ["10.1.2.3:80"], False),
        ("10.1.2.3", 443, ["10.0.0.0/8"], True),
        ("10.1.2.3", 443, ["10.1.2.4/8"], True),
        ("10.1.2.3", 443, ["10.0.0.0/8:443"], True),
        ("11.1.2.3", 443, ["10.0.0.0/8"], False),
        ("10.1.2.3", 443, ["2.3", ".3", "3"], False),
        ("10.1.2.3", 443, ["10.1.2.0/99", "10.*"], False),
        ("10.1.2.3", 443, ["fd00::/8"], False),
        ("host.test", 443, ["10.0.0.0/8"], False),
        ("fd00::1", 443, ["fd00::1"], True),
        ("[fd00::1]", 443, ["FD00:0:0::1"], True),
        ("fd00::1", 443, ["[fd00::1]"], True),
        ("fd00::1", 443, ["[fd00::1]:443"], True),
        ("fd00::1", 443, ["[fd00::1]:80"], False),
        ("fd00::1", 443, ["fd00::/8"], True),
        ("fe00::1", 443, ["fd00::/8"], False),
        ("::ffff:10.1.2.3", 443, ["10.0.0.0/8"], True),
        ("10.1.2.3", 443, ["::ffff:10.1.2.3"], True),
        ("127.0.0.1", 443, ["10.0.0.0/8"], False),
        ("localhost", 443, ["api.test"], False),
        ("localhost", 443, ["localhost"], True),
    ],
)
def test_no_proxy_forms(host: str, port: int, no_proxy: list[str], *, expected: bool) -> None:
    """NO_PROXY takes names with their subdomains, addresses, networks, ports and `*`."""
    assert is_bypassed(host, port, no_proxy) is expected
