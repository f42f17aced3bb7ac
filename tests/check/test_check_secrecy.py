"""What `signicat-proxy check` tells nobody, whatever the servers send back (G7)."""

import json
from pathlib import Path

import pytest

from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import reply
from tests.support.peers import ByteServer
from tests.support.proxy_process import command
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["lines", "json"])
async def test_a_secret_that_comes_back_is_not_shown(
    tokens: TokenServer, tmp_path: Path, options: tuple[str, ...]
) -> None:
    """A token endpoint that names the secret of a file as its `error` is not quoted (G7)."""
    secret = "s3cr3t-of-a-file"
    path = tmp_path / "secret"
    path.write_text(secret)
    body = json.dumps({"error": secret, "error_description": secret}).encode()
    tokens.failure = reply("400 Bad Request", "Content-Type: application/json", body=body)
    async with ByteServer(reply()) as upstream:
        environ = environment(
            upstream=upstream.url, token_url=tokens.token_url, client_secret_file=path
        )
        code, *told = await command("check", *options, directory=tmp_path, environ=environ)
    assert code == 1
    assert tokens.requests
    assert "status 400" in told[0]
    assert secret not in "".join(told)


async def test_the_address_of_an_egress_proxy_is_no_secret(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """Its URL is shown where it has no credentials, and without them where it has some (G7)."""
    for user in ("", "user:s3cr3t-of-egress@"):
        async with ConnectProxy(behaviour="close") as egress:
            place = f"127.0.0.1:{egress.port}"
            environ = environment(
                upstream="https://signicat.test",
                token_url=tokens.token_url,
                egress_proxy=f"http://{user}{place}",
                no_proxy="127.0.0.1",
            )
            _, out, err = await command("check", directory=tmp_path, environ=environ)
        assert f"ok       tcp           http://{place}" in out
        assert "[redacted]" not in out
        assert "s3cr3t-of-egress" not in out + err
