"""The image: what is in it, and how it runs the way production runs it."""

from tests.deploy.containers import BASE, Engine, need, tool
from tests.source_tree import ROOT

MEGABYTES = 1_000_000
LARGEST_ADDITION = 120 * MEGABYTES
UID = 10001


def size(engine: Engine, image: str) -> int:
    """Return an image's size in bytes."""
    return int(engine.inspect("image", "inspect", image)["Size"])


def test_the_image_adds_little_to_its_base(engine: Engine, image: str) -> None:
    """At most 120 MB come on top of Python's own image."""
    assert 0 < size(engine, image) - size(engine, BASE) <= LARGEST_ADDITION


def test_dockerfile_is_clean(engine: Engine) -> None:
    """Hadolint finds nothing."""
    hadolint = tool("hadolint")
    need("" if hadolint else "not installed: hadolint")
    done = engine.attempt(str(hadolint), str(ROOT / "Dockerfile"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_runs_without_any_right(engine: Engine, image: str) -> None:
    """With no user of its own, capability, network or writable file it starts and is healthy."""
    with engine.container("demo", image=image) as name:
        engine.wait_for(name, "Ctrl-C ends it.")
        status = engine.run(
            "podman", "exec", name, "python", "-c", "print(open('/proc/1/status').read())"
        )
        facts = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert facts["Uid"].split() == [str(UID)] * 4
        assert facts["Gid"].split() == [str(UID)] * 4
        assert {facts[f"Cap{kind}"] for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
        assert (facts["NoNewPrivs"], facts["Seccomp"]) == ("1", "2")
        refused = engine.attempt("podman", "exec", name, "python", "-c", "open('/app/x', 'w')")
        assert "Read-only file system" in refused.stderr
        engine.run("podman", "healthcheck", "run", name)
        engine.run("podman", "stop", "--time", "10", name)
        assert engine.exit_code(name) == 0
