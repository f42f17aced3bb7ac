"""Dialling over real sockets, on both event loops; every test also checks that nothing leaks."""

import asyncio
import contextlib
import datetime as dt
import errno
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import trustme
import uvloop

from proxy.clock import SYSTEM_CLOCK
from proxy.files import UnusableFileError
from proxy.net.dialer import Dialer, DialError
from proxy.net.egress import EgressProxy, parse_egress_proxy
from proxy.net.name_cache import NameCache
from proxy.net.resolver import Address, Resolver
from proxy.net.tls import client_context
from tests.support.connect_proxy import ConnectProxy
from tests.support.open_files import confused_loop, no_open_files
from tests.support.ports import refusing_port
from tests.support.scripted_resolver import ScriptedResolver, address

Run = Callable[[Coroutine[Any, Any, None]], None]

TINYPROXY = shutil.which("tinyproxy")
SECRET = "s3cret-of-the-proxy"
PATIENCE_SECONDS = 20
NO_LINGERING = struct.pack("ii", 1, 0)  # close() sends RST


def open_sockets() -> set[str]:
    """Return the sockets that this process holds."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds; fail where it does not in time."""
    for _ in range(PATIENCE_SECONDS * 1000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("waited in vain")


# The proxy runs on uvloop; the other loop shows that nothing depends on uvloop's ways.
ASYNCIO = pytest.param(
    asyncio.new_event_loop,
    id="asyncio",
    marks=pytest.mark.skipif(
        sys.version_info < (3, 11, 7),
        reason="asyncio of Python 3.11.2 cannot abort a TLS transport that is closed",
    ),
)


@pytest.fixture(params=[ASYNCIO, pytest.param(uvloop.new_event_loop, id="uvloop")])
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Run a scenario on each kind of loop, and see that it leaves no socket and no task."""

    async def watched(scenario: Coroutine[Any, Any, None]) -> None:
        failures: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: failures.append(context))
        await loop.getaddrinfo("127.0.0.1", 1)
        before = open_sockets()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await scenario
        await wait_until(lambda: open_sockets() <= before and len(asyncio.all_tasks()) == 1)
        assert not failures

    with asyncio.Runner(loop_factory=request.param) as runner:
        yield lambda scenario: runner.run(watched(scenario))


class Recorder(asyncio.Protocol):
    """Notes what a connection does to its protocol."""

    def __init__(self) -> None:
        self.made: list[asyncio.BaseTransport] = []
        self.received = b""
        self.is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport."""
        self.made.append(transport)

    def data_received(self, data: bytes) -> None:
        """Keep the bytes."""
        assert self.made
        self.received += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        del exc
        self.is_lost = True

    async def wait_received(self, expected: bytes) -> None:
        """Wait until exactly `expected` has come."""
        await wait_until(lambda: self.received == expected)


class Server:
    """What the server side of a test saw."""

    def __init__(self) -> None:
        self.port = 0
        self.accepted = 0
        self.names: list[str | None] = []


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send back whatever comes."""
    while data := await reader.read(65536):
        writer.write(data)


@contextlib.asynccontextmanager
async def serving(
    handler: Handler = echo, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Serve on loopback; every connection is closed in the end."""
    seen = Server()
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.accepted += 1
        writers.add(writer)
        with contextlib.suppress(OSError):
            await handler(reader, writer)
        writer.close()

    if tls is not None:
        tls.sni_callback = lambda _, name, __: seen.names.append(name)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    seen.port = server.sockets[0].getsockname()[1]
    try:
        yield seen
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def accepting(on_connection: Callable[[socket.socket, int], None]) -> AsyncIterator[int]:
    """Accept bare sockets and let the test do to each what it likes; yields the port."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)

        def accept() -> None:
            connection, _ = listener.accept()
            accepted.append(connection)
            on_connection(connection, len(accepted))

        loop = asyncio.get_running_loop()
        loop.add_reader(listener, accept)
        try:
            yield listener.getsockname()[1]
        finally:
            loop.remove_reader(listener)
            for connection in accepted:
                connection.close()


def is_listening(port: int) -> bool:
    """Say whether somebody accepts connections on a port of loopback."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_context(issuer: trustme.CA, *names: str, **options: Any) -> ssl.SSLContext:
    """Return a server's context with a certificate for `names`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(*names, **options).configure_cert(context)
    return context


def make_dialer(
    port: int,
    *,
    host: str = "upstream.test",
    tls: ssl.SSLContext | None = None,
    egress: EgressProxy | None = None,
    resolver: Resolver | None = None,
    timeout_seconds: float = PATIENCE_SECONDS,
) -> Dialer:
    """Return a dialer for a name that resolves to loopback."""
    return Dialer(
        host,
        port,
        names=NameCache(clock=SYSTEM_CLOCK, resolver=resolver or ScriptedResolver()),
        tls=tls,
        egress=egress,
        connect_timeout_seconds=timeout_seconds,
    )


async def dial_and_echo(dialer: Dialer) -> tuple[asyncio.Transport, Recorder]:
    """Dial an echo server, use the connection once and close it."""
    transport, recorder = await dialer.dial(Recorder)
    assert recorder.made == [transport]
    transport.write(b"hello")
    await recorder.wait_received(b"hello")
    transport.close()
    await wait_until(lambda: recorder.is_lost)
    return transport, recorder


async def failure_of(dialer: Dialer) -> DialError:
    """Return why `dialer` cannot connect."""
    made: list[Recorder] = []

    def factory() -> Recorder:
        made.append(Recorder())
        return made[-1]

    with pytest.raises(DialError) as caught:
        await dialer.dial(factory)
    assert not made
    assert SECRET not in f"{caught.value} {caught.value.detail} {caught.value.cause}"
    return caught.value


def test_plain_connection_sends_at_once_and_notices_dead_peers(run: Run) -> None:
    """A TCP connection has TCP_NODELAY and keep-alive, and its protocol is made once."""

    async def scenario() -> None:
        async with serving() as server:
            transport, recorder = await make_dialer(server.port).dial(Recorder)
            sock = transport.get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert recorder.made == [transport]
            transport.abort()
            await dial_and_echo(make_dialer(server.port))

    run(scenario())


@pytest.mark.parametrize("host", ["upstream.test", "127.0.0.1", "upstream.test."])
def test_tls_connection_is_verified_and_names_the_host(
    run: Run, authority: trustme.CA, ca_file: Path, host: str
) -> None:
    """TLS checks the name or address, sends names as SNI, and offers HTTP/1.1."""

    async def scenario() -> None:
        context = server_context(authority, host.removesuffix("."))
        context.set_alpn_protocols(["h2", "http/1.1"])
        async with serving(tls=context) as server:
            transport, _ = await dial_and_echo(
                make_dialer(server.port, host=host, tls=client_context(ca_file))
            )
            tls = transport.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            assert tls.version() in ("TLSv1.2", "TLSv1.3")
            assert server.names == ([None] if host == "127.0.0.1" else ["upstream.test"])

    run(scenario())


YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("is_known", "name", "options", "cause"),
    [
        (False, "upstream.test", {}, "unable to get local issuer certificate"),
        (True, "other.test", {}, "Hostname mismatch"),
        (
            True,
            "upstream.test",
            {"not_before": YESTERDAY - dt.timedelta(days=1), "not_after": YESTERDAY},
            "certificate has expired",
        ),
    ],
)
def test_wrong_certificate_is_refused_and_not_tried_again(
    run: Run,
    authority: trustme.CA,
    ca_file: Path,
    name: str,
    options: dict[str, Any],
    cause: str,
    *,
    is_known: bool,
) -> None:
    """An unknown authority, another name and an expired certificate each end the attempt (G8)."""

    async def scenario() -> None:
        issuer = authority if is_known else trustme.CA()
        resolver = ScriptedResolver()
        async with serving(tls=server_context(issuer, name, **options)) as server:
            error = await failure_of(
                make_dialer(server.port, tls=client_context(ca_file), resolver=resolver)
            )
        assert error.reason == "tls"
        assert cause in error.cause
        assert "SIGNICAT_PROXY_CA_FILE" in error.detail
        assert resolver.asked == ["upstream.test"]

    run(scenario())


def test_server_of_tls_1_1_is_refused(run: Run, authority: trustme.CA, ca_file: Path) -> None:
    """A server that speaks nothing newer than TLS 1.1 is not spoken to (G8)."""

    async def scenario() -> None:
        old = server_context(authority, "upstream.test")
        lenient = client_context(ca_file)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            lenient.minimum_version = ssl.TLSVersion.TLSv1
        old.set_ciphers("ALL:@SECLEVEL=0")
        lenient.set_ciphers("ALL:@SECLEVEL=0")
        async with serving(tls=old) as server:
            transport, _ = await dial_and_echo(make_dialer(server.port, tls=lenient))
            assert transport.get_extra_info("ssl_object").version() == "TLSv1.1"
            error = await failure_of(make_dialer(server.port, tls=client_context(ca_file)))
        assert error.reason == "tls"
        assert "TLS 1.2" in error.detail

    run(scenario())


def test_plain_server_on_a_tls_port_is_named(run: Run, ca_file: Path) -> None:
    """A server that returns something else than a handshake is a TLS failure, tried once."""

    async def scenario() -> None:
        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        async with serving(respond) as server:
            error = await failure_of(make_dialer(server.port, tls=client_context(ca_file)))
            assert server.accepted == 1
        assert error.reason == "tls"
        assert "WRONG_VERSION_NUMBER" in error.cause

    run(scenario())


def test_refused_connection_is_tried_twice_and_named(run: Run) -> None:
    """A port where nobody listens is tried a second time, then reported with its error number."""

    async def scenario() -> None:
        resolver = ScriptedResolver()
        with refusing_port() as port:
            error = await failure_of(make_dialer(port, resolver=resolver))
        assert (error.reason, error.cause) == ("connect", "ECONNREFUSED")
        assert "host in SIGNICAT_PROXY_UPSTREAM_URL" in error.detail
        assert "set SIGNICAT_PROXY_EGRESS_PROXY" in error.detail
        assert len(resolver.asked) == 2

    run(scenario())


def test_errors_of_several_addresses_are_all_named(run: Run) -> None:
    """Where addresses fail for different reasons, the cause lists each reason once."""

    async def scenario() -> None:
        with refusing_port() as port:
            addresses = [address(), address("255.255.255.255"), address("127.0.0.2")]
            resolver = ScriptedResolver(addresses, addresses)
            error = await failure_of(make_dialer(port, resolver=resolver))
        assert error.reason == "connect"
        assert sorted(error.cause.split(", ")) in (
            ["EACCES", "ECONNREFUSED"],
            ["ECONNREFUSED", "ENETUNREACH"],
        )

    run(scenario())


@pytest.mark.parametrize(
    "failure",
    [
        [address("127.0.0.9")],
        socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"),
        [],
    ],
    ids=["refused", "dns", "no address"],
)
def test_second_attempt_goes_unnoticed(run: Run, failure: Exception | Sequence[Address]) -> None:
    """A failure that passes is not seen by who asked for the connection (F8)."""

    async def scenario() -> None:
        async with serving() as server:
            resolver = ScriptedResolver(failure)
            await dial_and_echo(make_dialer(server.port, resolver=resolver))
            assert len(resolver.asked) == 2

    run(scenario())


@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("127.0.0.1", []),
        ("upstream.test", []),
        ("upstream.test", [[address(), address("127.0.0.2")]] * 2),
        ("upstream.test", [OSError(errno.EMFILE, "Too many open files")] * 2),
    ],
    ids=["address", "name", "addresses", "lookup"],
)
def test_the_limit_of_open_files_is_named(
    run: Run, host: str, answers: list[Exception | Sequence[Address]]
) -> None:
    """What this process lacks is not taken for the upstream's firewall, or for its DNS."""

    async def scenario() -> None:
        dialer = make_dialer(443, host=host, resolver=ScriptedResolver(*answers))
        with no_open_files():
            error = await failure_of(dialer)
        assert error.reason == "too_many_open_files"
        assert error.cause == "EMFILE: the limit of open files of this process is reached"
        assert "ulimit -n" in error.detail
        assert "firewall" not in error.detail

    run(scenario())


def test_the_limit_of_the_machine_is_told_apart(run: Run) -> None:
    """ENFILE is not cured by a higher limit of the process."""

    async def scenario() -> None:
        full = OSError(errno.ENFILE, "Too many open files in system")
        error = await failure_of(make_dialer(443, resolver=ScriptedResolver(full, full)))
        assert error.reason == "too_many_open_files"
        assert "of this machine" in error.cause

    run(scenario())


def test_a_second_attempt_starts_after_a_turn_of_the_loop(run: Run) -> None:
    """Others get to close what they are about to close (F8)."""

    async def scenario() -> None:
        async with serving() as server:
            with no_open_files() as restore:
                asyncio.get_running_loop().call_soon(restore)
                await dial_and_echo(make_dialer(server.port, host="127.0.0.1"))

    run(scenario())


@pytest.mark.parametrize("hosts", [["127.0.0.1"], ["127.0.0.1", "127.0.0.2"]])
async def test_a_loop_that_is_confused_is_a_failure_like_any(hosts: list[str]) -> None:
    """The loop raises RuntimeError where a descriptor seems to be in use; nobody dies of it."""
    addresses = [address(host) for host in hosts]
    async with serving() as server:
        dialer = make_dialer(server.port, resolver=ScriptedResolver(addresses, addresses))
        async with confused_loop():
            error = await failure_of(dialer)
        assert error.reason == "connect"
        await dial_and_echo(dialer)


@pytest.mark.parametrize("is_reset", [True, False])
def test_handshake_cut_short_is_tried_twice(run: Run, ca_file: Path, *, is_reset: bool) -> None:
    """A server that hangs up during the TLS handshake gets a second attempt, then is reported."""
    cut: list[int] = []

    def hang_up_on_hello(connection: socket.socket, number: int) -> None:
        loop = asyncio.get_running_loop()

        def hang_up() -> None:
            loop.remove_reader(connection)
            if is_reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGERING)
            connection.close()
            cut.append(number)

        loop.add_reader(connection, hang_up)

    async def scenario() -> None:
        async with accepting(hang_up_on_hello) as port:
            error = await failure_of(make_dialer(port, tls=client_context(ca_file)))
        assert error.reason == "tls"
        assert "cut" in error.cause
        assert cut == [1, 2]

    run(scenario())


def test_deadline_holds_for_both_attempts_together(run: Run, ca_file: Path) -> None:
    """A first attempt that is cut and a second that hangs end at the one deadline."""
    accepted: list[int] = []

    def cut_the_first(connection: socket.socket, number: int) -> None:
        accepted.append(number)
        if number == 1:
            connection.close()

    async def scenario() -> None:

        async with accepting(cut_the_first) as port:
            started = asyncio.get_running_loop().time()
            error = await failure_of(
                make_dialer(port, tls=client_context(ca_file), timeout_seconds=2)
            )
            assert asyncio.get_running_loop().time() - started < PATIENCE_SECONDS / 2
            assert accepted == [1, 2]
        assert error.reason == "connect_timeout"
        assert error.cause == "no response within 2 s, at: TLS handshake"
        assert "SIGNICAT_PROXY_CONNECT_TIMEOUT_SECONDS" in error.detail

    run(scenario())


@contextlib.contextmanager
def black_hole(host: str = "127.0.0.1", port: int = 0) -> Iterator[int]:
    """Yield a port that answers no SYN: its backlog is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((host, port))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.settimeout(0)
            filler.connect_ex((host, port))
        yield port


def test_silent_address_ends_at_the_deadline(run: Run) -> None:
    """An address that never responds is a timeout that names the TCP connection."""

    async def scenario() -> None:
        with black_hole() as port:
            error = await failure_of(make_dialer(port, timeout_seconds=1))
        assert error.reason == "connect_timeout"
        assert "TCP connection" in error.cause

    run(scenario())


def test_silent_address_does_not_keep_the_next_one_waiting(run: Run) -> None:
    """While one address hesitates, the next is tried beside it (RFC 8305)."""

    async def scenario() -> None:
        async with serving() as server:
            with black_hole("127.0.0.2", server.port):
                resolver = ScriptedResolver([address("127.0.0.2"), address()])
                await dial_and_echo(make_dialer(server.port, resolver=resolver, timeout_seconds=10))

    run(scenario())


def test_failed_lookup_is_named(run: Run) -> None:
    """A name that does not resolve is tried twice and reported with the resolver's reason."""

    async def scenario() -> None:
        failure = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        resolver = ScriptedResolver(failure, failure)
        error = await failure_of(make_dialer(443, resolver=resolver))
        assert (error.reason, error.cause) == ("dns", "Name or service not known")
        assert "host in SIGNICAT_PROXY_UPSTREAM_URL" in error.detail
        assert "set SIGNICAT_PROXY_EGRESS_PROXY" in error.detail
        assert len(resolver.asked) == 2

    run(scenario())


def test_impossible_name_is_not_tried_again(run: Run) -> None:
    """What is no host name at all fails at once."""

    async def scenario() -> None:
        resolver = ScriptedResolver(UnicodeError("label too long"))
        error = await failure_of(make_dialer(443, resolver=resolver))
        assert (error.reason, error.cause) == ("dns", "not a host name")
        assert len(resolver.asked) == 1

    run(scenario())


@pytest.mark.parametrize("host", ["name.invalid", "a..b", "x" * 64 + ".test"])
def test_system_resolver_is_asked_by_default(run: Run, host: str) -> None:
    """Without a resolver of its own the dialer asks the system's; a name that is none, nobody."""

    async def scenario() -> None:
        names = NameCache(clock=SYSTEM_CLOCK)
        dialer = Dialer(host, 443, names=names, tls=None, connect_timeout_seconds=PATIENCE_SECONDS)
        assert (await failure_of(dialer)).reason == "dns"
        async with serving() as server:
            await dial_and_echo(
                Dialer("localhost", server.port, names=names, tls=None, connect_timeout_seconds=5)
            )

    run(scenario())


def test_hanging_lookup_ends_at_the_deadline(run: Run) -> None:
    """A resolver that does not come back is the DNS's fault, and is called so (F13)."""

    async def scenario() -> None:
        resolver = ScriptedResolver(None, None)
        error = await failure_of(make_dialer(443, resolver=resolver, timeout_seconds=0.05))
        assert error.reason == "dns"
        assert "DNS" in error.cause
        assert "Check the DNS" in error.detail

    run(scenario())


def test_a_lost_question_to_the_name_server_is_asked_again(run: Run) -> None:
    """A lookup that hesitates gets another beside it, well before the time is over (F13)."""

    async def scenario() -> None:
        async with serving() as server:
            resolver = ScriptedResolver(None)
            await dial_and_echo(make_dialer(server.port, resolver=resolver, timeout_seconds=5))
            assert len(resolver.asked) == 2
            assert server.accepted == 1

    run(scenario())


def test_a_lookup_that_fails_late_is_named(run: Run) -> None:
    """A second question that fails while the first is lost says why there is no address (F13)."""
    failure = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    async def scenario() -> None:
        resolver = ScriptedResolver(None, failure, failure)
        error = await failure_of(make_dialer(443, resolver=resolver, timeout_seconds=5))
        assert (error.reason, error.cause) == ("dns", "Temporary failure in name resolution")

    run(scenario())


def test_bytes_that_come_first_reach_the_protocol(
    run: Run, authority: trustme.CA, ca_file: Path
) -> None:
    """What a server says before it is asked is given to the protocol after `connection_made`."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome")
        await reader.read()

    async def scenario() -> None:
        for tls in (None, server_context(authority, "upstream.test")):
            async with serving(greet, tls) as server:
                transport, recorder = await make_dialer(
                    server.port, tls=client_context(ca_file) if tls else None
                ).dial(Recorder)
                await recorder.wait_received(b"welcome")
                transport.abort()

    run(scenario())


def test_connection_closed_at_once_is_told_in_one_way_or_the_other(run: Run) -> None:
    """A server that accepts and hangs up makes the dial fail, or the connection end."""

    async def scenario() -> None:
        async with accepting(lambda connection, _: connection.close()) as port:
            reason = "connect"
            try:
                _, recorder = await make_dialer(port).dial(Recorder)
                await wait_until(lambda: recorder.is_lost)
            except DialError as error:
                reason = error.reason
            assert reason == "connect"

    run(scenario())


def test_protocol_that_cannot_be_made_leaves_no_connection(run: Run) -> None:
    """An exception of the factory passes through, and the connection is closed."""

    def broken() -> Recorder:
        raise LookupError

    async def scenario() -> None:
        async with serving() as server:
            with pytest.raises(LookupError):
                await make_dialer(server.port).dial(broken)

    run(scenario())


@pytest.mark.parametrize("is_proxy_tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("is_upstream_tls", [False, True], ids=["http", "https"])
def test_connection_through_an_egress_proxy(
    run: Run,
    authority: trustme.CA,
    ca_file: Path,
    *,
    is_proxy_tls: bool,
    is_upstream_tls: bool,
) -> None:
    """CONNECT names the upstream, which is not looked up here, and carries the credentials."""

    async def scenario() -> None:
        context = client_context(ca_file)
        upstream_tls = server_context(authority, "upstream.test") if is_upstream_tls else None
        proxy_tls = server_context(authority, "egress.test") if is_proxy_tls else None
        async with (
            serving(tls=upstream_tls) as server,
            ConnectProxy(
                hosts={"upstream.test:443": ("127.0.0.1", server.port)},
                credentials=f"user:{SECRET}",
                tls=proxy_tls,
            ) as proxy,
        ):
            resolver = ScriptedResolver()
            dialer = Dialer(
                "upstream.test",
                443,
                tls=context if is_upstream_tls else None,
                egress=parse_egress_proxy(proxy.url.replace("127.0.0.1", "egress.test")),
                egress_tls=context,
                connect_timeout_seconds=PATIENCE_SECONDS,
                names=NameCache(clock=SYSTEM_CLOCK, resolver=resolver),
            )
            await dial_and_echo(dialer)
            assert [request.target for request in proxy.requests] == ["upstream.test:443"]
            assert proxy.requests[0].headers["host"] == "upstream.test:443"
            assert resolver.asked == ["egress.test"]
            if is_upstream_tls:
                assert server.names == ["upstream.test"]

    run(scenario())


@pytest.mark.parametrize(
    ("response", "cause", "attempts"),
    [
        (b"HTTP/1.1 403 Filtered\r\n\r\n", "CONNECT was refused with 403", 1),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "CONNECT was refused with 502", 2),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "the response to CONNECT is not HTTP/1", 1),
        (b"HTTP/1.1 20x OK\r\n\r\n", "the response to CONNECT is not HTTP/1", 1),
        (b"HTTP/1.1 200 OK\r\n\r\nx", "bytes after the response to CONNECT", 1),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, "the response to CONNECT is not HTTP/1", 1),
    ],
    ids=["403", "502", "other protocol", "bad status", "bytes after", "endless head"],
)
def test_response_of_an_egress_proxy_that_is_no_tunnel_is_named(
    run: Run, ca_file: Path, response: bytes, cause: str, attempts: int
) -> None:
    """Anything but 2xx with nothing after it is a failure of the proxy; only 5xx is tried again."""

    async def scenario() -> None:
        async with ConnectProxy(answer=response) as proxy:
            error = await failure_of(
                make_dialer(443, tls=client_context(ca_file), egress=parse_egress_proxy(proxy.url))
            )
            assert len(proxy.requests) == attempts
        assert (error.reason, error.cause) == ("egress_proxy", cause)
        assert "SIGNICAT_PROXY_EGRESS_PROXY" in error.detail

    run(scenario())


def test_wrong_credentials_for_the_egress_proxy_are_named(run: Run) -> None:
    """407 is not tried again, and the credentials are shown nowhere."""

    async def scenario() -> None:
        async with ConnectProxy(credentials="user:right") as proxy:
            egress = parse_egress_proxy(f"http://user:{SECRET}@127.0.0.1:{proxy.port}")
            error = await failure_of(make_dialer(443, egress=egress))
            assert len(proxy.requests) == 1
        assert (error.reason, error.cause) == ("egress_proxy", "CONNECT was refused with 407")
        assert error.connect_status == 407
        assert "credentials" in error.detail

    run(scenario())


def test_name_that_no_egress_proxy_can_be_told_is_named(run: Run) -> None:
    """A host that is no name is refused before CONNECT; the egress proxy hears nothing."""

    async def scenario() -> None:
        async with ConnectProxy() as proxy:
            dialer = make_dialer(443, host="a" * 64, egress=parse_egress_proxy(proxy.url))
            error = await failure_of(dialer)
            assert proxy.requests == []
        assert (error.reason, error.cause) == ("dns", "not a host name")

    run(scenario())


def test_egress_proxy_that_hangs_up_is_tried_twice(run: Run) -> None:
    """A proxy that closes at CONNECT gets a second attempt, then is reported."""

    async def scenario() -> None:
        async with ConnectProxy(behaviour="close") as proxy:
            error = await failure_of(make_dialer(443, egress=parse_egress_proxy(proxy.url)))
            assert len(proxy.requests) == 2
        assert error.reason == "egress_proxy"
        assert "closed by the egress proxy" in error.cause

    run(scenario())


def test_egress_proxy_that_is_silent_ends_at_the_deadline(run: Run) -> None:
    """A proxy that never responds to CONNECT is a timeout that names the proxy."""

    async def scenario() -> None:
        async with ConnectProxy(behaviour="hang") as proxy:
            error = await failure_of(
                make_dialer(443, egress=parse_egress_proxy(proxy.url), timeout_seconds=1)
            )
        assert error.reason == "connect_timeout"
        assert "CONNECT through the egress proxy" in error.cause
        assert "SIGNICAT_PROXY_EGRESS_PROXY" in error.detail

    run(scenario())


@pytest.mark.parametrize(
    ("resolver", "timeout_seconds"),
    [
        (ScriptedResolver, PATIENCE_SECONDS),
        (
            lambda: ScriptedResolver(*[socket.gaierror(-2, "Name not known")] * 2),
            PATIENCE_SECONDS,
        ),
        (lambda: ScriptedResolver(None, None), 0.2),
    ],
    ids=["refused", "dns", "silent dns"],
)
def test_unreachable_egress_proxy_is_not_taken_for_the_upstream(
    run: Run, resolver: Callable[[], ScriptedResolver], timeout_seconds: float
) -> None:
    """When the proxy itself cannot be reached, its setting is the one to look at, not to set."""

    async def scenario() -> None:
        with refusing_port() as port:
            egress = EgressProxy("proxy.test", port)
            error = await failure_of(
                make_dialer(
                    443, egress=egress, resolver=resolver(), timeout_seconds=timeout_seconds
                )
            )
        assert error.reason == "egress_proxy"
        assert "host in SIGNICAT_PROXY_EGRESS_PROXY" in error.detail
        assert "set SIGNICAT_PROXY_EGRESS_PROXY" not in error.detail
        assert "SIGNICAT_PROXY_UPSTREAM_URL" not in error.detail

    run(scenario())


def test_certificate_of_an_egress_proxy_is_verified(run: Run, ca_file: Path) -> None:
    """The way to an https:// proxy is verified like any other (G8)."""

    async def scenario() -> None:
        context = server_context(trustme.CA(), "127.0.0.1")
        async with ConnectProxy(tls=context) as proxy:
            error = await failure_of(
                make_dialer(443, tls=client_context(ca_file), egress=parse_egress_proxy(proxy.url))
            )
            assert not proxy.requests
        assert error.reason == "egress_proxy"
        assert "certificate verify failed" in error.cause

    run(scenario())


def test_https_egress_proxy_needs_a_context() -> None:
    """There is no way to an https:// proxy without verification."""
    with pytest.raises(ValueError, match="needs a TLS context"):
        make_dialer(443, egress=EgressProxy("proxy.test", 443, is_tls=True))


@pytest.mark.parametrize("is_far", [False, True], ids=["direct", "through an https proxy"])
def test_cancellation_at_any_point_leaves_nothing(
    run: Run, authority: trustme.CA, ca_file: Path, *, is_far: bool
) -> None:
    """Whoever is cancelled, after however many turns of the loop, leaves no socket and no task."""

    async def scenario() -> None:
        context = client_context(ca_file)
        async with (
            serving(tls=server_context(authority, "upstream.test")) as server,
            ConnectProxy(
                hosts={"upstream.test:443": ("127.0.0.1", server.port)},
                tls=server_context(authority, "127.0.0.1"),
            ) as proxy,
        ):
            dialer = make_dialer(
                443 if is_far else server.port,
                tls=context,
                egress=parse_egress_proxy(proxy.url) if is_far else None,
            )
            outcomes = [await cancel_after(dialer, turns) for turns in range(0, 120, 3)]
        assert "cancelled" in outcomes
        assert outcomes[0] == "cancelled"

    run(scenario())


def test_cancellation_among_attempts_leaves_nothing(run: Run) -> None:
    """Nor does who is cancelled while several addresses, or a second attempt, are tried."""

    async def scenario() -> None:
        async with serving() as server:
            with black_hole("127.0.0.2", server.port):
                outcomes = []
                for turns in range(60):
                    several = [address("127.0.0.9"), address("127.0.0.2"), address()]
                    resolver = ScriptedResolver([address("127.0.0.9")], several)
                    dialer = make_dialer(server.port, resolver=resolver)
                    outcomes.append(await cancel_after(dialer, turns))
        assert outcomes[0] == "cancelled"

    run(scenario())


async def cancel_after(dialer: Dialer, turns: int) -> str:
    """Cancel a dial after some turns of the loop; close the connection where it stood already."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(dialer.dial(Recorder))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    if task.cancelled():
        return "cancelled"
    transport, recorder = task.result()
    transport.abort()
    await wait_until(lambda: recorder.is_lost)
    return "connected"


@pytest.mark.parametrize("step", ["dns", "tcp", "connect", "tls"])
def test_cancellation_while_waiting_leaves_nothing(run: Run, ca_file: Path, step: str) -> None:
    """A dial that hangs at any step ends at once when it is cancelled."""

    async def scenario() -> None:
        reached = asyncio.Event()

        answers = {"dns": None, "tcp": [address("127.0.0.2")]}
        script = ScriptedResolver(answers.get(step, [address()]))

        def resolver(host: str) -> asyncio.Future[Sequence[Address]]:
            if step in answers:
                reached.set()
            return script(host)

        async with (
            ConnectProxy(behaviour="hang") as proxy,
            accepting(lambda *_: reached.set()) as mute,
        ):
            with black_hole("127.0.0.2", mute):
                egress = parse_egress_proxy(proxy.url) if step == "connect" else None
                dialer = make_dialer(
                    mute, tls=client_context(ca_file), egress=egress, resolver=resolver
                )
                async with asyncio.TaskGroup() as tasks:
                    task = tasks.create_task(dialer.dial(Recorder))
                    await (proxy.asked if egress else reached).wait()
                    await asyncio.sleep(0)
                    task.cancel()
                assert task.cancelled()

    run(scenario())


def test_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """A bundle that is missing, empty or no PEM is an error that names the setting."""
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("no certificate")
    for path in (tmp_path / "missing.pem", tmp_path, empty, garbage):
        with pytest.raises(UnusableFileError, match=r"^ca_file: "):
            client_context(path)


def test_context_always_verifies(ca_file: Path) -> None:
    """Verification is on, and the system's authorities count only without CA_FILE (G8)."""
    for context in (client_context(None), client_context(ca_file)):
        assert context.verify_mode is ssl.CERT_REQUIRED
        assert context.check_hostname
        assert context.minimum_version is ssl.TLSVersion.TLSv1_2
        assert context.keylog_filename is None
    assert len(client_context(ca_file).get_ca_certs()) == 1


@contextlib.contextmanager
def tinyproxy(directory: Path) -> Iterator[int]:
    """Run a real tinyproxy that demands credentials; yields its port."""
    assert TINYPROXY is not None
    configuration = directory / "tinyproxy.conf"
    with refusing_port() as port:
        configuration.write_text(
            f"Port {port}\nListen 127.0.0.1\nAllow 127.0.0.1\nTimeout 60\nBasicAuth user {SECRET}\n"
            f'LogFile "{directory / "tinyproxy.log"}"\n'
        )
        with subprocess.Popen([TINYPROXY, "-d", "-c", configuration]) as process:
            try:
                yield port
            finally:
                process.terminate()


@pytest.mark.skipif(TINYPROXY is None, reason="tinyproxy is not installed")
def test_real_tinyproxy(run: Run, authority: trustme.CA, ca_file: Path, tmp_path: Path) -> None:
    """A proxy in wide use opens tunnels for the right credentials, and is named for wrong ones."""

    async def scenario() -> None:
        async with serving(tls=server_context(authority, "127.0.0.1")) as server:
            with tinyproxy(tmp_path) as port:
                await wait_until(lambda: is_listening(port))
                for credentials in (f"user:{SECRET}", "user:wrong"):
                    dialer = make_dialer(
                        server.port,
                        host="127.0.0.1",
                        tls=client_context(ca_file),
                        egress=parse_egress_proxy(f"http://{credentials}@127.0.0.1:{port}"),
                    )
                    if SECRET in credentials:
                        await dial_and_echo(dialer)
                    else:
                        error = await failure_of(dialer)
                        assert error.cause in (
                            "CONNECT was refused with 401",
                            "CONNECT was refused with 407",
                        )

    run(scenario())
