"""What the process keeps for callers that speak TLS and rest (G11)."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.support.messages import reply, request
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import proxy_process
from tests.support.running_proxy import environment
from tests.support.tls_callers import ServerFiles, caller_context
from tests.support.token_server import TokenServer

BODY = bytes(1 << 20)
CALLERS = 60
MOST_KIB_EACH = 120  # of some 300 where each buffer stays as large as it once was


def resident_kib(pid: int) -> int:
    """Return how much memory a process has."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1])


@pytest.mark.e2e
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_caller_that_rests_keeps_no_large_buffers(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Each has sent a MiB and got one, and is idle: a container must have room for them all."""
    files = ServerFiles(tmp_path)
    post = request("POST /", f"Content-Length: {len(BODY)}", body=BODY)
    async with ByteServer(reply(body=BODY)) as upstream:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url, **files.settings)
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            port, _ = await process.ports()
            callers = []
            for count in range(CALLERS + 5):
                if count == 5:  # what the first ones need is there once and for all
                    before = resident_kib(process.pid)
                streams = await asyncio.open_connection(
                    "127.0.0.1", port, ssl=caller_context(files.ca), server_hostname="localhost"
                )
                callers.append(Channel(*streams))
                assert (await callers[-1].ask(post, 30)).body == BODY
                callers[-1].received.clear()
            grown = resident_kib(process.pid) - before
            for caller in callers:
                caller.reset()
    assert grown < CALLERS * MOST_KIB_EACH
