"""Raw hostile bytes: what leaves the proxy has one reading, or nothing leaves (G5, F4, F9).

The cases follow what is publicly known of request smuggling: framings that
contradict each other, the ways to hide one of them from a reader, line ends
and spaces that readers treat differently, and requests hidden in bodies. The
oracle does not ask for a status: some cases are harmless and may pass.
"""

import itertools
from collections.abc import Iterator

import pytest

from tests.support.messages import assert_problem, reply, request
from tests.support.peers import Channel, ClosedEarlyError
from tests.support.running_proxy import proxied
from tests.support.strict_reading import AmbiguousError, read_strictly
from tests.support.token_server import TokenServer, bearer

pytestmark = pytest.mark.usefixtures("no_leaks")

HOST = b"Host: localhost\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
TE = b"Transfer-Encoding"
CL = b"Content-Length"


def post(fields: bytes, body: bytes) -> bytes:
    """Return a POST with these field lines."""
    return b"POST /seen HTTP/1.1\r\n" + HOST + fields + b"\r\n" + body


CODINGS = [
    *(b"Chunked", b"CHUNKED", b"chunKed", b"chunked ", b" chunked", b"\tchunked", b"chunked\t"),
    *(
        b"\x0bchunked",
        b"\x0cchunked",
        b"\x00chunked",
        b"chunked\x00",
        b"chunked\x7f",
        b"\xa0chunked",
    ),
    *(
        b"chunked,",
        b",chunked",
        b", chunked",
        b"chunked, ",
        b"chunked,chunked",
        b"chunked, identity",
    ),
    *(b"identity", b"identity, chunked", b"gzip, chunked", b"chunked, gzip", b"deflate", b"cow"),
    *(b"chunked;", b"chunked; a=b", b'"chunked"', b"'chunked'", b"(comment) chunked", b"chunkedx"),
    *(b"xchunked", b"chunke", b"chunk", b"chu\r\n nked", b"\r\n chunked", b"\r\n\tchunked", b""),
    *(b"chunked\nX: y", b"chunked\rX: y", b"\xe2\x84\xaahunked", b"chun\xe2\x84\xaaed", b"c\xff"),
]
"""Values of Transfer-Encoding that one reader may take for `chunked` and another not."""

NAMES = [
    *(b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"\tTransfer-Encoding"),
    *(b"Transfer_Encoding", b"Transfer Encoding", b"TransferEncoding", b"Transfer-Encoding\x00"),
    *(b"Transfer-Encoding\x0b", b"\x00Transfer-Encoding", b"X: y\nTransfer-Encoding"),
    *(b"X: y\rTransfer-Encoding", b"\nTransfer-Encoding", b"\rTransfer-Encoding"),
    *(
        b"Transfer\r\n-Encoding",
        b"Transfer-Encoding\r\n ",
        b"transfer-encoding",
        b"TRANSFER-ENCODING",
    ),
    *(
        b"Transfer%2DEncoding",
        b"Transfer\xadEncoding",
        b"Transfer-Encodin\xc7\xb5",
        b'"Transfer-Encoding"',
    ),
    *(b"Content-Encoding", b"TE", b"X-Transfer-Encoding", b"Trailer"),
]
"""Names that one reader may take for Transfer-Encoding and another not."""

LENGTHS = [
    *(
        b"+5",
        b"-5",
        b" 5",
        b"5 ",
        b"\t5",
        b"5\t",
        b"05",
        b"0000000005",
        b"5,5",
        b"5, 5",
        b"5,6",
        b",",
    ),
    *(
        b"5;",
        b"5.0",
        b"5e0",
        b"0x5",
        b"0b101",
        b"0o5",
        b"5 5",
        b"5_",
        b"_5",
        b"5\x00",
        b"\x005",
        b"\x0b5",
    ),
    *(
        b"",
        b"five",
        b"\xd9\xa5",
        b"\xef\xbc\x95",
        b"5\nX: y",
        b"5\rX: y",
        b"\r\n 5",
        b"5\r\n 6",
        b"1e1",
    ),
    *(
        b"18446744073709551621",
        b"9223372036854775813",
        b"4294967301",
        b"999999999999999999999",
        b"5L",
    ),
]
"""Values of Content-Length that readers may count differently."""

LENGTH_NAMES = [
    *(
        b"Content-Length ",
        b" Content-Length",
        b"Content_Length",
        b"Content Length",
        b"Content-Length\x00",
    ),
    *(b"Content-Length\x0b", b"X: y\nContent-Length", b"X: y\rContent-Length", b"CONTENT-LENGTH"),
    *(b"Content-Length\r\n ", b"\x00Content-Length", b"Content-Length\t", b"Content\xadLength"),
]

SIZES = [
    *(
        b"+5",
        b"-5",
        b" 5",
        b"5 ",
        b"\t5",
        b"5\t",
        b"0x5",
        b"5h",
        b"05",
        b"0000000000000005",
        b"5\x00",
    ),
    *(
        b"5;",
        b"5;a",
        b"5;a=b",
        b'5;a="b"',
        b'5;a="\r\n"',
        b"5;a\n",
        b"5;\n",
        b"5\n",
        b"5\r",
        b"5\r\r",
    ),
    *(
        b"5 ;a",
        b"5;a=b;c",
        b";a",
        b"",
        b"g",
        b"5g",
        b"5,5",
        b"5\x0b",
        b"\xef\xbc\x95",
        b"5_0",
        b"5.0",
    ),
    *(
        b"10000000000000005",
        b"100000005",
        b"ffffffffffffffff",
        b"fffffffffffffffb",
        b"80000000",
        b"-0",
    ),
    *(
        b"5;a\r",
        b"5; \n",
        b"5;" + b"x" * 40_000,
        b"0" * 40_000 + b"5",
        b'5;a="',
        b"5;a=\x00",
        b"5;\x7f",
    ),
]
"""Lines before a chunk of five bytes that readers may read differently."""

CHUNK_ENDS = [
    b"\n",
    b"\r",
    b"",
    b"\r\r\n",
    b" \r\n",
    b"\n\r\n",
    b"XX",
    b"\r\n\r\n",
    b"\x00\r\n",
    b"\r\nX",
]
LAST_CHUNKS = [
    *(
        b"0\r\n\r\n",
        b"0\n\n",
        b"0\r\n\n",
        b"0\n\r\n",
        b"00\r\n\r\n",
        b"0;a\r\n\r\n",
        b"0 \r\n\r\n",
        b"-0\r\n\r\n",
    ),
    *(
        b"0\r\nX: y\r\n\r\n",
        b"0\r\nX: y\n\r\n",
        b"0\r\n X: y\r\n\r\n",
        b"0\r\nX : y\r\n\r\n",
        b"0\r\nX\r\n\r\n",
    ),
    *(
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"0\r\nHost: evil\r\n\r\n",
    ),
    *(
        b"0\r\nX: \x00\r\n\r\n",
        b"0\r\nX: y\r\n z\r\n\r\n",
        b"0\r\r\n\r\n",
        b"0x0\r\n\r\n",
        b"0\r\n" + HIDDEN,
    ),
    *(b"0\r\nAuthorization: Bearer x\r\n\r\n", b"0\r\n" + b"X: y\r\n" * 50_000 + b"\r\n"),
]

LINES = [
    *(b"GET /seen", b"GET", b"", b" ", b"\x00", b"GET  /seen HTTP/1.1", b"GET /seen  HTTP/1.1"),
    *(
        b" GET /seen HTTP/1.1",
        b"\tGET /seen HTTP/1.1",
        b"GET\t/seen\tHTTP/1.1",
        b"GET /seen HTTP/1.1 ",
    ),
    *(
        b"GET /seen HTTP/1.1\t",
        b"GET /seen HTTP/1.1\x00",
        b"GET\x0b/seen HTTP/1.1",
        b"GET\xa0/seen HTTP/1.1",
    ),
    *(
        b"GET /seen HTTP/0.9",
        b"GET /seen HTTP/1",
        b"GET /seen HTTP/1.",
        b"GET /seen HTTP/.1",
        b"GET /seen HTTP",
    ),
    *(
        b"GET /seen HTTP/01.1",
        b"GET /seen HTTP/1.01",
        b"GET /seen HTTP/1.1.1",
        b"GET /seen HTTP/1,1",
    ),
    *(
        b"GET /seen HTTP/11",
        b"GET /seen HTTP/3",
        b"GET /seen HTTPS/1.1",
        b"GET /seen ICY/1.1",
        b"GET /seen 1.1",
    ),
    *(
        b"GET /seen HTTP/ 1.1",
        b"GET /seen HTTP /1.1",
        b"GET /seen HTTP/-1.1",
        b"GET /seen HTTP/+1.1",
    ),
    *(b"GET /a HTTP/1.1 /b HTTP/1.1", b"GET /a\nGET /b HTTP/1.1", b"GET /a\rGET /b HTTP/1.1"),
    *(
        b"GET http://localhost/seen HTTP/1.1",
        b"GET http://evil.example/seen HTTP/1.1",
        b"GET * HTTP/1.1",
    ),
    *(
        b"OPTIONS * HTTP/1.1",
        b"GET //evil.example/seen HTTP/1.1",
        b"GET \\seen HTTP/1.1",
        b"GET seen HTTP/1.1",
    ),
    *(
        b"GET http:///seen HTTP/1.1",
        b"GET http:/seen HTTP/1.1",
        b"GET http://a@localhost/ HTTP/1.1",
    ),
    *(
        b"GET ftp://localhost/ HTTP/1.1",
        b"GET FILE:///etc/passwd HTTP/1.1",
        b"GET localhost:80 HTTP/1.1",
    ),
    *(
        b"GET http://localhost\\@evil/ HTTP/1.1",
        b"GET http://localhost#@evil/ HTTP/1.1",
        b"GET ? HTTP/1.1",
    ),
    *(
        b"CONNECT localhost:80 HTTP/1.1",
        b"CONNECT / HTTP/1.1",
        b"TRACE / HTTP/1.1",
        b"get /seen HTTP/1.1",
    ),
    *(
        b"PRI * HTTP/2.0",
        b"G\x00T /seen HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET /\x7f HTTP/1.1",
        b"GET /# HTTP/1.1",
    ),
    *(
        b"GET /\xff\xfe HTTP/1.1",
        b"GET /<script> HTTP/1.1",
        b"GET /%00 HTTP/1.1",
        b"GET /%0d%0aX:y HTTP/1.1",
    ),
    *(
        b"GET /" + b"a" * 40_000 + b" HTTP/1.1",
        b"A" * 40_000 + b" / HTTP/1.1",
        b"GET /a HTTP/1.1\rX: y",
    ),
]

FIELDS = [
    *(
        b"A",
        b":",
        b": x",
        b"A B: x",
        b"A\x00: x",
        b"A: \x00",
        b"A: x\x00y",
        b"A: \x08",
        b"A: \x7f",
        b"A: \x1b[2J",
    ),
    *(
        b"A : x",
        b"A\t: x",
        b" A: x",
        b"\tA: x",
        b"A: x\r\n y",
        b"A: x\r\n\ty",
        b"A: x\r\n \r\n y",
        b"\r\nA: x",
    ),
    *(
        b"A: x\ny",
        b"A: x\nB: y",
        b"A: x\rB: y",
        b"A: x\r",
        b"A: x\n",
        b"\nA: x",
        b"\rA: x",
        b"A: x\r\rB: y",
    ),
    *(
        b"(A): x",
        b"[A]: x",
        b"A/B: x",
        b"A=B: x",
        b"A@B: x",
        b"A\\B: x",
        b'"A": x',
        b"A{B}: x",
        b"A,B: x",
    ),
    *(
        b"\xc3\xa4: x",
        b"A\xff: x",
        b"A: \xff\xfe",
        b"A: \xc3\x28",
        b"A: \xe2\x80\xa8B: y",
        b"A: =?utf-8?q?x?=",
    ),
    *(
        b"Host: localhost",
        b"host: evil.example",
        b"Host : evil.example",
        b" Host: evil",
        b"Host\x00: evil",
        b"Host:",
    ),
    *(
        b"X-Host: evil",
        b"Connection: Authorization",
        b"Connection: Host, Content-Length, Via",
        b"Connection: close",
    ),
    *(
        b"Connection: transfer-encoding",
        b"Connection: \x00",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
    ),
    *(
        b"Upgrade: websocket\r\nConnection: upgrade",
        b"Authorization: Bearer mine",
        b"AUTHORIZATION: Basic eDp5",
    ),
    *(
        b"Proxy-Authorization: Basic eDp5",
        b"Authorization\t: x",
        b"Authorization: a\r\nAuthorization: b",
    ),
    *(
        b"X-Forwarded-For: 1.2.3.4",
        b"X_Forwarded_Host: evil",
        b"Forwarded: for=1.2.3.4",
        b"Expect: 100-continue",
    ),
    *(
        b"Expect: x",
        b"TE: trailers, chunked",
        b"Trailer: Authorization",
        b"Keep-Alive: timeout=9",
        b"Range: bytes=0-",
    ),
    *(b"A: " + b"x" * 40_000, b"A: x\r\n" * 9_000 + b"B: y", b"A" * 40_000 + b": x"),
]

PROTOCOLS = {
    "TLS": b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + bytes(range(256)),
    "SSLv2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + b"\x01" * 40,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "SMTP": b"EHLO evil.example\r\nMAIL FROM:<a@b>\r\n",
    "Redis": b"*1\r\n$4\r\nPING\r\n",
    "PROXY protocol": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + HIDDEN,
    "PROXY protocol 2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + b"\x01" * 12 + HIDDEN,
    "SOCKS4": b"\x04\x01\x00\x50\x7f\x00\x00\x01\x00",
    "SOCKS5": b"\x05\x01\x00",
    "memcached": b"set a 0 0 5\r\nhello\r\n",
    "FastCGI": b"\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00",
    "WebSocket frame": b"\x81\x85\x01\x02\x03\x04hello",
    "HTTP answer": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "RTSP": b"OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n",
    "SIP": b"INVITE sip:a@b SIP/2.0\r\n\r\n",
    "zeros": bytes(5_000),
    "endless line": b"a" * 100_000,
    "empty lines": b"\r\n" * 20_000 + HIDDEN,
    "LF only": b"\n" * 20_000 + HIDDEN,
}


EXTENSIONS = [
    *(b"2;\nxx\r\n4c\r\n0\r\n\r\n", b"5;a=b\nabcde\r\n0\r\n\r\n", b"5;\rabcde\r\n0\r\n\r\n"),
    *(b'5;a="\n"\r\nabcde\r\n0\r\n\r\n', b'5;a="\r\n0\r\n\r\n"\r\nabcde\r\n0\r\n\r\n'),
    *(
        b"5;a\rb\r\nabcde\r\n0\r\n\r\n",
        b"5;a\r\n b\r\nabcde\r\n0\r\n\r\n",
        b"5;\n\r\nabcde\r\n0\r\n\r\n",
    ),
    *(b"5\r\nabcdeXX2\r\n45\r\n0\r\n\r\n", b"5\r\nabcde\n0\r\n\r\n", b"5\r\nabcde0\r\n\r\n"),
    *(b"5\r\nabcde\r0\r\n\r\n", b"5\r\nabcde\r\n\r\n0\r\n\r\n", b"5\nabcde\r\n0\r\n\r\n"),
    *(b"5\r\nabcde\r\n0;\n\r\n\r\n", b"5\r\nabcde\r\n0\n\r\n", b"5\r\nabcde\r\n0\r\n\n"),
]
"""Bodies whose lines end, for one reader, where they do not for another (none may be repaired)."""

EXPECTATIONS = [
    *(
        b"y 100-continue",
        b"100-continue, x",
        b"x, 100-continue",
        b"100-Continue",
        b"\n100-continue",
    ),
    *(
        b"100-continue\r\nExpect: 100-continue",
        b"100-continue;q=1",
        b" 100-continue ",
        b"\x0b",
        b"",
    ),
]
OPTIONS = [
    *(b"content-length", b"Content-Length, close", b"transfer-encoding", b"host", b"authorization"),
    *(
        b"host, authorization, via",
        b", ,",
        b"keep-alive, upgrade",
        b"content_length",
        b"close, \x0bx",
    ),
]


def asides() -> Iterator[tuple[str, bytes]]:
    """Yield well-framed requests with fields that some readers let decide on the framing."""
    for chunked in (False, True):
        frame = TE + b": chunked\r\n" if chunked else CL + b": 5\r\n"
        body = b"5\r\nabcde\r\n0\r\n\r\n" if chunked else b"abcde"
        for field, values in ((b"Expect: ", EXPECTATIONS), (b"Connection: ", OPTIONS)):
            for value in values:
                raw = post(field + value + b"\r\n" + frame, body + HIDDEN)
                yield f"{field!r} {value!r}, {chunked}", raw
                yield f"{field!r} {value!r}, {chunked}, GET", b"GET" + raw[4:]


def framings() -> Iterator[tuple[str, bytes]]:
    """Yield a request for each way to frame a body, one of its readings hiding another request."""
    chunks = b"5\r\nabcde\r\n0\r\n\r\n"
    for value in CODINGS:
        line = TE + b":" + value + b"\r\n"
        yield f"coding {value!r}", post(line, chunks + HIDDEN)
        yield f"coding {value!r}, length", post(line + b"Content-Length: 4\r\n", chunks + HIDDEN)
        yield f"length, coding {value!r}", post(b"Content-Length: 4\r\n" + line, chunks + HIDDEN)
        yield f"chunked, then {value!r}", post(TE + b": chunked\r\n" + line, chunks + HIDDEN)
    for name in NAMES:
        line = name + b": chunked\r\n"
        yield f"name {name!r}", post(line, chunks + HIDDEN)
        yield f"name {name!r}, length", post(line + b"Content-Length: 15\r\n", chunks + HIDDEN)
    for value in LENGTHS:
        line = CL + b":" + value + b"\r\n"
        yield f"length {value!r}", post(line, b"abcde" + HIDDEN)
        yield f"length 5 and {value!r}", post(b"Content-Length: 5\r\n" + line, b"abcde" + HIDDEN)
        yield f"length {value!r} and 5", post(line + b"Content-Length: 5\r\n", b"abcde" + HIDDEN)
    for name in LENGTH_NAMES:
        yield f"name {name!r}", post(name + b": 5\r\n", b"abcde" + HIDDEN)
        yield (
            f"name {name!r} beside",
            post(name + b": 0\r\nContent-Length: 5\r\n", b"abcde" + HIDDEN),
        )


def chunk_tricks() -> Iterator[tuple[str, bytes]]:
    """Yield bodies in chunks that readers may take apart differently."""
    line = TE + b": chunked\r\n"
    for size in SIZES:
        yield f"size {size[:20]!r}", post(line, size + b"\r\nabcde\r\n0\r\n\r\n" + HIDDEN)
    for body in EXTENSIONS:
        yield f"lines {body[:20]!r}", post(line, body + HIDDEN)
    for end in CHUNK_ENDS:
        yield f"chunk end {end!r}", post(line, b"5\r\nabcde" + end + b"0\r\n\r\n" + HIDDEN)
    for last in LAST_CHUNKS:
        yield f"last chunk {last[:20]!r}", post(line, b"5\r\nabcde\r\n" + last + HIDDEN)
    for method in (b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"PURGE"):
        body = post(line, b"5\r\nabcde\r\n0\r\n\r\n" + HIDDEN)
        yield f"{method!r} with chunks", method + body[4:]
        yield f"{method!r} with length", method + post(b"Content-Length: 44\r\n", HIDDEN)[4:]
    for version in (b"HTTP/1.0", b"HTTP/0.9", b"HTTP/2.0"):
        raw = post(line, b"5\r\nabcde\r\n0\r\n\r\n" + HIDDEN)
        yield f"chunks in {version!r}", raw.replace(b"HTTP/1.1", version, 1)


def heads() -> Iterator[tuple[str, bytes]]:
    """Yield heads that readers may take apart differently."""
    for line in LINES:
        yield f"line {line[:40]!r}", line + b"\r\n" + HOST + b"\r\n" + HIDDEN
    for field in FIELDS:
        yield (
            f"field {field[:30]!r}",
            b"GET /seen HTTP/1.1\r\n" + HOST + field + b"\r\n\r\n" + HIDDEN,
        )
        yield (
            f"first {field[:30]!r}",
            b"GET /seen HTTP/1.1\r\n" + field + b"\r\n" + HOST + b"\r\n" + HIDDEN,
        )
    for end in (
        b"\r\n\n",
        b"\n\r\n",
        b"\n\n",
        b"\r\r",
        b"\r\n\r",
        b"\r\n \r\n",
        b"\r\n\x00\r\n",
        b"\r\n\r\r\n",
    ):
        yield f"head end {end!r}", b"GET /seen HTTP/1.1\r\nHost: localhost" + end + HIDDEN


GROUPS = {
    "framings": list(framings()),
    "chunks": list(chunk_tricks()),
    "heads": list(heads()),
    "asides": list(asides()),
    "protocols": list(PROTOCOLS.items()),
}
CASES = [(name, raw) for group in GROUPS.values() for name, raw in group]
SLICES = 12  # tests; each takes its share of the cases through one proxy


async def statuses(caller: Channel) -> list[int]:
    """Read well-formed answers, up to the end of the connection."""
    found = []
    try:
        while not await caller.has_ended():
            found.append((await caller.read_answer()).status)
    except ClosedEarlyError:
        pass
    return found


def test_the_table_is_whole() -> None:
    """No case is lost to a typing error."""
    assert len(CASES) > 500
    assert len({raw for _, raw in CASES}) > 500


def test_the_oracle_refuses_what_it_must() -> None:
    """A check that cannot fail would prove nothing: most cases are ambiguous as they are."""
    refused = 0
    for _, raw in CASES:
        try:
            refused += not read_strictly(raw)[1]
        except AmbiguousError:
            refused += 1
    assert refused > len(CASES) * 2 // 3
    (read,), is_whole = read_strictly(post(b"Content-Length: 5\r\n", b"abcde"))
    assert is_whole
    assert (read.method, read.target, read.body) == (b"POST", b"/seen", b"abcde")


@pytest.mark.parametrize("number", range(SLICES))
async def test_what_leaves_has_one_reading_or_nothing_leaves(
    tokens: TokenServer, number: int
) -> None:
    """As many answers as requests that left; each of those whole, ours, and read in one way."""
    limits = {"read_timeout_seconds": 0.3, "head_timeout_seconds": 0.3}
    last = request("GET /last", "Connection: close")  # so that the connection ends
    async with proxied(tokens, reply("299 Mine"), **limits) as (proxy, upstream):
        authority = upstream.url.removeprefix("http://").encode()
        for name, raw in itertools.islice(CASES, number, None, SLICES):
            before = {channel: len(channel.received) for channel in upstream.connections}
            caller = await proxy.connect()
            await caller.send(raw + last)
            answered = await statuses(caller)
            caller.close()
            sent = [
                bytes(channel.received[before.get(channel, 0) :])
                for channel in upstream.connections
            ]
            left = [read for part in sent for read in read_strictly(part)[0]]
            assert answered.count(299) == len(left), (name, answered, left)
            assert all(read.values(b"host") == [authority] for read in left), name
            allowed = [bearer(1).encode()]
            assert all(read.values(b"authorization") == allowed for read in left), name
            assert not any(read.values(b"x-forwarded-for") for read in left), name
            assert not any(read.target == b"/hidden" and read.body for read in left), name
        assert (await proxy.ask(request("GET /"))).status == 299


@pytest.mark.parametrize("body", EXTENSIONS)
async def test_lines_of_chunks_are_not_repaired(tokens: TokenServer, body: bytes) -> None:
    """Whoever stands before the proxy may read them otherwise: 400, and never a whole body (G5)."""
    async with proxied(tokens, reply()) as (proxy, upstream):
        caller = await proxy.connect()
        await caller.send(post(TE + b": chunked\r\n", body + HIDDEN))
        answer = await caller.read_answer()
        assert_problem(answer, 400, "bad_request")
        assert await caller.read_to_end() == b""
        assert read_strictly(upstream.received)[0] == []
