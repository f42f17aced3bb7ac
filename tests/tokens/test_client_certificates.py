"""A client that proves itself by a certificate: to whom, rotation, what is told (T7, T12, C4)."""

import datetime as dt
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from proxy.net.tls_client import ClientTlsFiles, load_client_certificate
from proxy.net.tls_pair import CertificatePair
from tests.support.client_certificates import CertificateServer, ClientFiles, server_side
from tests.support.connect_proxy import ConnectProxy
from tests.support.messages import reply, request
from tests.support.peers import ByteServer
from tests.support.ports import refusing_port
from tests.support.running_proxy import RunningProxy, running_proxy
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("no_leaks")

CLIENT = "dev-tester-1"
SOON = 7  # files are looked at every 5 s


@pytest.fixture
def files(tmp_path: Path) -> ClientFiles:
    """Provide certificate and key of a client."""
    return ClientFiles(tmp_path)


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    """Provide the authority of all servers."""
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


def settings_of(tokens: CertificateServer, files: ClientFiles, **more: Any) -> dict[str, Any]:
    """Return settings of a proxy that proves itself to this server."""
    folder = files.cert.parent
    return {
        "upstream": "https://up.test",
        "token_url": tokens.token_url,
        "ca_file": folder / "ca.pem",
        **files.settings,
        **more,
    }


class EveryName(dict[str, tuple[str, int]]):
    """Leads every name to one address."""

    def __init__(self, *address: Any) -> None:
        self._address: tuple[str, int] = address

    def __contains__(self, target: object) -> bool:
        return True

    def __getitem__(self, target: str) -> tuple[str, int]:
        return self._address


def assert_nothing_told(proxy: RunningProxy, files: ClientFiles) -> None:
    """See that no log has a piece of the key."""
    lines = [line for line in files.key.read_text().splitlines() if "-----" not in line]
    assert not any(line in str(proxy.logs) for line in lines)


async def took_the_authority(proxy: RunningProxy) -> None:
    """Wait for the event of a changed file; it comes soon."""
    await eventually(
        lambda: any(log["event"] == "file_reloaded" for log in proxy.logs), "the authority", SOON
    )


async def test_the_certificate_is_the_proof(files: ClientFiles, ca: trustme.CA) -> None:
    """T12: with the client's id, and nothing else; the upstream, which asks for one, gets none."""
    serial = files.rotate()
    async with (
        ByteServer(reply(), tls=server_side(ca, files.ca)) as upstream,
        CertificateServer(CLIENT, server_side(ca, files.ca)) as tokens,
        running_proxy(**settings_of(tokens, files, upstream=upstream.url)) as proxy,
    ):
        assert (await proxy.ask(request("GET /"))).status == 200
        assert tokens.serials == [serial]
        assert [channel.has_shown for channel in upstream.connections] == [False]
        labels = {"file": "client_cert_file"}
        end = await proxy.metric("certificate_expiry_timestamp_seconds", **labels)
        assert end > dt.datetime.now(dt.UTC).timestamp()
        assert b'"client_cert_file": {"ends": ' in (await proxy.admin("GET /status")).body
        assert_nothing_told(proxy, files)


async def test_a_changed_pair_is_used_within_seconds(files: ClientFiles, ca: trustme.CA) -> None:
    """T7, C4: as a secret is, while the token of before serves; the metric follows."""
    first = files.rotate(not_after=dt.datetime(2035, 1, 1, tzinfo=dt.UTC))
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca)) as tokens,
        running_proxy(**settings_of(tokens, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        second = files.rotate(not_after=dt.datetime(2036, 1, 1, tzinfo=dt.UTC))
        await eventually(lambda: len(tokens.serials) == 2, "the new certificate", SOON)
        assert tokens.serials == [first, second]
        labels = {"file": "client_cert_file"}
        end = dt.datetime(2036, 1, 1, tzinfo=dt.UTC).timestamp()
        assert await proxy.metric("certificate_expiry_timestamp_seconds", **labels) == end
        assert await proxy.metric("secret_fallbacks_total", client="default") == 0


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("where", ["in the response", "in the handshake"])
async def test_a_new_pair_that_is_refused_leaves_the_old_one_working(
    files: ClientFiles, ca: trustme.CA, where: str, version: ssl.TLSVersion
) -> None:
    """T7: wherever the server refuses it: many hang up in TLS, and say nothing."""
    first = files.rotate()
    tls = server_side(ca, files.ca)
    tls.maximum_version = version
    async with (
        CertificateServer(CLIENT, tls) as tokens,
        running_proxy(**settings_of(tokens, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        if where == "in the handshake":
            files.rotate(trustme.CA())
        else:
            tokens.refused = {files.rotate()}
        await proxy.metric_becomes(1, "secret_fallbacks_total", client="default")
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert await proxy.metric("secret_fallback_active", client="default") == 1
        assert (tokens.serials[0], tokens.serials[-1]) == (first, first)
        (warning,) = [log for log in proxy.logs if log["event"] == "new_secret_refused"]
        assert "SIGNICAT_PROXY_CLIENT_CERT_FILE" in warning["hint"]
        if where == "in the handshake":
            assert warning["detail"] == "perhaps the server refuses the client's certificate"
        third = files.rotate()
        await eventually(lambda: tokens.serials[-1] == third, "the next one", SOON)
        await proxy.metric_becomes(0, "secret_fallback_active", client="default")
        assert_nothing_told(proxy, files)


async def test_an_outage_is_no_refusal(files: ClientFiles, ca: trustme.CA) -> None:
    """T5, T7: where nobody listens no other certificate is tried."""
    tokens = CertificateServer(CLIENT, server_side(ca, files.ca))
    with refusing_port() as tokens.port:
        async with running_proxy(**settings_of(tokens, files)) as proxy:
            await eventually(
                lambda: any(log["event"] == "token_request" for log in proxy.logs), "an attempt"
            )
            files.rotate()
            await proxy.metric_becomes(0, "secret_fallbacks_total", client="default")
            assert {log["outcome"] for log in proxy.logs if log["event"] == "token_request"} == {
                "connect_failed"
            }


FAULTS = {
    "half a certificate": ("client_cert_file", "the certificate is damaged"),
    "another key": (
        "client_key_file",
        "the key does not belong to the certificate in CLIENT_CERT_FILE",
    ),
    "gone": ("client_cert_file", "cannot be read (No such file or directory)"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_pair_that_is_none_changes_nothing(
    files: ClientFiles, ca: trustme.CA, fault: str
) -> None:
    """C4: the pair of before serves, with warning and metric."""
    serial = files.rotate()
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca)) as tokens,
        running_proxy(**settings_of(tokens, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        if fault == "gone":
            files.cert.unlink()
        elif fault == "another key":
            files.key.write_bytes(files.ca.issue_cert("x.test").private_key_pem.bytes())
        else:
            files.cert.write_bytes(files.cert.read_bytes()[:400])
        setting, reason = FAULTS[fault]
        await proxy.metric_becomes(1, "file_reload_failures_total", file=setting)
        (warning,) = [log for log in proxy.logs if log["event"] == "file_not_reloaded"]
        assert warning["setting"] == f"SIGNICAT_PROXY_{setting.upper()}"
        assert warning["reason"] == reason
        proxy.control.reload()
        await proxy.metric_becomes(2, "token_requests_total", outcome="ok")
        assert tokens.serials == [serial, serial]
        assert await proxy.metric("secret_fallback_active", client="default") == 0


async def test_a_changed_authority_holds_for_it_too(files: ClientFiles, ca: trustme.CA) -> None:
    """C4: CA_FILE is trusted anew while the certificate stays, and no attempt is made for that."""
    other, folder = trustme.CA(), files.cert.parent
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca)) as before,
        running_proxy(**settings_of(before, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        other.cert_pem.write_to_path(str(folder / "ca.pem"))
        await took_the_authority(proxy)
        assert await proxy.metric("token_requests_total") == 1
        proxy.control.reload()
        await proxy.metric_becomes(1, "token_requests_total", outcome="tls_failed")


@pytest.mark.parametrize("is_secured", [False, True], ids=["http", "https"])
async def test_an_egress_proxy_never_sees_it(
    files: ClientFiles, ca: trustme.CA, *, is_secured: bool
) -> None:
    """T12: the proof is for the token endpoint, also where TLS to an egress proxy comes first."""
    serial = files.rotate()
    egress_tls = None
    if is_secured:
        egress_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("localhost").configure_cert(egress_tls)
        files.ca.configure_trust(egress_tls)
        egress_tls.verify_mode = ssl.CERT_OPTIONAL
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca)) as tokens,
        ConnectProxy(tls=egress_tls) as egress,
    ):
        url = egress.url.replace("127.0.0.1", "localhost")
        settings = settings_of(tokens, files, egress_proxy=url)
        async with running_proxy(**settings) as proxy:
            await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        assert tokens.serials == [serial]
        assert (len(egress.requests), egress.shown) == (1, [False])


@pytest.mark.parametrize(
    "host",
    ["[2001:DB8:0:0:0:0:0:1]", "[::FFFF:192.0.2.1]", "TOKEN.test", "token.test.", "token.test.."],
)
@pytest.mark.parametrize("is_secured", [False, True], ids=["http", "https"])
async def test_a_host_is_the_same_however_it_is_written(
    files: ClientFiles, ca: trustme.CA, host: str, *, is_secured: bool
) -> None:
    """T12: TOKEN_URL may name it as its owner likes; the connection has a spelling of its own."""
    serial, certified = files.rotate(), host.strip("[].").lower()
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca, name=certified)) as tokens,
        ConnectProxy(
            hosts=EveryName("127.0.0.1", tokens.port),
            tls=server_side(ca, files.ca) if is_secured else None,
        ) as egress,
    ):
        url = f"https://{host}/connect/token"
        settings = settings_of(tokens, files, token_url=url, egress_proxy=egress.url)
        async with running_proxy(**settings) as proxy:
            await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        assert tokens.serials == [serial]
        assert (len(egress.requests), egress.shown) == (1, [False])


@pytest.mark.usefixtures("ca")
async def test_a_changed_authority_holds_while_the_pair_cannot_be_used(files: ClientFiles) -> None:
    """C4: the certificate of before goes on, to a server that the new CA_FILE vouches for."""
    serial, other, folder = files.rotate(), trustme.CA(), files.cert.parent
    async with (
        CertificateServer(CLIENT, server_side(other, files.ca)) as tokens,
        running_proxy(**settings_of(tokens, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="tls_failed")
        files.cert.write_bytes(files.cert.read_bytes()[:400])
        await proxy.metric_becomes(1, "file_reload_failures_total", file="client_cert_file")
        other.cert_pem.write_to_path(str(folder / "ca.pem"))
        await took_the_authority(proxy)
        proxy.control.reload()
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        assert tokens.serials == [serial]
        assert_nothing_told(proxy, files)


async def test_a_changed_pair_is_used_while_the_authority_cannot_be(
    files: ClientFiles, ca: trustme.CA
) -> None:
    """C4: the authority of before goes on, and is told and counted once, as one file."""
    first, folder = files.rotate(), files.cert.parent
    async with (
        CertificateServer(CLIENT, server_side(ca, files.ca)) as tokens,
        running_proxy(**settings_of(tokens, files)) as proxy,
    ):
        await proxy.metric_becomes(1, "token_requests_total", outcome="ok")
        (folder / "ca.pem").write_text("no certificate")
        await proxy.metric_becomes(1, "file_reload_failures_total", file="ca_file")
        second = files.rotate()
        await eventually(lambda: len(tokens.serials) == 2, "the new certificate", SOON)
        assert tokens.serials == [first, second]
        assert await proxy.metric("file_reload_failures_total", file="ca_file") == 1
        told = [log["setting"] for log in proxy.logs if log["event"] == "file_not_reloaded"]
        assert told.count("SIGNICAT_PROXY_CA_FILE") == 1


def test_what_is_kept_of_the_key_is_redacted(files: ClientFiles) -> None:
    """G7: every line of it, and none shows in a `repr`."""
    pair = CertificatePair(files.cert, files.key, "client_cert_file", "client_key_file")
    loaded = load_client_certificate(ClientTlsFiles(pair, "token.test"), time.time)
    lines = [line for line in files.key.read_text().splitlines() if "-----" not in line]
    assert tuple(loaded.secrets()) == tuple(lines) != ()
    assert not any(line in repr(loaded) for line in lines)
