"""TLS on an accepted connection, byte by byte and without a socket (I3, G11)."""

import asyncio
import ssl
from pathlib import Path
from typing import Any, cast

import pytest
import trustme

from proxy.net.tls_stream import TlsStream
from tests.support.tls_callers import caller_context
from tests.support.tls_records import RawRecords
from tests.support.waiting import eventually

CA = trustme.CA()


class Tcp:
    """The transport below: `sent` is what went out, the flags say what was asked of it."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self._reads = True
        self.has_ended = False
        self.is_over = False

    def write(self, data: bytes) -> None:
        """Send."""
        self.sent += data

    def writelines(self, pieces: list[bytes]) -> None:
        """Send pieces."""
        self.sent += b"".join(pieces)

    def write_eof(self) -> None:
        """End this direction."""
        self.has_ended = True

    def close(self) -> None:
        """End both."""
        self.is_over = True

    def abort(self) -> None:
        """End at once."""
        self.is_over = True

    def is_closing(self) -> bool:
        """Say whether it has ended."""
        return self.is_over

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Know nothing."""
        del name
        return default

    def reads(self) -> bool:
        """Say whether reading is not held."""
        return self._reads

    def pause_reading(self) -> None:
        """Hold reading."""
        self._reads = False

    def resume_reading(self) -> None:
        """Read on."""
        self._reads = True


class Scene:
    """A caller's TLS, a `TlsStream`, and what the protocol above it is told."""

    def __init__(self, keylog: Path | None = None) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        CA.issue_cert("localhost").configure_cert(context)
        self.tcp = Tcp()
        self.told: list[str] = []
        self.data = bytearray()
        self.holds_after = -1
        self.is_begun = False
        self.has_time = True
        self.stream = TlsStream(lambda: context, self, asyncio.get_running_loop())
        self.stream.connection_made(cast("asyncio.BaseTransport", self.tcp))
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        by = caller_context(CA)
        if keylog is not None:
            by.keylog_filename = str(keylog)
        self.caller = by.wrap_bio(self._in, self._out, server_hostname="localhost")

    # --- the protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note it."""
        assert transport is cast("Any", self.stream)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note it."""
        del exc
        self.told.append("lost")

    def data_received(self, data: bytes) -> None:
        """Keep what came; hold reading where the test says so."""
        self.data += data
        self.told.append("data")
        if len(self.data) >= self.holds_after >= 0:
            self.stream.pause_reading()

    def eof_received(self) -> bool | None:
        """Note it."""
        self.told.append("end")
        return False

    def pause_writing(self) -> None:
        """Note it."""
        self.told.append("pause")

    def resume_writing(self) -> None:
        """Note it."""
        self.told.append("resume")

    def on_handshake(self) -> None:
        """Go on at once, where the test does not say otherwise; note the first time."""
        if not self.is_begun:
            self.told.append("hello")
        self.is_begun = True
        if self.has_time:
            self.stream.shake_hands()

    def on_secured(self) -> None:
        """Note it."""
        self.told.append("secured")

    def on_handshake_failed(self, error: ssl.SSLError) -> None:
        """Note it."""
        self.told.append(f"failed: {error.reason}")

    def on_plain(self, data: bytes) -> None:
        """Note it."""
        self.told.append(f"plain: {data!r}")

    # --- the caller ---

    def written(self) -> bytes:
        """Return what the caller has to send."""
        return self._out.read()

    def send(self) -> None:
        """Let it arrive."""
        self.stream.data_received(self.written())

    def take(self) -> None:
        """Let the caller have what was sent to it."""
        self._in.write(bytes(self.tcp.sent))
        self.tcp.sent.clear()

    def shake_hands(self) -> None:
        """Do the whole handshake, each flight in one piece."""
        with pytest.raises(ssl.SSLWantReadError):
            self.caller.do_handshake()
        self.send()
        self.take()
        self.caller.do_handshake()
        self.send()
        self.take()
        assert self.told == ["hello", "secured"]
        self.told.clear()


async def test_nothing_is_kept_for_tls_before_the_first_byte() -> None:
    """And what is written then is for nobody."""
    scene = Scene()
    scene.stream.write(b"nobody")
    assert scene.told == []
    assert scene.tcp.sent == b""
    assert scene.stream.get_extra_info("ssl_object") is None


async def test_a_handshake_in_single_bytes() -> None:
    """However it is cut, and with a request right behind it."""
    scene = Scene()
    with pytest.raises(ssl.SSLWantReadError):
        scene.caller.do_handshake()
    for byte in scene.written():
        scene.stream.data_received(bytes([byte]))
    scene.take()
    scene.caller.do_handshake()
    scene.caller.write(b"GET")
    for byte in scene.written():
        scene.stream.data_received(bytes([byte]))
    assert scene.told == ["hello", "secured", "data"]
    assert scene.data == b"GET"


async def test_each_part_of_a_handshake_waits_for_its_turn() -> None:
    """A hello may come in two pieces; what follows it costs as well (G11)."""
    scene = Scene()
    scene.has_time = False
    with pytest.raises(ssl.SSLWantReadError):
        scene.caller.do_handshake()
    hello = scene.written()
    scene.stream.data_received(hello[:50])
    scene.stream.shake_hands()
    assert scene.tcp.reads()
    scene.stream.data_received(hello[50:])
    assert scene.tcp.sent == b""
    assert not scene.tcp.reads()
    scene.stream.shake_hands()
    scene.take()
    scene.caller.do_handshake()
    scene.send()
    assert scene.told == ["hello"]
    scene.stream.shake_hands()
    assert scene.told == ["hello", "secured"]


async def test_new_keys_without_end_cost_their_sender(tmp_path: Path) -> None:
    """OpenSSL would take all of them in one go: seconds, in which nobody else is served (G11)."""
    scene = Scene(tmp_path / "keys")
    scene.shake_hands()
    raw = RawRecords(scene.caller, tmp_path / "keys")
    scene.stream.data_received(b"".join(raw.new_keys() for _ in range(60)) + raw.data(b"GET"))
    assert scene.data == b"GET"  # some are in order
    scene.stream.data_received(b"".join(raw.new_keys() for _ in range(5000)) + raw.data(b"POST"))
    await eventually(lambda: scene.tcp.is_over, "the end")
    assert scene.data == b"GET"


async def test_many_small_records_are_brought_in_turns() -> None:
    """A read may hold thousands of them: 64 a turn, and nothing more is read meanwhile (G11)."""
    scene = Scene()
    scene.shake_hands()
    for _ in range(1000):
        scene.caller.write(b"x")
    scene.send()
    assert len(scene.data) == 64
    assert not scene.tcp.reads()
    turns = 0
    while len(scene.data) < 1000:
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 15
    assert scene.tcp.reads()
    assert scene.told == ["data"] * 16  # what comes together is brought together


async def test_reading_is_held_in_the_middle_and_goes_on() -> None:
    """What has come stays where it is; its end comes behind it (F5, F7)."""
    scene = Scene()
    scene.shake_hands()
    scene.holds_after = 100_000
    sent = bytes(range(256)) * 1200
    for start in range(0, len(sent), 10_000):
        scene.caller.write(sent[start : start + 10_000])
    with pytest.raises(ssl.SSLWantReadError):
        scene.caller.unwrap()
    scene.send()
    assert 100_000 <= len(scene.data) < 200_000
    assert not scene.tcp.reads()
    assert scene.stream.held > len(sent) - len(scene.data)  # it counts as sent ahead (G11)
    await asyncio.sleep(0)
    assert len(scene.data) < 200_000
    scene.holds_after = -1
    scene.stream.resume_reading()
    await eventually(lambda: scene.tcp.is_over, "the end")
    assert scene.data == sent
    assert scene.told[-1] == "end"
    assert scene.stream.held == 0


async def test_large_writes_arrive_whole() -> None:
    """In as many records as they need."""
    scene = Scene()
    scene.shake_hands()
    sent = bytes(range(256)) * 4000
    scene.stream.write(sent)
    scene.stream.writelines((b"head", sent))
    scene.take()
    got = bytearray()
    while len(got) < 2 * len(sent) + 4:
        got += scene.caller.read(1 << 20)
    assert got == sent + b"head" + sent


async def test_bytes_that_were_changed_end_the_connection() -> None:
    """At once: nothing behind them can be trusted (G5)."""
    scene = Scene()
    scene.shake_hands()
    scene.caller.write(b"GET / HTTP/1.1")
    record = bytearray(scene.written())
    record[-1] ^= 1
    scene.stream.data_received(bytes(record))
    assert scene.tcp.is_over
    assert scene.data == b""


async def test_a_failed_handshake_ends_with_an_alert() -> None:
    """The caller gets it, and nothing else."""
    scene = Scene()
    # A ClientHello of one byte.
    scene.stream.data_received(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
    assert scene.told[0] == "hello"
    assert scene.told[1].startswith("failed: LENGTH")
    assert scene.tcp.sent[:1] == b"\x15"  # the type of an alert's record
    scene.stream.write(b"nobody")
    assert scene.tcp.sent.count(b"nobody") == 0
    scene.stream.data_received(b"more")
    assert scene.data == b"more"  # for the protocol to throw away


async def test_one_direction_may_end_alone() -> None:
    """With close_notify, so that the caller knows that it has all; the rest still comes (F7)."""
    scene = Scene()
    scene.shake_hands()
    scene.stream.write(b"bye")
    scene.stream.write_eof()
    assert scene.tcp.has_ended
    assert not scene.tcp.is_over
    scene.take()
    assert scene.caller.read(10) == b"bye"
    assert scene.caller.read(10) == b""  # and no SSLError: an end that was cut would be one
    scene.stream.write(b"nobody")
    assert scene.tcp.sent == b""


async def test_plain_bytes_get_a_plain_response() -> None:
    """As long as nothing else has been said (G10)."""
    scene = Scene()
    scene.stream.data_received(b"GET / HTTP/1.1\r\n")
    assert scene.told == ["plain: b'GET / HTTP/1.1\\r\\n'"]
    scene.stream.write(b"HTTP/1.1 400")
    scene.stream.writelines((b" Bad", b" Request"))
    assert scene.tcp.sent == b"HTTP/1.1 400 Bad Request"


async def test_back_pressure_is_that_of_tcp() -> None:
    """It is passed on as it is."""
    scene = Scene()
    scene.stream.pause_writing()
    scene.stream.resume_writing()
    scene.stream.connection_lost(None)
    assert scene.told == ["pause", "resume", "lost"]
