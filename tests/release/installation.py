"""An installation as a user has it: away from the repository, started by its own command."""

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proxy.mock.command import DEFAULT_CLIENT, DEFAULT_SECRET
from tests.release.packed import environment
from tests.support.proxy_process import ProxyProcess
from tests.support.waiting import eventually, task_group

__all__ = ["BIN", "CONFIG", "User", "curl"]

BIN: Final = Path(sys.executable).parent
START_SECONDS: Final = 240.0
"""How long a start may take that fetches the requirements first."""

CONFIG: Final = f"""\
client_id = "{DEFAULT_CLIENT}"
client_secret_file = "secret"
listen = "127.0.0.1:0"
admin_listen = "127.0.0.1:0"
drain_seconds = 3
"""


async def curl(url: str) -> str:
    """Return the status that curl gets."""
    words = ("curl", "--silent", "--noproxy", "*", "-o", os.devnull, "-w", "%{http_code}", url)
    process = await asyncio.create_subprocess_exec(*words, stdout=PIPE)
    return (await process.communicate())[0].decode()


@dataclass(frozen=True)
class User:
    """Somebody in a folder of their own, who has a package index and programs, and no repository.

    uv finds the packages by their names, as pip does: `UV_FIND_LINKS` would give it others.
    """

    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        """Return what the user's programs get."""
        folders = {
            "UV_TOOL_DIR": f"{self.folder}/tools",
            "UV_TOOL_BIN_DIR": f"{self.folder}/bin",
            "PIPX_HOME": f"{self.folder}/tools",
            "PIPX_BIN_DIR": f"{self.folder}/bin",
            "PIPX_MAN_DIR": f"{self.folder}/man",
        }
        environ = environment(PATH=f"{BIN}:{os.environ['PATH']}", **folders)
        environ.pop("UV_FIND_LINKS", None)
        return environ

    def run(self, *words: str | Path, environ: Mapping[str, str] | None = None) -> str:
        """Run a command to its good end; return what it prints."""
        code, said = self.ended(*words, environ=environ)
        assert code == 0, f"{words}\n{said}"
        return said

    def ended(
        self, *words: str | Path, environ: Mapping[str, str] | None = None
    ) -> tuple[int, str]:
        """Run a command; return its exit code, and what it prints: if it fails, errors too."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env={**self.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + (done.stderr if done.returncode else "")

    def environment_of_its_own(self) -> Path:
        """Make a fresh environment, as people do; return where its programs are."""
        self.run("python3", "-m", "venv", "fresh")
        return self.folder / "fresh" / "bin"

    def configure(self) -> None:
        """Write a configuration for the mock."""
        (self.folder / "secret").write_text(f"{DEFAULT_SECRET}\n", "utf-8")
        (self.folder / "proxy.toml").write_text(CONFIG, "utf-8")

    @contextlib.asynccontextmanager
    async def started(
        self, command: Sequence[str | Path], until: str
    ) -> AsyncIterator[ProxyProcess]:
        """Start what stays and wait until it prints `until`; press Ctrl-C, and see it end well."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=self.environ,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )
        running = ProxyProcess(process)
        async with task_group() as tasks:
            tasks.create_task(running.read_output(), name="peer")
            try:
                await eventually(
                    lambda: until in running.output or process.returncode is not None,
                    f"{until}: {running.output}",
                    START_SECONDS,
                )
                assert until in running.output, running.output
                yield running
                # To the command alone, as whoever supervises it does: uv passes it on.
                running.interrupt()
                assert await running.ended() == 0, running.output
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()

    @contextlib.asynccontextmanager
    async def mocked(self, program: Path) -> AsyncIterator[tuple[str, Sequence[str]]]:
        """Start the mock; provide its address, and the flags that lead a program to it."""
        listen = ("--listen", "127.0.0.1:0")
        async with self.started((program, "mock", *listen), "listening on") as mock:
            found = re.search(r"http://127\.0\.0\.1:\d+", mock.output)
            assert found
            token_url = f"{found[0]}/auth/open/connect/token"
            flags = ("--config", "proxy.toml", "--upstream-url", found[0], "--token-url", token_url)
            yield found[0], flags

    async def proxies(self, program: Path) -> None:
        """See that `mock`, `check` and `run` of a program work, with a request by curl."""
        page = "/sign/signing-sessions"
        async with self.mocked(program) as (base, flags):
            checked = await asyncio.to_thread(self.run, program, "check", "--no-call", *flags)
            assert re.search(r"^ok +token\b", checked, re.MULTILINE), checked
            async with self.started((program, "run", *flags), '"token_request"') as proxy:
                port, admin = await proxy.ports()
                assert await curl(f"{base}{page}") == "401"
                assert await curl(f"http://127.0.0.1:{port}{page}") == "200"
                assert await curl(f"http://127.0.0.1:{admin}/readyz") == "200"
