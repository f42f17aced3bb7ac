"""`signicat-proxy check` on what callers are shown in TLS: days, names (I3)."""

import datetime as dt
import time
from pathlib import Path

import trustme

from proxy.check.certificate import certificate_results
from proxy.check.result import Result
from proxy.settings.loader import load
from tests.support.running_proxy import environment
from tests.support.tls_callers import ServerFiles, write_pair


def results(**settings: object) -> list[Result]:
    """Return the results for these settings."""
    environ = environment(upstream="http://127.0.0.1:9", token_url="http://127.0.0.1:9", **settings)
    found = load(environ=environ, directory=Path("/")).settings
    return list(certificate_results(found, time.time))


def test_without_tls_there_is_nothing_to_check() -> None:
    """The line says why."""
    (result,) = results()
    assert result.state == "skipped"
    assert "callers speak plain HTTP" in result.detail


def test_a_good_certificate_is_named(tmp_path: Path) -> None:
    """With its end and its names; and so is the authority of the callers."""
    files = ServerFiles(tmp_path, trustme.CA())
    cert, authority = results(**files.settings)
    assert (cert.state, cert.target) == ("ok", "TLS_CERT_FILE")
    assert cert.detail.startswith("valid until ")
    assert cert.detail.endswith(", for localhost, 127.0.0.1")
    assert (authority.state, authority.target) == ("ok", "TLS_CLIENT_CA_FILE")


def test_a_certificate_with_few_days_is_a_warning(tmp_path: Path) -> None:
    """The fix says that no restart is needed."""
    files = ServerFiles(tmp_path)
    files.rotate(not_after=dt.datetime.now(dt.UTC) + dt.timedelta(days=13))
    (result,) = results(**files.settings)
    assert result.state == "warning"
    assert "no restart is needed" in str(result.fix)


def test_names_that_no_caller_can_use_are_a_warning(tmp_path: Path) -> None:
    """Certificate and ALLOWED_HOSTS must have one in common; wildcards and IPv6 count."""
    files = ServerFiles(tmp_path)
    *_, warning = results(**files.settings, allowed_hosts="proxy.example.internal")
    assert (warning.state, warning.target) == ("warning", "ALLOWED_HOSTS")
    names = ("*.example.internal", "::1")
    write_pair(files.ca.issue_cert(*names), files.cert, files.key)
    for hosts, count in {
        "proxy.example.internal": 1,
        "a.b.example.internal": 2,
        "[::1]": 1,
        "[0:0:0:0:0:0:0:1]": 1,
        "PROXY.example.internal.": 1,
        "localhost": 2,
        "*": 1,
    }.items():
        assert len(results(**files.settings, allowed_hosts=hosts)) == count, hosts
