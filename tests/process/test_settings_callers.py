"""The tables of callers: what is refused, in which words, and what is told of them (I1, I2)."""

import hashlib
import os
import pwd
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import Loaded, load
from proxy.settings.report import settings_report, settings_table

KEY = "a-key-of-the-test-0123456789-ABCDEF"
OTHER = "another-key-of-the-test-0123456789-"
DIGEST = hashlib.sha256(KEY.encode()).hexdigest()
BASE = {"CLIENT_ID": "sandbox-a", "CLIENT_SECRET": "s3cret-of-the-test"}
FILES = {
    "good": KEY,
    "other": OTHER,
    "two": f"{KEY}\n{OTHER}\n",
    "windows": f"\ufeff{KEY}\r\n\r\n{OTHER}\r\n",
    "empty": "",
    "blank": "\n\n",
    "short": KEY[:31],
    "three": f"{KEY}\n{OTHER}\n{KEY[::-1]}",
    "twice": f"{KEY}\n{KEY}",
    "spaces": f"{KEY} {KEY}",
    "quoted": f'"{KEY}"',
    "umlaut": KEY + "ü",
}


def loaded(folder: Path, config: str, **changes: str) -> Loaded:
    """Load a file with callers; `{folder}` in it holds the key files."""
    for name, text in FILES.items():
        (folder / name).write_bytes(text.encode())
    (folder / "binary").write_bytes(b"\xff" * 40)
    (folder / "large").write_bytes(b"a" * 70_000)
    file = folder / "proxy.toml"
    file.write_text(config.replace("{folder}", str(folder)).replace("{digest}", DIGEST))
    environ = {f"SIGNICAT_PROXY_{name}": value for name, value in (BASE | changes).items()}
    return load(config_file=file, environ=environ, directory=folder)


def errors(folder: Path, config: str, **changes: str) -> list[str]:
    """Return the lines of a configuration that has errors; none tells a key."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(folder, config, **changes)
    lines = [str(error).replace(f"{folder}/", "") for error in caught.value.errors]
    assert all("\n" not in line for line in lines)
    assert not [line for line in lines if KEY[:20] in line or OTHER[:20] in line]
    return lines


MAKE_ONE = "make one by openssl rand -base64 32"
KEY_FILES = {
    "missing": "cannot be read (No such file or directory)",
    ".": "cannot be read (Is a directory)",
    "large": "cannot be read (over 64 KiB)",
    "binary": "is not UTF-8 text",
    "empty": "holds no key",
    "blank": "holds no key",
    "short": f"holds a key of 31 characters, and at least 32 are needed; {MAKE_ONE}",
    "three": "holds 3 keys; at most 2 are valid at once",
    "twice": "holds the same key twice",
    "spaces": f"holds in line 1 what no Bearer line can hold; {MAKE_ONE}",
    "quoted": f"holds in line 1 what no Bearer line can hold; {MAKE_ONE}",
    "umlaut": f"holds in line 1 what no Bearer line can hold; {MAKE_ONE}",
}


@pytest.mark.parametrize(("file", "reason"), KEY_FILES.items())
def test_a_key_file_that_cannot_be_used(tmp_path: Path, file: str, reason: str) -> None:
    """Each is one line that names the setting and the file, and quotes no key (C1, I2)."""
    found = errors(tmp_path, f'[callers.shop]\nkey_file = "{{folder}}/{file}"')
    shown = str(tmp_path) if file == "." else file
    assert found == [f"callers.shop.key_file: {shown} {reason}"]


@pytest.mark.parametrize("file", ["good", "two", "windows"])
def test_a_key_file_that_can_be_used(tmp_path: Path, file: str) -> None:
    """One key a line, two at most; empty lines and line ends of any kind count for nothing."""
    settings = loaded(tmp_path, f'[callers.shop]\nkey_file = "{{folder}}/{file}"').settings
    assert list(settings.caller_tables) == ["shop"]


SHOP = '[callers.shop]\nkey_file = "{folder}/good"\n'
UNIX = {"LISTEN": "127.0.0.1:8080,unix:/run/proxy.sock"}
ERRORS: dict[str, tuple[str, Mapping[str, str], str]] = {
    "no proof": (
        "[callers.shop]\nmax_in_flight = 4",
        {},
        (
            "callers.shop: nothing proves who it is; give key_file, key_sha256, certificate or "
            "unix_user"
        ),
    ),
    "two places for keys": (
        f'{SHOP}key_sha256 = "{"0" * 64}"',
        {},
        "callers.shop.key_file: give it or key_sha256, not both",
    ),
    "no digest": (
        f'[callers.shop]\nkey_sha256 = ["{KEY}"]',
        {},
        "callers.shop.key_sha256: must be a list of SHA-256 digests, 64 hexadecimal digits each",
    ),
    "three digests": (
        f"[callers.shop]\nkey_sha256 = {[digit * 64 for digit in '012']}",
        {},
        "callers.shop.key_sha256: has 3 entries; at most 2 are valid at once",
    ),
    "the same file for two": (
        f'{SHOP}[callers.web]\nkey_file = "{{folder}}/good"',
        {},
        "callers.web.key_file: a key in good is one of the caller 'shop' too",
    ),
    "the same key for two": (
        f'{SHOP}[callers.web]\nkey_file = "{{folder}}/two"',
        {},
        "callers.web.key_file: a key in two is one of the caller 'shop' too",
    ),
    "the digest of another's key": (
        f'{SHOP}[callers.web]\nkey_sha256 = ["{DIGEST.upper()}"]',
        {},
        f"callers.web.key_sha256: the key of {DIGEST[:8]}… is one of the caller 'shop' too",
    ),
    "an unknown client": (
        f'{SHOP}clients = ["sign"]',
        {},
        "callers.shop.clients: names the client 'sign', which there is not",
    ),
    "no client": (f"{SHOP}clients = []", {}, "callers.shop.clients: must name at least one"),
    "no request": (
        f"{SHOP}max_in_flight = 0",
        {},
        "callers.shop.max_in_flight: must be at least 1",
    ),
    "half a request": (
        f"{SHOP}max_in_flight = 1.5",
        {},
        "callers.shop.max_in_flight: must be a whole number",
    ),
    "a typing error": (f"{SHOP}keyfile = 1", {}, "callers.shop.keyfile: is no setting"),
    "a setting below": (
        f'{SHOP}log_level = "info"',
        {},
        (
            "callers.shop.log_level: stands below [callers.shop] and so is part of it; "
            "move it above the first table"
        ),
    ),
    "no table": ("callers = 1", {}, "callers: must be a table"),
    "a bad name": (
        f'[callers."a b"]\nkey_sha256 = "{DIGEST}"',
        {},
        "callers.a b: a name is up to 40 of a-z, 0-9, - and _",
    ),
    "the name of nobody": (
        f'[callers.none]\nkey_sha256 = "{DIGEST}"',
        {},
        "callers.none: this name is taken by requests without a caller",
    ),
    "no user": (
        '[callers.batch]\nunix_user = ["nobody-of-that-name"]',
        UNIX,
        "callers.batch.unix_user: there is no user 'nobody-of-that-name' on this machine",
    ),
    "a user who is many": (
        '[callers.batch]\nunix_user = ["65534"]',
        UNIX,
        (
            "callers.batch.unix_user: 65534 is no user of its own: the system names everybody so "
            "who has no number here, as those in other containers"
        ),
    ),
    "no Unix socket": (
        '[callers.batch]\nunix_user = ["1001"]',
        {},
        (
            "callers.batch.unix_user: SIGNICAT_PROXY_LISTEN has no Unix socket; add one, as "
            "unix:/run/proxy.sock"
        ),
    ),
    "the user of another": (
        '[callers.batch]\nunix_user = ["1001"]\n[callers.web]\nunix_user = [1000, 1001]',
        UNIX,
        "callers.web.unix_user: the user 1001 is one of the caller 'batch' too",
    ),
    "no certificates": (
        '[callers.billing]\ncertificate = ["billing.example.com"]',
        {},
        "callers.billing.certificate: needs SIGNICAT_PROXY_TLS_CLIENT_CA_FILE, which verifies it",
    ),
    "the secret of the proxy": (
        (
            '[callers.shop]\nkey_file = "{folder}/./good"\n'
            '[clients.sign]\nclient_secret_file = "{folder}/good"\n'
        ),
        {},
        (
            "callers.shop.key_file: is the file of clients.sign.client_secret_file; no caller may "
            "know that secret"
        ),
    ),
    "the secret that the proxy had before": (
        (
            '[callers.shop]\nkey_file = "{folder}/./good"\n'
            '[clients.sign]\nprevious_secret_file = "{folder}/good"\n'
        ),
        {},
        (
            "callers.shop.key_file: is the file of clients.sign.previous_secret_file; no caller "
            "may know that secret"
        ),
    ),
    "a path that is none": (
        (
            '[callers.shop]\nkey_file = "a\\u0000b"\n'
            '[clients.sign]\nclient_secret_file = "{folder}/good"\n'
        ),
        {},
        "callers.shop.key_file: a\0b cannot be read (no path of a file)",
    ),
    "a name for many": (
        '[callers.billing]\ncertificate = ["*.example.com"]',
        {},
        (
            "callers.billing.certificate: '*.example.com' is no name in a certificate; write a "
            "URI as spiffe://example.com/billing, or a DNS name without '*'"
        ),
    ),
}


@pytest.mark.parametrize(("config", "changes", "line"), ERRORS.values(), ids=ERRORS)
def test_an_error_is_one_line(
    tmp_path: Path, config: str, changes: Mapping[str, str], line: str
) -> None:
    """Each error is one line that names the key in the file."""
    assert errors(tmp_path, config, **changes) == [line]


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """Those of several callers, beside others (C1)."""
    config = (
        '[callers.a]\nkey_file = "{folder}/short"\nclients = ["x"]\n'
        '[callers.b]\nunix_user = ["1001"]\n'
        "[callers.c]\n"
    )
    found = errors(tmp_path, config, UPSTREAM_URL="http://api.example")
    assert [line.partition(":")[0] for line in found] == [
        "callers.a.clients",
        "callers.b.unix_user",
        "callers.c",
        "callers.a.key_file",
        "SIGNICAT_PROXY_UPSTREAM_URL",
    ]


def test_a_name_twice_is_one_line(tmp_path: Path) -> None:
    """TOML itself refuses it."""
    (line,) = errors(tmp_path, SHOP + SHOP)
    assert line.startswith("--config: proxy.toml is no TOML (Cannot declare ('callers', 'shop')")


def test_users_by_name_and_number(tmp_path: Path) -> None:
    """A name is looked up when the process starts; a number needs no entry anywhere."""
    me = pwd.getpwuid(os.getuid()).pw_name
    config = f'[callers.batch]\nunix_user = ["{me}", "4711", 4712]'
    settings = loaded(tmp_path, config, **UNIX).settings
    assert settings.caller_tables["batch"].unix_user == (os.getuid(), 4711, 4712)


def test_the_reports_tell_callers_and_no_key(tmp_path: Path) -> None:
    """`config` and the status page show what a caller may do, and neither key nor digest (G7)."""
    config = (
        '[callers.shop]\nkey_file = "{folder}/two"\nclients = ["default"]\nmax_in_flight = 40\n'
        f'[callers.web]\nkey_sha256 = ["{DIGEST[::-1]}"]\n'
        '[callers.batch]\nunix_user = ["4711"]\n'
    )
    result = loaded(tmp_path, config, **UNIX)
    report, table = settings_report(result), settings_table(result)
    assert report["callers"] == {
        "shop": {
            "key_file": f"{tmp_path}/two",
            "key_sha256": "(not set)",
            "certificate": "",
            "unix_user": "",
            "clients": "default",
            "max_in_flight": 40,
        },
        "web": {
            "key_file": None,
            "key_sha256": "(1 set)",
            "certificate": "",
            "unix_user": "",
            "clients": None,
            "max_in_flight": None,
        },
        "batch": {
            "key_file": None,
            "key_sha256": "(not set)",
            "certificate": "",
            "unix_user": "4711",
            "clients": None,
            "max_in_flight": None,
        },
    }
    lines = [" ".join(line.split()) for line in table.splitlines()[-4:]]
    assert lines[1:] == [
        f"caller shop key file: {tmp_path}/two, clients: default, at a time: 40",
        "caller web keys by digest: 1",
        "caller batch Unix user: 4711",
    ]
    for text in (str(report), table):
        assert not [part for part in (KEY, OTHER, DIGEST, DIGEST[::-1]) if part in text]
