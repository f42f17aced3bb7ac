"""Where the proxy listens: both loopbacks, every address, and what a machine lacks (G1)."""

import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from proxy.net.addresses import ListenAddress, parse_listen_address
from proxy.net.binding import CannotListenError, listen
from tests.support.messages import reply, request
from tests.support.own_network import (
    LOOPBACK_UP,
    NO_IPV6_ADDRESS,
    NO_IPV6_SOCKET,
    inside,
    own_network,
    why_none,
)
from tests.support.peers import Channel
from tests.support.ports import port_for_later
from tests.support.proxy_process import ProxyProcess, command, proxy_process
from tests.support.running_proxy import environment, proxied
from tests.support.token_server import TokenServer
from tests.support.waiting import START_SECONDS

PREFIX: Final = "SIGNICAT_PROXY_"
NETWORK: Final = pytest.mark.skipif(bool(why_none()), reason=why_none())
BOTH: Final = ("127.0.0.1", "[::1]")


def settings(**overrides: str) -> dict[str, str]:
    """Return settings without an address to listen on, but for those that are given."""
    environ = environment(upstream="http://127.0.0.1:9", token_url="http://127.0.0.1:9/token")
    del environ[f"{PREFIX}LISTEN"], environ[f"{PREFIX}ADMIN_LISTEN"]
    return environ | {f"{PREFIX}{name.upper()}": value for name, value in overrides.items()}


async def status(process: ProxyProcess, url: str, *options: str) -> str:
    """Ask with curl inside the network of a process; return the status, or curl's exit code."""
    arguments = ("-s", "-o", os.devnull, "-w", "%{http_code}", "--noproxy", "*")
    code, output = await inside(process.pid, "curl", *arguments, *options, url)
    return output if code == 0 else f"curl: {code}"


CONNECTION_REFUSED: Final = "curl: 7"
MACHINES: Final = {
    "both families": ((LOOPBACK_UP,), (), BOTH),
    "no IPv6 address": ((LOOPBACK_UP, NO_IPV6_ADDRESS), (), BOTH[:1]),
    "no IPv6 at all": ((LOOPBACK_UP,), NO_IPV6_SOCKET, BOTH[:1]),
}


@NETWORK
@pytest.mark.parametrize(("commands", "before", "hosts"), MACHINES.values(), ids=MACHINES.keys())
@pytest.mark.parametrize("form", ["default", "everywhere"])
async def test_a_machine_is_listened_on_with_the_families_that_it_has(
    tmp_path: Path,
    form: str,
    commands: Sequence[str],
    before: Sequence[str],
    hosts: Sequence[str],
) -> None:
    """The default serves `localhost` whichever family an application picks; nothing is set for it.

    `*` does the same beyond loopback: with one entry, and without a setting for each family.
    """
    environ = settings() if form == "default" else settings(listen="*:8080", admin_listen="*:8081")
    prefix = (*own_network(*commands), *before)
    async with proxy_process(environ, "run", directory=tmp_path, prefix=prefix) as process:
        event = await process.event("listening")
        for host in (*hosts, "localhost"):
            assert await status(process, f"http://{host}:8081/livez") == "200"
            assert await status(process, f"http://{host}:8080/", "-X", "TRACE") == "405"
        for host in set(BOTH) - set(hosts):
            assert await status(process, f"http://{host}:8081/livez") == CONNECTION_REFUSED
        health = (*before, sys.executable, "-m", "proxy", "health")
        code, output = await inside(process.pid, *health)
        assert (code, output) == (0, "localhost:8081/livez: 200\n")
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
    assert event["listen"] == ["localhost:8080" if form == "default" else "*:8080"]
    ends = [] if hosts == BOTH else [f"([::1]:{port})" for port in (8080, 8081)]
    if form == "everywhere":  # can be bound without any address, but not without sockets
        ends = ["([::]:8080)", "([::]:8081)"] if before else []
    assert [
        reason[-len(end) :] for reason, end in zip(event.get("left_out", []), ends, strict=True)
    ] == ends


@NETWORK
async def test_everywhere_is_every_address_of_both_families(tmp_path: Path) -> None:
    """One entry serves a pod with addresses of two families, and is warned about (G1)."""
    addresses = ("10.9.8.7/32", "fd00::7/128")
    commands = (LOOPBACK_UP, *(f"ip address add {each} dev lo" for each in addresses))
    environ = settings(listen="*:8080", admin_listen="*:8081")
    prefix = own_network(*commands)
    async with proxy_process(environ, "run", directory=tmp_path, prefix=prefix) as process:
        await process.event("listening")
        for host in ("10.9.8.7", "[fd00::7]"):
            assert await status(process, f"http://{host}:8081/livez") == "200"
            assert await status(process, f"http://{host}:8080/", "-X", "TRACE") == "405"
        await process.event("listening_beyond_loopback")
        warned = [line for line in process.lines if "listening_beyond_loopback" in line]
        assert len(warned) == 2


@NETWORK
async def test_a_machine_without_a_loopback_is_an_error(tmp_path: Path) -> None:
    """Where nothing of what an entry means is there, the start fails and says so."""
    addresses = ("127.0.0.1/8", "::1/128")
    prefix = own_network(LOOPBACK_UP, *(f"ip address del {each} dev lo" for each in addresses))
    async with proxy_process(settings(), "run", directory=tmp_path, prefix=prefix) as process:
        assert await process.ended(START_SECONDS) == 1
    assert process.lines[-1] == (
        f"signicat-proxy: {PREFIX}ADMIN_LISTEN: cannot listen on localhost:8081: "
        "Cannot assign requested address (127.0.0.1:8081)"
    )


def taken(host: str, port: int) -> socket.socket:
    """Listen there, as another program does."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


HAS_IPV6: Final = (
    Path("/proc/net/if_inet6").exists() and "lo" in Path("/proc/net/if_inet6").read_text()
)
IPV6: Final = pytest.mark.skipif(not HAS_IPV6, reason="needs ::1")


@IPV6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("setting", ["LISTEN", "ADMIN_LISTEN"])
async def test_a_port_that_is_taken_on_one_loopback_is_an_error(
    tmp_path: Path, setting: str, host: str
) -> None:
    """Half of localhost would be another program: one line names the setting and the address."""
    port = port_for_later()
    with taken(host, port):
        environ = settings(listen="127.0.0.1:0", admin_listen="127.0.0.1:0")
        environ[PREFIX + setting] = f"localhost:{port}"
        code, _, err = await command("run", directory=tmp_path, environ=environ)
        place = ListenAddress(host, port)
        assert code == 1
        assert err.splitlines()[-1] == (
            f"signicat-proxy: {PREFIX}{setting}: cannot listen on localhost:{port}: "
            f"Address already in use ({place})"
        )
        code, out, _ = await command("check", "--no-call", directory=tmp_path, environ=environ)
        (line,) = [line for line in out.splitlines() if f"{setting} localhost:{port}" in line]
        assert line.startswith("failed   port")
        assert f"Address already in use ({place})" in line
        assert f"{PREFIX}{setting}" in line


@IPV6
async def test_port_0_is_one_port_on_both_loopbacks(tokens: TokenServer) -> None:
    """A caller finds the proxy under `localhost` and that port, whichever family it picks."""
    async with proxied(
        tokens, reply(body=b"x"), listen="localhost:0", admin_listen="localhost:0"
    ) as (proxy, _):
        for host in ("127.0.0.1", "::1"):
            caller = proxy.keep(await Channel.connect(host, proxy.port))
            assert (await caller.ask(request("GET /"))).body == b"x"
            operator = proxy.keep(await Channel.connect(host, proxy.admin_port))
            assert (await operator.ask(request("GET /livez"))).status == 200
        listening = next(event for event in proxy.logs if event["event"] == "listening")
        assert listening["listen"] == [f"localhost:{proxy.port}"]
        assert listening["admin"] == f"localhost:{proxy.admin_port}"


RETRY: Final = """
import socket
from proxy.net.addresses import parse_listen_address
from proxy.net.binding import listen
taken = socket.create_server(("::1", 40001), family=socket.AF_INET6)
address = parse_listen_address("localhost:0")
for _ in range(10):
    bound = listen("LISTEN", address, address.each(), 8)
    print(bound.address, *(sock.getsockname()[:2] for sock in bound.sockets))
    for sock in bound.sockets:
        sock.close()
"""


@NETWORK
async def test_a_port_that_is_free_on_one_loopback_alone_is_not_taken() -> None:
    """Port 0 tries another one: here the kernel offers two, and one is taken on `::1`."""
    few_ports = "echo 40000 40007 > /proc/sys/net/ipv4/ip_local_port_range"
    arguments = (*own_network(LOOPBACK_UP, few_ports), sys.executable, "-c", RETRY)
    code, output = await inside(os.getpid(), *arguments)
    assert (code, output) == (0, "localhost:40003 ('127.0.0.1', 40003) ('::1', 40003)\n" * 10)


@IPV6
def test_what_is_bound_is_closed_where_the_rest_cannot_be() -> None:
    """A start that fails leaves no half of an entry open."""
    port = port_for_later()
    with taken("::1", port):
        address = parse_listen_address(f"localhost:{port}")
        with pytest.raises(CannotListenError) as raised:
            listen("LISTEN", address, address.each(), 8)
        assert raised.value.is_taken
        with taken("127.0.0.1", port):
            pass


@IPV6
async def test_another_program_on_one_loopback_is_not_taken_for_the_proxy(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """`check` beside a running proxy of IPv4 alone finds who has the port of IPv6."""
    port = port_for_later()
    async with proxied(tokens, reply(), listen=f"127.0.0.1:{port}"):
        environ = settings(listen=f"localhost:{port}", admin_listen="localhost:0")
        arguments = ("check", "--no-call")
        _, out, _ = await command(*arguments, directory=tmp_path, environ=environ)
        assert "in use by a signicat-proxy that is running" in out
        with taken("::1", port):
            _, out, _ = await command(*arguments, directory=tmp_path, environ=environ)
        assert f"Address already in use ([::1]:{port})" in out


OVERLAPS: Final = [
    ("localhost:1", "127.0.0.1:1", True),
    ("localhost:1", "[::1]:1", True),
    ("localhost:1", "LOCALHOST:1", True),
    ("localhost:1", "127.0.0.2:1", False),
    ("localhost:1", "127.0.0.1:2", False),
    ("*:1", "localhost:1", True),
    ("*:1", "[fd00::1]:1", True),
    ("*:1", "proxy.test:1", False),  # nothing is looked up
    ("0.0.0.0:1", "10.0.0.1:1", True),
    ("0.0.0.0:1", "[::]:1", False),
    ("[::]:1", "127.0.0.1:1", False),
    ("[::]:1", "[::1]:1", True),
    ("proxy.test:1", "proxy.test:1", True),
    ("unix:/a", "unix:/a", True),
    ("unix:/a", "unix:/b", False),
    ("unix:/a", "localhost:1", False),
]


@pytest.mark.parametrize(("first", "second", "overlap"), OVERLAPS)
def test_entries_that_cannot_be_listened_on_together(
    *, first: str, second: str, overlap: bool
) -> None:
    """Both ways round; what is a mistake of the settings is told before anything is opened."""
    one, two = parse_listen_address(first), parse_listen_address(second)
    assert one.overlaps(two) is overlap
    assert two.overlaps(one) is overlap
