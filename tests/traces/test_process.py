"""The command `run` and the standard variables, in a process of its own (O2, O5)."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.messages import reply, request
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.peers import ByteServer, Channel
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import environment
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, stopwatch

pytestmark = pytest.mark.usefixtures("no_leaks")

LOADED = """
import sys
import proxy.server.process
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"opentelemetry", "requests"}))
"""


async def ask_once(process: ProxyProcess) -> None:
    """Send one request to a proxy that may be starting; it gets its response."""
    port, _ = await process.ports()
    caller = await Channel.connect("127.0.0.1", port)
    assert (await caller.ask(request("GET /"))).status == 200
    caller.close()


def test_nothing_of_opentelemetry_is_imported_where_traces_are_off() -> None:
    """Its import costs memory and time that nobody else should pay for (O2)."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


async def test_the_variables_switch_traces_on(tokens: TokenServer, tmp_path: Path) -> None:
    """A stop sends what is left; the environment names the service, and what goes with it."""
    async with ByteServer(reply()) as upstream, OtlpReceiver() as collector:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20key%20of%20the%20collector",
            "OTEL_SERVICE_NAME": "shop-proxy",
            "OTEL_BSP_SCHEDULE_DELAY": "3600000",
            "OTEL_TRACES_SAMPLER": "no_such_sampler",
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await ask_once(process)
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
            assert '"event": "trace_variable", "variable": "OTEL_TRACES_SAMPLER"' in process.output
            assert f'"event": "traces_on", "collector": "{collector.url}"' in process.output
            assert "of the collector" not in process.output
        spans = await collector.take(3)
        assert {span.service for span in spans} == {"shop-proxy"}
        assert {span.kind for span in spans} == {"server", "client"}
        key = collector.requests[0].head.value("api-key")
        assert key == "a key of the collector"


async def test_headers_that_cannot_be_read_are_not_logged(
    tokens: TokenServer, tmp_path: Path
) -> None:
    """The SDK quotes them in full; whoever writes `:` for `=` still has a secret (G7)."""
    async with ByteServer(reply()) as upstream, OtlpReceiver() as collector:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Bearer of-the-collector",
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await process.ports()
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
            assert '"event": "stopped"' in process.output
            assert "of-the-collector" not in process.output


@pytest.mark.parametrize(
    "variables",
    [
        {"OTEL_PYTHON_METER_PROVIDER": "no_such"},  # StopIteration
        {"OTEL_BSP_MAX_QUEUE_SIZE": "9" * 30},  # OverflowError
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-1"},
    ],
)
async def test_no_variable_stops_the_proxy(
    tokens: TokenServer, tmp_path: Path, variables: dict[str, str]
) -> None:
    """Whatever the SDK makes of a value: requests go on, without traces (O2)."""
    async with ByteServer(reply()) as upstream, OtlpReceiver() as collector:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            **variables,
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await ask_once(process)
            assert upstream.requests[0].head.value("traceparent") is None
            process.send(signal.SIGTERM)
            assert await process.ended() == 0
            assert '"event": "traces_unavailable"' in process.output


async def test_a_short_queue_is_sent_in_short_batches(tokens: TokenServer, tmp_path: Path) -> None:
    """The SDK refuses a queue that is shorter than a batch, whose size nobody has named."""
    async with ByteServer(reply()) as upstream, OtlpReceiver() as collector:
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization: Bearer of-the-collector",
            "OTEL_BSP_MAX_QUEUE_SIZE": "2",
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await ask_once(process)
            await eventually(lambda: len(collector.spans) >= 2, "a batch")
            variable = '"event": "trace_variable", "variable": "OTEL_EXPORTER_OTLP_HEADERS"'
            assert variable in process.output
            assert "of-the-collector" not in process.output


async def test_a_stop_waits_two_seconds_at_most(tokens: TokenServer, tmp_path: Path) -> None:
    """The collector asks for patience: whatever it says, the process ends with 0 (O5)."""
    async with ByteServer(reply()) as upstream, OtlpReceiver() as collector:
        collector.failure = reply("503 Service Unavailable", "Retry-After: 9")
        environ = environment(upstream=upstream.url, token_url=tokens.token_url) | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url
        }
        async with proxy_process(environ, "run", directory=tmp_path) as process:
            await ask_once(process)
            with stopwatch() as took:
                process.send(signal.SIGTERM)
                assert await process.ended() == 0
            assert took() < 6
            assert process.output.count('"event": "spans_lost"') == 1
