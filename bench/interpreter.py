"""The Python that the proxies run on: how it was built, how fast it is, and its environment.

Official images and distributions build theirs with profile-guided optimisation; figures of one that
was compiled without say nothing about production.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.compiled import compiled
from bench.failures import BenchError
from bench.install import ROOT, environment, output_of

__all__ = ["AUTO", "Build", "Interpreter", "chosen", "prepared"]

AUTO = "auto"
SYSTEM = Path("/usr/bin/python3")
LEAST = (3, 11)

# Distributions do not always leave the flags in the configuration, so the loop has the last word.
# It does what the proxy does most: objects with slots, calls, bytes put together and taken apart.
PROBE = """
import json, ssl, sys, sysconfig, time
names = ("CONFIG_ARGS", "PY_CORE_CFLAGS", "PY_CFLAGS_NODIST", "PY_LDFLAGS_NODIST")
flags = " ".join(str(sysconfig.get_config_var(name)) for name in names)
class Item:
    __slots__ = ("value",)
    def __init__(self, value):
        self.value = value
    def read(self):
        return self.value
def loop():
    total = 0
    for number in range(30_000):
        total += Item(number).read()
    for _ in range(10_000):
        total += len((b"%b %b%b" % (b"GET", b"/path", b"rest")).split(b" "))
    return total
def once():
    began = time.process_time()
    loop()
    return time.process_time() - began
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "openssl": ssl.OPENSSL_VERSION.split()[1],
    "pgo": "--enable-optimizations" in flags or "-fprofile-use" in flags,
    "lto": "--with-lto" in flags or "-flto" in flags,
    "milliseconds": min(once() for _ in range(9)) * 1e3,
}))
"""
VERSIONS = "import json, sys; from importlib.metadata import version; \
print(json.dumps({name: version(name) for name in sys.argv[1:]}))"


@dataclass(frozen=True, slots=True)
class Build:
    """One interpreter and what can be seen of its making; the loop is plain Python."""

    program: Path
    version: tuple[int, ...]
    openssl: str
    has_pgo: bool
    has_lto: bool
    loop_milliseconds: float

    @classmethod
    def of(cls, program: Path) -> "Build":
        """Ask the interpreter itself."""
        said = json.loads(output_of(program, "-I", "-c", PROBE))
        return cls(
            program,
            tuple(said["version"]),
            said["openssl"],
            said["pgo"],
            said["lto"],
            said["milliseconds"],
        )

    @property
    def version_text(self) -> str:
        """The version as people write it."""
        return ".".join(str(part) for part in self.version)

    @property
    def text(self) -> str:
        """The line of the report; a path outside the system's says nothing to others."""
        where = f" ({self.program})" if self.program == SYSTEM else ""
        seen = [name for name, has in (("PGO", self.has_pgo), ("LTO", self.has_lto)) if has]
        flags = " and ".join(seen) if seen else "neither PGO nor LTO"
        return (
            f"Python {self.version_text}{where} with OpenSSL {self.openssl}; "
            f"build flags tell of {flags}; calibration loop {self.loop_milliseconds:.1f} ms"
        )


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A build, and the interpreter of the environment that holds the proxy's requirements.

    `compiled` is where that imports the compiled proxy from.
    """

    build: Build
    program: Path
    compiled: Path

    @property
    def versions(self) -> dict[str, str]:
        """The installed versions of what does most of the work."""
        said: dict[str, str] = json.loads(
            output_of(self.program, "-c", VERSIONS, "aiohttp", "uvloop")
        )
        return said


def chosen(wanted: str) -> Build:
    """Return the named interpreter; for `auto` the system's, if it is fit and the faster one."""
    if wanted != AUTO:
        build = Build.of(Path(wanted))
        if build.version < LEAST:
            raise BenchError(f"--python {wanted}: the proxy needs Python 3.11 or later")
        return build
    own = Build.of(Path(sys.executable))
    system = Build.of(SYSTEM) if SYSTEM.exists() else own
    taken = faster(own, system)
    print(f"interpreter: {taken.text}", file=sys.stderr, flush=True)
    return taken


def faster(own: Build, system: Build) -> Build:
    """Return the system's interpreter where it can run the proxy, and runs it faster."""
    is_fit = system.version >= LEAST
    return system if is_fit and system.loop_milliseconds < own.loop_milliseconds else own


def prepared(build: Build, work: Path) -> Interpreter:
    """Return the interpreter with the proxy's locked requirements, in an environment of its own."""
    folder = work / f"proxy-{build.version_text}"
    program = environment(build.program, ROOT / "requirements/runtime.txt", folder)
    return Interpreter(build, program, compiled(build.program, program, work))
