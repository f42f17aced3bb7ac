"""Settings: where they come from, and what is refused, in which words."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from proxy.settings.errors import ConfigurationError, SettingError
from proxy.settings.loader import Loaded, load
from proxy.settings.names import PREFIX
from proxy.settings.report import settings_report, settings_table

SECRET = "s3cret-of-the-test"
BASE = {"CLIENT_ID": "sandbox-a", "CLIENT_SECRET": SECRET}


def loaded(directory: Path, *, config: str | None = None, **changes: str) -> Loaded:
    """Load from an environment of the base and the changes, in a directory of the test."""
    file = None
    if config is not None:
        file = directory / "proxy.toml"
        file.write_text(config)
    environ = {PREFIX + name: value for name, value in (BASE | changes).items()}
    return load(config_file=file, environ=environ, directory=directory)


def errors(directory: Path, *, config: str | None = None, **changes: str) -> tuple[str, ...]:
    """Return the lines of a configuration that has errors; none of them tells the secret."""
    with pytest.raises(ConfigurationError) as caught:
        loaded(directory, config=config, **changes)
    assert SECRET not in str(caught.value)
    lines = tuple(map(str, caught.value.errors))
    assert all("\n" not in line for line in lines)
    return lines


NUMBER = "must be a number"
WHOLE = "must be a whole number"
READABLE = (
    "http:// would send credentials readable; use https://, "
    f"or set {PREFIX}UNSAFE_PLAIN_HTTP=true for a test"
)
MOVE_IT = "and so is part of it; move it above the first table"
URL = "must be a URL like https://host/path"
ITSELF = "is an address of this proxy itself"
REMEDY = "name the server that it stands before"
ERRORS: dict[str, tuple[Mapping[str, str], str]] = {
    "number": ({"READ_TIMEOUT_SECONDS": "abc"}, f"READ_TIMEOUT_SECONDS: {NUMBER}"),
    "nan": ({"DRAIN_SECONDS": "nan"}, "DRAIN_SECONDS: must be a finite number"),
    "zero": ({"READ_TIMEOUT_SECONDS": "0"}, "READ_TIMEOUT_SECONDS: must be more than 0"),
    "negative": ({"DRAIN_SECONDS": "-1"}, "DRAIN_SECONDS: must be at least 0"),
    "too large": ({"DRAIN_SECONDS": "1e9"}, "DRAIN_SECONDS: must be at most 86400"),
    "whole": ({"MAX_REPLAY_BYTES": "1.5"}, f"MAX_REPLAY_BYTES: {WHOLE}"),
    "boolean": ({"ADMIN_QUIT": "maybe"}, "ADMIN_QUIT: must be true or false"),
    "choice": ({"LOG_LEVEL": "loud"}, "LOG_LEVEL: must be debug, info, warning or error"),
    "choice of several": (
        {"CLIENT_AUTH": "none"},
        (
            "CLIENT_AUTH: must be client_secret_basic, client_secret_post, private_key_jwt or "
            "tls_client_auth"
        ),
    ),
    "no url": ({"UPSTREAM_URL": "api.signicat.com"}, f"UPSTREAM_URL: {URL}"),
    "url with query": (
        {"TOKEN_URL": "https://a/t?x=1"},
        "TOKEN_URL: must be a URL without credentials, query, fragment and blanks",
    ),
    "url with bad port": (
        {"TOKEN_URL": "https://a:99999/t"},
        "TOKEN_URL: has a port that is no number up to 65535",
    ),
    "plain http": (
        {"UPSTREAM_URL": "http://example.test"},
        f"UPSTREAM_URL: {READABLE}",
    ),
    "client id": ({"CLIENT_ID": "a b"}, "CLIENT_ID: must be visible ASCII without blanks"),
    "no client id": ({"CLIENT_ID": ""}, "CLIENT_ID: is required"),
    "no secret": (
        {"CLIENT_SECRET": ""},
        f"CLIENT_SECRET: is required, or a file in {PREFIX}CLIENT_SECRET_FILE",
    ),
    "secret with line end": (
        {"CLIENT_SECRET": f"{SECRET}\nx"},
        "CLIENT_SECRET: must not be empty or hold control characters or line ends",
    ),
    "secret not text": ({"CLIENT_SECRET": "a\udcff"}, "CLIENT_SECRET: must be UTF-8 text"),
    "list not text": ({"ALLOWED_HOSTS": "a\udcff"}, "ALLOWED_HOSTS: must be UTF-8 text"),
    "scope not text": ({"SCOPE": "a\udcff"}, "SCOPE: must be UTF-8 text"),
    "number not text": ({"MAX_REPLAY_BYTES": "1\udcff"}, "MAX_REPLAY_BYTES: must be UTF-8 text"),
    "two secrets": (
        {"CLIENT_SECRET_FILE": "/nonexistent"},
        f"CLIENT_SECRET: give it or {PREFIX}CLIENT_SECRET_FILE, not both",
    ),
    "no secret file": (
        {"CLIENT_SECRET": "", "CLIENT_SECRET_FILE": "/nonexistent"},
        "CLIENT_SECRET_FILE: cannot read /nonexistent (No such file or directory)",
    ),
    "listen": (
        {"LISTEN": "8080"},
        "LISTEN: write host:port, [IPv6]:port, *:port, unix:/path or systemd",
    ),
    "listen nowhere": ({"LISTEN": ","}, "LISTEN: must name at least one"),
    "listen anywhere": (
        {"LISTEN": ":8080"},
        "LISTEN: name the host to listen on, as in localhost:8080 (*:8080 for all)",
    ),
    "unix path": (
        {"ADMIN_LISTEN": "unix:a"},
        "ADMIN_LISTEN: a Unix socket needs an absolute path, as in unix:/run/proxy.sock",
    ),
    "listen twice": (
        {"LISTEN": "127.0.0.1:1,127.0.0.1:1"},
        "LISTEN: 127.0.0.1:1 stands twice",
    ),
    "admin on the same": (
        {"LISTEN": "127.0.0.1:8081"},
        f"LISTEN and {PREFIX}ADMIN_LISTEN: 127.0.0.1:8081 and localhost:8081 overlap",
    ),
    "host": (
        {"ALLOWED_HOSTS": "http://a"},
        "ALLOWED_HOSTS: 'http://a' is no host name; leave out scheme, port and path",
    ),
    "origin": (
        {"ALLOWED_ORIGINS": "shop.example"},
        "ALLOWED_ORIGINS: 'shop.example' is no origin; write scheme://host[:port]",
    ),
    "origin with a path": (
        {"ALLOWED_ORIGINS": "https://shop.example/"},
        "ALLOWED_ORIGINS: 'https://shop.example/' is no origin; write scheme://host[:port]",
    ),
    "upstream with dots": (
        {"UPSTREAM_URL": "https://api.signicat.com/auth/x/%2e%2e"},
        "UPSTREAM_URL: must be a URL without '.' and '..' as segments, and without backslashes",
    ),
    "path": (
        {"ALLOWED_PATHS": "/a/../b"},
        "ALLOWED_PATHS: '/a/../b' is no plain path; write /a/b without '%', '..' and '//'",
    ),
    "method": (
        {"ALLOWED_METHODS": "GET,CONNECT"},
        "ALLOWED_METHODS: 'CONNECT' is no method that is forwarded; write GET, POST …",
    ),
    "ca file": ({"CA_FILE": "/nonexistent"}, "CA_FILE: cannot be read (No such file or directory)"),
    "egress": (
        {"EGRESS_PROXY": f"socks5://u:{SECRET}@x:1"},
        "EGRESS_PROXY: must begin with http:// or https:// (no SOCKS)",
    ),
    "environment": (
        {"ENVIRONMENT": "production"},
        "ENVIRONMENT: is production, but the client id sandbox-a is for sandbox",
    ),
    "environment, in any case": (
        {"ENVIRONMENT": "sandbox", "CLIENT_ID": "Prod-a"},
        "ENVIRONMENT: is sandbox, but the client id Prod-a is for production",
    ),
    "environment of a developer": (
        {"ENVIRONMENT": "production", "CLIENT_ID": "dev-a"},
        "ENVIRONMENT: is production, but the client id dev-a is for sandbox",
    ),
    "unknown": (
        {"READ_TIMEOUT": "5"},
        f"READ_TIMEOUT: is no setting; did you mean {PREFIX}READ_TIMEOUT_SECONDS?",
    ),
    "unknown without likeness": ({"XYZZY": "5"}, "XYZZY: is no setting"),
}


@pytest.mark.parametrize(("changes", "line"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_is_one_line(tmp_path: Path, changes: Mapping[str, str], line: str) -> None:
    """Each error names its setting and says what to write instead."""
    assert errors(tmp_path, **changes) == (PREFIX + line,)


def test_a_ca_file_without_certificates(tmp_path: Path) -> None:
    """A bundle that is none is known before the first connection."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    assert errors(tmp_path, CA_FILE=str(file)) == (
        f"{PREFIX}CA_FILE: no certificates in PEM form in this file",
    )


def test_an_empty_secret_file(tmp_path: Path) -> None:
    """A file without a secret is an error at the start, not a refusal by Signicat later."""
    file = tmp_path / "secret"
    file.write_text("\n")
    assert errors(tmp_path, CLIENT_SECRET="", CLIENT_SECRET_FILE=str(file)) == (
        f"{PREFIX}CLIENT_SECRET_FILE: cannot read {file} (empty)",
    )


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """Nobody has to start the proxy four times to read four errors."""
    got = errors(tmp_path, LOG_LEVEL="x", LISTEN="x", CLIENT_ID="", XYZZY="1")
    assert [line.removeprefix(PREFIX).partition(":")[0] for line in got] == [
        "XYZZY",
        "LISTEN",
        "LOG_LEVEL",
        "CLIENT_ID",
    ]


WRONG_IN_MANY_WAYS = """
scop = "x"
drain_seconds = -1
[clients.a]
client_id = "prod-a"
token_url = "http://idp.test/t"
[clients."b c"]
client_secret_file = "/nonexistent"
[clients.d]
[[routes]]
path = "/x"
client = "a"
[[routes]]
path = "/x"
client = "e"
[[routes]]
path = "/X"
client = "d"
"""


def test_the_whole_list(tmp_path: Path) -> None:
    """Sources first, then single values, then what must fit together; each line word for word."""
    (tmp_path / ".env").write_text(f"{PREFIX}XYZZY=1\nOTHER=2\n")
    changes = {
        "READ_TIMEOUT": "5",
        "CLIENT_ID": "",
        "CLIENT_SECRET": "",
        "ENVIRONMENT": "sandbox",
        "LISTEN": "127.0.0.1:8081",
        "UPSTREAM_URL": "https://localhost:8081",
        "CA_FILE": "/nonexistent",
        "LOG_LEVEL": "loud",
    }
    own = f"{PREFIX}UPSTREAM_URL: localhost:8081 {ITSELF}"
    assert errors(tmp_path, config=WRONG_IN_MANY_WAYS, **changes) == (
        "scop in proxy.toml: is no setting; did you mean scope?",
        f"{PREFIX}XYZZY: is no setting",
        f"{PREFIX}READ_TIMEOUT: is no setting; did you mean {PREFIX}READ_TIMEOUT_SECONDS?",
        f"{PREFIX}DRAIN_SECONDS: must be at least 0",
        f"{PREFIX}LOG_LEVEL: must be debug, info, warning or error",
        "clients.b c: a name is up to 40 of a-z, 0-9, - and _",
        "routes: /x names the client 'e', which there is not",
        "routes: /x stands 2 times",
        "routes: /x and /X differ only in case or in dots at the end",
        "routes: no route uses the client 'b c'",
        f"clients.a.token_url: {READABLE}",
        f"{PREFIX}LISTEN and {PREFIX}ADMIN_LISTEN: 127.0.0.1:8081 and localhost:8081 overlap",
        f"{own} ({PREFIX}LISTEN); {REMEDY}",
        f"{own} ({PREFIX}ADMIN_LISTEN); {REMEDY}",
        f"{PREFIX}CA_FILE: cannot be read (No such file or directory)",
        f"{PREFIX}ENVIRONMENT: is sandbox, but the client id prod-a is for production",
        "clients.a.client_secret: is required, or a file in clients.a.client_secret_file",
        "clients.b c.client_id: is required",
        "clients.b c.client_secret_file: cannot read /nonexistent (No such file or directory)",
        "clients.d.client_id: is required",
        "clients.d.client_secret: is required, or a file in clients.d.client_secret_file",
    )


@pytest.mark.parametrize("name", ["CLIENTS", "CLIENT_TABLES", "ROUTES"])
def test_a_name_that_is_no_setting_hides_nothing(tmp_path: Path, name: str) -> None:
    """What begins like a table, or is called like a field of the model, is an unknown name only."""
    got = errors(tmp_path, config="[clients.a]\n[clients.b]", CLIENT_SECRET="", **{name: "x"})
    assert got[0].startswith(f"{PREFIX}{name}: is no setting")
    assert [line.partition(":")[0] for line in got[1:]] == [
        "routes",
        "clients.a.client_secret",
        "clients.b.client_secret",
    ]


def test_names_in_the_environment_have_capitals(tmp_path: Path) -> None:
    """What other programs would take for the setting is an error that names it as it stands."""
    environ = {PREFIX + name: value for name, value in BASE.items()}
    with pytest.raises(ConfigurationError) as caught:
        load(environ=environ | {"signicat_proxy_scope": "x"}, directory=tmp_path)
    assert caught.value.errors == (
        SettingError("signicat_proxy_scope", f"is no setting; did you mean {PREFIX}SCOPE?"),
    )


def test_a_dotenv_that_is_no_text(tmp_path: Path) -> None:
    """It is one line, and nothing of what it holds is told."""
    (tmp_path / ".env").write_bytes(b"\xff\xfe")
    assert errors(tmp_path) == (".env: cannot be read (UnicodeDecodeError)",)


OWN = {
    "localhost": ({"UPSTREAM_URL": "http://localhost:8080"}, "UPSTREAM_URL", "LISTEN"),
    "127.0.0.1": ({"UPSTREAM_URL": "http://127.0.0.1:8080/base"}, "UPSTREAM_URL", "LISTEN"),
    "[::1]": ({"UPSTREAM_URL": "http://[::1]:8080"}, "UPSTREAM_URL", "LISTEN"),
    "mapped": ({"UPSTREAM_URL": "https://[::ffff:127.0.0.1]:8080"}, "UPSTREAM_URL", "LISTEN"),
    "0.0.0.0": ({"UPSTREAM_URL": "https://0.0.0.0:8080"}, "UPSTREAM_URL", "LISTEN"),
    "token endpoint": ({"TOKEN_URL": "https://LOCALHOST.:8080/t"}, "TOKEN_URL", "LISTEN"),
    "admin port": ({"UPSTREAM_URL": "http://localhost:8081"}, "UPSTREAM_URL", "ADMIN_LISTEN"),
    "wide": (
        {"LISTEN": "0.0.0.0:80", "UPSTREAM_URL": "http://127.0.0.9"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "wide, IPv6": (
        {"LISTEN": "[::]:443", "UPSTREAM_URL": "https://localhost"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "wide, both families": (
        {"LISTEN": "*:443", "UPSTREAM_URL": "https://[::1]"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "second of two": (
        {"LISTEN": "127.0.0.1:1,localhost:2", "UPSTREAM_URL": "http://127.0.0.1:2"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "the same name": (
        {"LISTEN": "proxy.test:80", "UPSTREAM_URL": "https://Proxy.test:80"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "the same address": (
        {"LISTEN": "[fd00::5]:80", "UPSTREAM_URL": "https://[fd00:0::5]:80"},
        "UPSTREAM_URL",
        "LISTEN",
    ),
    "egress proxy": ({"EGRESS_PROXY": "http://localhost:8080"}, "EGRESS_PROXY", "LISTEN"),
}
NOT_OWN = {
    "another port": {"UPSTREAM_URL": "http://localhost:9090", "TOKEN_URL": "http://[::1]:9090/t"},
    "another loopback address": {"UPSTREAM_URL": "http://127.0.0.2:8080"},
    "another machine": {"LISTEN": "10.0.0.5:8080", "UPSTREAM_URL": "https://10.0.0.6:8080"},
    "another name": {"LISTEN": "a.test:443", "UPSTREAM_URL": "https://b.test"},
    "a name while listening wide": {"LISTEN": "0.0.0.0:443"},
    "a name while listening everywhere": {"LISTEN": "*:443"},
    "a port of the system's choice": {"LISTEN": "localhost:0", "UPSTREAM_URL": "http://localhost"},
    "a Unix socket": {
        "LISTEN": "unix:/run/a.sock",
        "ADMIN_LISTEN": "unix:/run/b.sock",
        "UPSTREAM_URL": "http://localhost:8080",
    },
    "behind an egress proxy": {
        "EGRESS_PROXY": "http://egress.test:3128",
        "UPSTREAM_URL": "http://localhost:8080",
    },
    "an egress proxy that is not used": {
        "EGRESS_PROXY": "http://localhost:8080",
        "NO_PROXY": "*",
    },
}


@pytest.mark.parametrize(("changes", "setting", "own"), OWN.values(), ids=OWN.keys())
def test_what_leads_back_to_the_proxy_is_an_error(
    tmp_path: Path, changes: Mapping[str, str], setting: str, own: str
) -> None:
    """G10: both settings are named, and nothing is started that would call itself for ever."""
    (line,) = errors(tmp_path, **changes)
    assert line.startswith(f"{PREFIX}{setting}: ")
    assert f"{ITSELF} ({PREFIX}{own})" in line


@pytest.mark.parametrize("changes", NOT_OWN.values(), ids=NOT_OWN.keys())
def test_what_leads_elsewhere_is_no_error(tmp_path: Path, changes: Mapping[str, str]) -> None:
    """G10: the mock and other servers of this machine may be before it."""
    loaded(tmp_path, **changes)


def test_what_is_an_error_already_is_not_compared(tmp_path: Path) -> None:
    """G10: where LISTEN cannot be read, nobody is told of the default in its place."""
    (line,) = errors(tmp_path, LISTEN="x", UPSTREAM_URL="http://localhost:8080")
    assert line.startswith(f"{PREFIX}LISTEN: ")


def test_an_own_ipv6_address_is_told_as_it_is_written(tmp_path: Path) -> None:
    """G10: in brackets, so that it can be told from its port."""
    (line,) = errors(tmp_path, UPSTREAM_URL="http://[::1]:8080")
    assert line.startswith(f"{PREFIX}UPSTREAM_URL: [::1]:8080 {ITSELF}")


def test_a_client_that_asks_the_proxy_for_its_token_is_named(tmp_path: Path) -> None:
    """G10: the setting is told as its owner wrote it."""
    config = '[clients.a]\ntoken_url = "http://localhost:8080/auth/open/connect/token"\n'
    (line,) = errors(tmp_path, config=config)
    assert line.startswith(f"clients.a.token_url: localhost:8080 {ITSELF}")


BAD_CLIENT_AND_ROUTES = """
[clients.a]
scop = "x"
[[routes]]
path = "/a"
client = "a"
[[routes]]
path = "/A"
client = "a"
"""


def test_routes_are_not_held_against_clients_that_cannot_be_read(tmp_path: Path) -> None:
    """A key that is wrong in a client's table does not make its routes wrong; the rest is said."""
    assert errors(tmp_path, config=BAD_CLIENT_AND_ROUTES) == (
        "clients.a.scop: is no setting",
        "routes: /a and /A differ only in case or in dots at the end",
    )


HEIRS = """
[clients.a]
[clients.b]
client_id = "sandbox-b"
[[routes]]
path = "/a"
client = "a"
[[routes]]
path = "/b"
client = "b"
"""
INHERITED: dict[str, tuple[Mapping[str, str], str]] = {
    "two secrets": (
        {"CLIENT_SECRET_FILE": "/nonexistent"},
        f"CLIENT_SECRET: give it or {PREFIX}CLIENT_SECRET_FILE, not both",
    ),
    "no secret file": (
        {"CLIENT_SECRET": "", "CLIENT_SECRET_FILE": "/nonexistent"},
        "CLIENT_SECRET_FILE: cannot read /nonexistent (No such file or directory)",
    ),
    "plain http": ({"TOKEN_URL": "http://idp.test/t"}, f"TOKEN_URL: {READABLE}"),
    "the proxy itself": (
        {"TOKEN_URL": "https://localhost:8080/t"},
        f"TOKEN_URL: localhost:8080 {ITSELF} ({PREFIX}LISTEN); {REMEDY}",
    ),
}


@pytest.mark.parametrize(("changes", "line"), INHERITED.values(), ids=INHERITED.keys())
def test_what_clients_inherit_is_named_where_it_stands(
    tmp_path: Path, changes: Mapping[str, str], line: str
) -> None:
    """An error that two clients inherit is one error, of the setting that both have it from."""
    assert errors(tmp_path, config=HEIRS, **changes) == (PREFIX + line,)


def test_a_client_is_named_as_its_owner_wrote_it(tmp_path: Path) -> None:
    """Its table where that says so, else what it comes from; with no tables, the variable."""
    settings = loaded(tmp_path, config=TWO_CLIENTS).settings
    auth, sign = settings.clients
    assert settings.name_of(auth, "client_secret") == f"{PREFIX}CLIENT_SECRET"
    assert settings.name_of(sign, "client_secret") == "clients.sign.client_secret"
    assert settings.name_of(auth, "scope") == f"{PREFIX}SCOPE"
    assert settings.name_of(sign, "scope") == "clients.sign.scope"
    settings = loaded(tmp_path).settings
    assert settings.name_of(settings.clients[0], "client_secret") == f"{PREFIX}CLIENT_SECRET"


PREVIOUS = """
previous_secret_file = "/flat"
[clients.as-it-is]
[clients.own-previous]
previous_secret_file = "/own"
[clients.own-secret]
client_secret = "x"
[clients.own-both]
client_secret_file = "{file}"
previous_secret_file = "/own"
"""


def test_a_previous_secret_goes_with_its_secret(tmp_path: Path) -> None:
    """T7: a client with a secret of its own has nothing to go on with from another one."""
    file = tmp_path / "secret"
    file.write_text(SECRET)
    routes = "".join(
        f'[[routes]]\npath = "/{name}"\nclient = "{name}"\n'
        for name in ("as-it-is", "own-previous", "own-secret", "own-both")
    )
    settings = loaded(tmp_path, config=PREVIOUS.format(file=file) + routes).settings
    assert {client.name: client.previous_secret_file for client in settings.clients} == {
        "as-it-is": Path("/flat"),
        "own-previous": Path("/own"),
        "own-secret": None,
        "own-both": Path("/own"),
    }


def test_a_previous_secret_is_another_one(tmp_path: Path) -> None:
    """T7: two settings with one file are a mistake; two files with one content are not."""
    (tmp_path / "new").write_text(SECRET)
    (tmp_path / "old").write_text(SECRET)
    files = {"CLIENT_SECRET": "", "CLIENT_SECRET_FILE": str(tmp_path / "new")}
    loaded(tmp_path, **files, PREVIOUS_SECRET_FILE=str(tmp_path / "old"))
    (line,) = errors(tmp_path, **files, PREVIOUS_SECRET_FILE=str(tmp_path / "new"))
    assert line == (
        f"{PREFIX}PREVIOUS_SECRET_FILE: is the file of {PREFIX}CLIENT_SECRET_FILE; give the "
        "secret before that one"
    )


@pytest.mark.parametrize("value", [f"\ufeff{SECRET}", f"{SECRET}\n", f"\ufeff{SECRET}\r\n\n"])
def test_a_secret_is_what_is_seen(tmp_path: Path, value: str) -> None:
    """T13: a byte order mark before it and line ends behind it are no part of it."""
    for settings in (
        loaded(tmp_path, CLIENT_SECRET=value).settings,
        loaded(tmp_path, config=f"client_secret = {json.dumps(value)}", CLIENT_SECRET="").settings,
    ):
        (client,) = settings.clients
        assert client.client_secret is not None
        assert client.client_secret.get_secret_value() == SECRET


def test_a_byte_order_mark_before_a_file_is_no_part_of_it(tmp_path: Path) -> None:
    """Editors on Windows write one; TOML file and `.env` are read all the same."""
    (tmp_path / ".env").write_text(f"{PREFIX}SCOPE=dotenv\n", "utf-8-sig")
    config = tmp_path / "proxy.toml"
    config.write_text("read_timeout_seconds = 7\r\n", "utf-8-sig")
    environ = {PREFIX + name: value for name, value in BASE.items()}
    settings = load(config_file=config, environ=environ, directory=tmp_path).settings
    assert (settings.scope, settings.read_timeout_seconds) == ("dotenv", 7.0)


def test_a_dollar_in_dotenv_is_a_dollar(tmp_path: Path) -> None:
    """Nothing is put in place of it: a secret is what stands there."""
    secret = "a$HOME-${SIGNICAT_PROXY_SCOPE}-$$b"
    (tmp_path / ".env").write_text(f"{PREFIX}CLIENT_SECRET={secret}\n")
    client = loaded(tmp_path, CLIENT_SECRET="").settings.clients[0]
    assert client.client_secret is not None
    assert client.client_secret.get_secret_value() == secret


def test_precedence_and_origins(tmp_path: Path) -> None:
    """Flag over environment over .env over TOML over default; each origin is known."""
    (tmp_path / ".env").write_text(
        f"OTHER=1\n{PREFIX}SCOPE=dotenv\n{PREFIX}LOG_LEVEL=debug\n{PREFIX}LOG_FORMAT=json\n"
    )
    file = tmp_path / "proxy.toml"
    file.write_text('scope = "toml"\nlog_level = "error"\nread_timeout_seconds = 7\n')
    environ = {PREFIX + name: value for name, value in BASE.items()}
    got = load(
        config_file=file,
        flags={"log_format": "console"},
        environ=environ | {f"{PREFIX}LOG_LEVEL": "warning", f"{PREFIX}ACCESS_LOG": ""},
        directory=tmp_path,
    )
    settings = got.settings
    assert (settings.scope, settings.log_level, settings.log_format) == (
        "dotenv",
        "warning",
        "console",
    )
    assert (settings.read_timeout_seconds, settings.access_log) == (7.0, "all")
    names = ("scope", "log_level", "log_format", "read_timeout_seconds", "access_log")
    assert [got.origins[name] for name in names] == [
        ".env",
        "environment",
        "flag",
        "proxy.toml",
        "default",
    ]


TWO_CLIENTS = """
client_auth = "client_secret_post"
[clients.auth]
client_id = "sandbox-b"
[clients.sign]
client_id = "sandbox-c"
client_secret = "0ther-secret"
scope = "x"
[[routes]]
path = "/auth/rest/"
client = "auth"
[[routes]]
path = "/sign"
client = "sign"
methods = ["GET", "POST"]
"""


def test_several_clients(tmp_path: Path) -> None:
    """The flat settings are the defaults of each client; routes say which paths are whose."""
    settings = loaded(tmp_path, config=TWO_CLIENTS).settings
    auth, sign = settings.clients
    assert (auth.name, auth.client_id, auth.scope) == ("auth", "sandbox-b", "signicat-api")
    assert auth.client_secret is not None
    assert auth.client_secret.get_secret_value() == SECRET
    assert (sign.scope, sign.client_auth) == ("x", "client_secret_post")
    assert [(r.path, r.client, r.methods) for r in settings.routes] == [
        ("/auth/rest", "auth", None),
        ("/sign", "sign", ("GET", "POST")),
    ]


CLIENT_ERRORS = {
    "unknown key": ("scop = 1", "scop in proxy.toml: is no setting; did you mean scope?"),
    "unknown table": (
        'client_id = "a"\n[client.a]',
        "client in proxy.toml: is no setting; did you mean clients?",
    ),
    "unknown list of tables": (
        'client_id = "a"\n[[route]]',
        "route in proxy.toml: is no setting; did you mean routes?",
    ),
    "unknown client key": ("[clients.a]\nclient = 1", "clients.a.client: is no setting"),
    "not a table": ("clients = 1", "clients: must be a table"),
    "a client that is no table": ("clients.a = 1", "clients.a: must be a table"),
    "setting below a client": (
        '[clients.a]\nlog_level = "debug"',
        f"clients.a.log_level: stands below [clients.a] {MOVE_IT}",
    ),
    "setting below the clients": (
        '[clients]\nlog_level = "debug"',
        f"clients.log_level: stands below [clients] {MOVE_IT}",
    ),
    "setting below a route": (
        '[clients.a]\n[[routes]]\npath = "/"\nclient = "a"\nclient_id = "x"',
        f"routes.0.client_id: stands below [[routes]] {MOVE_IT}",
    ),
    "field of the model below a client": (
        "[clients.a]\nservice_links = []",
        "clients.a.service_links: is no setting",
    ),
    "no list of routes": ("routes = 1", "routes: must be a list"),
    "a route that is no table": ("routes = [1]", "routes.0: must be a table"),
    "a route without client": ('[[routes]]\npath = "/"', "routes.0.client: is required"),
    "method of a route": (
        '[[routes]]\npath = "/"\nclient = "default"\nmethods = ["get"]',
        "routes.0.methods: 'get' is no method that is forwarded; write GET, POST …",
    ),
    "no route": (
        '[clients.a]\nclient_id = "x"\n[clients.b]\nclient_id = "y"',
        "routes: several clients need [[routes]] that say which paths are whose",
    ),
    "unknown client": (
        '[clients.a]\n[[routes]]\npath = "/"\nclient = "a"\n[[routes]]\npath = "/b"\nclient = "b"',
        "routes: /b names the client 'b', which there is not",
    ),
    "unused client": (
        '[clients.a]\n[clients.b]\n[[routes]]\npath = "/"\nclient = "a"',
        "routes: no route uses the client 'b'",
    ),
    "path twice": (
        "[clients.a]" + 2 * '\n[[routes]]\npath = "/x/"\nclient = "a"',
        "routes: /x stands 2 times",
    ),
    "paths alike": (
        "[clients.a]" + "".join(f'\n[[routes]]\npath = "/{p}"\nclient = "a"' for p in ("x", "X.")),
        "routes: /x and /X. differ only in case or in dots at the end",
    ),
    "path": (
        '[clients.a]\n[[routes]]\npath = "x"\nclient = "a"',
        "routes.0.path: 'x' is no plain path; write /a/b without '%', '..' and '//'",
    ),
    "client name": ('[clients."a b"]', "clients.a b: a name is up to 40 of a-z, 0-9, - and _"),
    "reserved name": (
        "[clients.none]",
        "clients.none: this name is taken by requests without a client",
    ),
    "client environment": (
        'environment = "sandbox"\n[clients.a]\nclient_id = "prod-x"',
        f"{PREFIX}ENVIRONMENT: is sandbox, but the client id prod-x is for production",
    ),
    "client file": (
        '[clients.a]\nclient_secret_file = "/nonexistent"',
        "clients.a.client_secret_file: cannot read /nonexistent (No such file or directory)",
    ),
    "client url": (
        '[clients.a]\ntoken_url = "http://x.test/"',
        f"clients.a.token_url: {READABLE}",
    ),
    "client secrets": (
        '[clients.a]\nclient_secret = "x"\nclient_secret_file = "/nonexistent"',
        "clients.a.client_secret: give it or clients.a.client_secret_file, not both",
    ),
    "list of numbers": (
        "allowed_hosts = [1]",
        f"{PREFIX}ALLOWED_HOSTS: must be a comma-separated list",
    ),
    "no number": ("read_timeout_seconds = []", f"{PREFIX}READ_TIMEOUT_SECONDS: {NUMBER}"),
    "no whole number": ("max_replay_bytes = []", f"{PREFIX}MAX_REPLAY_BYTES: {WHOLE}"),
    "a part of a byte": ("max_replay_bytes = 1.5", f"{PREFIX}MAX_REPLAY_BYTES: {WHOLE}"),
    "no boolean": ("admin_quit = []", f"{PREFIX}ADMIN_QUIT: must be true or false"),
    "no text": ("scope = 1", f"{PREFIX}SCOPE: must be text"),
    "no path": ("ca_file = 1", f"{PREFIX}CA_FILE: has the wrong type"),
}


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://Shop.Example", "https://shop.example"),
        ("HTTPS://shop.example:443", "https://shop.example"),
        ("http://shop.example:80", "http://shop.example"),
        ("http://shop.example:443", "http://shop.example:443"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("http://[FD00::1]:80", "http://[fd00::1]"),
        ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ("null", "null"),
    ],
)
def test_origins_are_kept_as_browsers_send_them(tmp_path: Path, written: str, sent: str) -> None:
    """An origin with capitals or its scheme's own port lets in what its owner means (G3)."""
    assert loaded(tmp_path, ALLOWED_ORIGINS=written).settings.allowed_origins == (sent,)


@pytest.mark.parametrize(
    ("name", "written", "read"),
    [
        ("LOG_LEVEL", "DEBUG", "debug"),
        ("LOG_LEVEL", "Warning", "warning"),
        ("LOG_FORMAT", "JSON", "json"),
        ("ACCESS_LOG", "Errors", "errors"),
        ("ENVIRONMENT", "Sandbox", "sandbox"),
        ("CLIENT_AUTH", "CLIENT_SECRET_POST", "client_secret_post"),
    ],
)
def test_words_of_a_closed_list_are_read_in_any_case(
    tmp_path: Path, name: str, written: str, read: str
) -> None:
    """From each source, and in force as the documentation writes them."""
    field = name.lower()
    for got, origin in (
        (loaded(tmp_path, **{name: written}), "environment"),
        (loaded(tmp_path, config=f'{field} = "{written}"'), "proxy.toml"),
    ):
        assert getattr(got.settings, field) == read
        assert settings_report(got)[field] == {"value": read, "origin": origin}


def test_a_client_names_its_method_in_any_case(tmp_path: Path) -> None:
    """The table of a client is read as the settings outside of it."""
    config = '[clients.a]\nclient_auth = "Client_Secret_Post"'
    assert loaded(tmp_path, config=config).settings.clients[0].client_auth == "client_secret_post"


@pytest.mark.parametrize(
    ("environment", "client_id"),
    [("sandbox", "sandbox-a"), ("sandbox", "dev-a"), ("production", "prod-a"),
     ("production", "a-sandbox-b"), ("sandbox", "other")],
)  # fmt: skip
def test_the_right_environment_passes(tmp_path: Path, environment: str, client_id: str) -> None:
    """Only a prefix that says the other one is an error."""
    got = loaded(tmp_path, ENVIRONMENT=environment, CLIENT_ID=client_id).settings
    assert (got.environment, got.client_id) == (environment, client_id)


@pytest.mark.parametrize(("config", "line"), CLIENT_ERRORS.values(), ids=CLIENT_ERRORS.keys())
def test_an_error_of_the_file_is_one_line(tmp_path: Path, config: str, line: str) -> None:
    """Errors of clients and routes say where in the file they are."""
    assert errors(tmp_path, config=config) == (line,)


@pytest.mark.parametrize("content", [b"a = [", b"\xff"])
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    """A broken file is one line."""
    file = tmp_path / "proxy.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load(config_file=file, environ={}, directory=tmp_path)
    error = caught.value.errors[0]
    assert error.setting == "--config"
    assert error.message.startswith(f"{file} is no TOML (")


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    """A file that cannot be read says why."""
    with pytest.raises(ConfigurationError) as caught:
        load(config_file=tmp_path / "x.toml", environ={}, directory=tmp_path)
    reason = f"{tmp_path / 'x.toml'} cannot be read (No such file or directory)"
    assert caught.value.errors[0] == SettingError("--config", reason)


def test_the_usual_proxy_variables(tmp_path: Path) -> None:
    """HTTPS_PROXY and NO_PROXY count where nothing else is set; then loopback is not proxied."""
    environ = {PREFIX + name: value for name, value in BASE.items()}
    usual = environ | {"HTTPS_PROXY": f"http://u:{SECRET}@proxy:3128", "no_proxy": "a.test"}
    got = load(environ=usual, directory=tmp_path)
    assert got.settings.no_proxy == ("a.test", "localhost", "127.0.0.0/8", "::1")
    assert got.origins["egress_proxy"] == "environment (HTTPS_PROXY)"
    own = usual | {f"{PREFIX}EGRESS_PROXY": "http://other:1"}
    assert load(environ=own, directory=tmp_path).settings.no_proxy == ("a.test",)
    shown = str(settings_report(got)) + settings_table(got) + repr(got.settings)
    assert SECRET not in shown
    assert "http://proxy:3128" in shown


def test_the_report_tells_no_secret(tmp_path: Path) -> None:
    """`config` shows that a secret is set, and nothing of it (G7)."""
    got = loaded(tmp_path, config=TWO_CLIENTS)
    report, table = settings_report(got), settings_table(got)
    for text in (str(report), table, repr(got), repr(got.settings.clients)):
        assert SECRET not in text
        assert "0ther-secret" not in text
    assert report["client_secret"] == {"value": "(set)", "origin": "environment"}
    assert "client sign" in table
    assert "GET,POST" in table


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    """As an image or a unit does, so that every command in it reads the same settings."""
    file = tmp_path / "proxy.toml"
    file.write_text('log_level = "debug"\nread_timeout_seconds = 7\n')
    got = loaded(tmp_path, CONFIG_FILE=str(file), READ_TIMEOUT_SECONDS="9")
    assert got.origins["log_level"] == "proxy.toml"
    assert (got.settings.log_level, got.settings.read_timeout_seconds) == ("debug", 9)
    named = loaded(tmp_path, config='log_level = "error"', CONFIG_FILE="/no/such/file")
    assert named.settings.log_level == "error"  # the flag is the one that counts
    assert loaded(tmp_path, CONFIG_FILE="").settings.log_level == "info"


def test_who_named_the_file_is_told(tmp_path: Path) -> None:
    """A file that cannot be read is an error of the variable that names it."""
    path = tmp_path / "gone.toml"
    told = f"{PREFIX}CONFIG_FILE: {path} cannot be read (No such file or directory)"
    assert errors(tmp_path, CONFIG_FILE=str(path)) == (told,)


def test_dotenv_cannot_name_the_file(tmp_path: Path) -> None:
    """It beats the TOML file, so it would be read too late to name it."""
    (tmp_path / ".env").write_text(f"{PREFIX}CONFIG_FILE=proxy.toml\n")
    (line,) = errors(tmp_path)
    assert line.startswith(f"{PREFIX}CONFIG_FILE: is read from the environment, not from .env")


def test_the_egress_proxy_from_a_file(tmp_path: Path) -> None:
    """One or the other; the file is checked as the value is, and never quoted (G7)."""
    file = tmp_path / "egress"
    file.write_text("http://me:s3cr3t-of-the-proxy@127.0.0.1:3128\n")
    url = f"{PREFIX}EGRESS_PROXY"
    environ = {PREFIX + name: value for name, value in BASE.items()}
    environ |= {f"{url}_FILE": str(file), "HTTPS_PROXY": "http://b:1"}
    settings = load(environ=environ, directory=tmp_path).settings
    assert settings.egress_url() == "http://me:s3cr3t-of-the-proxy@127.0.0.1:3128"
    assert settings.egress_proxy is None
    assert errors(tmp_path, EGRESS_PROXY_FILE=str(file), EGRESS_PROXY="http://a:1") == (
        f"{url}: give it or {url}_FILE, not both",
    )
    assert errors(tmp_path, EGRESS_PROXY_FILE="/nonexistent") == (
        f"{url}_FILE: cannot be read (No such file or directory)",
    )
    for content, reason in {
        " \n": "the file is empty",
        "ftp://me:s3cr3t-of-the-proxy@x:1": "the URL in this file must begin with http:// or "
        "https:// (no SOCKS)",
    }.items():
        file.write_text(content)
        assert errors(tmp_path, EGRESS_PROXY_FILE=str(file)) == (f"{url}_FILE: {reason}",)


def test_an_egress_proxy_from_a_file_that_is_the_proxy_itself(tmp_path: Path) -> None:
    """It would call itself, whatever names it (G10)."""
    file = tmp_path / "egress"
    file.write_text("http://localhost:8080")
    (line,) = errors(tmp_path, EGRESS_PROXY_FILE=str(file))
    assert line.startswith(f"{PREFIX}EGRESS_PROXY_FILE: localhost:8080 is an address of this proxy")
