"""`python -m release PYTHON`: what `make release` runs. PYTHON has the locked requirements."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from release.chart import pack_chart
from release.destination import assert_replaceable
from release.distributions import build_compiled_wheel, build_sdist, build_wheel, unpack
from release.errors import ReleaseError
from release.examination import assert_names_no_machine, examine_packages, write_sums
from release.links import name_links_in
from release.notes import is_dated, notes_of
from release.sbom import write_sbom
from release.sbom_schema import assert_keeps_schema
from release.source import Source, copy_of, find_source, folders_here, warnings

ROOT: Final = Path(__file__).parent.parent
NOTES: Final = "RELEASE_NOTES.md"


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


@contextmanager
def step(name: str) -> Iterator[None]:
    """Say what is being made, and then how long it took."""
    began = time.monotonic()
    print(f"release: {name} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        say("failed")
        raise
    say(f"{time.monotonic() - began:.0f} s")


def release_notes(source: Source) -> str:
    """Return the changelog's section of the version.

    Raises ReleaseError if there is none, or if the version is tagged and its section has no date.
    """
    changelog = (source.folder / "CHANGELOG.md").read_text("utf-8")
    notes = notes_of(changelog, source.version)
    if not is_dated(changelog, source.version):
        if source.tagged == source.commit:
            raise ReleaseError(
                f"v{source.version} is tagged, but CHANGELOG.md calls it unreleased: "
                f"change its heading to '## {source.version} — DATE', and tag that"
            )
        say(f"release: CHANGELOG.md calls {source.version} unreleased: date it before you tag it")
    return notes


def pack(source: Source, work: Path, python: Path) -> Path:
    """Make all files of the release in a new folder in `work`; return it."""
    dist = work / "dist"
    dist.mkdir()
    notes = release_notes(source)
    copy = copy_of(source, work / "source")
    name_links_in(copy / "README.md")  # the page of an index shows it, far from its files
    with step("sdist"):
        sdist = build_sdist(copy, work, dist, source.time)
    with step("wheel"):
        wheel = build_wheel(unpack(sdist, work / "pure"), work, dist, source.time)
    with step("compiled wheel, for a minute or more"):
        compiled = unpack(sdist, work / "compiling")
        compiled = build_compiled_wheel(compiled, work, dist, source.time, python)
    with step("chart"):
        pack_chart(copy / "helm" / "signicat-proxy", work, dist, source.time)
    with step("SBOM"):
        target = dist / f"signicat-proxy-{source.version}.cdx.json"
        write_sbom(copy, work, target, source.version, source.time, python)
        assert_keeps_schema(target)
    (dist / NOTES).write_text(notes, "utf-8")
    with step("looking for what should not be in there"):
        examine_packages([sdist, wheel, compiled])
        assert_names_no_machine(sorted(dist.iterdir()), folders_here(source, work))
    write_sums(dist)
    return dist


def publish(made: Path, dist: Path) -> None:
    """Put the files in place of those of the last time, and list them."""
    if dist.exists():
        shutil.rmtree(dist)
    shutil.copytree(made, dist)
    for path in sorted(dist.iterdir()):
        say(f"{path.stat().st_size:>10,}  {dist.name}/{path.name}")


def main() -> int:
    """Pack the release; return the exit code. What is in the way is said in its own words."""
    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("python", type=Path, help="of the environment with the requirements")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="default: dist")
    words = parser.parse_args()
    dist = words.dist.absolute()
    try:
        assert_replaceable(dist)
        source = find_source(ROOT)
        say(f"release: signicat-proxy {source.version} of commit {source.commit[:10]}")
        for warning in warnings(source):
            say(f"release: {warning}")
        with tempfile.TemporaryDirectory(prefix="release-") as work:
            made = pack(source, Path(work), words.python.absolute())
            publish(made, dist)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
