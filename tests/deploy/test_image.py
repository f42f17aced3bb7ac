"""The image: what is in it, and how it runs the way production runs it."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from proxy import __version__
from tests.deploy.containers import BASE, Engine, need, tool, until
from tests.support.source_tree import ROOT, kept_files, relative

LARGEST_ADDITION_BYTES = 120_000_000
SLOWEST_START_SECONDS = 1.0
UID = 10001
SETTINGS = {
    "SIGNICAT_PROXY_CLIENT_ID": "sandbox-mock-client-1",
    "SIGNICAT_PROXY_CLIENT_SECRET_FILE": "/run/secrets/signicat",
    "SIGNICAT_PROXY_TOKEN_URL": "http://127.0.0.1:9090/auth/open/connect/token",
    "SIGNICAT_PROXY_UPSTREAM_URL": "http://127.0.0.1:9090",
}
SECRET = f"--volume={ROOT / 'compose' / 'mock-secret'}:/run/secrets/signicat:ro"
ENTRYPOINT = ["env", "--block-signal=TERM,INT", "signicat-proxy"]
LISTENING = '"event": "listening"'
SHELLS = ("/usr/bin/dash", "/usr/bin/bash")

WHAT_INSTALLS = """
import glob, importlib.util, shutil
names = ("pip", "pip3", "gcc", "cc", "c++", "ld", "make", "git", "curl", "wget")
print([name for name in names if shutil.which(name, path="/app/bin:/usr/local/bin:/usr/bin:/bin")])
packages = ("pip", "setuptools", "wheel", "mypy", "mypyc")
print([name for name in packages if importlib.util.find_spec(name)])
print(glob.glob("/usr/local/lib/python3*/ensurepip"))
"""
WHAT_OTHERS_CAN_CHANGE = """
import os, stat
bad = stat.S_IWGRP | stat.S_IWOTH | stat.S_ISUID | stat.S_ISGID
seen = 0
for folder, folders, files in os.walk("/app"):
    for name in (".", *files):
        path = os.path.join(folder, name)
        facts = os.lstat(path)
        seen += 1
        if facts.st_uid or (not stat.S_ISLNK(facts.st_mode) and facts.st_mode & bad):
            print(path, oct(facts.st_mode))
print("seen" if seen > 1000 else seen)
"""


def facts_about(engine: Engine, image: str) -> dict[str, Any]:
    """Return what podman knows about an image."""
    facts: dict[str, Any] = engine.inspect("image", "inspect", image)
    return facts


def python(engine: Engine, name: str, code: str, interpreter: str = "python") -> str:
    """Run Python in a running container; return its output."""
    return engine.run("podman", "exec", name, interpreter, "-c", code)


def stop(engine: Engine, name: str) -> int:
    """Stop a container the way an orchestrator does; return the exit code of its process."""
    engine.run("podman", "stop", "--time", "20", name)
    return engine.exit_code(name)


def becomes_healthy(engine: Engine, name: str) -> None:
    """Wait until the image's own health check passes.

    One that has taken over its four seconds has failed, and a busy machine may take them.
    """
    check = ("podman", "healthcheck", "run", name)
    until(lambda: engine.attempt(*check).returncode == 0, "the health check to pass")


@pytest.fixture
def mock(engine: Engine, image: str) -> Iterator[str]:
    """Provide a container that runs the mock, with no network but loopback."""
    with engine.container("mock", image=image) as name:
        engine.wait_for(name, "listening on")
        yield name


def test_dockerfile_is_clean(engine: Engine) -> None:
    """Hadolint finds nothing."""
    hadolint = tool("hadolint")
    need("" if hadolint else "not installed: hadolint")
    done = engine.attempt(str(hadolint), str(ROOT / "Dockerfile"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_bases_are_exact_tags() -> None:
    """Without arguments one release of Python and of Debian compiles and runs, not the newest."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    base = re.search(r"^ARG BASE=python:(3\.\d+\.\d+)-slim-([a-z]+)$", text, re.MULTILINE)
    assert base
    assert f"ARG BUILDER=python:{base[1]}-{base[2]}" in text.splitlines()


def test_bases_that_do_not_fit_make_no_image(engine: Engine, image: str, tmp_path: Path) -> None:
    """A base without the Python that it was compiled for fails the build, not the deployment."""
    other = image + "-other-base"
    (tmp_path / "Dockerfile").write_text(f"FROM {BASE}\nRUN rm /usr/local/bin/python*\n", "utf-8")
    engine.run("buildah", "bud", "--isolation", "chroot", "-t", other, str(tmp_path))
    with pytest.raises(AssertionError, match=r'at STEP "RUN .*proxy\.server\.process'):
        engine.build(image + "-never", "--build-arg", f"BASE={other}")


def test_the_proxy_is_compiled(engine: Engine, image: str) -> None:
    """It loads what was compiled, with no right and nothing to write to."""
    with engine.container("--version", image=image) as name:
        assert engine.exit_code(name) == 0
        assert engine.output(name) == f"signicat-proxy {__version__} (compiled)\n"


def test_the_build_sees_only_what_the_image_is_made_of(engine: Engine, tmp_path: Path) -> None:
    """Settings, keys and whatever else lies about in the working tree stay out of the build."""
    tree = tmp_path / "tree"
    tree.mkdir()
    shutil.copytree(ROOT / "proxy", tree / "proxy")
    made_of = {
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "requirements/compile.txt",
        "requirements/runtime.txt",
        "setup.py",
    }
    (tree / "requirements").mkdir()
    for name in (*made_of, ".dockerignore"):
        shutil.copy(ROOT / name, tree / name)
    for name in (".env", "signicat-secret", "proxy.toml", "proxy/.env", "proxy/mock/key.pem"):
        (tree / name).write_text("secret", "utf-8")
    (tree / "Everything").write_text("FROM scratch\nCOPY . /\n", "utf-8")
    engine.run("buildah", "bud", "-f", str(tree / "Everything"), "-t", "everything", str(tree))
    engine.run("podman", "save", "--format", "oci-dir", "-o", str(tmp_path / "saved"), "everything")
    seen = engine.run(
        *(
            "bash",
            "-c",
            'for layer in "$0"/blobs/sha256/*; do tar tf "$layer" 2>/dev/null; done; :',
        ),
        str(tmp_path / "saved"),
    )
    files = {line.removeprefix("./") for line in seen.splitlines() if not line.endswith("/")}
    assert files == {*made_of, *map(relative, kept_files(ROOT / "proxy"))}


def test_the_image_adds_little_to_its_base(engine: Engine, image: str) -> None:
    """At most 120 MB come on top of Python's own image."""
    sizes = [int(facts_about(engine, name)["Size"]) for name in (BASE, image)]
    assert 0 < sizes[1] - sizes[0] <= LARGEST_ADDITION_BYTES


def test_the_image_says_what_it_is(engine: Engine, image: str) -> None:
    """Labels, user and command are those of the package; no port is published by itself."""
    config = facts_about(engine, image)["Config"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
    }
    assert (labels["title"], labels["version"]) == ("signicat-proxy", __version__)
    assert (labels["licenses"], labels["base.name"]) == ("Apache-2.0", BASE)
    assert {"description", "revision"} <= set(labels)
    assert config["User"] == f"{UID}:{UID}"
    assert (config["Entrypoint"], config["Cmd"]) == (ENTRYPOINT, ["run"])
    assert not {"ExposedPorts", "Volumes"} & set(config)


def test_nothing_secret_stands_in_the_history(engine: Engine, image: str) -> None:
    """The image sets three variables that anybody may read, and no step names a secret."""
    facts = facts_about(engine, image)
    assert {entry.partition("=")[0] for entry in facts["Config"]["Env"]} == {
        "PATH",
        "PYTHONDONTWRITEBYTECODE",
        "PYTHONPYCACHEPREFIX",
    }
    steps = [step["created_by"] for step in facts["History"]]
    assert any("COPY" in step for step in steps)
    assert [
        step for step in steps if re.search(r"secret|token|passw|_KEY", step, re.IGNORECASE)
    ] == []


@pytest.mark.parametrize("user", [f"{UID}:{UID}", "1000680000:0"], ids=["own", "openshift"])
def test_it_runs_without_any_right(engine: Engine, image: str, user: str) -> None:
    """As its user or any other, with no capability, network or writable file, it is healthy."""
    options = () if str(UID) in user else (f"--user={user}",)
    with engine.container("demo", image=image, options=options) as name:
        engine.wait_for(name, "Ctrl-C ends it.")
        status = python(engine, name, "print(open('/proc/1/status').read())")
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert {*facts["Uid"].split(), *facts["Gid"].split()} == {*user.split(":")}
        assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
        refused = engine.attempt("podman", "exec", name, "python", "-c", "open('/app/x', 'w')")
        assert "Read-only file system" in refused.stderr
        becomes_healthy(engine, name)
        assert stop(engine, name) == 0


def test_there_is_nothing_to_install_or_build_with(engine: Engine, mock: str) -> None:
    """Neither Python of the image has pip, and there is no compiler and no downloader."""
    for interpreter in ("/app/bin/python", "/usr/local/bin/python"):
        found = python(engine, mock, WHAT_INSTALLS, interpreter)
        assert found.splitlines() == ["[]", "[]", "[]"], interpreter


def test_what_runs_cannot_be_changed_by_its_user(engine: Engine, mock: str) -> None:
    """All of /app is root's and writable by root alone, also where nobody asks for read-only."""
    assert python(engine, mock, WHAT_OTHERS_CAN_CHANGE) == "seen"


def test_no_shell_is_needed(engine: Engine, image: str) -> None:
    """It starts, is healthy and stops in an image whose shells are gone."""
    gone = [f"--volume=/dev/null:{shell}:ro" for shell in SHELLS]
    with engine.container("demo", image=image, options=gone) as name:
        engine.wait_for(name, "Ctrl-C ends it.")
        assert engine.attempt("podman", "exec", name, "sh", "-c", "true").returncode != 0
        becomes_healthy(engine, name)
        assert stop(engine, name) == 0


def test_bad_settings_end_it_with_every_error(engine: Engine, image: str) -> None:
    """Without settings the exit code is 2 and the log names those that are needed (C1)."""
    with engine.container(image=image) as name:
        assert engine.exit_code(name) == 2
        written = engine.output(name)
    assert "SIGNICAT_PROXY_CLIENT_ID" in written
    assert "SIGNICAT_PROXY_CLIENT_SECRET" in written


@pytest.mark.parametrize(
    "admin",
    ["127.0.0.1:9999", "0.0.0.0:9998", "[::1]:9997", "unix:/run/proxy/admin.sock"],
)
def test_health_follows_the_admin_port(engine: Engine, image: str, admin: str) -> None:
    """The image's own health check finds the admin port wherever the environment puts it."""
    with engine.container(
        image=image,
        options=[SECRET, "--tmpfs=/run/proxy:mode=0777"],
        environ={**SETTINGS, "SIGNICAT_PROXY_ADMIN_LISTEN": admin},
    ) as name:
        engine.wait_for(name, LISTENING)
        becomes_healthy(engine, name)


def test_health_notices_a_dead_proxy(engine: Engine, image: str) -> None:
    """The health check fails where no proxy answers on the admin port."""
    with engine.container("mock", image=image) as name:
        engine.wait_for(name, "listening on")
        assert engine.attempt("podman", "healthcheck", "run", name).returncode == 1


def seconds_without_a_core(pid: int) -> float:
    """Return how long a process was ready to run while others had the machine's cores."""
    return int(Path(f"/proc/{pid}/schedstat").read_text("utf-8").split()[1]) / 1e9


def test_it_starts_in_under_a_second(engine: Engine, image: str) -> None:
    """From the process's start to open ports, less than a second is its own; best of three."""
    taken = []
    for _ in range(3):
        with engine.container(image=image, options=[SECRET], environ=SETTINGS) as name:
            state = engine.inspect("inspect", name)["State"]
            engine.wait_for(name, LISTENING)
            not_its_own = seconds_without_a_core(state["Pid"])
            (line,) = [line for line in engine.output(name).splitlines() if LISTENING in line]
            began = datetime.fromisoformat(state["StartedAt"])
            opened = datetime.fromisoformat(json.loads(line)["timestamp"])
            taken.append((opened - began).total_seconds() - not_its_own)
    assert min(taken) < SLOWEST_START_SECONDS


@pytest.mark.parametrize("_attempt", range(3))
def test_a_stop_right_after_the_start_is_obeyed(engine: Engine, image: str, _attempt: int) -> None:
    """Modules may still be on their way in: the process ends with 0 and is not killed."""
    with engine.container(image=image, options=[SECRET], environ=SETTINGS) as name:
        assert stop(engine, name) == 0


def test_a_stop_under_load_cuts_nobody(engine: Engine, image: str, mock: str) -> None:
    """Told to stop while eight callers read slow answers it finishes them and ends with 0 (C2)."""
    beside = f"--network=container:{mock}"
    script = f"--volume={ROOT / 'tests' / 'deploy' / 'load.py'}:/load.py:ro"
    load = [beside, script, "--entrypoint=python"]
    with engine.container(image=image, options=[beside, SECRET], environ=SETTINGS) as name:
        engine.run("podman", "exec", name, "signicat-proxy", "health", "--ready", "--wait")
        with engine.container("/load.py", "127.0.0.1:8080", image=image, options=load) as callers:
            engine.wait_for(callers, "busy")
            assert stop(engine, name) == 0
            assert engine.exit_code(callers) == 0
            outcomes = json.loads(engine.output(callers).splitlines()[-1])
        assert engine.inspect("inspect", name)["State"]["OOMKilled"] is False
    assert outcomes.pop("200") >= 2 * 8
    assert set(outcomes) <= {"not taken"}
