"""A systemd of the test's own: the real user manager, in namespaces that end with it."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT
from collections.abc import AsyncIterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.support.waiting import eventually, within

__all__ = ["OwnSystemd", "own_systemd", "systemd_version", "why_no_systemd"]

_PROGRAM: Final = "/lib/systemd/systemd"
_TELLING: Final = ("ActiveState", "ExecMainCode", "ExecMainStatus", "Result", "StatusText")
_LIKE_A_MACHINE: Final = (
    "mount -t tmpfs none /run/systemd && mkdir /run/systemd/system && mount --make-rshared /"
)
_NAMESPACES: Final = (
    *("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--cgroup"),
    *("sh", "-c", f'{_LIKE_A_MACHINE} && "$@"; exit $?'),
    "sh",
)
"""A manager does not run where no systemd has booted; here it finds the sign that one has.

The shell stays: as the first process of a namespace, systemd would be that of a machine.
"""


def systemd_version() -> int:
    """Return the version of the systemd that is installed."""
    done = subprocess.run(["systemctl", "--version"], check=True, capture_output=True, text=True)
    return int(done.stdout.split()[1])


@cache
def why_no_systemd() -> str:
    """Return why there can be none here, empty if there can."""
    if os.geteuid() != 0:
        return "needs root, for namespaces"
    missing = [
        name for name in ("unshare", "nsenter", "systemctl", _PROGRAM) if shutil.which(name) is None
    ]
    if missing or sys.platform != "linux":
        return f"needs {' and '.join(missing) or 'Linux'}"
    if subprocess.run((*_NAMESPACES, "true"), check=False, capture_output=True).returncode:
        return "needs namespaces"
    return ""


class OwnSystemd:
    """A running manager; `log` is what it and its services have written.

    It answers only to processes whose number it can see, so all commands run beside it.
    """

    def __init__(self, folder: Path) -> None:
        self.first_process = 0
        self.folder = folder
        self.units = folder / "units"
        self.environ = {
            "HOME": str(folder),
            "PATH": os.environ["PATH"],
            "SYSTEMD_LOG_TARGET": "console",
            "SYSTEMD_UNIT_PATH": str(self.units),
            "XDG_RUNTIME_DIR": str(folder / "run"),
        }

    @property
    def log(self) -> str:
        """All that was written so far."""
        return (self.folder / "log").read_text("utf-8", "replace")

    async def run(self, *command: str) -> str:
        """Run a command beside the manager, to its good end; return all that it wrote."""
        process = await asyncio.create_subprocess_exec(
            *("nsenter", "--target", str(self.first_process), "--pid", "--mount", *command),
            env=self.environ,
            stdout=PIPE,
            stderr=STDOUT,
        )
        output, _ = await within(process.communicate(), f"{command}: {self.log}", 60)
        assert process.returncode == 0, f"{command}: {output.decode()}\n{self.log}"
        return output.decode()

    async def order(self, *arguments: str) -> None:
        """Run systemctl; it must succeed."""
        try:
            await self.run("systemctl", "--user", *arguments)
        except AssertionError as error:
            facts = await self.facts(arguments[-1])
            error.add_note(str({name: facts[name] for name in facts if name in _TELLING}))
            raise

    async def facts(self, unit: str) -> Mapping[str, str]:
        """Return the properties of a unit."""
        output = await self.run("systemctl", "--user", "show", unit)
        return dict(re.findall(r"^(\w+)=(.*)$", output, re.MULTILINE))


def _child_of(process: int) -> int:
    return int(Path(f"/proc/{process}/task/{process}/children").read_text())


@contextlib.asynccontextmanager
async def own_systemd(folder: Path, units: Mapping[str, str]) -> AsyncIterator[OwnSystemd]:
    """Run a manager that knows these units, none of them started; kill it and them at the end."""
    running = OwnSystemd(folder)
    running.units.mkdir()
    (folder / "run").mkdir(mode=0o700)
    for name, text in {"basic.target": "[Unit]\n", **units}.items():
        path = running.units / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            *(*_NAMESPACES, _PROGRAM, "--user", "--unit=basic.target"),
            env=running.environ,
            stdin=DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        await eventually((folder / "run/systemd/private").is_socket, "systemd", 30)
        running.first_process = _child_of(process.pid)
        yield running
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
