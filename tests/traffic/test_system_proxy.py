"""What the system says of proxies: our own settings win, and nothing else is believed (T11)."""

from pathlib import Path

import pytest

from proxy.settings.loader import load
from tests.support.messages import reply
from tests.support.peers import ByteServer
from tests.support.proxy_process import command
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")


def test_our_own_no_proxy_beats_the_usual_one(tmp_path: Path) -> None:
    """SIGNICAT_PROXY_NO_PROXY replaces NO_PROXY, with HTTPS_PROXY and without."""
    ours = environment(
        upstream="https://up.test", token_url="https://idp.test/t", no_proxy="a.test"
    )
    usual = ours | {"NO_PROXY": "b.test", "no_proxy": "c.test"}
    for environ in (usual, usual | {"HTTPS_PROXY": "http://proxy.test:3128"}):
        loaded = load(environ=environ, directory=tmp_path)
        assert loaded.settings.no_proxy == ("a.test",)
        assert loaded.origins["no_proxy"] == "environment"


async def test_a_token_request_passes_by_the_proxies_of_other_programs(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """HTTP_PROXY and ALL_PROXY, which are no settings of ours, see nothing of the secret (T11)."""
    async with ByteServer(reply("502 Bad Gateway")) as other:
        environ = environment(upstream="http://127.0.0.1:9", token_url=tokens.token_url)
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            environ |= {name: other.url, name.lower(): other.url}
        code, output, _ = await command("token", directory=tmp_path, environ=environ)
        assert other.connections == []
        assert (code, output.strip()) == (0, tokens.issued[0])
