"""Starts the whole proxy for a test, in the test's own loop; sees that it ends clean and silent."""

import asyncio
import contextlib
import io
import itertools
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from proxy.server.lifecycle import Control, serve
from proxy.settings.loader import load
from proxy.telemetry.logs import open_logs
from proxy.telemetry.redaction import Redactor
from proxy.tracing.settings import TraceSettings
from tests.support.loop_clock import LoopClock
from tests.support.messages import Message, request
from tests.support.peers import Answer, ByteServer, Channel
from tests.support.suite_output import CLIENT_SECRET, keep, private_parts, secrets_in
from tests.support.token_server import TokenServer
from tests.support.waiting import eventually, task_group, within

__all__ = [
    "CLIENT_SECRET",
    "RunningProxy",
    "assert_no_secret",
    "environment",
    "metric_in",
    "proxied",
    "running_proxy",
]

# Reading the system's bundle takes longer than most tests.
_NOBODY: Final = Path(__file__).parent / "nobody.pem"
_SAMPLE: Final = re.compile(r"([a-zA-Z_:]+)(?:\{(.*)\})? (\S+)")
_LABEL: Final = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def environment(*, upstream: str, token_url: str, **overrides: object) -> dict[str, str]:
    """Return the environment for a proxy on free ports; overrides are settings in lower case."""
    values: dict[str, object] = {
        "client_id": "dev-tester-1",
        "client_secret": CLIENT_SECRET,
        "token_url": token_url,
        "upstream_url": upstream,
        "listen": "127.0.0.1:0",
        "admin_listen": "127.0.0.1:0",
        "ca_file": _NOBODY,
    }
    values |= overrides
    if "client_secret_file" in overrides:
        del values["client_secret"]
    return {f"SIGNICAT_PROXY_{name.upper()}": str(value) for name, value in values.items()}


def assert_no_secret(text: str) -> None:
    """See that a text holds neither the secret nor a token that the tests use (G7)."""
    assert secrets_in(text) == []


class _Unredacted(Redactor):
    """Lets everything through: the code is tested, not the filter behind it (G7)."""

    def __call__(self, text: str) -> str:
        return text

    def json_line(self, line: str) -> str:
        """Return the line as it is."""
        return line

    def redacted(self, text: str) -> str:
        """Return the text as the filter would."""
        return super().__call__(text)


class RunningProxy:
    """A started proxy: its ports, its logs, its metrics, and connections to it.

    `redacted` does with a text what the filter behind the logs does, which is off in tests.
    `put_forward` lets so many seconds have passed on the proxy's clocks.
    """

    def __init__(
        self,
        control: Control,
        stream: io.StringIO,
        redacted: Callable[[str], str],
        put_forward: Callable[[float], None],
    ) -> None:
        self.control = control
        self.redacted = redacted
        self.put_forward = put_forward
        self.callers: list[Channel] = []
        self.exit_code: int | None = None
        self.ended = asyncio.Event()
        self._stream = stream

    @property
    def port(self) -> int:
        """The port for callers."""
        port = self.control.listen_addresses[0].port
        assert port
        return port

    @property
    def admin_port(self) -> int:
        """The port for operators."""
        assert self.control.admin_address
        port = self.control.admin_address.port
        assert port
        return port

    @property
    def logs(self) -> list[dict[str, Any]]:
        """All events logged so far."""
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    def stop(self) -> None:
        """Begin to drain; again: stop at once."""
        self.control.stop()

    async def connect(self) -> Channel:
        """Return a new caller's connection; it is dropped at the end of the test."""
        return self.keep(await Channel.connect("127.0.0.1", self.port))

    def keep(self, caller: Channel) -> Channel:
        """Drop that connection at the end of the test too."""
        self.callers.append(caller)
        return caller

    async def ask(self, message: bytes, seconds: float = 10.0) -> Message:
        """Send one request on a connection of its own; return its answer."""
        caller = await self.connect()
        answer = await caller.ask(message, seconds)
        caller.close()
        return answer

    async def admin(self, start: str, *lines: str) -> Message:
        """Ask the admin port."""
        caller = await Channel.connect("127.0.0.1", self.admin_port)
        try:
            return await caller.ask(request(start, "Connection: close", *lines))
        finally:
            caller.close()

    async def metric(self, name: str, **labels: str) -> float:
        """Return the sum of all samples with that name (without prefix) and those labels."""
        return metric_in((await self.admin("GET /metrics")).body.decode(), name, **labels)

    async def metric_becomes(self, expected: float, name: str, **labels: str) -> None:
        """Wait until a metric has a value."""

        async def poll() -> None:
            for pause in itertools.repeat(0.01):
                if await self.metric(name, **labels) == expected:
                    return
                await asyncio.sleep(pause)

        await within(poll(), f"{name}{labels} to become {expected}")

    async def assert_quiet(self) -> None:
        """Drop the callers; see that nothing runs, nothing was raised, no secret was told."""
        for caller in self.callers:
            caller.reset()
        answers = [bytes(caller.received).decode("latin-1") for caller in self.callers]
        pages = [await self.admin(f"GET {target}") for target in ("/status", "/readyz", "/")]
        told = [self._stream.getvalue(), *(page.body.decode() for page in pages)]
        told.append(await within(self._metrics_at_rest(), "requests to end"))
        for text in (*answers, *told):
            assert_no_secret(text)
        private = [part for caller in self.callers for part in private_parts(bytes(caller.sent))]
        for text in told:
            keep(text)
            assert [part for part in private if part in text] == []
        # What is raised in a callback of a connection is only logged, by the loop.
        raised = [log for log in self.logs if log.get("event") == "library"]
        assert not [log for log in raised if log["level"] in {"error", "critical"}], raised

    async def _metrics_at_rest(self) -> str:
        for pause in itertools.repeat(0.005):
            body = (await self.admin("GET /metrics")).body.decode()
            active = metric_in(body, "upstream_connections", state="active")
            if not metric_in(body, "requests_in_flight") and not active:
                return body
            await asyncio.sleep(pause)
        raise AssertionError


def metric_in(exposition: str, name: str, **labels: str) -> float:
    """Return the sum of all samples with that name (without prefix) and those labels."""
    return sum(
        value
        for known, known_labels, value in _samples(exposition)
        if known == f"signicat_proxy_{name}" and labels.items() <= known_labels.items()
    )


def _samples(exposition: str) -> list[tuple[str, Mapping[str, str], float]]:
    lines = [line for line in exposition.splitlines() if not line.startswith("#")]
    matches = [_SAMPLE.fullmatch(line) for line in lines]
    return [(m[1], dict(_LABEL.findall(m[2] or "")), float(m[3])) for m in matches if m]


def _running_tasks() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if not task.get_name().startswith("peer")}


@contextlib.asynccontextmanager
async def running_proxy(
    *,
    upstream: str,
    token_url: str,
    config_file: Path | None = None,
    directory: Path = Path("/"),
    expected_exit_code: int = 0,
    traces: TraceSettings | None = None,
    **overrides: object,
) -> AsyncIterator[RunningProxy]:
    """Run the proxy until the block ends; then it must stop with 0 and leave nothing behind."""
    environ = environment(upstream=upstream, token_url=token_url, **overrides)
    settings = load(config_file=config_file, environ=environ, directory=directory).settings
    stream = io.StringIO()
    control = Control()
    unredacted = _Unredacted()
    time = LoopClock()
    proxy = RunningProxy(control, stream, unredacted.redacted, time.put_forward)
    logs = open_logs(level="debug", log_format="json", stream=stream, redact=unredacted)
    before = _running_tasks()
    async with time.running(), task_group() as tasks:
        server = tasks.create_task(
            serve(settings, control=control, logs=logs, traces=traces, clock=time.clock)
        )
        server.add_done_callback(lambda _: proxy.ended.set())
        started = tasks.create_task(control.started.wait())
        await asyncio.wait((server, started), return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        assert control.started.is_set(), stream.getvalue()
        try:
            yield proxy
            if not control.stopping.is_set() and not server.done():
                await proxy.assert_quiet()
        finally:
            for caller in proxy.callers:
                caller.reset()
            control.stop()
            control.stop()
            proxy.exit_code = await within(server, "the proxy to stop")
    assert proxy.exit_code == expected_exit_code, proxy.logs
    keep(stream.getvalue())
    assert_no_secret(stream.getvalue())
    await eventually(lambda: not _running_tasks() - before, "all tasks to end")


@contextlib.asynccontextmanager
async def proxied(
    tokens: TokenServer, answer: bytes | Answer | None = None, **overrides: object
) -> AsyncIterator[tuple[RunningProxy, ByteServer]]:
    """Run an upstream (see `ByteServer`) with the proxy before it; yield both."""
    async with ByteServer(answer) as upstream:
        values = {"upstream": upstream.url, "token_url": tokens.token_url, **overrides}
        async with running_proxy(**values) as proxy:  # type: ignore[arg-type]
            yield proxy, upstream
