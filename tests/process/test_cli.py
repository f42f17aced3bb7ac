"""The command as people and scripts use it: real processes, output and exit codes."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.admin.probe import admin_address, probe
from proxy.net.addresses import ListenAddress, is_loopback, parse_listen_address
from proxy.settings.names import PREFIX
from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.ports import refusing_port
from tests.support.proxy_process import UNMEASURED, command, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, environment, running_proxy
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer
from tests.support.waiting import PATIENCE_SECONDS, START_SECONDS, eventually, within

END = "Ctrl-C ends it."
PATIENTLY: Final[dict[str, Any]] = {"ready": True, "timeout_seconds": PATIENCE_SECONDS}

pytestmark = pytest.mark.usefixtures("no_leaks")


async def test_no_command_is_wrong_usage(tmp_path: Path) -> None:
    """Usage errors end with 2."""
    code, _, err = await command(directory=tmp_path)
    assert (code, "COMMAND" in err) == (2, True)


async def test_errors_are_lines_on_stderr(tmp_path: Path) -> None:
    """Bad configuration ends with 2 and one line for each error (C1)."""
    environ = {f"{PREFIX}LOG_LEVEL": "loud"}
    code, out, err = await command("run", directory=tmp_path, environ=environ)
    assert (code, out) == (2, "")
    secret = f"{PREFIX}CLIENT_SECRET: is required, or a file in {PREFIX}CLIENT_SECRET_FILE"
    assert err.splitlines() == [
        f"signicat-proxy: {PREFIX}LOG_LEVEL: must be debug, info, warning or error",
        f"signicat-proxy: {PREFIX}CLIENT_ID: is required",
        f"signicat-proxy: {secret}",
    ]


@pytest.mark.parametrize("name", ["run", "demo"])
async def test_pure_python_parsers_are_refused(
    tokens: TokenServer, tmp_path: Path, name: str
) -> None:
    """The fall-back of aiohttp reads requests less strictly: there is no start with it (G7)."""
    environ = {"AIOHTTP_NO_EXTENSIONS": "1"}
    if name == "run":
        environ |= environment(upstream="https://up.test", token_url=tokens.token_url)
    code, _, err = await command(name, directory=tmp_path, environ=environ)
    assert code == 1
    assert "AIOHTTP_NO_EXTENSIONS" in err
    assert "Traceback" not in err
    assert tokens.requests == []


async def test_config_shows_what_is_in_force(tmp_path: Path) -> None:
    """`config` names value and origin of every setting, as a table or as JSON, with flags too."""
    environ = environment(upstream="https://up.test", token_url="https://idp.test/t")
    code, out, _ = await command("config", "--scope", "x", directory=tmp_path, environ=environ)
    assert code == 0
    assert "SCOPE" in out
    assert " flag" in out
    code, out, _ = await command("config", "--json", directory=tmp_path, environ=environ)
    report = json.loads(out)
    assert (code, report["upstream_url"]) == (
        0,
        {"value": "https://up.test", "origin": "environment"},
    )
    assert report["client_secret"]["value"] == "(set)"


async def test_token_prints_the_token_alone(tokens: TokenServer, tmp_path: Path) -> None:
    """`token` is made for command substitution; `--json` says more."""
    environ = environment(upstream="https://up.test", token_url=tokens.token_url)
    got = await command("token", directory=tmp_path, environ=environ)
    assert got == (0, "token-1-of-the-test\n", "")
    code, out, _ = await command("token", "--json", directory=tmp_path, environ=environ)
    facts = json.loads(out)
    assert (code, facts["access_token"], facts["expires_in"], facts["claims"]) == (
        0,
        "token-2-of-the-test",
        600.0,
        None,
    )


async def test_token_shows_the_claims_of_a_jwt(tmp_path: Path) -> None:
    """Claims are shown where there are some; nothing relies on them (T8)."""
    jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2ln"
    body = json.dumps({"access_token": jwt, "token_type": "Bearer"}).encode()
    async with ByteServer(reply(body=body)) as server:
        environ = environment(upstream="https://up.test", token_url=server.url)
        _, out, _ = await command("token", "--json", directory=tmp_path, environ=environ)
    assert json.loads(out)["claims"] == {"sub": "a"}


async def test_token_says_why_there_is_none(tokens: TokenServer, tmp_path: Path) -> None:
    """A refused token is one line on stderr and exit code 1."""
    tokens.failure = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
    environ = environment(upstream="https://up.test", token_url=tokens.token_url)
    got = await command("token", directory=tmp_path, environ=environ)
    assert got == (1, "", "signicat-proxy: no token: invalid_client\n")


async def test_token_takes_the_previous_secret(tokens: TokenServer, tmp_path: Path) -> None:
    """T7: in the middle of a rotation it does as the proxy does, and says so."""
    tokens.refused_secret = b"s3cret-that-is-new"
    tokens.failure_of_refused = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
    environ = environment(
        upstream="https://up.test",
        token_url=tokens.token_url,
        client_secret="s3cret-that-is-new",
        client_auth="client_secret_post",
        previous_secret_file="previous",
    )
    (tmp_path / "previous").write_text(CLIENT_SECRET)
    got = await command("token", directory=tmp_path, environ=environ)
    said = "invalid_client; trying the secret in SIGNICAT_PROXY_PREVIOUS_SECRET_FILE"
    assert got == (0, "token-1-of-the-test\n", f"signicat-proxy: {said}\n")
    tokens.refused_secret = b"client_secret"
    got = await command("token", directory=tmp_path, environ=environ)
    assert got == (1, "", f"signicat-proxy: {said}\nsignicat-proxy: no token: invalid_client\n")


async def test_token_asks_which_client(tmp_path: Path) -> None:
    """Where there are several clients, one must be named."""
    file = tmp_path / "p.toml"
    file.write_text(
        '[clients.a]\nclient_id="x"\n[clients.b]\nclient_id="y"\n'
        '[[routes]]\npath="/a"\nclient="a"\n[[routes]]\npath="/b"\nclient="b"\n'
    )
    environ = {f"{PREFIX}CLIENT_SECRET": CLIENT_SECRET}
    got = await command("token", "--config", str(file), directory=tmp_path, environ=environ)
    assert got == (2, "", "signicat-proxy: name one of the clients with --client: a, b\n")


async def test_health_asks_the_admin_port(tokens: TokenServer, tmp_path: Path) -> None:
    """0 while live and ready, 1 where nobody answers, 2 for an address that is none."""
    async with (
        ByteServer(reply()) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url) as proxy,
    ):
        address = f"127.0.0.1:{proxy.admin_port}"
        environ = {f"{PREFIX}ADMIN_LISTEN": address}
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        got = await command("health", "--ready", directory=tmp_path, environ=environ)
        assert got == (0, f"{address}/readyz: 200\n", "")
    with refusing_port() as port:
        address = f"127.0.0.1:{port}"
        got = await command("health", "--admin-listen", address, directory=tmp_path)
    assert got == (1, f"{address}/livez: Connection refused\n", "")
    code, _, err = await command("health", "--admin-listen", "x", directory=tmp_path)
    assert (code, f"{PREFIX}ADMIN_LISTEN" in err) == (2, True)


async def test_health_waits_for_a_proxy_that_starts(tokens: TokenServer, tmp_path: Path) -> None:
    """It asks again whatever it meets: somebody who hangs up, nobody, a proxy without a token."""
    tokens.gate.clear()
    path = tmp_path / "admin.sock"
    waits = ("health", "--ready", "--wait", "--admin-listen", f"unix:{path}")
    async with asyncio.TaskGroup() as tasks, ByteServer(reply()) as upstream:
        with socket.socket(socket.AF_UNIX) as before:
            before.bind(str(path))
            before.listen()
            health = tasks.create_task(command(*waits, directory=tmp_path), name="peer")
            asked, _ = await asyncio.to_thread(before.accept)
        asked.close()  # from now on nobody listens there, until the proxy does
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, admin_listen=f"unix:{path}"
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await process.event("listening")
            address = parse_listen_address(f"unix:{path}")
            said = await asyncio.to_thread(probe, address, **PATIENTLY)
            why_not = "client default not_ready (no token yet)"
            assert said == (False, f"unix:{path}/readyz: 503 {why_not}")
            assert not health.done()
            tokens.gate.set()
            assert await health == (0, f"unix:{path}/readyz: 200\n", "")


async def until_the_last_is_in_time(*arguments: str, directory: Path) -> tuple[int, str, str]:
    """Ask until the last response comes in time: there are 0.2 s for it, however busy all are."""
    while "TimeoutError" in (got := await command(*arguments, directory=directory))[1]:
        pass
    return got


async def test_health_asks_for_as_long_as_it_was_told(tokens: TokenServer, tmp_path: Path) -> None:
    """Then it says in one line why the last response was not good, and fails."""
    tokens.failure = reply("400 Bad Request", body=b'{"error":"invalid_client"}')
    async with (
        ByteServer(reply()) as upstream,
        running_proxy(upstream=upstream.url, token_url=tokens.token_url) as proxy,
    ):
        address = f"127.0.0.1:{proxy.admin_port}"
        await proxy.metric_becomes(1, "token_requests_total", outcome="invalid_client")
        waits = ("health", "--admin-listen", address, "--ready", "--wait", "0.5")
        asking = until_the_last_is_in_time(*waits, directory=tmp_path)
        got = await within(asking, "a last response in time", START_SECONDS)
        why_not = "client default not_ready (invalid_client)"
        assert got == (1, f"{address}/readyz: 503 {why_not}; waited 0.5 s\n", "")
    with refusing_port() as port:
        address = f"127.0.0.1:{port}"
        got = await command("health", "--admin-listen", address, "--wait=0.3", directory=tmp_path)
    assert got == (1, f"{address}/livez: Connection refused; waited 0.3 s\n", "")


@pytest.mark.parametrize("seconds", ["-1", "soon", "nan", "inf", "86401", ""])
async def test_health_waits_for_no_odd_time(tmp_path: Path, seconds: str) -> None:
    """A time that is none is wrong usage, and nothing is asked."""
    code, out, err = await command("health", f"--wait={seconds}", directory=tmp_path)
    assert (code, out) == (2, "")
    assert "--wait: must be a number of seconds from 0 to 86400" in err


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b"null",
        b'{"draining": false, "clients": {"a": 1}}',
        b'{"draining": false, "clients": {"\\u001b[2J": {"state": "not_ready", "last_error": ""}}}',
        b"\xff" * 100_000,
    ],
)
async def test_health_repeats_nothing_odd(body: bytes) -> None:
    """Somebody else may listen where the admin port should be, and say anything."""
    async with ByteServer(reply("503 Service Unavailable", body=body)) as stranger:
        address = parse_listen_address(stranger.url.removeprefix("http://"))
        said = await asyncio.to_thread(probe, address, **PATIENTLY)
    assert said == (False, f"{address}/readyz: 503")


@pytest.mark.parametrize("name", ["health", "token"])
async def test_a_command_that_is_broken_off_has_failed(tmp_path: Path, name: str) -> None:
    """Ctrl-C ends it with 1: a script must not go on as if it had what it waits for."""
    async with ByteServer() as silent:
        flags = ("--wait", "--admin-listen", silent.url.removeprefix("http://"))
        environ = environment(upstream="https://up.test", token_url=silent.url)
        arguments = (name, *(flags if name == "health" else ()))
        async with proxy_process(environ, *arguments, directory=tmp_path) as process:
            await (await silent.accepted(START_SECONDS)).read_request()
            process.interrupt()
            assert await process.ended() == 1
    assert "Traceback" not in process.output


@pytest.mark.parametrize("content", [None, b"=", b"\xff"])
async def test_health_says_which_file_it_cannot_read(tmp_path: Path, content: bytes | None) -> None:
    """The TOML file is to blame, and what names it, not the address that may stand in it."""
    file = tmp_path / "p.toml"
    if content is not None:
        file.write_bytes(content)
    for flags, environ, name in (
        (("--config", str(file)), {}, "--config"),
        ((), {f"{PREFIX}CONFIG_FILE": str(file)}, f"{PREFIX}CONFIG_FILE"),
    ):
        got = await command("health", *flags, directory=tmp_path, environ=environ)
        assert got[:2] == (2, "")
        assert got[2].startswith(f"signicat-proxy: {name}: ")


def test_health_waits_for_no_large_module(tmp_path: Path) -> None:
    """It runs every few seconds: it reads one setting, and imports neither server nor model."""
    code = (
        "import sys; from proxy.commands.cli import main; "
        f"main(['health', '--admin-listen', 'unix:{tmp_path}/none']); "
        "print({'aiohttp', 'asyncio', 'prometheus_client', 'pydantic', 'structlog', 'tomllib'} "
        "& sys.modules.keys())"
    )
    # What measures coverage reads its settings with some of them.
    done = subprocess.run(
        [*UNMEASURED, sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1:] == ["set()"]


async def test_health_over_a_unix_socket(tokens: TokenServer, tmp_path: Path) -> None:
    """The admin port may be a Unix socket; a leftover of a killed process is no obstacle."""
    path = tmp_path / "admin.sock"
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(path))
    async with ByteServer(reply()) as upstream:
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, admin_listen=f"unix:{path}"
        )
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await process.event("token_request")
            address = parse_listen_address(f"unix:{path}")
            good = await asyncio.to_thread(probe, address, **PATIENTLY)
            assert good == (True, f"unix:{path}/readyz: 200")


def test_the_probe_finds_the_address_by_precedence(tmp_path: Path) -> None:
    """Flag, environment, .env, TOML, default, as for every setting."""
    config = tmp_path / "p.toml"
    config.write_text('admin_listen = "127.0.0.1:5"')
    name = f"{PREFIX}ADMIN_LISTEN"
    found = [str(admin_address(None, None, {}, tmp_path))]
    found.append(str(admin_address(None, config, {}, tmp_path)))
    (tmp_path / ".env").write_text(f"A=b\nexport {name}='127.0.0.1:4'\n")
    found.append(str(admin_address(None, config, {}, tmp_path)))
    found.append(str(admin_address(None, config, {name: "127.0.0.1:3"}, tmp_path)))
    named = {"SIGNICAT_PROXY_CONFIG_FILE": str(config)}
    assert admin_address(None, None, named, tmp_path / "no-dotenv").port == 5
    found.append(str(admin_address("127.0.0.1:2", config, {name: "127.0.0.1:3"}, tmp_path)))
    assert found == ["localhost:8081", *(f"127.0.0.1:{port}" for port in (5, 4, 3, 2))]


ADDRESSES = {
    "127.0.0.1:8080": (ListenAddress("127.0.0.1", 8080), True),
    "[::1]:0": (ListenAddress("::1", 0), True),
    "localhost:1": (ListenAddress("localhost", 1), True),
    "0.0.0.0:1": (ListenAddress("0.0.0.0", 1), False),
    "*:1": (ListenAddress("*", 1), False),
    "proxy.test:1": (ListenAddress("proxy.test", 1), False),
    "unix:/run/a.sock": (ListenAddress(None, None, "/run/a.sock"), True),
}


@pytest.mark.parametrize("text", ADDRESSES)
def test_addresses(text: str) -> None:
    """An address reads back as it was written, and is known to be local or not."""
    address, is_local = ADDRESSES[text]
    assert parse_listen_address(text) == address
    assert str(address) == text
    assert address.is_local is is_local
    assert is_loopback("127.9.9.9")


@pytest.mark.parametrize("host", ["a..b", f"{'x' * 64}.test", "."])
def test_a_host_to_listen_on_is_a_name(host: str) -> None:
    """What no lookup takes for a name is refused as it is read, by every command alike (C1)."""
    with pytest.raises(ValueError, match="empty or longer than 63"):
        parse_listen_address(f"{host}:80")


async def test_the_demo_shows_a_request_and_ends(tmp_path: Path) -> None:
    """`demo` needs no account, shows one request and three lines to try, and ends cleanly."""
    flags = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
    arguments = ("demo", *flags, "--mock-listen", "127.0.0.1:0")
    async with proxy_process({}, *arguments, directory=tmp_path) as process:
        await eventually(lambda: END in process.lines, "the lines to try", START_SECONDS)
        assert "HTTP/1.1 200 OK" in process.lines
        tries = [line for line in process.lines if line.startswith("  curl ")]
        assert len(tries) == 3
        port = int(tries[0].split("127.0.0.1:")[1].split("/")[0])
        caller = await Channel.connect("127.0.0.1", port)
        caller.close()
        process.interrupt()
        assert await process.ended() == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "*"])
async def test_the_demo_on_all_interfaces_prints_what_can_be_called(
    tmp_path: Path, host: str
) -> None:
    """As in a container: the addresses it prints are no wildcards, and its exchange succeeds."""
    arguments = [word for flag in DEMO_FLAGS for word in (flag, f"{host}:0")]
    async with proxy_process({}, "demo", *arguments, directory=tmp_path) as process:
        await eventually(lambda: END in process.lines, "the lines to try", START_SECONDS)
        assert "HTTP/1.1 200 OK" in process.lines
        said = [line for line in process.lines if not line.startswith("{")]  # no log
        assert not [line for line in said if f"//{host}" in line]
        process.interrupt()
        assert await process.ended() == 0


async def test_the_demo_is_signicat_to_who_takes_it_for_a_proxy(tmp_path: Path) -> None:
    """`http_proxy` leads there, as it would with the real upstream (F3)."""
    arguments = [word for flag in DEMO_FLAGS for word in (flag, "127.0.0.1:0")]
    async with proxy_process({}, "demo", *arguments, directory=tmp_path) as process:
        await eventually(lambda: END in process.lines, "the lines to try", START_SECONDS)
        shown = next(line for line in process.lines if line.startswith("The proxy listens on"))
        port = int(shown.split("127.0.0.1:")[1].split(",")[0])
        caller = await Channel.connect("127.0.0.1", port)
        start = "GET http://api.signicat.com/sign/signing-sessions"
        assert (await caller.ask(request(start, host="api.signicat.com"))).status == 200
        caller.close()
        process.interrupt()
        assert await process.ended() == 0


DEMO_FLAGS = ("--listen", "--admin-listen", "--mock-listen")


@pytest.mark.parametrize("flag", DEMO_FLAGS)
@pytest.mark.parametrize("text", ["nonsense", "a..b:80", "unix:/run/a.sock", ""])
async def test_the_demo_refuses_what_is_no_address(tmp_path: Path, flag: str, text: str) -> None:
    """A malformed address is one line that names the flag, and exit code 2, as with `run` (C1)."""
    code, out, err = await command("demo", flag, text, directory=tmp_path, environ={})
    assert (code, out) == (2, "")
    assert re.fullmatch(rf"signicat-proxy: {flag}: write host:port, as in [0-9a-z.:]+\n", err)


@pytest.mark.parametrize("flag", DEMO_FLAGS)
async def test_the_demo_says_which_address_is_taken(tmp_path: Path, flag: str) -> None:
    """An address in use that was asked for is one line, and exit code 1, as with `run` (C1)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        places = dict.fromkeys(DEMO_FLAGS, "127.0.0.1:0") | {flag: place}
        arguments = [word for pair in places.items() for word in pair]
        code, _, err = await command("demo", *arguments, directory=tmp_path, environ={})
    line = f"signicat-proxy: {flag}: cannot listen on {place}: Address already in use\n"
    assert (code, err) == (1, line)


async def test_the_demo_takes_free_ports(tmp_path: Path) -> None:
    """Default ports that are in use give way, with a notice."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 9090))
            taken.listen()
        except OSError:
            pytest.skip("port 9090 is in use by somebody else")
        flags = ("--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0")
        async with proxy_process({}, "demo", *flags, directory=tmp_path) as process:
            await eventually(lambda: END in process.lines, "the lines to try", START_SECONDS)
            assert "127.0.0.1:9090 is in use, a free port is taken instead" in process.lines
            process.interrupt()
            assert await process.ended() == 0
