"""What settings open up is said, each risk by its setting."""

from pathlib import Path

import pytest
import trustme

from proxy.settings.loader import load
from proxy.settings.names import PREFIX
from proxy.settings.risks import Risk, risks_of
from tests.support.tls_callers import ServerFiles


def risks(folder: Path, **changes: str) -> list[Risk]:
    """Return the risks of the least settings with these changes."""
    environ = {"CLIENT_ID": "a", "CLIENT_SECRET": "s3cret-of-the-test", **changes}
    loaded = load(environ={PREFIX + name: v for name, v in environ.items()}, directory=folder)
    return list(risks_of(loaded.settings))


def test_the_defaults_take_no_risk(tmp_path: Path) -> None:
    """Loopback, exact hosts, TLS: nothing to warn of (G1)."""
    assert risks(tmp_path) == []


@pytest.mark.parametrize(
    ("setting", "value", "event", "hint"),
    [
        ("LISTEN", "0.0.0.0:8080", "listening_beyond_loopback", "acts as your organisation"),
        ("LISTEN", "*:8080", "listening_beyond_loopback", "acts as your organisation"),
        ("ADMIN_LISTEN", "[::]:8081", "listening_beyond_loopback", "sees state and metrics"),
        ("ALLOWED_HOSTS", "*", "host_check_off", "DNS rebinding"),
        ("ALLOWED_ORIGINS", "null", "null_origin_allowed", "sandboxed frame"),
        ("ALLOWED_ORIGINS", "http://a.test,null", "null_origin_allowed", "any web page"),
        ("UNSAFE_PLAIN_HTTP", "true", "plain_http_allowed", "readable"),
    ],
)
def test_a_risk_names_its_setting_and_what_it_means(
    tmp_path: Path, setting: str, value: str, event: str, hint: str
) -> None:
    """One risk for one setting; the admin port gives nobody the organisation's authority (G1)."""
    (risk,) = risks(tmp_path, **{setting: value})
    assert (risk.event, risk.setting) == (event, PREFIX + setting)
    assert hint in risk.hint


def test_callers_with_certificates_are_a_smaller_risk(tmp_path: Path) -> None:
    """The warning says who may act then; TLS alone proves nothing of a caller (G1, I3)."""
    files = ServerFiles(tmp_path, trustme.CA())
    names = {name.upper(): str(path) for name, path in files.settings.items()}
    (risk,) = risks(tmp_path, LISTEN="0.0.0.0:8443", **names)
    assert risk.hint.startswith("whoever has a certificate of an authority in SIGNICAT_PROXY_TLS_")
    del names["TLS_CLIENT_CA_FILE"]
    (risk,) = risks(tmp_path, LISTEN="0.0.0.0:8443", **names)
    assert risk.hint == "whoever reaches this address acts as your organisation"


def test_each_wide_address_is_a_risk(tmp_path: Path) -> None:
    """Of several addresses those beyond loopback are named, and no others."""
    found = risks(tmp_path, LISTEN="127.0.0.1:8080,unix:/run/proxy.sock,10.0.0.1:80,[::]:8080")
    assert [risk.address for risk in found] == ["10.0.0.1:80", "[::]:8080"]


@pytest.mark.parametrize(
    ("listen", "event", "hint"),
    [
        ("0.0.0.0:8080", "listening_beyond_loopback", "without TLS whoever reads the network"),
        ("unix:/run/proxy.sock,mode=0666", "socket_open_to_all", "only the callers of [callers]"),
    ],
)
def test_with_callers_a_wide_address_means_something_else(
    tmp_path: Path, listen: str, event: str, hint: str
) -> None:
    """Nobody else acts as the organisation there; over a network their keys can be read (I1)."""
    file = tmp_path / "callers.toml"
    file.write_text(f'[callers.shop]\nkey_sha256 = ["{"0" * 64}"]\n')
    (risk,) = risks(tmp_path, LISTEN=listen, CONFIG_FILE=str(file))
    assert (risk.event, hint in risk.hint) == (event, True)
    assert "acts as your organisation" not in risk.hint


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot read it (No such file or directory)"),
        ("", "cannot read it (empty)"),
        ("a\nb", "the secret in it must not be empty or hold control characters or line ends"),
    ],
)
def test_a_previous_secret_that_is_none_is_told(
    tmp_path: Path, content: str | None, reason: str
) -> None:
    """T7: a reserve that is missing is told, and keeps no proxy from starting."""
    path = tmp_path / "previous"
    if content is not None:
        path.write_text(content)
    (risk,) = risks(tmp_path, PREVIOUS_SECRET_FILE=str(path))
    assert (risk.event, risk.setting) == (
        "previous_secret_unusable",
        f"{PREFIX}PREVIOUS_SECRET_FILE",
    )
    assert risk.hint == f"{path}: {reason}; a start in the middle of a rotation gets no token"
    path.write_text("s3cret-of-before")
    assert risks(tmp_path, PREVIOUS_SECRET_FILE=str(path)) == []
