"""What lies in dist/ after `make release`."""

import calendar
import email
import json
import re
import struct
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from proxy import __version__
from release.links import named_links
from release.notes import notes_of
from release.sbom import locked_versions
from tests.release.packed import TOOLS, Packed, clone_of, contents, environment
from tests.support.source_tree import ROOT, kept_files, read, relative

CHART: Final = f"signicat-proxy-{__version__}.tgz"
SBOM: Final = f"signicat-proxy-{__version__}.cdx.json"
TAG: Final = f"v{__version__}"
WHO: Final = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
PACKAGE: Final = [relative(path) for path in kept_files(ROOT / "proxy")]


def test_it_is_all_there(packed: Packed) -> None:
    """Two wheels, their source, the chart, the SBOM, the notes, and the sums of all."""
    assert packed.names == sorted(
        (
            "RELEASE_NOTES.md",
            "SHA256SUMS",
            CHART,
            SBOM,
            f"signicat_proxy-{__version__}.tar.gz",
            packed.wheel.name,
            packed.compiled.name,
        )
    )
    assert packed.wheel.name == f"signicat_proxy-{__version__}-py3-none-any.whl"


def test_twice_makes_the_same_bytes(both: tuple[Packed, Packed]) -> None:
    """Whoever packs it, where, and however their machine is set up."""
    first, second = both
    assert first.names == second.names
    differing = [
        name
        for name in first.names
        if (first.folder / name).read_bytes() != (second.folder / name).read_bytes()
    ]
    assert differing == []


def test_no_machine_is_named(both: tuple[Packed, Packed]) -> None:
    """No folder and no user, in no byte of any file, packed or not."""
    words = {str(ROOT), str(Path.home()), sys.prefix, sys.base_prefix}
    words |= {str(packed.folder.parent) for packed in both} | {"Bernard"}
    words -= {"/", "/usr", "/usr/local"}
    needles = [word.encode() for word in words]
    for packed in both:
        for path in packed.folder.iterdir():
            inside = contents(path) if path.suffix in {".whl", ".gz", ".tgz"} else {}
            for name, content in {**inside, path.name: path.read_bytes()}.items():
                assert [needle for needle in needles if needle in content] == [], name


def test_what_was_made_is_said(both: tuple[Packed, Packed]) -> None:
    """First of which version it is, and at the end each file with its size."""
    for packed in both:
        lines = packed.said.splitlines()
        # make may have to install the tools before.
        first = next(line for line in lines if line.startswith("release: "))
        assert first.startswith(f"release: signicat-proxy {__version__} of commit ")
        assert lines[-len(packed.names) :] == [
            f"{(packed.folder / name).stat().st_size:>10,}  {packed.folder.name}/{name}"
            for name in packed.names
        ]


def test_nobody_owns_what_is_packed(packed: Packed) -> None:
    """And each entry is a program, a file or a folder."""
    for path in (packed.sdist, packed.folder / CHART):
        with tarfile.open(path) as archive:
            entries = archive.getmembers()
        assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {
            (0, 0, "", "")
        }
        modes = {(entry.isdir(), entry.isfile(), entry.mode) for entry in entries}
        assert modes <= {(True, False, 0o755), (False, True, 0o755), (False, True, 0o644)}


def times(archive: Path) -> set[int]:
    """Return the times inside an archive; those of a wheel are even numbers of seconds."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {calendar.timegm((*entry.date_time, 0, 0, 0)) for entry in wheel.infolist()}
    (of_header,) = struct.unpack("<4xI", archive.read_bytes()[:8])
    with tarfile.open(archive) as packed:
        return {of_header, *(int(entry.mtime) for entry in packed)}


def test_nothing_is_older_or_younger_than_the_release(packed: Packed) -> None:
    """One time in all archives, whichever that of the release is."""
    archives = (packed.sdist, packed.folder / CHART, packed.wheel, packed.compiled)
    (time,) = {time - time % 2 for archive in archives for time in times(archive)}
    assert packed.time in {None, time}


def test_the_sums_are_those_of_all_files(packed: Packed) -> None:
    """As the workflow checks them."""
    subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=packed.folder, check=True
    )
    lines = (packed.folder / "SHA256SUMS").read_text("utf-8").splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        name for name in packed.names if name != "SHA256SUMS"
    ]


def test_the_workflow_takes_what_is_there(packed: Packed) -> None:
    """Each file of dist/ that release.yml names is made."""
    workflow = read(".github/workflows/release.yml").replace("$VERSION", __version__)
    named = set(re.findall(r"dist/([\w.-]*\w)", workflow))
    assert {"SHA256SUMS", "RELEASE_NOTES.md", CHART} <= named
    assert named <= set(packed.names)
    assert "- run: make release\n" in workflow


def test_the_notes_are_the_changelog(packed: Packed) -> None:
    """Of this version alone; no link in them leads into the repository."""
    notes = (packed.folder / "RELEASE_NOTES.md").read_text("utf-8")
    assert notes == notes_of(read("CHANGELOG.md"), __version__)
    assert not re.search(r"\]\((?!https://)", notes)


def test_all_wheels_are_one_version(packed: Packed) -> None:
    """With the metadata of the sdist, and the page that an index shows."""
    described = []
    for archive in (packed.wheel, packed.compiled, packed.sdist):
        (metadata,) = (
            content
            for name, content in contents(archive).items()
            if re.fullmatch(r"[^/]+\.dist-info/METADATA|PKG-INFO", name)
        )
        described.append(metadata)
    assert len(set(described)) == 1
    about = email.message_from_bytes(described[0])
    assert (about["Name"], about["Version"]) == ("signicat-proxy", __version__)
    assert (
        about["Requires-Python"]
        == tomllib.loads(read("pyproject.toml"))["project"]["requires-python"]
    )
    assert about["Description-Content-Type"] == "text/markdown"


def test_no_link_of_the_page_that_an_index_shows_is_dead(packed: Packed) -> None:
    """It is the README, whose links into the repository lead nowhere from there."""
    (metadata,) = (
        content.decode()
        for name, content in contents(packed.wheel).items()
        if name.endswith(".dist-info/METADATA")
    )
    page = metadata.partition("\n\n")[2]
    assert page == named_links(read("README.md"))
    assert "(docs/configure.md)" in page
    assert re.findall(r"\]\((?!https://)[^)]*\)", page) == []


def test_the_wheel_holds_the_package(packed: Packed) -> None:
    """All of it, the licence, and nothing else."""
    names = [name for name in contents(packed.wheel) if ".dist-info/" not in name]
    assert sorted(names) == PACKAGE
    assert any(name.endswith("/licenses/LICENSE") for name in contents(packed.wheel))


@pytest.mark.skipif(sys.platform != "linux", reason="manylinux is Linux")
def test_the_compiled_one_says_where_it_runs(packed: Packed) -> None:
    """On this Python, and on each Linux with this C library or a newer one."""
    python = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert f"-{python}-{python}-" in packed.compiled.name
    assert re.search(r"[.-]manylinux_2_\d+_\w+\.whl$", packed.compiled.name)
    names = [name for name in contents(packed.compiled) if ".dist-info/" not in name]
    machine_code = [name for name in names if name.endswith(".so")]
    assert sorted(set(names) - set(machine_code)) == PACKAGE
    assert len(machine_code) > 50
    assert {name.partition("/")[0] for name in names} == {"proxy"}


def test_the_sdist_holds_what_a_packager_needs(packed: Packed) -> None:
    """To build both wheels, to configure, and to know what changed; no tests, docs or chart."""
    names = {name for name in contents(packed.sdist) if ".egg-info/" not in name}
    assert names == {
        *PACKAGE,
        *(f"requirements/{name}.txt" for name in ("build", "compile", "runtime")),
        *("CHANGELOG.md", "LICENSE", "README.md", "config.example.env"),
        *("MANIFEST.in", "PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py"),
    }


def test_the_sbom_lists_what_is_locked(packed: Packed) -> None:
    """Each with a licence; the graph begins with this version and reaches all of them."""
    sbom = json.loads((packed.folder / SBOM).read_text("utf-8"))
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.6")
    ours = sbom["metadata"]["component"]
    assert (ours["name"], ours["version"]) == ("signicat-proxy", __version__)
    parts = {part["bom-ref"]: part for part in sbom["components"]}
    locked = locked_versions(read("requirements/runtime.txt"))
    assert {part["purl"] for part in parts.values()} == {
        f"pkg:pypi/{name}@{version}" for name, version in locked.items()
    }
    silent = {part["name"] for part in parts.values() if not part.get("licenses")}
    assert silent <= {"protobuf"}  # whose metadata names none
    graph = {node["ref"]: set(node.get("dependsOn", ())) for node in sbom["dependencies"]}
    reached, front = set(), {ours["bom-ref"]}
    while front:
        reached |= front
        front = set().union(*(graph[ref] for ref in front)) - reached
    assert reached == {ours["bom-ref"], *parts}


def test_the_chart_tells_a_catalogue_about_itself(packed: Packed) -> None:
    """Helm packed it, with the annotations of Artifact Hub."""
    files = contents(packed.folder / CHART)
    about = files["Chart.yaml"].decode()
    assert f"\nversion: {__version__}\n" in about
    assert set(re.findall(r"^  artifacthub\.io/(\w+):", about, re.MULTILINE)) >= {
        *("category", "changes", "license", "links")
    }
    assert {"values.yaml", "values.schema.json", "README.md", "templates/NOTES.txt"} <= set(files)


def rewritten(wheel: Path, folder: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """Write a wheel with a stray file in it, and with one of the others changed."""
    target = folder / wheel.name
    with zipfile.ZipFile(target, "w") as new:
        new.writestr("tests/__init__.py", b"")
        for entry, content in contents(wheel).items():
            new.writestr(entry, change(content) if entry.endswith(name) else content)
    return target


def test_twine_and_check_wheel_contents_have_looked(packed: Packed, folder: Path) -> None:
    """They take what was packed, and neither a file too many nor metadata that is none."""
    look = (
        "import sys, pathlib, release.examination as examination\n"
        "examination.examine_packages([pathlib.Path(name) for name in sys.argv[1:]])"
    )

    def looked(*packages: Path) -> str:
        command = [str(TOOLS / "python"), "-c", look, *map(str, packages)]
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), check=False, capture_output=True, text=True
        )
        return done.stderr.strip()

    assert looked(packed.sdist, packed.wheel, packed.compiled) == ""
    stray = b"tests/__init__.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
    littered = rewritten(packed.wheel, folder, "/RECORD", lambda content: content + stray)
    assert "W009: Wheel contains multiple toplevel library entries" in looked(littered)
    headers_alone = rewritten(
        packed.wheel, folder, "/METADATA", lambda content: content.partition(b"\n\n")[0]
    )
    assert "twine failed with 1:" in looked(headers_alone)


def refused(copy: Path, *words: str) -> list[str]:
    """Return what packing this clone says while it fails."""
    done = subprocess.run(
        [str(TOOLS / "python"), "-m", "release", *words, sys.executable],
        cwd=copy,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    assert "sdist" not in done.stdout
    return done.stderr.splitlines()


def test_without_a_section_in_the_changelog_there_is_no_release(folder: Path) -> None:
    """It fails before anything is built, and says what to do."""
    copy = clone_of(ROOT, folder / "clone")
    changelog = copy / "CHANGELOG.md"
    changelog.write_text(changelog.read_text("utf-8").replace(__version__, "0.0.1"), "utf-8")
    (line,) = refused(copy)
    assert line.startswith(f"release: CHANGELOG.md has no section of {__version__}: give it a ")
    assert not (copy / "dist").exists()


def test_a_tagged_version_has_a_date(folder: Path) -> None:
    """Else the notes would call what is released unreleased."""
    copy = clone_of(ROOT, folder / "clone")
    changelog = copy / "CHANGELOG.md"
    heading, unreleased = re.compile(r"^## .*$", re.MULTILINE), f"## Unreleased — {__version__}"
    changelog.write_text(heading.sub(unreleased, read("CHANGELOG.md"), count=1), "utf-8")
    for words in (["add", "--all"], [*WHO, "commit", "--allow-empty", "-qm", "x"], ["tag", TAG]):
        subprocess.run(["git", *words], cwd=copy, env=environment(), check=True)
    (line,) = refused(copy)
    assert line.startswith(f"release: {TAG} is tagged, but CHANGELOG.md calls it unreleased: ")


def test_what_no_release_made_stays_where_it_is(folder: Path) -> None:
    """A folder is emptied only if it holds a release."""
    copy = clone_of(ROOT, folder / "clone")
    (folder / "mine.txt").touch()
    (line,) = refused(copy, "--dist", str(folder))
    assert line.startswith(f"release: {folder} holds what no release made, ")
    assert line.endswith(": move it away, or choose another folder with DIST=")
    assert (folder / "mine.txt").exists()
