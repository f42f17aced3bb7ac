"""Chunked bodies: what is read of them, and that a second reader reads the same (G5, F9)."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.http1.chunks import ChunkedDecoder
from proxy.http1.parser import MalformedMessageError
from tests.support.edits import odd_wires, one_byte_edits
from tests.support.second_reading import SecondDecoder


@pytest.fixture
def decoder() -> ChunkedDecoder:
    return ChunkedDecoder()


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
def test_chunked_body_in_pieces(decoder: ChunkedDecoder, step: int) -> None:
    """However the bytes are cut, the body is the same, and what follows it is given back."""
    wire = b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\nNEXT"
    body, rest = b"", b""
    for start in range(0, len(wire), step):
        piece = wire[start : start + step]
        if decoder.is_complete:
            rest += piece
            continue
        body += decoder.feed(piece)
        rest += decoder.rest
    assert (body, rest, decoder.is_complete) == (b"hello world", b"NEXT", True)


def test_large_chunk(decoder: ChunkedDecoder) -> None:
    """A chunk larger than any buffer limit comes out whole, in one feed."""
    data = bytes(range(256)) * 8192
    assert decoder.feed(b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n") == data
    assert decoder.is_complete


LONGEST_LINE: Final = 8 * 1024
MOST_TRAILERS: Final = 128
GOOD_CHUNKS: Final = [
    b"00000000000000005\r\nhello\r\n0\r\n\r\n",
    b'5;a="\xe6 \\\xf8\\"";b\r\nhello\r\n0\r\n\r\n',
    b"5;a=" + b"a" * (LONGEST_LINE - 4) + b"\r\nhello\r\n0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n" + b"A: b\r\n" * MOST_TRAILERS + b"\r\n",
    b"5\r\nhello\r\n0\r\nContent-Length-Of: 5\r\nA: \xe6\r\n\r\n",
]


@pytest.mark.parametrize("data", GOOD_CHUNKS, ids=range(len(GOOD_CHUNKS)))
@pytest.mark.parametrize("step", [1, 100, 20_000])
def test_good_chunks(decoder: ChunkedDecoder, data: bytes, step: int) -> None:
    """What the grammar allows is taken up to the bounds, however it is cut."""
    body = b"".join(decoder.feed(data[at : at + step]) for at in range(0, len(data), step))
    assert (body, decoder.is_complete) == (b"hello", True)


def test_the_largest_size(decoder: ChunkedDecoder) -> None:
    """Fifteen digits are a size, whose data need never come."""
    assert decoder.feed(b"f" * 15 + b"\r\n" + b"x" * 100) == b"x" * 100


def test_framing_counts_anew_behind_data(decoder: ChunkedDecoder) -> None:
    """What is between two bytes of data is bounded, not what is of a whole body."""
    for _ in range(100):
        for piece in (b"1;" + b"a" * 1000, b"\r\n", b"x", b"\r\n"):
            decoder.feed(piece)


@pytest.mark.parametrize("odd", [b"\x00", b"\x7f", b"\n", b"\r "])
def test_an_odd_byte_in_a_long_line_is_refused_at_once(decoder: ChunkedDecoder, odd: bytes) -> None:
    """However much of the line came before it; also one byte later."""
    for piece in (b"5;a=", b'"' + b"\\a" * 1000, odd[:-1]):
        decoder.feed(piece)
    with pytest.raises(MalformedMessageError):
        decoder.feed(odd[-1:])


def drip(length: int) -> float:
    """Feed a line byte by byte; return the processor time that it takes, in seconds."""
    began = time.process_time()
    decoder = ChunkedDecoder()
    decoder.feed(b'5;a="')
    for _ in range(length):
        decoder.feed(b"a")
    return time.process_time() - began


def test_a_line_that_drips_is_not_read_from_its_start_with_each_byte() -> None:
    """A byte costs no more behind eight thousand than behind two thousand (G11)."""
    # In turns, so that whatever slows the processor down slows both.
    short, long = map(min, zip(*((drip(2000), drip(8000)) for _ in range(10)), strict=True))
    assert long / short < 10  # four times the bytes; 16 where each costs all before it


BAD_CHUNKS = [
    b"5;\r\nhello\r\n",
    b"5;=a\r\nhello\r\n",
    b"5;a=\r\nhello\r\n",
    b'5;a=b"c"\r\nhello\r\n',
    b"5\nhello\r\n",
    b"5 \r\nhello\r\n",
    b" 5\r\nhello\r\n",
    b"0x5\r\nhello\r\n",
    b"+5\r\nhello\r\n",
    b"-5\r\nhello\r\n",
    b";a\r\nhello\r\n",
    b"\r\n5\r\nhello\r\n",
    b"5\r\nhelloX\r\n",
    b"5\r\nhello\n0\r\n\r\n",
    b"5\r\nhello0\r\n\r\n",
    b"5;a\nb\r\nhello\r\n",
    b"5;a\rb\r\nhello\r\n",
    b"FFFFFFFFFFFFFFFFFF\r\n",
    b"g\r\n",
    b"0\r\n\n",
    b"0\r\nA : b\r\n\r\n",
    b"0\r\n A: b\r\n\r\n",
    b"0\r\nA: b\nC: d\r\n\r\n",
    b"0\r\nContent-Length: 5\r\n\r\n",
    b"0\r\ntransfer-encoding: chunked\r\n\r\n",
    b"1" * 16 + b"\r\n",
    b"5;a=" + b"a" * LONGEST_LINE + b"\r\nhello\r\n",
    b"0\r\nA: " + b"b" * LONGEST_LINE + b"\r\n\r\n",
    b"0\r\n" + b"A: b\r\n" * (MOST_TRAILERS + 1) + b"\r\n",
]


@pytest.mark.parametrize("data", BAD_CHUNKS)
def test_bad_chunks(decoder: ChunkedDecoder, data: bytes) -> None:
    """Chunked framing with two readings is refused in both directions (G5, F9)."""
    with pytest.raises(MalformedMessageError):
        decoder.feed(data)


@pytest.mark.parametrize(
    ("first", "more"),
    [(b"5;", b"a" * 1000), (b"0\r\n", b"A: b\r\n" * 100)],
    ids=["size", "trailer"],
)
def test_endless_framing(decoder: ChunkedDecoder, first: bytes, more: bytes) -> None:
    """Extensions and trailers without end are refused."""

    def feed_on() -> None:
        for _ in range(100):
            decoder.feed(more)

    decoder.feed(first)
    with pytest.raises(MalformedMessageError):
        feed_on()


WIRES: Final = [
    b"5\r\nhello\r\n0\r\n\r\nNEXT",
    b'1;a\r\nx\r\nA;b=c;d="e f"\r\n0123456789\r\n00\r\nX-A: b\r\nC:\r\n\r\n',
    b"2\r\n\r\n\r\n3\r\n0\r\n\r\n000;x\r\n\r\n",
]
PIECES: Final = [
    *(b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\x00", b"\x0b", b"\x7f", b"\xff", b" ", b"\t"),
    *(b";", b"=", b'"', b"\\", b'"\\""', b":", b",", b"0x", b"+", b"-", b"_", b"0", b"a", b"F"),
    *(b"0\r\n", b"A: b\r\n", b" folded", b"f" * 15, b"0" * 17, b"g"),
    *(b"Content-Length: 5\r\n", b"TRANSFER-ENCODING: chunked\r\n", b"Trailer: A\r\n"),
]


class Readers:
    """A decoder for each wire, and the second reader's."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.taken = 0
        self.refused = 0

    def agree(self, wire: bytes, step: int) -> None:
        """See that what is let through is what the second reader reads, however it is cut."""
        decoder = ChunkedDecoder()
        body, rest = b"", b""
        try:
            for start in range(0, len(wire), step):
                piece = wire[start : start + step]
                if decoder.is_complete:
                    rest += piece
                else:
                    body += decoder.feed(piece)
                    rest = decoder.rest
        except MalformedMessageError:
            self.refused += 1
            return
        assert SecondDecoder(self._loop).read(wire) == (body, rest, decoder.is_complete), wire
        self.taken += 1

    def close(self) -> None:
        """Give back what the second reader needs."""
        self._loop.close()


@pytest.fixture
def readers() -> Iterator[Readers]:
    with contextlib.closing(Readers()) as readers:
        yield readers


@pytest.mark.parametrize("wire", WIRES, ids=range(len(WIRES)))
@pytest.mark.parametrize("step", [1, 1000])
def test_every_byte_is_read_as_by_the_second_reader(
    readers: Readers, wire: bytes, step: int
) -> None:
    """Whatever one byte is changed to, what is let through has one reading."""
    for changed in one_byte_edits(wire):
        readers.agree(changed, step)
    assert min(readers.taken, readers.refused) > len(wire)


@settings(max_examples=500, deadline=None)
@given(wire=odd_wires(WIRES, PIECES), step=st.sampled_from([1, 2, 3, 7, 100]))
def test_odd_chunks_are_read_as_by_the_second_reader(wire: bytes, step: int) -> None:
    """So have wires of many odd pieces."""
    with contextlib.closing(Readers()) as readers:
        readers.agree(wire, step)
