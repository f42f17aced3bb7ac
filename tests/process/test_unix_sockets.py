"""Unix sockets: mode and group whatever the umask, for the application of another user (I6)."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import pytest

from proxy.admin.probe import admin_address
from proxy.net.addresses import parse_listen_address
from proxy.net.unix_socket import check_socket_path, listening_unix_socket
from proxy.settings.errors import ConfigurationError
from proxy.settings.loader import load
from proxy.settings.risks import risks_of
from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import UNMEASURED, command, proxy_process
from tests.support.running_proxy import environment, proxied
from tests.support.source_tree import read
from tests.support.token_server import TokenServer

PREFIX: Final = "SIGNICAT_PROXY_"
PROXY_USER, APPLICATION, STRANGER, CALLERS = 64_001, 64_002, 64_003, 64_004
"""Numbers of users, and of the group that may call."""


def as_user(uid: int, *groups: int) -> tuple[str, ...]:
    """Return what to put before a command that a user with these further groups runs.

    Nobody else can write where the coverage of this run is kept, and would say so at its end.
    """
    further = ("--groups", ",".join(map(str, groups))) if groups else ("--clear-groups",)
    return (*UNMEASURED, "setpriv", "--reuid", str(uid), "--regid", str(uid), *further)


def why_one_user() -> str:
    """Return why nobody else can be on this machine; empty where somebody can."""
    if os.geteuid() != 0:
        return "needs root, to become two users"
    missing = [name for name in ("setpriv", "curl") if shutil.which(name) is None]
    if missing:
        return f"needs {' and '.join(missing)}"
    try_it = (*as_user(PROXY_USER), sys.executable, "-c", "import proxy.net.addresses, uvloop")
    if subprocess.run(try_it, check=False, capture_output=True).returncode:
        return "needs an interpreter that other users can start"
    return ""


TWO_USERS: Final = pytest.mark.skipif(bool(why_one_user()), reason=why_one_user())


@pytest.fixture
def folder() -> Iterator[Path]:
    """Provide a folder as systemd makes one for a service: anybody may pass through it."""
    path = Path(tempfile.mkdtemp(prefix="sockets-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture(params=[0o077, 0o022, 0], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run the test with a umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


MODES: Final = [("", 0o660), (",mode=0600", 0o600), (",mode=770", 0o770), (",mode=0666", 0o666)]


@pytest.mark.parametrize(("option", "mode"), MODES)
def test_the_mode_is_that_of_the_setting(
    umask: int, tmp_path: Path, option: str, mode: int
) -> None:
    """Neither a narrow umask nor a wide one changes who may connect (I6)."""
    path = tmp_path / "a.sock"
    with listening_unix_socket(parse_listen_address(f"unix:{path}{option}"), 8):
        assert stat.S_IMODE(path.stat().st_mode) == mode
    assert os.umask(umask) == umask


def test_a_socket_that_cannot_get_its_group_is_not_left_behind(tmp_path: Path) -> None:
    """What fails after the path was made takes it away again."""
    path = tmp_path / "a.sock"
    address = parse_listen_address(f"unix:{path},group=no-such-group")
    with pytest.raises(OSError, match="Invalid argument"):
        listening_unix_socket(address, 8)
    assert not path.exists()


async def connects(path: Path, *before: str) -> str:
    """Ask a proxy on a Unix socket with curl; return the status, or curl's exit code."""
    asked = await asyncio.create_subprocess_exec(
        *(*before, "curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "--max-time", "10"),
        *("--unix-socket", path, "http://localhost/livez"),
        stdout=subprocess.PIPE,
    )
    output, _ = await asked.communicate()
    return output.decode() if asked.returncode == 0 else f"curl: {asked.returncode}"


REFUSED: Final = "curl: 7"
CALLER: Final = as_user(APPLICATION, CALLERS)
NO_CALLER: Final = as_user(STRANGER)


def of_the_page(folder: Path) -> str:
    """Return the entry that docs/configure.md shows, for this folder and this group."""
    (entry,) = re.findall(r"^\| `(unix:[^`]+)` \|", read("docs/configure.md"), re.MULTILINE)
    return (
        str(entry)
        .replace("/run/signicat-proxy", str(folder))
        .replace("group=signicat-callers", f"group={CALLERS}")
    )


@TWO_USERS
async def test_the_application_of_another_user_is_let_in(tokens: TokenServer, folder: Path) -> None:
    """As in docs/configure.md: a group for the callers, whatever the umask; no others (I6)."""
    os.chown(folder, PROXY_USER, PROXY_USER)
    callers, operators = folder / "proxy.sock", folder / "admin.sock"
    async with ByteServer(reply(body=b"x")) as upstream:
        environ = environment(
            upstream=upstream.url,
            token_url=tokens.token_url,
            listen=of_the_page(folder),
            admin_listen=f"unix:{operators},group={CALLERS}",
        )
        umask = ("sh", "-c", 'umask 0077; exec "$@"', "sh")
        prefix = (*umask, *as_user(PROXY_USER, CALLERS))
        async with proxy_process(environ, "run", directory=folder, prefix=prefix) as process:
            await process.event("listening")
            for path in (callers, operators):
                status = path.stat()
                assert stat.S_IMODE(status.st_mode) == 0o660
                assert (status.st_uid, status.st_gid) == (PROXY_USER, CALLERS)
                assert await connects(path, *CALLER) == "200"
                assert await connects(path, *NO_CALLER) == REFUSED
            health = (sys.executable, "-m", "proxy", "health", "--admin-listen")
            asked = (*health, f"unix:{operators},group={CALLERS}")
            assert (await output_of(*CALLER, *asked))[0] == 0
            assert (await output_of(*NO_CALLER, *asked))[0] == 1
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
    with os.scandir(folder) as entries:
        assert not list(entries)


async def output_of(*arguments: str, **environ: str) -> tuple[int, str]:
    """Run a command; return its exit code and all that it wrote."""
    asked = await asyncio.create_subprocess_exec(
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environ},
    )
    output, _ = await asked.communicate()
    return asked.returncode or 0, output.decode()


TRY_FOR_EVER: Final = """
import socket, sys
print("trying", flush=True)
while True:
    with socket.socket(socket.AF_UNIX) as caller:
        try:
            caller.connect(sys.argv[1])
        except OSError:
            continue
    print("connected", flush=True)
"""


@TWO_USERS
def test_there_is_no_moment_in_which_others_may_connect(folder: Path, umask: int) -> None:
    """Somebody who tries without pause never gets in, though the socket is opened 500 times."""
    del umask
    path = folder / "a.sock"
    address = parse_listen_address(f"unix:{path},mode=0660,group={CALLERS}")
    trying = (*as_user(STRANGER), sys.executable, "-c", TRY_FOR_EVER, str(path))
    with subprocess.Popen(trying, stdout=subprocess.PIPE, text=True) as stranger:
        assert stranger.stdout
        try:
            assert stranger.stdout.readline() == "trying\n"
            for _ in range(500):
                listening_unix_socket(address, 8).close()
                path.unlink()
        finally:
            stranger.kill()
        assert stranger.stdout.read() == ""


WRONG: Final = {
    "no mode": ("unix:/run/a,mode=rw", "mode is octal"),
    "no digit of a mode": ("unix:/run/a,mode=0888", "mode is octal"),
    "more than a mode": ("unix:/run/a,mode=1777", "mode is octal"),
    "not for the proxy itself": ("unix:/run/a,mode=0060", "mode is octal"),
    "an empty mode": ("unix:/run/a,mode=", "mode is octal"),
    "a mode twice": ("unix:/run/a,mode=0660,mode=0600", "each once at most"),
    "something unknown": ("unix:/run/a,owner=root", "each once at most"),
    "an empty group": ("unix:/run/a,group=", "group needs a name or a number"),
    "a mode of a port": ("127.0.0.1:1,mode=0660", "belong behind a Unix socket"),
    "a relative path": ("unix:a,mode=0660", "absolute path"),
    "a mode in capitals": ("unix:/run/a,MODE=0600", "each once at most"),
    "a zero byte": ("unix:/run/a\0b", "absolute path"),
    "a long path": (f"unix:/{'a' * 107}", "at most 107 bytes"),
    "no such group": ("unix:/run/a,group=no-such-group", "there is no group no-such-group"),
    "no number of a group": ("unix:/run/a,group=4294967295", "there is no group 4294967295"),
}


@pytest.mark.parametrize("setting", ["LISTEN", "ADMIN_LISTEN"])
@pytest.mark.parametrize(("value", "error"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_socket_is_one_line(tmp_path: Path, setting: str, value: str, error: str) -> None:
    """It names the setting, before anything is opened (C1, I6)."""
    environ = environment(upstream="https://up.test", token_url="https://idp.test/t")
    with pytest.raises(ConfigurationError) as raised:
        load(environ=environ | {PREFIX + setting: value}, directory=tmp_path)
    (line,) = map(str, raised.value.errors)
    assert line.startswith(f"{PREFIX}{setting}: ")
    assert error in line


@TWO_USERS
async def test_a_group_that_one_may_not_give_is_an_error(folder: Path) -> None:
    """A user gives files only to its own groups: exit code 2, and what to do (C1, I6)."""
    environ = environment(
        upstream="https://up.test",
        token_url="https://idp.test/t",
        listen=f"unix:{folder}/a.sock,group={CALLERS}",
    )
    run = (sys.executable, "-m", "proxy", "run")
    code, output = await output_of(*as_user(PROXY_USER), *run, **environ)
    error = f"this user may not give a socket to the group {CALLERS}; add the user to it"
    assert (code, output) == (2, f"signicat-proxy: {PREFIX}LISTEN: {error}\n")


LISTS: Final = {
    "unix:/run/a,mode=0660,group=root,127.0.0.1:1": [
        "unix:/run/a,mode=0660,group=root",
        "127.0.0.1:1",
    ],
    "127.0.0.1:1, unix:/run/a, mode=600, unix:/run/b , group=0": [
        "127.0.0.1:1",
        "unix:/run/a,mode=0600",
        "unix:/run/b,group=0",
    ],
}


@pytest.mark.parametrize(("text", "entries"), LISTS.items())
def test_options_belong_to_the_socket_before_them(
    tmp_path: Path, text: str, entries: Sequence[str]
) -> None:
    """A comma ends an entry unless an option follows it; entries read back as they are."""
    environ = environment(upstream="https://up.test", token_url="https://idp.test/t", listen=text)
    settings = load(environ=environ, directory=tmp_path).settings
    assert list(map(str, settings.listen)) == entries
    assert [parse_listen_address(entry) for entry in entries] == list(settings.listen)


def test_blanks_around_an_entry_of_the_admin_port(tmp_path: Path) -> None:
    """They are no part of it, as in LISTEN, for the proxy and for `health` alike."""
    text = " unix:/run/a , mode=0600 "
    environ = environment(
        upstream="https://up.test", token_url="https://idp.test/t", admin_listen=text
    )
    settings = load(environ=environ, directory=tmp_path).settings
    assert str(settings.admin_listen) == "unix:/run/a,mode=0600"
    assert admin_address(None, None, environ, tmp_path) == settings.admin_listen


@pytest.mark.parametrize(
    ("mode", "is_risk"), [("0600", False), ("0770", False), ("0662", True), ("0777", True)]
)
def test_a_socket_for_everybody_is_a_risk(tmp_path: Path, *, mode: str, is_risk: bool) -> None:
    """Wider than 0770 every user of the machine acts as the organisation (G1, I6)."""
    environ = environment(
        upstream="https://up.test",
        token_url="https://idp.test/t",
        listen=f"unix:/run/a,mode={mode}",
        admin_listen=f"unix:/run/b,mode={mode}",
    )
    risks = list(risks_of(load(environ=environ, directory=tmp_path).settings))
    named = [(risk.event, risk.setting.removeprefix(PREFIX)) for risk in risks]
    both = [("socket_open_to_all", "LISTEN"), ("socket_open_to_all", "ADMIN_LISTEN")]
    assert named == (both if is_risk else [])


async def test_the_socket_of_the_admin_port_goes_with_the_proxy(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """As that of the traffic port does, at the end of the drain."""
    path = tmp_path / "admin.sock"
    async with proxied(tokens, reply(), admin_listen=f"unix:{path}") as (proxy, _):
        operator = proxy.keep(await Channel.connect_unix(str(path)))
        assert (await operator.ask(request("GET /livez"))).status == 200
        proxy.stop()
    assert not path.exists()


def test_a_leftover_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    """A file, or a link to nowhere, is somebody's; `check` says so before it is tried (C1)."""
    file, link = tmp_path / "file.sock", tmp_path / "link.sock"
    file.write_text("mine")
    link.symlink_to(tmp_path / "nowhere")
    for path in (file, link):
        with pytest.raises(OSError, match="Address already in use"):
            check_socket_path(str(path))
        with pytest.raises(OSError, match="Address already in use"):
            listening_unix_socket(parse_listen_address(f"unix:{path}"), 8)
    assert file.read_text() == "mine"
    assert link.is_symlink()


@pytest.mark.timeout(20)
def test_a_socket_that_nobody_accepts_on_is_not_waited_for(tmp_path: Path) -> None:
    """Its queue is full, as of a process that was stopped: it is in use, said at once (C1)."""
    path = tmp_path / "a.sock"
    with contextlib.ExitStack() as stack:
        stack.enter_context(listening_unix_socket(parse_listen_address(f"unix:{path}"), 0))
        with contextlib.suppress(BlockingIOError):
            while True:
                caller = stack.enter_context(socket.socket(socket.AF_UNIX))
                caller.settimeout(0)
                caller.connect(str(path))
        with pytest.raises(OSError, match="Address already in use"):
            check_socket_path(str(path))


async def test_the_socket_of_a_successor_stays(tokens: TokenServer, tmp_path: Path) -> None:
    """Who took the path over keeps it when the proxy before it ends (C2)."""
    path = tmp_path / "a.sock"
    async with proxied(tokens, reply(), admin_listen=f"unix:{path}") as (proxy, _):
        path.unlink()
        successor = listening_unix_socket(parse_listen_address(f"unix:{path}"), 8)
        proxy.stop()
    with successor:
        assert path.is_socket()


ACCESS: Final = {
    "let in": (0o755, f",group={CALLERS}", "ok", "and the group 64004"),
    "a shut folder": (0o700, f",group={CALLERS}", "warning", "keeps the group out"),
    "shut, and nobody meant": (0o700, "", "ok", "keeps the group out"),
    "a shut folder for all": (0o700, ",mode=0666", "warning", "keeps the others out"),
    "all": (0o755, ",mode=0666", "ok", "for every user of this machine"),
    "the user alone": (0o700, ",mode=0600", "ok", "alone"),
}


@TWO_USERS
@pytest.mark.parametrize(("mode", "options", "state", "detail"), ACCESS.values(), ids=ACCESS.keys())
async def test_check_says_who_may_connect(
    folder: Path, mode: int, options: str, state: str, detail: str
) -> None:
    """It names the folder that keeps out whom the setting lets in, and the remedy (I6)."""
    inner = folder / "inner"
    inner.mkdir(mode=0o755)
    inner.chmod(mode)
    environ = environment(
        upstream="http://127.0.0.1:9",
        token_url="http://127.0.0.1:9/token",
        listen=f"unix:{inner}/a.sock{options}",
    )
    _, out, _ = await command("check", "--no-call", directory=folder, environ=environ)
    (line,) = [line for line in out.splitlines() if "port" in line and "a.sock" in line]
    assert line.split()[0] == state
    assert detail in line
    assert (f"{inner} (mode 0700, group root)" in line) is ("keeps" in detail)
    assert (f"chmod g+x {inner}" in line) is (state == "warning")


def give(folder: Path, gid: int, mode: int) -> None:
    """Give a folder to a group, with this mode."""
    os.chown(folder, -1, gid)
    folder.chmod(mode)


FOLDERS: Final = [
    (CALLERS, 0o710, "ok"),
    (CALLERS, 0o701, "warning"),
    (STRANGER, 0o710, "warning"),
    (STRANGER, 0o701, "ok"),
]


@TWO_USERS
@pytest.mark.parametrize(("gid", "mode", "state"), FOLDERS)
async def test_what_check_says_of_a_folder_is_what_the_kernel_does(
    folder: Path, gid: int, mode: int, state: str
) -> None:
    """For a folder of the group its x for the group counts, for any other that for all."""
    give(folder, gid, mode)
    text = f"unix:{folder}/a.sock,group={CALLERS}"
    environ = environment(
        upstream="http://127.0.0.1:9", token_url="http://127.0.0.1:9/token", listen=text
    )
    _, out, _ = await command("check", "--no-call", directory=Path("/"), environ=environ)
    (line,) = [line for line in out.splitlines() if "port" in line and "a.sock" in line]
    assert line.split()[0] == state
    with listening_unix_socket(parse_listen_address(text), 8):
        connecting = f"import socket; socket.socket(socket.AF_UNIX).connect('{folder}/a.sock')"
        code, _ = await output_of(*CALLER, sys.executable, "-c", connecting)
    assert (code == 0) is (state == "ok")
