"""The commands and programs that the pages show are run, and print what the pages say.

Ports and the folder of the secrets are replaced; everything else runs as it stands.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from proxy.settings.loader import Settings, load
from tests.support.code_blocks import METHODS_OF, PAGES, CodeBlock, code_blocks
from tests.support.otlp_receiver import OtlpReceiver
from tests.support.own_systemd import systemd_version
from tests.support.page_stage import CLIENT, FIRST_KEY, NEEDED, Stage, compare, stage
from tests.support.source_tree import read
from tests.support.systemd_units import for_older_systemd, units_of_the_page

BLOCKS: Final = [block for page in PAGES for block in code_blocks(page)]
LANGUAGES: Final = {
    **dict.fromkeys(("sh", "python", "javascript", "java", "php", "go"), "run"),
    "csharp": "no .NET here",
    "systemd": "checked by systemd-analyze",
    **dict.fromkeys(("yaml", "promql", "gotemplate"), "checked by tests/deploy"),
    **dict.fromkeys(("toml", "text", "json", "ini", "mermaid"), "to read or compare"),
}
NOT_RUN: Final = {
    "docker": "needs Docker, an image and a network; tests/deploy runs its like",
    "kubernetes": "needs a cluster; tests/deploy renders and runs the chart's pods",
    "module": "needs a Go module; tests/traffic/test_oauth_libraries.py makes its call",
    "cert-manager": "objects of cert-manager, whose models are not installed",
    "release": "needs a wheel; tests/release runs it with the one that it packs",
    "machine": "changes the machine, or lasts for minutes and needs an idle one",
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

# What the running proxy has in its file: a page's own file is only shown and checked.
CONFIG: Final = {"docs/callers.md": '[callers.shop]\nkey_file = "/run/secrets/shop-key"\n'}


TRACED: Final = "docs/monitor.md"
"""The page that shows what is there while traces are on."""


def is_run(block: CodeBlock) -> bool:
    """Say whether a block is a command or a program that can be run here."""
    return LANGUAGES.get(block.language) == "run" and "no-run" not in block.words


def missing(block: CodeBlock) -> str:
    """Return the program that a block needs and that is not installed, or nothing."""
    program = NEEDED.get(block.words[-1] if "needs" in block.words else block.language, "")
    return "" if not program or shutil.which(program) else program


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
    async with OtlpReceiver() as collector:
        traces = collector.url if page == TRACED else ""
        async with stage(tmp_path, CONFIG.get(page, ""), traces) as here:
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
        "module": r"golang\.org/x/oauth2",
        "cert-manager": r"cert-manager\.io/v1",
        "release": r"\.whl",
        "machine": r"apt-get|bench|pip install|systemctl|systemd-run|install -o|usermod",
    }
    left_out = [block for block in BLOCKS if block.words[:1] == ("no-run",)]
    assert [block for block in left_out if not re.search(signs[block.words[1]], block.text)] == []
    assert {block.words[1] for block in left_out} == set(NOT_RUN)
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
    for name in re.findall(r"/run/secrets/([\w-]+)", block.text):
        content = FIRST_KEY if name.endswith("-key") else "secret"
        (tmp_path / "secrets" / name).write_text(f"{content}\n", "utf-8")
    file = tmp_path / "proxy.toml"
    file.write_text(block.text.replace("/run/secrets/", f"{tmp_path}/secrets/"), "utf-8")
    settings = load(config_file=file, environ={}, directory=tmp_path).settings
    assert settings.routes
    for route in settings.routes:
        assert route.methods is None or METHODS_OF[route.path] <= set(route.methods)


SYSTEMD: Final = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="not installed: systemd-analyze"
)


def complaints(folder: Path, files: Mapping[str, str], *command: str) -> list[str]:
    """Return what systemd finds wrong with units, each line of it."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", *command, *(folder / name for name in files)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if any(name in line for name in files)]


@SYSTEMD
def test_units_are_units(tmp_path: Path) -> None:
    """Systemd finds nothing wrong with the units, and little that they could reach."""
    is_older = systemd_version() < 253
    shown = units_of_the_page()
    assert len(shown) == sum(block.language == "systemd" for block in BLOCKS)
    found = complaints(tmp_path / "shown", shown, "verify")
    if is_older:
        complaint = "Failed to parse service type, ignoring: notify-reload"
        assert [line.partition(": ")[2] for line in found] == [complaint]
    else:
        assert found == []
    older = {name: for_older_systemd(unit) for name, unit in shown.items()}
    assert "Type=notify\n" in older["signicat-proxy.service"]
    assert complaints(tmp_path / "older", older, "verify") == []
    service = {"signicat-proxy.service": older["signicat-proxy.service"]}
    security = ("security", "--offline=true", "--threshold=45")
    assert complaints(tmp_path / "security", service, *security) == []


def test_the_unit_of_the_service_fits_the_proxy() -> None:
    """It is started again in time, not for wrong settings, and stopped no sooner than it drains."""
    unit = units_of_the_page()["signicat-proxy.service"]
    assert "RestartPreventExitStatus=2\n" in unit
    # systemd gives up after five starts in ten seconds.
    (pause,) = re.findall(r"^RestartSec=(\d+)$", unit, re.MULTILINE)
    assert int(pause) * 4 > 10
    drain = Settings.model_fields["drain_seconds"].default
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(seconds) >= drain + 5


def test_the_demo_of_the_makefile_is_the_one_that_is_tried() -> None:
    """`make demo` starts `signicat-proxy demo`."""
    assert "\ndemo: $(PACKAGE)" in read("Makefile")
    assert "\n\t@exec $(BIN)/signicat-proxy demo\n" in read("Makefile")
