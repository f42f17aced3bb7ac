"""The commands and programs that the pages show are run, and print what the pages say.

Each page is tried in a folder of its own, against a mock and a proxy of its own.
Ports and the folder of the secrets are replaced; everything else runs as it stands.
"""

import asyncio
import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from proxy.settings import Settings, load
from tests.code_blocks import PAGES, CodeBlock, code_blocks
from tests.proxy_process import ProxyProcess, proxy_process
from tests.running_proxy import CLIENT_SECRET, assert_no_secret
from tests.source_tree import read
from tests.waiting import eventually, within

BIN: Final = Path(sys.executable).parent
CLIENT: Final = "sandbox-round-apple-123"
OTHER_CLIENT: Final = "sandbox-calm-otter-101"
BLOCKS: Final = [block for page in PAGES for block in code_blocks(page)]
LANGUAGES: Final = {
    **dict.fromkeys(("sh", "python", "javascript", "java", "php"), "run"),
    "systemd": "checked by systemd-analyze",
    **dict.fromkeys(("yaml", "promql", "gotemplate"), "checked by tests/deploy"),
    **dict.fromkeys(("toml", "text", "json", "ini", "mermaid"), "to read or compare"),
}
NOT_RUN: Final = {
    "docker": "needs Docker, an image and a network; tests/deploy runs its like",
    "kubernetes": "needs a cluster; tests/deploy renders and runs the chart's pods",
    "signicat": "needs an account at Signicat",
    "machine": "changes the machine, or lasts for minutes and needs an idle one",
}
PROGRAMS: Final = {
    "python": (sys.executable, "example.py"),
    "javascript": ("node", "example.mjs"),
    "java": ("java", "Example.java"),  # which needs the compiler
    "php": ("php", "example.php"),
}
# What must have happened for a page's commands to have something to show.
BEFORE: Final = {
    "docs/runbook.md": """
        reset='{"kind":"reset","target":"api","times":1}'
        curl -sf -X PUT http://127.0.0.1:9090/__mock__/faults -d "$reset"
        curl -s -X POST http://127.0.0.1:8080/sign/documents -d x
    """,
    # The secret that the page rotates to, and no other, is valid.
    "docs/rotate.md": f"""
        printf first > new-secret
        curl -sf -X PUT http://127.0.0.1:9090/__mock__/clients/{CLIENT}/secrets \\
            -d '{{"secrets": ["first"]}}'
    """,
}
NEEDED: Final = {"javascript": "node", "java": "javac", "php": "php"}
UP: Final = re.compile(r'"event": "listening"|MOCK: listening on|Ctrl-C ends it')
PATIENCE: Final = 60.0


def is_run(block: CodeBlock) -> bool:
    """Say whether a block is a command or a program that can be run here."""
    return LANGUAGES.get(block.language) == "run" and "no-run" not in block.words


def missing(block: CodeBlock) -> str:
    """Return the program that a block needs and that is not installed, or nothing."""
    program = NEEDED.get(block.words[-1] if "needs" in block.words else block.language, "")
    return "" if not program or shutil.which(program) else program


@dataclass(frozen=True)
class Stage:
    """Where one page is tried: a proxy before a mock, and a folder."""

    folder: Path
    ports: Mapping[str, int]

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
            # The name of the real upstream, which `http_proxy` leads to.
            "SIGNICAT_PROXY_ALLOWED_HOSTS": "localhost,127.0.0.1,[::1],api.signicat.com",
            "SIGNICAT_PROXY_LISTEN": f"127.0.0.1:{self.ports['8080']}",
            "SIGNICAT_PROXY_ADMIN_LISTEN": f"127.0.0.1:{self.ports['8081']}",
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
        out, err = await within(process.communicate(), f"the end of {command}", PATIENCE)
        assert process.returncode == 0, f"{command}\n{out.decode()}\n{err.decode()}"
        assert_no_secret(out.decode() + err.decode())
        return out.decode()

    async def shell(self, text: str) -> str:
        """Run lines of a shell; what they set is there for the next ones."""
        script = f"set -eua -o pipefail\n. ./.state\n{text}\nexport -p > .state"
        return await self.run("bash", "-c", self.staged(script))

    async def program(self, block: CodeBlock) -> str:
        """Run a program."""
        command, name = PROGRAMS[block.language]
        (self.folder / name).write_text(self.staged(block.text), "utf-8")
        return await self.run(command, name)

    async def execute(self, block: CodeBlock) -> str:
        """Run a block; return what it prints."""
        if block.language != "sh":
            return await self.program(block)
        if "serves" in block.words:
            return await self.serve(block.text)
        return await self.shell(block.text)

    async def prints(self, block: CodeBlock, output: CodeBlock) -> None:
        """Run a block again until it prints what is shown."""
        ending = time.monotonic() + PATIENCE
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
            while not UP.search(seen):
                line = await within(process.stdout.readline(), f"{last} to be up", PATIENCE)
                assert line, f"ended: {seen}"
                seen += line.decode()
            process.terminate()
            await within(process.stdout.read(), "the end of its output")
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            code = await process.wait()
        assert code == 0, seen
        return seen


async def listening(mock: ProxyProcess) -> int:
    """Wait for the mock; return its port."""
    await eventually(lambda: "listening on" in mock.output, "the mock")
    match = re.search(r"http://127\.0\.0\.1:(\d+)", mock.output)
    assert match
    return int(match[1])


@contextlib.asynccontextmanager
async def stage(folder: Path) -> AsyncIterator[Stage]:
    """Start mock and proxy; wait for the first token."""
    for name in ("signicat", "auth", "sign"):
        (folder / name).write_text(f"{CLIENT_SECRET}\n", "utf-8")
    (folder / ".state").touch()
    clients = [f"--client={name}:{CLIENT_SECRET}" for name in (CLIENT, OTHER_CLIENT)]
    started = ("mock", "--listen", "127.0.0.1:0", *clients)
    async with proxy_process({}, *started, directory=folder) as mock:
        first = Stage(folder, {"9090": await listening(mock), "8080": 0, "8081": 0})
        async with proxy_process(first.environ, "run", directory=folder) as process:
            port, admin = await process.ports()
            await process.event("token_request")
            yield Stage(folder, {**first.ports, "8080": port, "8081": admin})


def assert_lines_match(shown: str, printed: str, where: str) -> None:
    """See that each line shown is printed, in that order; … stands for anything."""
    lines = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in shown.splitlines():
        pattern = ".*".join(re.escape(part) for part in " ".join(line.split()).split("…"))
        assert any(re.fullmatch(pattern, other) for other in lines), f"{where}: {line}\n{printed}"


def assert_same_shape(shown: Any, got: Any, where: str) -> None:
    """See that JSON has the members shown, of the same kind, and the same texts."""
    if isinstance(shown, dict):
        assert set(shown) == set(got), where
        for name, value in shown.items():
            assert_same_shape(value, got[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert len(shown) == len(got), where
        for number, value in enumerate(shown):
            assert_same_shape(value, got[number], f"{where}[{number}]")
    elif isinstance(shown, int | float) and not isinstance(shown, bool):
        assert isinstance(got, int | float), where
    else:
        assert shown == got, where


def compare(block: CodeBlock, printed: str) -> None:
    """Compare what a page shows with what was printed."""
    if block.language == "json":
        assert_same_shape(json.loads(block.text), json.loads(printed), str(block))
    else:
        assert_lines_match(block.text, printed, str(block))


async def try_page(here: Stage, page: str) -> set[str]:
    """Run what the page shows; return the programs that were missing."""
    skipped: set[str] = set()
    ran: CodeBlock | None = None
    printed = ""
    for block in code_blocks(page):
        if block.language == "toml":
            (here.folder / "proxy.toml").write_text(here.staged(block.text), "utf-8")
        elif "output" in block.words:
            if ran and "soon" in block.words:
                await here.prints(ran, block)
            elif ran:
                compare(block, printed)
        elif is_run(block):
            ran = None if missing(block) else block
            skipped.add(missing(block))
            printed = await here.execute(block) if ran else ""
    return skipped - {""}


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(is_run, code_blocks(page)))])
async def test_what_a_page_shows_works(page: str, tmp_path: Path) -> None:
    """Every command and program of the page ends well and prints what is shown below it."""
    async with stage(tmp_path) as here:
        await here.shell(BEFORE.get(page, ""))
        skipped = await try_page(here, page)
    if skipped:
        pytest.skip(f"all but what needs {', '.join(sorted(skipped))}: not installed")


def test_every_block_says_what_it_is() -> None:
    """Each has a language; what is not run says why not; an output follows what is run."""
    for before, block in zip([BLOCKS[0], *BLOCKS], BLOCKS, strict=False):
        assert block.language in LANGUAGES, block
        if block.words[:1] == ("no-run",):
            assert block.words[1] in NOT_RUN, block
        elif block.words[:1] == ("output",):
            assert block.words[1:] in {(), ("soon",)}, block
            assert is_run(before), block
        elif block.words[:1] == ("needs",):
            assert block.words[1] in NEEDED, block
        else:
            assert block.words in {(), ("serves",)}, block


def test_only_what_cannot_be_run_is_not() -> None:
    """A block that is left out uses what it is left out for."""
    signs = {
        "docker": r"docker",
        "kubernetes": r"kubectl|helm|docker push",
        "signicat": r"SIGNICAT_PROXY_CLIENT_ID|signicat-secret",
        "machine": r"apt-get|bench|pip install|systemctl|systemd-run|install -o",
    }
    left_out = [block for block in BLOCKS if block.words[:1] == ("no-run",)]
    assert [block for block in left_out if not re.search(signs[block.words[1]], block.text)] == []
    assert len([block for block in BLOCKS if is_run(block)]) > len(left_out)


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "sh"], ids=str)
def test_shell_blocks_are_shell(block: CodeBlock) -> None:
    """What is not run here can at least be read by a shell."""
    done = subprocess.run(
        ["bash", "-n"], input=block.text, text=True, check=False, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "toml"], ids=str)
def test_configuration_files_can_be_used(block: CodeBlock, tmp_path: Path) -> None:
    """A TOML file that a page shows is a valid configuration."""
    (tmp_path / "secrets").mkdir()
    for name in re.findall(r"/run/secrets/(\w+)", block.text):
        (tmp_path / "secrets" / name).write_text("secret\n", "utf-8")
    file = tmp_path / "proxy.toml"
    file.write_text(block.text.replace("/run/secrets/", f"{tmp_path}/secrets/"), "utf-8")
    assert load(config_file=file, environ={}, directory=tmp_path).settings.routes


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.language == "systemd"], ids=str)
def test_units_are_units(block: CodeBlock, tmp_path: Path) -> None:
    """Systemd finds nothing wrong with a unit, and little that it could reach."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("not installed: systemd-analyze")
    unit = tmp_path / "signicat-proxy.service"
    unit.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={BIN}/signicat-proxy", block.text))
    for command in (("verify",), ("security", "--offline=true", "--threshold=45")):
        done = subprocess.run(
            ["systemd-analyze", *command, unit], check=False, capture_output=True, text=True
        )
        about = [line for line in done.stderr.splitlines() if unit.name in line]
        assert (done.returncode, about) == (0, [])
    assert "RestartPreventExitStatus=2\n" in block.text
    drain = Settings.model_fields["drain_seconds"].default
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", block.text, re.MULTILINE)
    assert int(seconds) >= drain + 5


def test_the_demo_of_the_makefile_is_the_one_that_is_tried() -> None:
    """`make demo` starts `signicat-proxy demo`."""
    assert "\ndemo: $(PACKAGE)" in read("Makefile")
    assert "\n\t@exec $(BIN)/signicat-proxy demo\n" in read("Makefile")
