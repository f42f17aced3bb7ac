"""Whatever callers send as trace context: exactly one valid `traceparent` goes up (O4)."""

import re
from typing import Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.messages import Message, reply, request
from tests.support.token_server import TokenServer
from tests.support.traced import CALLER, SAMPLED, TRACE, gone_up, traced

VALUE_CHARACTERS: Final = st.characters(
    min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"
)
DIGITS: Final = st.sampled_from("0123456789abcdefABCDEFg")


def digits(count: int) -> st.SearchStrategy[str]:
    """Return what is, or is nearly, so many hexadecimal digits."""
    exact = st.text(DIGITS, min_size=count, max_size=count)
    near = st.text(DIGITS, min_size=count - 1, max_size=count + 1)
    return st.one_of(exact, near, st.sampled_from(["0" * count, "f" * count]))


NEARLY: Final = st.builds(
    "{}{}{}{}{}{}{}{}".format,
    st.one_of(st.sampled_from(["00", "01", "fe", "ff", "0", "000"])),
    st.sampled_from(["-", "-", "-", "_", "--", " - "]),
    st.one_of(st.just(TRACE), digits(32)),
    st.sampled_from(["-", "-", "-", "\xad", ""]),
    st.one_of(st.just(CALLER), digits(16)),
    st.just("-"),
    st.one_of(st.sampled_from(["00", "01", "02", "03", "ff"]), digits(2)),
    st.one_of(st.just(""), st.just("-more"), st.text(VALUE_CHARACTERS, max_size=5)),
)
PARENT: Final = st.one_of(NEARLY, NEARLY, st.text(VALUE_CHARACTERS, max_size=60))
MEMBER: Final = st.one_of(
    st.sampled_from(["a=1", "b=2", "t@v=x", "", " ", "a", "=", "A=1", "a=" + "x" * 300]),
    st.text(VALUE_CHARACTERS, max_size=20),
)
STATE: Final = st.lists(MEMBER, max_size=40).map(",".join)
LINE: Final = st.one_of(
    st.builds(
        "{}: {}".format, st.sampled_from(["traceparent", "TraceParent", "traceparent "]), PARENT
    ),
    st.builds("{}: {}".format, st.sampled_from(["tracestate", "TRACESTATE"]), STATE),
    st.sampled_from(
        ["Connection: traceparent", "Connection: tracestate", "trace_parent: x", SAMPLED]
    ),
)
REQUESTS: Final = st.lists(st.lists(LINE, min_size=1, max_size=4), min_size=1, max_size=8)
KEY: Final = re.compile(r"[a-z0-9][a-z0-9_*/-]{0,255}(@[a-z][a-z0-9_*/-]{0,13})?")


def assert_context(message: Message, lines: list[str]) -> None:
    """See that what went up has one reading, and is the caller's or has nothing of it."""
    trace, span, _ = gone_up(message)
    assert set(trace) != {"0"}
    assert set(span) != {"0"}
    sent = [
        line.partition(":")[2].strip(" \t")
        for line in lines
        if line.lower().startswith("traceparent")
    ]
    assert span not in " ".join(sent)
    is_followed = any(trace in value for value in sent)
    if is_followed:
        assert len(sent) == 1
        assert "Connection: traceparent" not in lines
    states = message.head.values("tracestate")
    assert is_followed or not states
    members = [member.strip(" \t") for state in states for member in state.split(",")]
    keys = [member.partition("=")[0] for member in members if member]
    assert all(KEY.fullmatch(key) for key in keys)
    assert len(set(keys)) == len(keys) <= 32


@pytest.mark.parametrize("sampler", ["parentbased_always_on", "always_off"])
@given(heads=REQUESTS)
@example(heads=[[SAMPLED], [SAMPLED, "tracestate: a=1,b=2"], [SAMPLED, SAMPLED]])
@settings(max_examples=40)
async def test_one_traceparent_goes_up(heads: list[list[str]], sampler: str) -> None:
    """Sampled or not, over a kept connection that remembers the heads before."""
    async with (
        TokenServer() as tokens,
        traced(tokens, reply(), sampler) as (proxy, upstream, collector),
    ):
        expected = []
        caller = await proxy.connect()
        for lines in heads:
            answer = await caller.ask(request("GET /", *lines))
            if answer.status == 200:
                expected.append(lines)
            else:  # bytes with two readings, of which nothing goes up (G5)
                assert answer.status == 400
                caller = await proxy.connect()
        assert len(upstream.requests) == len(expected)
        for message, lines in zip(upstream.requests, expected, strict=True):
            assert_context(message, lines)
        if sampler == "always_off":
            assert collector.spans == []
