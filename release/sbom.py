"""The list of what the proxy runs with: each locked requirement, with its licence (CycloneDX)."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from release.errors import ReleaseError
from release.programs import run_tool

__all__ = ["locked_only", "locked_versions", "write_sbom"]

_ROOT: Final = "root-component"
_LOCKED: Final = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[a-z,-]+\])?==([^ ;\\]+)", re.MULTILINE)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_versions(lock: str) -> dict[str, str]:
    """Return the version of each requirement in a lock file, by its canonical name."""
    return {_canonical(name): version for name, version in _LOCKED.findall(lock)}


def locked_only(sbom: Mapping[str, Any], locked: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return the list of an environment without what is not locked, for this version of ours.

    Raises ReleaseError where the environment has another version than the lock, or lacks one.
    """
    kept = [part for part in sbom["components"] if _canonical(part["name"]) in locked]
    found = {_canonical(part["name"]): part["version"] for part in kept}
    if found != locked:
        wrong = sorted(name for name, _ in found.items() ^ locked.items())
        raise ReleaseError(f"not installed as locked: {', '.join({*wrong})}; run `make` again")
    refs = {_ROOT, *(part["bom-ref"] for part in kept)}
    graph = [
        {**node, "dependsOn": [ref for ref in node.get("dependsOn", ()) if ref in refs]}
        for node in sbom["dependencies"]
        if node["ref"] in refs
    ]
    ours = {**sbom["metadata"]["component"], "version": version}
    ours["purl"] = f"pkg:pypi/{ours['name']}@{version}"
    metadata = {**sbom["metadata"], "component": ours}
    return {**sbom, "metadata": metadata, "components": kept, "dependencies": graph}


def write_sbom(
    source: Path, work: Path, target: Path, version: str, time: int, python: Path
) -> None:
    """Write what the locked requirements of the proxy are, as installed for `python`.

    Whether it keeps the schema is seen once it is whole (`release.sbom_schema`).
    """
    made = work / "environment.json"
    words = ("--pyproject", source / "pyproject.toml", "--output-file", made, python)
    options = ("--output-reproducible", "--no-validate", "--spec-version", "1.6")
    environ = {"SOURCE_DATE_EPOCH": str(time)}
    run_tool("cyclonedx_py", "environment", *options, *words, folder=work, environ=environ)
    locked = locked_versions((source / "requirements" / "runtime.txt").read_text("utf-8"))
    sbom = locked_only(json.loads(made.read_text("utf-8")), locked, version)
    target.write_text(f"{json.dumps(sbom, indent=2, sort_keys=True)}\n", "utf-8")
