"""The budget of one exchange: that it measures whole exchanges of the real proxy, and adds up."""

import pytest

from bench.inside.budget import KINDS, PHASES, Kind, budget, main
from bench.inside.in_memory import in_memory
from bench.peers.token_endpoint import TOKEN

GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_the_proxy_in_memory_forwards_with_the_token() -> None:
    """What goes up and down is what the proxy sends over sockets, exchange after exchange."""
    async with in_memory(GET, RESPONSE) as proxy:
        for target in (b"/a", b"/b"):
            proxy.ask(GET.replace(b"/a", target))
            assert proxy.to_upstream.last.startswith(b"GET %b HTTP/1.1\r\n" % target)
            assert b"\r\nAuthorization: Bearer %b\r\n" % TOKEN.encode() in proxy.to_upstream.last
            proxy.respond(RESPONSE)
            assert proxy.to_caller.last.startswith(b"HTTP/1.1 200 OK\r\n")
            assert proxy.to_caller.last.endswith(b"\r\n\r\nok")
        assert proxy.context.counters.requests_ended() == 3


@pytest.mark.parametrize("kind", KINDS, ids=[kind.title for kind in KINDS])
async def test_the_phases_add_up_to_the_whole(kind: Kind) -> None:
    """Every phase takes time, and the rest is what they leave of the whole."""
    figures = await budget(kind, 2)
    assert tuple(figures) == PHASES
    assert all(figures[phase] > 0 for phase in PHASES[:-2])
    assert sum(figures[phase] for phase in PHASES[:-1]) == pytest.approx(figures[PHASES[-1]])


def test_new_headers_are_new_in_each_request() -> None:
    """No header block is the one before; without them all requests are one."""
    by_title = {kind.title: kind.requests() for kind in KINDS}
    assert len(set(by_title["GET, a new header"])) == len(by_title["GET, a new header"]) > 100
    assert len(by_title["GET"]) == 1
    assert by_title["POST 1 KiB"][0].endswith(b"\r\n\r\n" + b"x" * 1024)


def test_the_command_prints_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """It names the interpreter, and has a row for each phase."""
    assert main(["--repetitions", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Interpreted; Python 3.")
    assert [line.split("|")[1].strip() for line in lines[4:]] == list(PHASES)
