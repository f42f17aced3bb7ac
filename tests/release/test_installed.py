"""The wheels alone, installed as users do it: pip, a tool of its own, and without installing."""

import json
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from proxy import __version__
from tests.release.installation import User, curl
from tests.release.packed import TOOLS, Packed
from tests.support.code_blocks import CodeBlock, code_blocks

PAGE: Final = "/sign/signing-sessions"
BEFORE: Final = "0.9.0"
BLOCKS: Final = [
    block for block in code_blocks("README.md") if block.words == ("no-run", "release")
]


def test_the_readme_shows_two_ways() -> None:
    """With a program that installs for one start, and with pip alone."""
    first, second = (block.text for block in BLOCKS)
    assert first.startswith("uvx --from ./signicat_proxy-")
    assert re.search(r"^\S+/bin/pip install \./signicat_proxy-", second, re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS, ids=str)
async def test_what_the_readme_shows_to_who_has_a_wheel_works(block: CodeBlock, user: User) -> None:
    """The demo runs, and the proxy adds the token that the mock wants."""
    *lines, last = block.text.splitlines()
    ports = " ".join(f"--{name} 127.0.0.1:0" for name in ("listen", "admin-listen", "mock-listen"))
    assert last.endswith(" demo")
    script = "\n".join(("set -e", *lines, f"exec {last} {ports}"))
    async with user.started(("bash", "-c", script), "Ctrl-C ends it") as demo:
        mock, proxy = re.findall(r"listens on (http://[\d.:]+)", demo.output)
        assert await curl(f"{mock}{PAGE}") == "401"
        assert await curl(f"{proxy}{PAGE}") == "200"


@pytest.mark.parametrize(
    ("installer", "environments"),
    [(("uv", "tool", "install"), "tools"), ((TOOLS / "pipx", "install"), "tools/venvs")],
    ids=["uv", "pipx"],
)
async def test_a_tool_of_its_own_runs_all_commands(
    user: User, packed: Packed, installer: Sequence[str | Path], environments: str
) -> None:
    """It has an environment for this one program, and the program is on the path."""
    user.run(*installer, "--quiet", f"./{packed.wheel.name}")
    program = user.folder / "bin" / "signicat-proxy"
    said = user.run(program, "--version")
    assert said == f"signicat-proxy {__version__} (interpreted)\n"
    where = "import proxy; print(proxy.__file__)"
    python = user.folder / environments / "signicat-proxy" / "bin" / "python"
    assert Path(user.run(python, "-c", where)).is_relative_to(user.folder)
    user.configure()
    await user.proxies(program)


def version_before(folder: Path, packed: Packed) -> Path:
    """Build the wheel of a version before this one."""
    with tarfile.open(packed.sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    init = source / "proxy" / "__init__.py"
    init.write_text(init.read_text("utf-8").replace(__version__, BEFORE), "utf-8")
    builder = User(source)
    builder.run(TOOLS / "python", "-m", "build", "--wheel", "--no-isolation", "--outdir", ".")
    (wheel,) = source.glob("*.whl")
    return wheel


async def test_an_upgrade_keeps_the_configuration(
    user: User, packed: Packed, tmp_path: Path
) -> None:
    """With pip, from the version before to the compiled wheel; which says that it is compiled."""
    programs = user.environment_of_its_own()
    program = programs / "signicat-proxy"
    user.configure()
    user.run(programs / "pip", "install", "--quiet", version_before(tmp_path, packed))
    assert user.run(program, "--version") == f"signicat-proxy {BEFORE} (interpreted)\n"
    asked = (program, "config", "--json", "--config", "proxy.toml")
    before = json.loads(user.run(*asked))
    await user.proxies(program)

    user.run(programs / "pip", "install", "--quiet", "--upgrade", f"./{packed.compiled.name}")
    assert user.run(program, "--version") == f"signicat-proxy {__version__} (compiled)\n"
    assert json.loads(user.run(*asked)) == before
    assert "drain_seconds" in json.dumps(before)
    await user.proxies(program)
