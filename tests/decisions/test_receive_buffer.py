"""What a caller has sent, cut into heads and bodies, however the bytes arrive (G5, G6)."""

import pytest

from proxy.errors import ProxyError
from proxy.http1.framing import CHUNKED
from proxy.http1.receive_buffer import MAX_PIPELINED, MAX_REQUEST_HEAD, ReceiveBuffer

HEAD = b"GET /a HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"


def fed(data: bytes, step: int) -> tuple[list[bytes], str | None]:
    """Return the heads that come out of bytes in pieces, and the code of what is refused."""
    receive_buffer = ReceiveBuffer()
    heads = []
    for start in range(0, len(data), step):
        receive_buffer.add(data[start : start + step])
        try:
            while receive_buffer and (head := receive_buffer.take_head()) is not None:
                heads.append(head)
        except ProxyError as error:
            return heads, error.kind.code
    return heads, None


STREAMS = {
    "one": (HEAD, [HEAD], None),
    "two": (HEAD + HEAD, [HEAD, HEAD], None),
    "empty line first": (b"\r\n" + HEAD, [HEAD], None),
    "half": (HEAD[:-2], [], None),
    "bare LF": (HEAD + b"GET / HTTP/1.1\nHost: a\n\n", [HEAD], "bad_request"),
    "bare LF late": (HEAD[:-2] + b"Z: a\nB: c\r\n\r", [], "bad_request"),
    "control character": (b"GET / HTTP/1.1\r\nA: \x01", [], "bad_request"),
    "other protocol": (b"SSH-2.0-x\r\n", [], "bad_request"),
    "too large": (HEAD[:-2] + b"A: " + b"a" * MAX_REQUEST_HEAD, [], "head_too_large"),
}


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(("data", "heads", "code"), STREAMS.values(), ids=STREAMS.keys())
def test_the_pieces_make_no_difference(
    data: bytes, heads: list[bytes], code: str | None, step: int
) -> None:
    """However the bytes are cut, the same heads come out and the same is refused."""
    assert fed(data, step) == (heads, code)


@pytest.mark.parametrize("step", [1, 4, 1000])
def test_bodies_end_where_they_say(step: int) -> None:
    """A body takes what is its own; the rest is the next request."""
    for length, wire in ((5, b"hello"), (CHUNKED, b"5\r\nhello\r\n0\r\n\r\n")):
        receive_buffer = ReceiveBuffer()
        receive_buffer.begin_body(length)
        body, is_end = b"", False
        data = wire + HEAD
        for start in range(0, len(data), step):
            receive_buffer.add(data[start : start + step])
            if not is_end:
                piece, is_end = receive_buffer.take_body()
                body += piece
        assert (body, is_end) == (b"hello", True)
        assert receive_buffer.take_head() == HEAD


def test_it_is_full_at_its_bound() -> None:
    """More than enough behind a running request is noticed; cleared, there is nothing."""
    receive_buffer = ReceiveBuffer()
    states = []
    for data in (b"x" * MAX_PIPELINED, b"x"):
        receive_buffer.add(data)
        states.append((bool(receive_buffer), receive_buffer.is_full))
    receive_buffer.clear()
    states.append((bool(receive_buffer), receive_buffer.is_full))
    assert states == [(True, False), (True, True), (False, False)]
