"""The rules of the house that no linter knows (CONTRIBUTING.md)."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path, PurePath

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.source_tree import PACKAGE_MODULES, ROOT, kept_files, read, relative

MAX_FUNCTION_LINES = 40
MAX_MODULE_LINES = 300
RELEASE_MODULES = tuple(sorted((ROOT / "release").glob("*.py")))
NO_NAMES = {"common", "constants", "helper", "helpers", "manager", "misc", "util", "utils"}
LOCKS = (
    "requirements/runtime.txt",
    "requirements/dev.txt",
    "requirements/build.txt",
    "requirements/compile.txt",
    "requirements/deploy.txt",
    "requirements/manifests.txt",
    "requirements/release.txt",
)
LOCKED = re.compile(
    r"^([A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?==([^ ;]+)[^\n]*\\\n"
    r"((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)",
    re.MULTILINE,
)
MACHINE = re.compile(
    r"(?<![\w.}~])/(?:work|root|home|tmp|opt)/|file:/{3}|--(?:extra-)?index-url[ =]"
    r"|py[p]i\.org|files\.python[h]osted|registry\.npm[j]s"
)


def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def locked(name: str) -> dict[str, str]:
    """Return what a lock file pins: version by canonical name."""
    text = read(name)
    return {canonicalize_name(match[1]): match[2] for match in LOCKED.finditer(text)}


def direct_requirements(name: str) -> list[Requirement]:
    """Return what pyproject.toml asks for in the part that a lock file locks."""
    project = tomllib.loads(read("pyproject.toml"))
    extras = project["project"]["optional-dependencies"].values()
    runtime: list[str] = sum(extras, project["project"]["dependencies"])
    groups = project["dependency-groups"]
    with_another = [line for line in groups["release"] if isinstance(line, str)]
    lines = {
        "requirements/runtime.txt": runtime,
        "requirements/dev.txt": runtime + groups["dev"],
        "requirements/build.txt": project["build-system"]["requires"],
        "requirements/compile.txt": groups["compile"],
        "requirements/deploy.txt": groups["deploy"],
        "requirements/manifests.txt": groups["manifests"],
        "requirements/release.txt": with_another + groups["compile"],
    }[name]
    return [Requirement(line) for line in lines]


def test_imports_run_downwards_only() -> None:
    """The contracts of pyproject.toml hold: layers, who reads settings, who knows the mock (K)."""
    command = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [command, "--no-logo", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


@pytest.mark.parametrize(
    "path",
    [path for path in PACKAGE_MODULES if path.name == "__init__.py" and path.parent.name != "mock"],
    ids=relative,
)
def test_a_package_says_what_it_is_for_and_imports_nothing(path: Path) -> None:
    """Whoever imports one module gets no other with it: `health` must not load aiohttp."""
    tree = tree_of(path)
    assert ast.get_docstring(tree)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]


@pytest.mark.parametrize("path", [*PACKAGE_MODULES, *RELEASE_MODULES], ids=relative)
def test_modules_are_short_and_well_named(path: Path) -> None:
    """A module says by its name what it is for and can be read in one go."""
    assert path.stem not in NO_NAMES
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= MAX_MODULE_LINES


@pytest.mark.parametrize("path", [*PACKAGE_MODULES, *RELEASE_MODULES], ids=relative)
def test_functions_are_short(path: Path) -> None:
    """No function has over 40 lines."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    long = {
        node.name: lines
        for node in ast.walk(tree_of(path))
        if isinstance(node, functions)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > MAX_FUNCTION_LINES
    }
    assert long == {}


@pytest.mark.parametrize("path", PACKAGE_MODULES, ids=relative)
def test_tasks_have_a_parent(path: Path) -> None:
    """Tasks come from a TaskGroup; the linter bans asyncio.create_task, this a loop's."""
    parents = [
        ast.unparse(node.func.value)
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_task"
    ]
    assert [parent for parent in parents if "loop" in parent or parent == "asyncio"] == []


def test_no_file_names_a_machine() -> None:
    """No path of the machine a file was written on, and no address of a package registry."""
    found = [
        f"{relative(path)}:{number}"
        for path in kept_files()
        for number, line in enumerate(path.read_bytes().decode("utf-8", "replace").splitlines(), 1)
        if MACHINE.search(line)
    ]
    assert found == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_files_are_in_step_with_the_project(name: str) -> None:
    """What pyproject.toml asks for is locked, in a version that it accepts: else `make lock`."""
    pinned = locked(name)
    stale = [
        str(requirement)
        for requirement in direct_requirements(name)
        if not requirement.specifier.contains(pinned.get(canonicalize_name(requirement.name), "0"))
    ]
    assert stale == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_has_hashes(name: str) -> None:
    """Nothing stands in a lock file but pinned versions with their hashes, and comments."""
    text = read(name)
    rest = re.sub(r"^ +#.*\n", "", LOCKED.sub("", text), flags=re.MULTILINE)
    assert rest == ""


def test_one_environment_can_hold_all_locks() -> None:
    """A package that stands in two lock files stands there in one version."""
    first, second = locked("requirements/runtime.txt"), locked("requirements/dev.txt")
    assert first.items() <= second.items()


def test_every_file_of_the_package_gets_into_the_image() -> None:
    """What stands beside the modules is package data, and no secret to the image's build."""
    project = tomllib.loads(read("pyproject.toml"))
    packages = project["tool"]["setuptools"]["package-data"].items()
    data = [f"{name.replace('.', '/')}/{file}" for name, files in packages for file in files]
    kept = [line[1:] for line in read(".dockerignore").splitlines() if line.startswith("!")]
    files = [relative(path) for path in kept_files(ROOT / "proxy")]
    packed = [name for name in files if name.endswith(".py") or any(map(name_matcher(name), data))]
    assert packed == files
    assert [name for name in files if not any(map(name_matcher(name), kept))] == []


def name_matcher(name: str) -> Callable[[str], bool]:
    """Return a test whether a pattern means this file; `*` stops at a slash."""
    return lambda pattern: PurePath(name).match(pattern) and name.count("/") == pattern.count("/")


_DOTTED = re.compile(r"\bproxy(?:\.[A-Za-z_]\w*)+")


def _exists(name: str) -> bool:
    """Say whether a dotted name is a package, a module, or something that stands in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath(*parts[:length])
        path = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        if path.is_file():
            return all(re.search(rf"\b{part}\b", read(relative(path))) for part in parts[length:])
    return False


@pytest.mark.parametrize("path", PACKAGE_MODULES, ids=relative)
def test_texts_name_modules_that_there_are(path: Path) -> None:
    """Docstrings point to packages, modules and names as they are called today."""
    texts = [
        ast.get_docstring(node) or ""
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for text in texts for name in _DOTTED.findall(text) if not _exists(name)] == []
