"""Where the commands of one page are tried: a proxy before a mock, free ports, a folder."""

import asyncio
import contextlib
import json
import re
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from proxy.commands.demo import ALLOWED_HOSTS
from proxy.mock.command import DEFAULT_CLIENT
from tests.support.code_blocks import CodeBlock
from tests.support.proxy_process import ProxyProcess, proxy_process
from tests.support.running_proxy import CLIENT_SECRET, assert_no_secret
from tests.support.waiting import START_SECONDS, eventually, within

__all__ = ["BIN", "CLIENT", "FIRST_KEY", "NEEDED", "Stage", "compare", "stage"]

BIN: Final = Path(sys.executable).parent
CLIENT: Final = "sandbox-round-apple-123"
NEEDED: Final = {"go": "go", "javascript": "node", "java": "javac", "php": "php"}
FIRST_KEY: Final = "the-key-of-a-caller-before-the-page-makes-one"
_OTHER_CLIENT: Final = "sandbox-calm-otter-101"
_PROGRAMS: Final = {
    "python": (sys.executable, "example.py"),
    "go": ("go run", "example.go"),
    "javascript": ("node", "example.mjs"),
    "java": ("java", "Example.java"),  # which needs the compiler
    "php": ("php", "example.php"),
}
_UP: Final = re.compile(r'"event": "listening"|MOCK: listening on|Ctrl-C ends it')
_PATIENCE: Final = 60.0


def _assert_lines_match(shown: str, printed: str, where: str) -> None:
    """See that each line shown is printed, in that order; … stands for anything."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))
        assert any(re.fullmatch(pattern, other) for other in lines), f"{where}: {line}\n{printed}"


def _assert_same_shape(shown: Any, got: Any, where: str) -> None:
    """See that JSON has the members shown, of the same kind, and the same texts."""
    if isinstance(shown, dict):
        assert set(shown) == set(got), where
        for name, value in shown.items():
            _assert_same_shape(value, got[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert len(shown) == len(got), where
        for number, value in enumerate(shown):
            _assert_same_shape(value, got[number], f"{where}[{number}]")
    elif isinstance(shown, int | float) and not isinstance(shown, bool):
        assert isinstance(got, int | float), where
    else:
        assert shown == got, where


def compare(block: CodeBlock, printed: str) -> None:
    """Compare what a page shows with what was printed."""
    if block.language == "json":
        _assert_same_shape(json.loads(block.text), json.loads(printed), str(block))
    else:
        _assert_lines_match(block.text, printed, str(block))


@dataclass(frozen=True)
class Stage:
    """Where one page is tried: a proxy before a mock, and a folder.

    `collector` is where traces go, of the proxy and of applications; "" switches them off.
    """

    folder: Path
    ports: Mapping[str, int]
    collector: str = ""

    def staged(self, text: str) -> str:
        """Return a block's text with ports and paths that are free here."""
        text = re.sub(r"\b(8080|8081|9090)\b", lambda match: str(self.ports[match[1]]), text)
        text = text.replace("/run/secrets/", f"{self.folder}/")
        return text.replace(".venv/bin/", f"{BIN}/")

    @property
    def environ(self) -> dict[str, str]:
        """Return the settings of the running proxy, and a path with its command."""
        mock = f"http://127.0.0.1:{self.ports['9090']}"
        return {
            "HOME": str(self.folder),
            "PATH": f"{BIN}:/usr/bin:/bin",
            "SIGNICAT_PROXY_CLIENT_ID": CLIENT,
            "SIGNICAT_PROXY_CLIENT_SECRET_FILE": f"{self.folder}/signicat",
            "SIGNICAT_PROXY_TOKEN_URL": f"{mock}/auth/open/connect/token",
            "SIGNICAT_PROXY_UPSTREAM_URL": mock,
            "SIGNICAT_PROXY_LISTEN": f"127.0.0.1:{self.ports['8080']}",
            "SIGNICAT_PROXY_ADMIN_LISTEN": f"127.0.0.1:{self.ports['8081']}",
            # The pages tell people to use the demo, which has these.
            "SIGNICAT_PROXY_ALLOWED_HOSTS": ALLOWED_HOSTS,
            "SIGNICAT_PROXY_PLACEHOLDER_TOKEN": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector,
            "OTEL_BSP_SCHEDULE_DELAY": "50",
        }

    async def run(self, *command: str, environ: Mapping[str, str] | None = None) -> str:
        """Run a command to its good end; return what it prints."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**self.environ, **(environ or {})},
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
        )
        out, err = await within(process.communicate(), f"the end of {command}", _PATIENCE)
        assert process.returncode == 0, f"{command}\n{out.decode()}\n{err.decode()}"
        assert_no_secret(out.decode() + err.decode())
        return out.decode()

    async def shell(self, text: str) -> str:
        """Run lines of a shell; what they set is there for the next ones."""
        script = f"set -eua -o pipefail\n. ./.state\n{text}\nexport -p > .state"
        return await self.run("bash", "-c", self.staged(script))

    async def program(self, block: CodeBlock) -> str:
        """Run a program."""
        command, name = _PROGRAMS[block.language]
        (self.folder / name).write_text(self.staged(block.text), "utf-8")
        return await self.run(*command.split(), name)

    async def execute(self, block: CodeBlock) -> str:
        """Run a block; return what it prints."""
        if block.language != "sh":
            return await self.program(block)
        if "serves" in block.words:
            return await self.serve(block.text)
        return await self.shell(block.text)

    async def prints(self, block: CodeBlock, output: CodeBlock) -> None:
        """Run a block again until it prints what is shown."""
        ending = time.monotonic() + _PATIENCE
        while True:
            printed = await self.execute(block)
            try:
                return compare(output, printed)
            except AssertionError:
                if time.monotonic() > ending:
                    raise
            await asyncio.sleep(0.1)

    async def serve(self, text: str) -> str:
        """Run lines whose last one stays: wait until it is up, then end it; return its output."""
        *lines, last = text.replace("make demo", "signicat-proxy demo").splitlines()
        flags = ["listen", "admin-listen", "mock-listen"] if "demo" in last else []
        last = re.sub(r":(?:8080|8081|9090)\b", ":0", last)
        last += "".join(f" --{flag} 127.0.0.1:0" for flag in flags)
        free = [f"export SIGNICAT_PROXY_{name}=127.0.0.1:0" for name in ("LISTEN", "ADMIN_LISTEN")]
        script = "\n".join((". ./.state", "set -e", *free, *lines, f"exec {last} 2>&1"))
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", self.staged(script)),
            cwd=self.folder,
            env=self.environ,
            stdin=DEVNULL,
            stdout=PIPE,
        )
        assert process.stdout
        seen = ""
        try:
            while not _UP.search(seen):
                line = await within(process.stdout.readline(), f"{last} to be up", _PATIENCE)
                assert line, f"ended: {seen}"
                seen += line.decode()
            process.terminate()
            await within(process.stdout.read(), "the end of its output", _PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        assert code == 0, seen
        return seen


async def _listening(mock: ProxyProcess) -> int:
    """Wait for the mock; return its port."""
    await eventually(lambda: "listening on" in mock.output, "the mock", START_SECONDS)
    match = re.search(r"http://127\.0\.0\.1:(\d+)", mock.output)
    assert match
    return int(match[1])


@contextlib.asynccontextmanager
async def stage(folder: Path, config: str = "", collector: str = "") -> AsyncIterator[Stage]:
    """Start mock and proxy, which reads `config` (TOML); wait for the first token."""
    for name in ("signicat", "auth", "sign"):
        (folder / name).write_text(f"{CLIENT_SECRET}\n", "utf-8")
    (folder / "shop-key").write_text(f"{FIRST_KEY}\n", "utf-8")
    (folder / "stage.toml").write_text(config.replace("/run/secrets/", f"{folder}/"), "utf-8")
    (folder / ".state").touch()
    clients = [
        f"--client={name}:{CLIENT_SECRET}" for name in (CLIENT, _OTHER_CLIENT, DEFAULT_CLIENT)
    ]
    started = ("mock", "--listen", "127.0.0.1:0", *clients)
    async with proxy_process({}, *started, directory=folder) as mock:
        ports = {"9090": await _listening(mock), "8080": 0, "8081": 0}
        first = Stage(folder, ports, collector)
        command = ("run", "--config", f"{folder}/stage.toml")
        async with proxy_process(first.environ, *command, directory=folder) as process:
            port, admin = await process.ports()
            await process.event("token_request")
            yield Stage(folder, {**ports, "8080": port, "8081": admin}, collector)
