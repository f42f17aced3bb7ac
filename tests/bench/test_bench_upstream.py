"""The bench with real programs: who brings no good token gets no 200, and so no figure."""

import http.client
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.client import Endpoint, fetch_once, idle_connections
from bench.failures import Refused
from bench.interpreter import Build, Interpreter
from bench.load.age import BY_TIME, Measure, by_instructions, taken
from bench.load.wrk import Request, put_under_load
from bench.peers.lineup import lineup
from bench.peers.token_endpoint import new_token
from bench.peers.upstream import Upstream, started_upstream
from bench.processes import EPHEMERAL, LEAST_PORT, free_port
from tests.support.source_tree import ROOT

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]

CORE = min(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    """Run the bench's upstream and its token endpoint."""
    with started_upstream(tmp_path_factory.mktemp("bench"), core=CORE) as started:
        yield started


def status(port: int, token: str | None) -> int:
    """Return the status of a GET with this token."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    connection.request("GET", "/1k", headers=headers)
    found = connection.getresponse().status
    connection.close()
    return found


def test_a_free_port_is_nobody_elses() -> None:
    """Until its program listens, the system gives it to none of those who ask for any port."""
    first = int(EPHEMERAL.read_text("ascii").split()[0])
    ports = [free_port() for _ in range(20)]
    assert len({*ports}) == len(ports)
    assert max(ports) < first or first <= LEAST_PORT + len(ports)


@pytest.mark.parametrize("tls", [False, True])
def test_only_the_token_is_let_in(upstream: Upstream, *, tls: bool) -> None:
    """The same requests that get a 200 with the token are refused without it."""
    direct = upstream.direct(tls=tls)
    for target in ("/1k", "/64k", "/clients/7/1k"):
        fetch_once(direct, target)
        with pytest.raises(Refused, match="got status 401"):
            fetch_once(Endpoint(direct.port, direct.ca_file, "another"), target)


def test_a_rolling_token_works_until_its_end(upstream: Upstream) -> None:
    """Neither a token that has ended, nor one with a moved end, nor the fixed one is taken."""
    now = int(time.time())
    good, ended = new_token(now + 60), new_token(now - 1)
    moved = ended.replace(str(now - 1), str(now + 60))
    port = upstream.rolling_port
    assert [status(port, token) for token in (good, ended, moved, None)] == [200, 401, 401, 401]
    fixed = upstream.direct(tls=False).token
    assert status(port, fixed) == 401


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
def test_load_without_the_token_gives_no_figure(upstream: Upstream, tmp_path: Path) -> None:
    """A proxy that adds nothing is as if there were none: each of its responses is an error."""
    bare = Endpoint(upstream.plain_port)
    with pytest.raises(Refused, match="responses with an error status"):
        put_under_load(bare, Request("/1k", 1024), connections=2, seconds=1, folder=tmp_path)


@pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
@pytest.mark.parametrize(
    "request_of_wrk",
    [
        Request("/1k", 1024, headers=60, has_new_header=True),
        Request("/clients/0/1k", 1024, others=("/clients/1/1k", "/clients/2/1k")),
    ],
    ids=["a new header", "several targets"],
)
def test_what_the_script_makes_gets_a_response(
    upstream: Upstream, tmp_path: Path, request_of_wrk: Request
) -> None:
    """Requests that differ from each other are good ones, every one of them."""
    direct = upstream.direct(tls=False)
    load = put_under_load(direct, request_of_wrk, connections=2, seconds=1, folder=tmp_path)
    assert load.requests > 0


@pytest.mark.parametrize("measure", [BY_TIME, by_instructions(1, 10)], ids=["time", "instructions"])
def test_the_cost_of_an_aged_process_is_taken_again_and_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], measure: Measure
) -> None:
    """Each row counts the requests and tokens so far; none is lost between them."""
    if measure.under and shutil.which(measure.under[0]) is None:
        pytest.skip(f"{measure.under[0]} is not installed")
    python = Path(sys.executable)
    first, last = taken(measure, 0.5, 2, Interpreter(Build.of(python), python, ROOT), tmp_path)
    assert len(first) == len(last) == len(measure.headings)
    assert all(float(cell.replace(",", "")) > 0 for cell in last[3:])
    assert int(first[2]) >= 1
    assert int(last[1].replace(",", "")) > int(first[1].replace(",", "")) > 0
    assert capfd.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("name", ["signicat-proxy", "nginx", "haproxy", "pump"])
def test_a_proxy_of_the_lineup_brings_the_token(
    upstream: Upstream, tmp_path: Path, name: str, *, tls: bool
) -> None:
    """Callers without credentials get a 200 through it; the pump's load has the token."""
    if name in ("nginx", "haproxy") and shutil.which(name) is None:
        pytest.skip(f"{name} is not installed")
    python = Path(sys.executable)
    (peer,) = lineup([name], Interpreter(Build.of(python), python, ROOT), tmp_path)
    with peer.started(upstream, tls=tls, core=CORE) as running:
        assert (running.endpoint.token is None) == (name != "pump")
        fetch_once(running.endpoint, "/64k")
        with idle_connections(running.endpoint, 5):
            assert running.process
            assert running.process.rss_mib() <= running.process.peak_mib()
