"""`traceparent` and `tracestate` as W3C Trace Context says, and nothing that is only like them."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.http1.trace_context import is_valid_tracestate, read_traceparent

TRACE = b"0af7651916cd43dd8448eb211c80319c"
SPAN = b"b7ad6b7169203331"
GOOD = b"00-%b-%b-01" % (TRACE, SPAN)

READ = [
    (GOOD, 1),
    (b"00-%b-%b-00" % (TRACE, SPAN), 0),
    (b"00-%b-%b-03" % (TRACE, SPAN), 3),
    (b"00-%b-%b-ff" % (TRACE, SPAN), 3),
    (b"00-%b-%b-08" % (TRACE, SPAN), 0),
    (b"01-%b-%b-01" % (TRACE, SPAN), 1),
    (b"cc-%b-%b-01-what-the-future-will-be-like" % (TRACE, SPAN), 1),
    (b"cc-%b-%b-01-" % (TRACE, SPAN), 1),
    (b"fe-%b-%b-01" % (TRACE, SPAN), 1),
]
REFUSED = [
    None,
    b"",
    b"00",
    GOOD[:-1],
    GOOD + b"-",
    GOOD + b"-more",
    GOOD + b"0",
    GOOD + b"\n",
    b" " + GOOD,
    GOOD.upper(),
    GOOD + b", " + GOOD,
    b"ff" + GOOD[2:],
    b"0g" + GOOD[2:],
    b"cc" + GOOD[2:] + b".what",
    b"00-%b-%b-01" % (b"0" * 32, SPAN),
    b"00-%b-%b-01" % (TRACE, b"0" * 16),
    b"00-%b-%b-01" % (TRACE[:-1] + b"g", SPAN),
    b"00-%b-%b-0x" % (TRACE, SPAN),
    b"00_%b_%b_01" % (TRACE, SPAN),
]


@pytest.mark.parametrize(("value", "flags"), READ)
def test_what_is_read(value: bytes, flags: int) -> None:
    """Later versions are read as far as they are known; unknown flags are not handed on (O4)."""
    read = read_traceparent(value)
    assert read is not None
    assert (read.trace_id, read.span_id, read.flags) == (TRACE, SPAN, flags)
    assert read.is_sampled == bool(flags & 1)


@pytest.mark.parametrize("value", REFUSED)
def test_what_is_malformed(value: bytes | None) -> None:
    """Then the request begins a trace of its own (O4)."""
    assert read_traceparent(value) is None


@given(
    st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}.?")
)
@example(b"ff-" + GOOD[3:])
def test_whatever_comes_is_read_as_it_stands_or_not_at_all(value: bytes) -> None:
    """No hostile bytes raise, and what is read stood there, in digits alone."""
    read = read_traceparent(value)
    if read is None:
        return
    assert value[3:52] == read.trace_id + b"-" + read.span_id
    assert re.fullmatch(rb"[0-9a-f]{48}", read.trace_id + read.span_id)
    assert read.flags == int(value[53:55], 16) & 3


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        (b"rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", True),
        (b"rojo=1 , \t congo=2,", True),
        (b"fw529a3039@dt=FfffffffC;x:y", True),
        (b"0a-_*/b=" + b"v" * 256, True),
        (b",".join(b"k%d=v" % number for number in range(32)), True),
        (b"a=b c", True),
        (b"", False),
        (b" , ,", False),
        (b"," * 64, False),
        (b"a", False),
        (b"a=", False),
        (b"=b", False),
        (b"A=b", False),
        (b"a=b=c", False),
        (b"a=\xe5", False),
        (b"a=b\x01", False),
        (b"a b=c", False),
        (b"a@1=b", False),
        (b"a@b@c=d", False),
        (b"a=1,a=2", False),
        (b"k=" + b"v" * 257, False),
        (b"k" * 257 + b"=v", False),
        (b",".join(b"k%d=v" % number for number in range(33)), False),
        (b",".join(b"k%d=" % number + b"v" * 200 for number in range(9)), True),
        (b",".join(b"k%d=" % number + b"v" * 200 for number in range(11)), False),
    ],
)
def test_tracestate(value: bytes, is_valid: bool) -> None:  # noqa: FBT001 - a table's column
    """One that readers could read differently is dropped whole, and the trace goes on (O4)."""
    assert is_valid_tracestate(value) is is_valid


@given(st.binary(max_size=200))
def test_no_tracestate_raises(value: bytes) -> None:
    """What passes holds visible ASCII, spaces and tabs alone."""
    if is_valid_tracestate(value):
        assert re.fullmatch(rb"[\t -~]+", value)
