"""Real containers for the tests: buildah builds, podman runs, both with a store of their own."""

import contextlib
import importlib.util
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.source_tree import ROOT

__all__ = [
    "BASE",
    "BUILDER",
    "HARDENING",
    "IMAGE",
    "Engine",
    "libraries",
    "missing",
    "need",
    "tool",
    "until",
]

BASE: Final = "localhost/python:stand-in"
"""The stand-in for the base image."""
BUILDER: Final = "localhost/python:stand-in-with-compiler"
"""The stand-in for the base of the stage that compiles."""
IMAGE: Final = "localhost/signicat-proxy:test"
"""The image under test."""
HARDENING: Final = (
    *("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
    *("--memory", "128m", "--pids-limit", "64"),
)
"""How production runs it."""

_TOOLS: Final = ("buildah", "podman", "runc", "conmon", "mmdebstrap", "chroot", "tar")
# Compose's own command loses the exit code; the collector's package is for Python programs.
_IN_PACKAGES: Final = {"docker-compose": "compose", "rotel-agent": "rotel"}
_PATH: Final = "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_CA_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
_BUILD_SECONDS: Final = 540.0  # it compiles: minutes, where others share the machine
_STORAGE: Final = '[storage]\ndriver = "overlay"\nrunroot = "{0}/run"\ngraphroot = "{0}/graph"\n'
_CONTAINERS: Final = """\
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
tmp_dir = "{0}/tmp"
volume_path = "{0}/volumes"
[network]
network_backend = "netavark"
network_config_dir = "{0}/networks"
"""


def until(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> float:
    """Wait until `condition` holds; return how many seconds that took."""
    begin = time.monotonic()
    for pause in itertools.repeat(0.02):
        if condition():
            break
        assert time.monotonic() - begin < seconds, f"waited {seconds:g} s in vain for {what}"
        time.sleep(pause)
    return time.monotonic() - begin


def tool(name: str) -> str | None:
    """Return where a program is: beside this Python, or in PATH."""
    if name in _IN_PACKAGES:
        return _in_package(name, _IN_PACKAGES[name])
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.exists() else shutil.which(name)


def _in_package(name: str, package: str) -> str | None:
    """Return the program itself: what a package installs as a command may be another thing."""
    found = importlib.util.find_spec(package)
    folders = found.submodule_search_locations if found else None
    return shutil.which(name, path=folders[0]) if folders else None


def libraries(program: str) -> dict[str, str]:
    """Return the shared libraries of a program by name, and where each is; "" for a missing one."""
    listed = subprocess.run(("ldd", program), capture_output=True, text=True, check=True).stdout
    pairs = re.findall(r"^\s*(\S+) => (\S+|not found)", listed, re.MULTILINE)
    return {name: place if place.startswith("/") else "" for name, place in pairs}


def missing(names: Sequence[str] = _TOOLS) -> str:
    """Return why tools (by default those of the containers) cannot be used; empty if they can."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [name for name in names if tool(name) is None]
    return f"not installed: {', '.join(absent)}" if absent else ""


def need(reason: str) -> None:
    """Skip for this reason, if there is one; in CI everything must be there."""
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


def _messages(log: Path) -> str:
    """Return the messages in a log of containers, whose lines are `TIME STREAM F|P MESSAGE`."""
    if not log.exists():
        return ""
    lines = [line.split(" ", 3) for line in log.read_text("utf-8").splitlines()]
    return "".join(
        message + ("\n" if part == "F" else "") for _, _, part, message in filter(_is_whole, lines)
    )


def _is_whole(line: Sequence[str]) -> bool:
    return len(line) == 4


class Engine:
    """buildah and podman; images and containers stand in `folder`, whose path must be short."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        storage, containers = folder / "storage.conf", folder / "containers.conf"
        storage.write_text(_STORAGE.format(folder), "utf-8")
        containers.write_text(_CONTAINERS.format(folder), "utf-8")
        self.environ = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(storage),
            "CONTAINERS_CONF": str(containers),
        }

    def run(self, *command: str, check: bool = True, seconds: float = 300.0) -> str:
        """Run a command with this store; return what it wrote to stdout."""
        done = self.attempt(*command, seconds=seconds)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def attempt(self, *command: str, seconds: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Run a command with this store, whatever comes of it."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds,
        )

    def has(self, image: str) -> bool:
        """Return whether the store has an image."""
        return self.attempt("podman", "image", "exists", image).returncode == 0

    def load(self, image: str, archive: Path) -> None:
        """Have the image of a root file system."""
        if not self.has(image):
            self.run("podman", "import", "-q", "--change", f"ENV {_PATH}", str(archive), image)

    def build(self, tag: str, *arguments: str) -> None:
        """Build the image as the Dockerfile says, on the stand-ins."""
        trusted = f"{_CA_BUNDLE}:{_CA_BUNDLE}:ro"
        self.run(
            *("buildah", "bud", "--isolation", "chroot", "--pull-never", "--network", "host"),
            *(("--volume", trusted) if _CA_BUNDLE.exists() else ()),
            *("--format", "docker", "--layers"),
            *("--build-arg", f"BASE={BASE}", "--build-arg", f"BUILDER={BUILDER}"),
            *(*arguments, "-t", tag, "."),
            seconds=_BUILD_SECONDS,
        )

    def inspect(self, *what: str) -> Any:
        """Return what podman knows about an image or a container."""
        return json.loads(self.run("podman", *what))[0]

    @contextlib.contextmanager
    def container(
        self,
        *arguments: str,
        options: Sequence[str] = (),
        environ: Mapping[str, str] | None = None,
        image: str = IMAGE,
        start: bool = True,
    ) -> Iterator[str]:
        """Have a hardened container; yield its id, remove it at the end.

        It has a loopback device and no other network unless `options` say otherwise, and what
        it writes can be read with `output`.
        """
        network = () if any("--network" in option for option in options) else ("--network=none",)
        settings = [f"--env={name}={value}" for name, value in (environ or {}).items()]
        name = self.run(
            *("podman", "create", "--pull=never", "--log-driver=k8s-file"),
            *(*HARDENING, *network, *options, *settings, image, *arguments),
        )
        try:
            if start:
                self.run("podman", "start", name)
            yield name
        finally:
            self.run("podman", "rm", "--force", "--time", "0", name, check=False)

    def output(self, name: str) -> str:
        """Return what a container has written to stdout and stderr."""
        return _messages(Path(self.inspect("inspect", name)["HostConfig"]["LogConfig"]["Path"]))

    def wait_for(self, name: str, text: str, seconds: float = 60.0) -> float:
        """Wait until a container has written `text`; return how many seconds that took."""
        # The file, because each `podman logs` would take time from what is waited for.
        log = Path(self.inspect("inspect", name)["HostConfig"]["LogConfig"]["Path"])
        return until(lambda: text in _messages(log), f"{text!r} of {name}", seconds)

    def exit_code(self, name: str) -> int:
        """Return the exit code of a container, once it has ended."""
        return int(self.run("podman", "wait", name))

    def close(self) -> None:
        """Remove every container, those of builds that failed too, and the mounts of the store."""
        self.run("podman", "rm", "--all", "--force", "--time", "0", check=False)
        self.run("buildah", "rm", "--all", check=False)
        self.run("umount", str(self.folder / "graph" / "overlay"), check=False)
