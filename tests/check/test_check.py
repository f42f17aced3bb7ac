"""`signicat-proxy check` as people and scripts use it: lines, JSON, exit codes, ports."""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.check.report import Report
from proxy.check.result import CHECKS, Result
from proxy.mock import RunningMock, serve_mock
from proxy.mock.command import DEFAULT_CLIENT, DEFAULT_SECRET, new_mock
from proxy.settings.names import PREFIX
from proxy.telemetry.redaction import Redactor
from tests.support.callers import OTHER_SHOP_KEY, SHOP_KEY, key_file
from tests.support.checking import check, settings_for
from tests.support.messages import reply
from tests.support.peers import ByteServer
from tests.support.proxy_process import command, proxy_process
from tests.support.running_proxy import environment, running_proxy
from tests.support.source_tree import ROOT
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
async def mock(no_leaks: None) -> AsyncIterator[RunningMock]:
    """Provide a mock Signicat."""
    del no_leaks
    async with serve_mock(new_mock(), "127.0.0.1", 0) as running:
        yield running


def environment_of(mock: RunningMock, **overrides: object) -> dict[str, str]:
    """Return settings for the mock."""
    values = {"client_id": DEFAULT_CLIENT, "client_secret": DEFAULT_SECRET} | overrides
    return environment(
        upstream=mock.url,
        token_url=f"{mock.url}/auth/open/connect/token",
        **values,
    )


def states(output: str) -> dict[str, str]:
    """Return the state of each check; columns are separated by two spaces or more."""
    rows = [re.split(r" {2,}", line) for line in output.splitlines()]
    assert all(len(row) in {5, 6} for row in rows), output
    return {row[1]: row[0] for row in rows}


async def test_all_is_well_against_the_mock(mock: RunningMock, tmp_path: Path) -> None:
    """Every check has its line, nothing fails, and the exit code is 0."""
    code, out, err = await command("check", directory=tmp_path, environ=environment_of(mock))
    found = states(out)
    assert (code, tuple(found)) == (0, (*CHECKS,))
    assert set(found.values()) == {"ok", "skipped"}
    assert err == "10 ok, 4 skipped\n"
    assert DEFAULT_SECRET not in out


async def test_a_failure_is_exit_code_1(mock: RunningMock, tmp_path: Path) -> None:
    """One line says what failed and which setting fixes it; later ones why they were skipped."""
    environ = environment_of(mock, client_secret="wrong-secret")
    code, out, _ = await command("check", directory=tmp_path, environ=environ)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("failed")]
    assert re.search(r"invalid_client, x-trace-id [0-9a-f]{32}  fix: Check ", line)
    assert line.endswith(f"{PREFIX}CLIENT_ID and {PREFIX}CLIENT_SECRET.")
    assert re.search(r"^skipped +call +.* token failed$", out, re.MULTILINE)
    assert "wrong-secret" not in out


async def test_json_is_for_programs(mock: RunningMock, tmp_path: Path) -> None:
    """One list of results, each with the same six members, in order; `--no-call` is obeyed."""
    code, out, err = await command(
        "check", "--json", "--no-call", directory=tmp_path, environ=environment_of(mock)
    )
    results: list[dict[str, Any]] = json.loads(out)
    assert (code, err) == (0, "")
    assert list(dict.fromkeys(result["id"] for result in results)) == list(CHECKS)
    members = {"id", "state", "target", "detail", "fix", "milliseconds"}
    assert all(set(result) == members for result in results)
    (call,) = [result for result in results if result["id"] == "call"]
    assert (call["state"], call["detail"]) == ("skipped", "--no-call was given")


BAD = {
    "wrong environment": ({"environment": "production"}, "ENVIRONMENT", "is for sandbox"),
    "plain http": ({"upstream_url": "http://api.test"}, "UPSTREAM_URL", "http:// would send"),
    "missing secret file": (
        {"client_secret_file": "missing"},
        "CLIENT_SECRET_FILE",
        "No such file or directory",
    ),
    "empty secret file": ({"client_secret_file": "empty"}, "CLIENT_SECRET_FILE", "(empty)"),
    "unreadable secret file": (
        {"client_secret_file": "folder"},
        "CLIENT_SECRET_FILE",
        "cannot read",
    ),
    "no authority": ({"ca_file": "empty"}, "CA_FILE", "no certificates"),
}


@pytest.mark.parametrize(("settings", "name", "detail"), BAD.values(), ids=BAD)
async def test_settings_that_cannot_be_used(
    mock: RunningMock, tmp_path: Path, settings: dict[str, str], name: str, detail: str
) -> None:
    """Bad configuration is exit code 2; its errors are results too, all else is skipped."""
    (tmp_path / "empty").touch()
    (tmp_path / "folder").mkdir()
    environ = environment_of(mock, **settings)
    code, out, _ = await command("check", "--json", directory=tmp_path, environ=environ)
    first, *others = json.loads(out)
    assert (code, first["id"], first["state"], first["target"]) == (
        2,
        "settings",
        "failed",
        f"{PREFIX}{name}",
    )
    assert detail in first["detail"]
    assert name in first["fix"]
    assert [other["id"] for other in others] == list(CHECKS[1:])
    assert {(other["state"], other["detail"]) for other in others} == {
        ("skipped", "settings failed")
    }


async def test_each_error_of_the_settings_is_a_result(tmp_path: Path) -> None:
    """The place, what is wrong there, and the fix that names the place."""
    file = tmp_path / "p.toml"
    file.write_text('scop = "x"\nlisten = ["127.0.0.1:8081"]\n[clients.a]\nclient_id = "x"\n')
    code, out, _ = await command("check", "--json", "--config", str(file), directory=tmp_path)
    found = {
        result["target"]: (result["detail"], result["fix"])
        for result in json.loads(out)
        if result["state"] == "failed"
    }
    both = f"{PREFIX}LISTEN and {PREFIX}ADMIN_LISTEN"
    details = {
        "scop in p.toml": "is no setting; did you mean scope?",
        both: "127.0.0.1:8081 and localhost:8081 overlap",
        "clients.a.client_secret": "is required, or a file in clients.a.client_secret_file",
    }
    help_line = "`signicat-proxy config --help` lists the settings."
    assert code == 2
    assert found == {
        place: (detail, f"Correct {place}; {help_line}") for place, detail in details.items()
    }


async def test_a_file_of_clients(mock: RunningMock, tmp_path: Path) -> None:
    """`--config` is taken, and each client has its lines."""
    file = tmp_path / "p.toml"
    file.write_text(
        f'[clients.a]\nclient_id="{DEFAULT_CLIENT}"\n[clients.b]\nclient_id="dev-other-1"\n'
        '[[routes]]\npath="/auth/rest"\nclient="a"\n[[routes]]\npath="/sign"\nclient="b"\n'
    )
    code, out, _ = await command(
        "check", "--config", str(file), directory=tmp_path, environ=environment_of(mock)
    )
    assert code == 1
    assert re.search(r"^ok +token +client a  ", out, re.MULTILINE)
    assert re.search(r"^failed +token +client b .*clients\.b\.client_id", out, re.MULTILINE)
    assert re.search(r"^ok +call +client a, GET /auth/rest  ", out, re.MULTILINE)


async def test_lines_come_as_checks_end_and_a_signal_is_no_success(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Whoever waits sees what is done already; what was cut short ends with 1."""
    tokens.gate.clear()
    environ = environment(upstream=tokens.url, token_url=tokens.token_url)
    async with proxy_process(environ, "check", directory=tmp_path) as process:
        await eventually(
            lambda: "warning  secret" in process.output,
            "the lines before the token",
            START_SECONDS,
        )
        assert "token" not in states(process.output)
        process.send(signal.SIGTERM)
        assert await process.ended() == 1
    tokens.gate.set()


# --- ports ---


async def test_a_port_that_somebody_else_has(mock: RunningMock, tmp_path: Path) -> None:
    """The setting is named; another program on the admin port is not taken for the proxy."""
    async with (
        ByteServer(reply("200 OK", "Server: nginx")) as other,
        ByteServer(b"220 x\r\n\r\n") as mail,
    ):
        environ = environment_of(
            mock, listen=f"127.0.0.1:{other.port}", admin_listen=f"127.0.0.1:{mail.port}"
        )
        code, out, _ = await command("check", directory=tmp_path, environ=environ)
    assert code == 1
    lines = [line for line in out.splitlines() if line.startswith("failed")]
    assert len(lines) == 2
    assert all("Address already in use" in line for line in lines)
    assert f"{PREFIX}LISTEN." in lines[0]
    assert f"{PREFIX}ADMIN_LISTEN." in lines[1]


async def test_beside_a_running_proxy(mock: RunningMock, tmp_path: Path) -> None:
    """Run in the proxy's own container, its ports are in use as they should be."""
    environ = environment_of(mock, listen=f"unix:{tmp_path}/a.sock,127.0.0.1:0")
    async with proxy_process(environ, "run", directory=tmp_path) as process:
        event = await process.event("listening")
        environ |= {
            f"{PREFIX}LISTEN": ",".join(event["listen"]),
            f"{PREFIX}ADMIN_LISTEN": event["admin"],
        }
        code, out, _ = await command("check", directory=tmp_path, environ=environ)
        assert code == 0
        assert out.count("in use by a signicat-proxy that is running") == 3
        again, _, err = await command("run", directory=tmp_path, environ=environ)
        assert (again, "Address already in use" in err) == (1, True)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0


async def test_a_socket_in_use_is_not_taken_away(tokens: TokenServer, tmp_path: Path) -> None:
    """A second proxy on a Unix socket fails, as on a port; the first one keeps its callers."""
    path = tmp_path / "a.sock"
    settings: dict[str, object] = {"listen": f"unix:{path}", "token_url": tokens.token_url}
    async with ByteServer(reply("200 OK")) as upstream:
        environ = environment(upstream=upstream.url, **settings)  # type: ignore[arg-type]
        async with running_proxy(upstream=upstream.url, **settings):  # type: ignore[arg-type]
            code, _, err = await command("run", directory=tmp_path, environ=environ)
            line = f"signicat-proxy: {PREFIX}LISTEN: cannot listen on unix:{path}: "
            assert (code, err.splitlines()[-1]) == (1, line + "Address already in use")
            with socket.socket(socket.AF_UNIX) as caller:
                caller.connect(str(path))


ADDRESSES = {
    "free port": ("127.0.0.1:0", None),
    "IPv6": ("[::1]:0", None),
    "free path": ("unix:{}/new.sock", None),
    "leftover": ("unix:{}/leftover.sock", None),
    "no such name": ("no-such-host.invalid:1", "the name cannot be resolved"),
    "not of this machine": ("192.0.2.1:0", "Cannot assign requested address"),
    "no folder": ("unix:{}/missing/new.sock", "No such file or directory"),
    "a file": ("unix:{}/file", "Address already in use"),
}


@pytest.mark.parametrize(("text", "reason"), ADDRESSES.values(), ids=ADDRESSES)
async def test_addresses_to_listen_on(
    tokens: TokenServer, tmp_path: Path, text: str, reason: str | None
) -> None:
    """`check` says what the proxy would, and leaves nothing behind."""
    (tmp_path / "file").touch()
    with socket.socket(socket.AF_UNIX) as leftover:
        leftover.bind(str(tmp_path / "leftover.sock"))
    with os.scandir(tmp_path) as entries:
        before = {entry.name for entry in entries}
    settings = settings_for(
        upstream=tokens.url, token_url=tokens.token_url, listen=text.format(tmp_path)
    )
    result = (await check(settings, with_call=False)).of("port")[0]
    assert result.state == ("ok" if reason is None else "failed")
    detail, _, access = result.detail.partition(", ")
    assert detail == (reason or "free")
    assert access.startswith("for ") is (reason is None and text.startswith("unix:"))
    with os.scandir(tmp_path) as entries:
        assert {entry.name for entry in entries} == before


# --- the report ---

FAILED = Result("tls", "failed", "a\x1b[2J  b", "x\r\n\u202ey \t z", "do  it", 1.2345)
PLAIN = (
    r"failed   tls           a\x1b[2J b                      1234 ms  x\r\n\u202ey \t z  "
    "fix: do it"
)


def test_lines_have_columns_and_no_commands_for_terminals() -> None:
    """What peers say cannot move a cursor, turn text round, or look like another column."""
    stream = io.StringIO()
    report = Report(stream, Redactor(), as_json=False)
    report.add(FAILED)
    report.end()
    assert stream.getvalue() == PLAIN + "\n"
    assert (report.has_failed, report.summary()) == (True, "1 failed")


def test_the_report_is_redacted() -> None:
    """Should a secret get into a result, it is not shown (G7)."""
    redact = Redactor()
    redact.watch(lambda: {"s3cret-value"})
    for as_json in (False, True):
        stream = io.StringIO()
        report = Report(stream, redact, as_json=as_json)
        report.add(Result("call", "ok", "s3cret-value", "Bearer abcdefgh", "s3cret-value"))
        report.end()
        assert "s3cret" not in stream.getvalue()
        assert "abcdefgh" not in stream.getvalue()
        assert stream.getvalue().count("[redacted]") == 3


@pytest.mark.parametrize("no_color", [False, True])
def test_colour_is_for_terminals(*, no_color: bool) -> None:
    """On a terminal the state has a colour, unless NO_COLOR is set; the text is the same."""
    leader, follower = os.openpty()
    with os.fdopen(follower, "w", encoding="utf-8") as terminal:
        Report(terminal, Redactor(), as_json=False, no_color=no_color).add(FAILED)
        raw = b""
        while not raw.endswith(b"\r\n"):  # a terminal hands on what is there
            raw += os.read(leader, 4096)
    os.close(leader)
    shown = raw.decode().replace("\r\n", "\n")
    assert ("\x1b[31mfailed " in shown) is not no_color
    assert re.sub(r"\x1b\[\d+m", "", shown) == PLAIN + "\n"


def test_the_proxy_starts_without_check() -> None:
    """`run` imports nothing of `check`: a start must not wait for it."""
    code = (
        "import sys, proxy.commands.cli, proxy.server.process; "
        "print(*(m for m in sys.modules if m.startswith('proxy.check')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "\n"


async def test_callers_are_told_and_their_keys_are_not(mock: RunningMock, tmp_path: Path) -> None:
    """One line for each caller: how it proves who it is, and what it may do (I1, G7)."""
    config = tmp_path / "callers.toml"
    config.write_text(
        f'[callers.shop]\nkey_file = "{key_file(tmp_path, SHOP_KEY, OTHER_SHOP_KEY)}"\n'
        'clients = ["default"]\nmax_in_flight = 40\n'
        f'[callers.batch]\nunix_user = [1001]\nkey_sha256 = ["{"0" * 64}"]\n'
    )
    environ = environment_of(mock, listen=f"127.0.0.1:0,unix:{tmp_path}/proxy.sock")
    code, out, _ = await command(
        "check", "--config", str(config), directory=tmp_path, environ=environ
    )
    assert code == 0
    rows = [re.split(r" {2,}", line) for line in out.splitlines()]
    assert [(row[0], row[4]) for row in rows if row[2].startswith("caller ")] == [
        ("ok", "2 keys; clients: default; 40 requests at a time"),
        ("ok", "1 key, 1 Unix user; clients: all"),
    ]
    assert not [key for key in (SHOP_KEY, OTHER_SHOP_KEY) if key in out]


async def test_a_proxy_with_callers_is_known_on_its_port(mock: RunningMock, tmp_path: Path) -> None:
    """Its port is in use by itself, whatever it answers to a stranger."""
    config = tmp_path / "callers.toml"
    config.write_text(f'[callers.shop]\nkey_file = "{key_file(tmp_path, SHOP_KEY)}"\n')
    token_url = f"{mock.url}/auth/open/connect/token"
    async with running_proxy(
        upstream=mock.url, token_url=token_url, client_secret=DEFAULT_SECRET, config_file=config
    ) as proxy:
        environ = environment_of(mock, listen=f"127.0.0.1:{proxy.port}")
        _, out, _ = await command("check", directory=tmp_path, environ=environ)
        (line,) = [line for line in out.splitlines() if f"LISTEN 127.0.0.1:{proxy.port}" in line]
        assert "in use by a signicat-proxy that is running" in line
