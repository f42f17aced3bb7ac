"""Listening sockets that somebody else holds, as systemd does, so that none is ever shut (C5)."""

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import ssl
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.net.addresses import ListenAddress, parse_listen_address
from proxy.net.inherited import Inherited
from tests.support.messages import Message, reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, command, proxy_process
from tests.support.running_proxy import environment
from tests.support.service_manager import activated, hand_over, service_manager
from tests.support.source_tree import ROOT
from tests.support.tls_callers import ServerFiles
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS, eventually, within

PREFIX: Final = "SIGNICAT_PROXY_"
HAS_IPV6: Final = (
    Path("/proc/net/if_inet6").exists() and "lo" in Path("/proc/net/if_inet6").read_text()
)
NOWHERE: Final = {"upstream": "http://127.0.0.1:9", "token_url": "http://127.0.0.1:9/token"}


def tcp(host: str = "127.0.0.1") -> socket.socket:
    """Listen on a free port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family)


def unix(path: Path | str, mode: int = 0o660) -> socket.socket:
    """Listen on a Unix socket, as systemd does."""
    sock = socket.socket(socket.AF_UNIX)
    name = str(path)
    sock.bind(f"\0{name[1:]}" if name.startswith("@") else name)
    if not name.startswith("@"):
        Path(name).chmod(mode)
    sock.listen()
    return sock


def port_of(sock: socket.socket) -> int:
    """Return the port of a TCP socket."""
    return int(sock.getsockname()[1])


async def connect(sock: socket.socket) -> Channel:
    """Connect to a listening socket, whoever accepts there, if anybody does."""
    caller = socket.socket(sock.family)
    caller.settimeout(0)
    await within(asyncio.get_running_loop().sock_connect(caller, sock.getsockname()), "the queue")
    return await Channel.over(caller)


async def stop(process: ProxyProcess) -> None:
    """End a process as systemd does."""
    process.send(signal.SIGTERM)
    assert await process.ended() == 0


@contextlib.asynccontextmanager
async def upstream_and(tokens: TokenServer, **overrides: object) -> AsyncIterator[dict[str, str]]:
    """Provide the environment of a proxy before an upstream that answers `x`."""
    async with ByteServer(reply(body=b"x")) as upstream:
        values = {"admin_listen": "127.0.0.1:0", **overrides}
        yield environment(upstream=upstream.url, token_url=tokens.token_url, **values)


def listener(kind: str, folder: Path) -> socket.socket:
    """Listen in one of the ways that a .socket unit can."""
    if kind == "abstract":
        return unix(f"@{folder}/abstract", 0)
    return unix(folder / "proxy.sock") if kind == "unix" else tcp(kind)


KINDS: Final = [
    "127.0.0.1",
    pytest.param("::1", marks=pytest.mark.skipif(not HAS_IPV6, reason="needs ::1")),
    "unix",
    "abstract",
]


@pytest.mark.parametrize("kind", KINDS)
async def test_callers_come_through_a_socket_of_systemd(
    tokens: TokenServer, tmp_path: Path, kind: str
) -> None:
    """It is used as it is, for callers and operators alike, and outlives the proxy (C5)."""
    operators = tmp_path / "admin.sock"
    async with upstream_and(tokens, listen="systemd:web", admin_listen="systemd:admin") as environ:
        with listener(kind, tmp_path) as web, unix(operators) as admin:
            sockets = [("web", web), ("admin", admin)]
            async with activated(environ, sockets, directory=tmp_path) as process:
                event = await process.event("listening")
                caller, operator = await connect(web), await connect(admin)
                assert (await caller.ask(request("GET /"))).body == b"x"
                assert (await operator.ask(request("GET /livez"))).status == 200
                caller.reset()
                operator.reset()
                await stop(process)
            (place,) = event["listen"]
            assert event["admin"] == f"unix:{operators},mode=0660"
            assert operators.is_socket()
            (await connect(web)).reset()  # it waits in the queue
    if kind == "unix":
        assert place == f"unix:{tmp_path}/proxy.sock,mode=0660"
    elif kind == "abstract":
        assert place == f"unix:@{tmp_path}/abstract,mode=0777"
    else:
        assert parse_listen_address(place).host == kind


async def test_systemd_alone_means_all_that_nobody_names(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Several ListenStream= of a unit have one name; the admin port may have another (C5)."""
    async with upstream_and(tokens, listen="systemd", admin_listen="systemd:admin") as environ:
        with tcp() as one, unix(tmp_path / "two") as two, tcp() as admin:
            sockets = [("unit.socket", one), ("admin", admin), ("unit.socket", two)]
            async with activated(environ, sockets, directory=tmp_path) as process:
                _, admin_port = await process.ports()
                assert admin_port == port_of(admin)
                for each in (one, two):
                    caller = await connect(each)
                    assert (await caller.ask(request("GET /"))).body == b"x"
                    caller.reset()
                await stop(process)


def datagrams(_: Path) -> socket.socket:
    """Return a socket of ListenDatagram=."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    return sock


def connection(_: Path) -> socket.socket:
    """Return a connection, as Accept=yes hands over."""
    one, other = socket.socketpair()
    other.close()
    return one


def packets(folder: Path) -> socket.socket:
    """Return a socket of ListenSequentialPacket=."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(f"{folder}/packets")
    sock.listen()
    return sock


UNUSABLE: Final = {
    "datagrams": (datagrams, "the socket web is no stream socket; write ListenStream="),
    "packets": (packets, "the socket web is no stream socket; write ListenStream="),
    "a connection": (connection, "the socket web does not listen; write Accept=no"),
}


@pytest.mark.parametrize("setting", ["LISTEN", "ADMIN_LISTEN"])
@pytest.mark.parametrize(("make", "error"), UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_a_socket_that_nobody_can_be_accepted_on(
    tmp_path: Path, setting: str, make: Any, error: str
) -> None:
    """One line names the setting and what to write, with exit code 2 (C1, C5)."""
    environ = environment(**NOWHERE) | {PREFIX + setting: "systemd:web"}
    with make(tmp_path) as sock:
        async with activated(environ, [("web", sock)], directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 2
    (line,) = process.lines
    assert line.startswith(f"signicat-proxy: {PREFIX}{setting}: systemd:web: {error}")


async def test_a_descriptor_that_is_no_socket(tmp_path: Path) -> None:
    """ListenFIFO=, or a number that stands for nothing (C1, C5)."""
    environ = environment(**NOWHERE, listen="systemd")
    with (tmp_path / "file").open("w") as file:
        sockets = [("web", file.fileno())]
        async with activated(environ, sockets, directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 2
    (line,) = process.lines
    assert line.startswith(f"signicat-proxy: {PREFIX}LISTEN: systemd: the socket web is no socket")


MISSING: Final[dict[str, tuple[dict[str, str], Sequence[str], str]]] = {
    "none": ({}, ["LISTEN: systemd: systemd has handed over no socket"], "systemd"),
    "a wrong name": (
        {"LISTEN_FDNAMES": "web"},
        ["LISTEN: systemd:www: systemd has no such socket for this service; FileDescriptorName= "],
        "systemd:www",
    ),
    "of another process": (
        {"LISTEN_PID": "1"},
        ["LISTEN: systemd:web: systemd's sockets are for the process 1, not for this one"],
        "systemd:web",
    ),
    "twice": (
        {"LISTEN_FDNAMES": "web"},
        ["LISTEN: systemd:web stands twice"],
        "systemd:web,systemd:web",
    ),
}


@pytest.mark.parametrize(("given", "errors", "listen"), MISSING.values(), ids=MISSING.keys())
async def test_a_socket_that_is_not_there(
    given: dict[str, str], errors: Sequence[str], listen: str
) -> None:
    """Why, in one line that names the setting; other errors stand beside it (C1, C5)."""
    environ = environment(**NOWHERE, listen=listen, log_level="loud")
    with tcp() as sock, hand_over([("web", sock)]) as (added, prefix, descriptors):
        script = [prefix[0], prefix[1], prefix[2].replace("LISTEN_PID=$$", "X=1"), prefix[3]]
        is_other = "LISTEN_PID" in given
        values = {**environ, **(added if given else {}), **given}
        process = await asyncio.create_subprocess_exec(
            *(script if is_other else prefix),
            *(sys.executable, "-m", "proxy", "run"),
            env={"PATH": os.environ["PATH"], **values},
            cwd=ROOT,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=descriptors,
        )
        _, err = await within(process.communicate(), "the end", START_SECONDS)
    lines = err.decode().splitlines()
    assert process.returncode == 2
    assert len(lines) == 1 + len(errors)
    assert lines[0].startswith(f"signicat-proxy: {PREFIX}LOG_LEVEL: ")
    for line, error in zip(lines[1:], errors, strict=True):
        assert line.startswith(f"signicat-proxy: {PREFIX}{error}")


async def test_one_socket_for_callers_and_operators(tmp_path: Path) -> None:
    """It is claimed twice: an error of both settings (C1, C5)."""
    for listen, admin in (("systemd:web", "systemd:web"), ("systemd", "systemd")):
        environ = environment(**NOWHERE, listen=listen, admin_listen=admin)
        got = await command("config", directory=tmp_path, environ=environ)
        name = f"{PREFIX}LISTEN and {PREFIX}ADMIN_LISTEN"
        assert got == (2, "", f"signicat-proxy: {name}: {listen} stands twice\n")


@pytest.mark.parametrize("listen", ["systemd:web,systemd:more", "systemd:more"])
async def test_one_socket_under_two_names(tmp_path: Path, listen: str) -> None:
    """Callers must not meet the admin port, nor the other way round: an error (C1, C5, G10)."""
    environ = environment(**NOWHERE, listen=listen, admin_listen="systemd:admin")
    with tcp() as web, tcp() as own:
        one, other = ("web", "more") if "web" in listen else ("more", "admin")
        rest = [("admin", own)] if "web" in listen else []
        sockets = [(one, web), (other, web), *rest]
        async with activated(environ, sockets, directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 2
    (line,) = process.lines
    place = f"127.0.0.1:{re.findall(r':([0-9]+),', line)[0]}"
    setting = "LISTEN" if "web" in listen else "ADMIN_LISTEN"
    assert line == (
        f"signicat-proxy: {PREFIX}{setting}: systemd:{other}: the socket {other} is at {place}, "
        f"where systemd:{one} listens"
    )


async def test_a_socket_that_no_setting_takes(tokens: TokenServer, tmp_path: Path) -> None:
    """Whoever connects there would wait for ever: a warning, and our copy is closed (C5)."""
    async with upstream_and(tokens, listen="systemd:web") as environ:
        with tcp() as web, tcp() as rest:
            sockets = [("web", web), ("rest", rest)]
            async with activated(environ, sockets, directory=tmp_path) as process:
                warning = await process.event("systemd_socket_unused")
                assert warning["name"] == "rest"
                assert warning["address"] == f"127.0.0.1:{port_of(rest)}"
                assert f"systemd:rest into {PREFIX}LISTEN" in warning["hint"]
                await process.event("token_request")
                open_ones = set(map(inode_of, fds_of(process)))
                assert os.fstat(web.fileno()).st_ino in open_ones
                assert os.fstat(rest.fileno()).st_ino not in open_ones
                await stop(process)


def fds_of(process: ProxyProcess) -> Iterator[Path]:
    """Yield the open files of a process."""
    yield from Path(f"/proc/{process.pid}/fd").iterdir()


def flags_of(process: ProxyProcess, descriptor: int) -> int:
    """Return the flags of an open file of a process."""
    facts = Path(f"/proc/{process.pid}/fdinfo/{descriptor}").read_text()
    (flags,) = re.findall(r"^flags:\s*([0-7]+)$", facts, re.MULTILINE)
    return int(flags, 8)


CLOSE_ON_EXEC: Final = 0o2000000


async def test_no_program_that_it_starts_gets_the_sockets(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """They are closed on exec (C5)."""
    async with upstream_and(tokens, listen="systemd") as environ:
        with tcp() as web:
            async with activated(environ, [("web", web)], directory=tmp_path) as process:
                await process.event("listening")
                assert flags_of(process, 3) & CLOSE_ON_EXEC
                await stop(process)


def test_the_variables_are_taken_away() -> None:
    """To a child they would name other descriptors (C5)."""
    environ = {
        "LISTEN_PID": "7",
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "a",
        "LISTEN_PIDFDID": "1",
        "OTHER": "x",
    }
    with socket.socket() as one:  # what the descriptors are is none of this test's business
        before = one.fileno()
        Inherited.taken_from(environ, 8)
        assert one.fileno() == before
    assert environ == {"OTHER": "x"}


NOTHING: Final = "systemd has handed over no socket; "
NO_NUMBER: Final = "LISTEN_FDS, which systemd sets, is no number from 1 to 1024"
NUMBERS: Final = {
    "": NOTHING,
    "0": NOTHING,
    **dict.fromkeys(("-1", " 1", "1 ", "+1", "1_0", "0x3", "many", "1025", "99999999"), NO_NUMBER),
    **dict.fromkeys(("9" * 400, "9" * 5000, "\N{ARABIC-INDIC DIGIT THREE}", "\udcff"), NO_NUMBER),
}


@pytest.mark.parametrize("amount", NUMBERS, ids=lambda amount: ascii(amount[:20]))
def test_a_number_of_sockets_that_is_none(amount: str) -> None:
    """There are none then, and an entry that needs one says why (C5)."""
    found = Inherited.taken_from({"LISTEN_PID": "7", "LISTEN_FDS": amount}, 7)
    assert found.sockets == ()
    assert found.why_missing().startswith(NUMBERS[amount])


@pytest.mark.parametrize("owner", ["", " 7", "-7", "9" * 5000, "\N{ARABIC-INDIC DIGIT THREE}"])
def test_a_process_that_is_none(owner: str) -> None:
    """What is no number of a process is not repeated (C5)."""
    found = Inherited.taken_from({"LISTEN_PID": owner, "LISTEN_FDS": "1"}, 7)
    assert found.sockets == ()
    assert "are for the process without a number, not for this one (7)" in found.why_missing()


OWN_NUMBER: Final = ("bash", "-c", 'export LISTEN_PID=$$; exec "$@"', "bash")
NAMED: Final = {"a:b": "a b", "a": "? ?", "a:b\nc": "a ?", "a:\udcff": "a ?", "a:\x1b[2J": "a ?"}
SHOW_NAMES: Final = """
import os
from proxy.net.inherited import Inherited
print(*(each.name for each in Inherited.taken_from(os.environ, os.getpid()).sockets))
"""


@pytest.mark.parametrize("names", NAMED, ids=ascii)
def test_a_name_that_systemd_cannot_give(names: str) -> None:
    """It is called as one without a name: no line of ours repeats it (C5)."""
    done = subprocess.run(
        [*OWN_NUMBER, sys.executable, "-c", SHOW_NAMES],
        check=True,
        env={"PATH": os.environ["PATH"], "LISTEN_FDS": "2", "LISTEN_FDNAMES": names},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.stdout == NAMED[names].replace("?", "unknown") + "\n"


async def test_numbers_of_thousands_of_digits_end_nothing(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Python reads no more than 4300: whoever wrote them, the proxy serves without (C5)."""
    names = ("LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID")
    async with upstream_and(tokens) as environ:
        given = dict.fromkeys(names, "9" * 5000) | {"NOTIFY_SOCKET": f"{tmp_path}/none"}
        async with proxy_process(environ | given, "run", directory=tmp_path) as process:
            await process.event("token_request")
            await stop(process)


async def test_a_number_of_sockets_that_is_left_over(tokens: TokenServer, tmp_path: Path) -> None:
    """A program before us had the sockets: what we open gets their numbers, and stays open (C5)."""
    async with upstream_and(tokens) as environ:
        with service_manager(tmp_path) as manager:
            given = manager.environ | {"LISTEN_FDS": "40", "WATCHDOG_USEC": "200000"}
            async with proxy_process(
                environ | given, "run", directory=tmp_path, prefix=OWN_NUMBER
            ) as process:
                port, _ = await process.ports()
                await manager.hears("READY")
                caller = await Channel.connect("127.0.0.1", port)
                assert (await caller.ask(request("GET /"))).body == b"x"
                caller.reset()
                await manager.hears("WATCHDOG", 3)
                await stop(process)
    assert "systemd_socket_unused" not in process.output


FOREIGN: Final = ("", "systemd:web")


@pytest.mark.parametrize("listen", FOREIGN, ids=["none is asked for", "one is asked for"])
async def test_a_file_that_is_no_listening_socket_is_not_ours(
    tokens: TokenServer, tmp_path: Path, listen: str
) -> None:
    """Of no setting's business, it stays open, whatever it is; one line tells of sockets (C5)."""
    settings = {"listen": listen} if listen else {}
    async with upstream_and(tokens, **settings) as environ:
        with contextlib.ExitStack() as stack:
            reader, writer = os.pipe()
            stack.callback(os.close, reader)
            stack.callback(os.close, writer)
            web = stack.enter_context(tcp())
            makers = (datagrams, connection, packets)
            others = [stack.enter_context(make(tmp_path)).fileno() for make in makers]
            given = [web.fileno(), reader, writer, *others]
            sockets = [("web" if each == web.fileno() else "other", each) for each in given]
            async with activated(environ, sockets, directory=tmp_path) as process:
                await process.event("token_request")
                files = {os.fstat(each).st_ino for each in given}
                assert files <= {inode for each in fds_of(process) if (inode := inode_of(each))}
                await stop(process)
    assert process.output.count("systemd_socket_unused") == 1
    warning = json.loads(process.line("systemd_socket_unused"))
    what = ("web", "systemd") if not listen else ("other", "systemd:other")
    assert (warning["name"], warning["hint"].split()[1]) == what


def inode_of(link: Path) -> int | None:
    """Return the number of an open file that has no path, None where it has one or is closed."""
    with contextlib.suppress(FileNotFoundError):
        found = re.fullmatch(r"(?:socket|pipe):\[(\d+)\]", str(link.readlink()))
        return int(found[1]) if found else None
    return None


async def test_what_they_open_up_is_warned_about(tokens: TokenServer, tmp_path: Path) -> None:
    """By where they listen and what mode they have: the settings do not tell (G1, I6, C5)."""
    async with upstream_and(tokens, listen="systemd") as environ:
        with contextlib.ExitStack() as stack:
            places = (
                *(tcp("0.0.0.0"), unix(tmp_path / "wide", 0o666)),
                *(tcp("127.0.0.1"), unix(tmp_path / "narrow", 0o660)),
            )
            sockets = [("web", stack.enter_context(each)) for each in places]
            async with activated(environ, sockets, directory=tmp_path) as process:
                await process.event("token_request")
                await stop(process)
            port = port_of(sockets[0][1])
    events = [json.loads(line) for line in process.lines]
    warned = {
        event["event"]: (event["setting"], event["address"])
        for event in events
        if "address" in event
    }
    assert warned == {
        "listening_beyond_loopback": (f"{PREFIX}LISTEN", f"0.0.0.0:{port}"),
        "socket_open_to_all": (f"{PREFIX}LISTEN", f"unix:{tmp_path}/wide,mode=0666"),
    }


async def test_what_leads_back_to_them_is_an_error(tmp_path: Path) -> None:
    """An upstream that is an address of the proxy's own, though no setting names it (G10, C5)."""
    with tcp() as web:
        environ = environment(
            upstream=f"http://127.0.0.1:{port_of(web)}",
            token_url="http://127.0.0.1:9/token",
            listen="systemd",
        )
        async with activated(environ, [("web", web)], directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 2
    (line,) = process.lines
    assert f"{PREFIX}UPSTREAM_URL: 127.0.0.1:{port_of_line(line)} is an address of this" in line


def port_of_line(line: str) -> str:
    """Return the port that a line names."""
    (port,) = re.findall(r"127\.0\.0\.1:(\d+)", line)
    return str(port)


CALLERS: Final = f"""
[callers.me]
unix_user = ["{os.geteuid()}"]
"""


async def test_who_calls_is_known_through_them_too(tokens: TokenServer, tmp_path: Path) -> None:
    """The user at the other end of a Unix socket, not the one that opened it (I1, I4, C5)."""
    (tmp_path / "proxy.toml").write_text(CALLERS)
    async with upstream_and(tokens, listen="systemd") as environ:
        environ["SIGNICAT_PROXY_CONFIG_FILE"] = str(tmp_path / "proxy.toml")
        with unix(tmp_path / "web") as web:
            async with activated(environ, [("web", web)], directory=tmp_path) as process:
                await process.event("token_request")
                caller = await connect(web)
                assert (await caller.ask(request("GET /"))).status == 200
                caller.reset()
                event = await process.event("request")
                await stop(process)
    assert (event["caller"], event["peer"]) == ("me", f"uid:{os.geteuid()}")


async def test_a_user_needs_a_unix_socket_among_them(tmp_path: Path) -> None:
    """Where all are TCP nobody can ever prove so who it is; `config` cannot know that (I1, C5)."""
    (tmp_path / "proxy.toml").write_text(CALLERS)
    environ = environment(**NOWHERE, listen="systemd")
    environ["SIGNICAT_PROXY_CONFIG_FILE"] = str(tmp_path / "proxy.toml")
    code, _, _ = await command("config", directory=tmp_path, environ=environ)
    assert code == 0
    with tcp() as web:
        async with activated(environ, [("web", web)], directory=tmp_path) as process:
            assert await process.ended(START_SECONDS) == 2
    assert "callers.me.unix_user: " in process.output


async def test_tls_is_for_the_tcp_sockets_among_them(tokens: TokenServer, tmp_path: Path) -> None:
    """As in LISTEN; a Location leads back by the scheme and name that the caller used (I3, F4)."""
    files = ServerFiles(tmp_path)

    async def redirect(message: Message) -> bytes:
        assert message.head.value("Host")
        return reply("302 Found", f"Location: {upstream.url}/there")

    async with ByteServer(redirect) as upstream:
        environ = environment(
            upstream=upstream.url,
            token_url=tokens.token_url,
            listen="systemd",
            **files.settings,
        )
        with tcp() as web, unix(tmp_path / "web") as local:
            sockets = [("web", web), ("web", local)]
            async with activated(environ, sockets, directory=tmp_path) as process:
                await process.event("token_request")
                trust = ssl.create_default_context(cadata=files.ca.cert_pem.bytes().decode())
                over_tls = Channel(
                    *await asyncio.open_connection(
                        "127.0.0.1", port_of(web), ssl=trust, server_hostname="localhost"
                    )
                )
                for caller, scheme in ((over_tls, "https"), (await connect(local), "http")):
                    answer = await caller.ask(request("GET /", host="localhost:1234"))
                    assert answer.head.value("Location") == f"{scheme}://localhost:1234/there"
                    caller.reset()
                await stop(process)


async def test_other_commands_do_without_the_sockets(tokens: TokenServer, tmp_path: Path) -> None:
    """Systemd hands them to the service alone: `check` says who has the port (C5)."""
    environ = environment(
        upstream="http://127.0.0.1:9", token_url=tokens.token_url, listen="systemd"
    )
    code, out, _ = await command("config", directory=tmp_path, environ=environ)
    assert (code, "systemd" in out) == (0, True)
    _, out, _ = await command("check", "--no-call", directory=tmp_path, environ=environ)
    (line,) = [line for line in out.splitlines() if "LISTEN systemd" in line]
    assert line.startswith("skipped  port")
    assert line.endswith("its .socket unit has the port")
    assert "listening_beyond_loopback" not in out
    flag = ("--admin-listen", "systemd:admin")
    got = await command("health", *flag, directory=tmp_path, environ=environ)
    text = "systemd:admin does not tell where that is; write the address of the socket behind"
    assert got == (2, "", f"signicat-proxy: {PREFIX}ADMIN_LISTEN: {text} --admin-listen\n")


@pytest.mark.parametrize("text", ["systemd:", "systemd:a b", "systemd:a:b", "systemd:a/b"])
def test_names_that_no_socket_can_have(text: str) -> None:
    """A wrong name is an error as it is read (C1)."""
    with pytest.raises(ValueError, match="FileDescriptorName"):
        parse_listen_address(text)


@pytest.mark.parametrize("text", ["systemd", "systemd:web", "systemd:signicat-proxy.socket"])
def test_entries_read_back_as_they_are(text: str) -> None:
    """As all others do; systemd alone has no address."""
    address = parse_listen_address(text)
    assert str(address) == text
    assert address == ListenAddress(None, None, inherited=text.removeprefix("systemd")[1:])


# --- two versions in turn ---


class Callers:
    """Callers with a new connection for each request, whoever accepts it, or nobody for a while."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.ends: Counter[str] = Counter()
        self.are_enough = asyncio.Event()

    async def keep_asking(self) -> None:
        """Ask again and again; nothing that may happen is excused."""
        while not self.are_enough.is_set():
            caller = await connect(self._listening)
            try:
                answer = await caller.ask(request("GET /"), START_SECONDS)
                self.ends[str(answer.status)] += 1
            except ConnectionError as error:
                self.ends[repr(error)] += 1
            finally:
                caller.reset()

    def has_answered(self, wanted: int) -> bool:
        """Say whether that many were answered."""
        return self.ends["200"] >= wanted

    async def are_answered(self, more: int = 100) -> None:
        """Wait until that many more have been answered."""
        is_enough = partial(self.has_answered, self.ends["200"] + more)
        await eventually(is_enough, "the load", START_SECONDS)


@contextlib.asynccontextmanager
async def under_load(listening: socket.socket) -> AsyncIterator[Callers]:
    """Call all the time, with eight callers; every request must be answered."""
    callers = Callers(listening)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(8):
            tasks.create_task(callers.keep_asking(), name="peer")
        try:
            yield callers
        finally:
            callers.are_enough.set()
    assert set(callers.ends) == {"200"}


@pytest.mark.parametrize("order", ["the old one stops first", "the new one starts first"])
async def test_an_upgrade_loses_nobody(tokens: TokenServer, tmp_path: Path, order: str) -> None:
    """Three times in turn: while nobody accepts, callers wait in the queue of the socket (C5)."""
    async with (
        upstream_and(tokens, listen="systemd") as environ,
        contextlib.AsyncExitStack() as all_,
    ):

        async def start() -> ProxyProcess:
            running = activated(environ, [("web", web)], directory=tmp_path)
            process = await all_.enter_async_context(running)
            if order != "the old one stops first":
                await process.event("token_request")
            return process

        with tcp() as web:
            process = await start()
            async with under_load(web) as callers:
                for _ in range(3):
                    await callers.are_answered()
                    old = process
                    if order == "the old one stops first":
                        await stop(old)
                        process = await start()
                    else:
                        process = await start()
                        await stop(old)
                await callers.are_answered()
            await stop(process)


async def test_who_is_in_the_queue_at_the_stop_gets_an_answer(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Whether the old process still accepts them or the next one does (C5)."""
    async with upstream_and(tokens, listen="systemd") as environ:
        with tcp() as web:
            callers: list[Channel] = []
            async with activated(environ, [("web", web)], directory=tmp_path) as old:
                await old.event("token_request")
                old.send(signal.SIGSTOP)
                await is_stopped(old)
                for _ in range(30):
                    callers.append(await connect(web))
                    await callers[-1].send(request("GET /"))
                old.send(signal.SIGTERM)
                old.send(signal.SIGCONT)
                assert await old.ended() == 0
            for _ in range(30):  # nobody is there at all
                callers.append(await connect(web))
                await callers[-1].send(request("GET /"))
            async with activated(environ, [("web", web)], directory=tmp_path) as new:
                answers = [await caller.read_answer(seconds=START_SECONDS) for caller in callers]
                for caller in callers:
                    caller.reset()
                await stop(new)
    assert [answer.body for answer in answers] == [b"x"] * 60


async def is_stopped(process: ProxyProcess) -> None:
    """Wait until a process stands still."""
    status = Path(f"/proc/{process.pid}/stat")
    await eventually(lambda: status.read_text().rpartition(")")[2].split()[0] == "T", "SIGSTOP")


QUEUE_LENGTH: Final = struct.Struct("24x2I")
"""Of `struct tcp_info` of a listening socket (tcp(7)): who waits, and how many may."""


def longest_queue() -> int:
    """Return how long the kernel lets a queue be."""
    return int(Path("/proc/sys/net/core/somaxconn").read_text())


async def test_the_queue_is_as_long_as_the_kernel_allows(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Who accepts on a socket sets the length of its queue anew: ours is no shorter (C5)."""
    longest = longest_queue()
    async with upstream_and(tokens, listen="systemd") as environ:
        with tcp() as web:
            web.listen(2**31 - 1)
            async with activated(environ, [("web", web)], directory=tmp_path) as process:
                await process.event("listening")
                info = web.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, QUEUE_LENGTH.size)
                assert QUEUE_LENGTH.unpack(info)[1] == longest
                await stop(process)
