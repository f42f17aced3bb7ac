"""One spelling of a host: what people write in several ways is the same."""

import pytest

from proxy.hosts import host_of, one_spelling

SPELLINGS = {
    "token.test": ("TOKEN.test", "token.test.", "token.test.."),
    "2001:db8::1": ("2001:DB8:0:0:0:0:0:1", "2001:db8::0001", "2001:0DB8::1"),
    "192.0.2.1": ("192.0.2.1", "192.0.2.1."),
    "xn--tken-gra.test": ("XN--TKEN-GRA.test.",),
    "": ("", "."),
}


@pytest.mark.parametrize("host", SPELLINGS)
def test_each_host_has_one_spelling(host: str) -> None:
    """That of certificates, and of TLS."""
    assert one_spelling(host) == host
    for each in SPELLINGS[host]:
        assert one_spelling(each) == host


def test_the_host_of_a_url() -> None:
    """Without brackets, port, and path."""
    assert host_of("https://[2001:DB8:0:0:0:0:0:1]:8443/token") == "2001:db8::1"
    assert host_of("https://Token.test.:8443/token") == "token.test"
    assert host_of("/token") == ""
