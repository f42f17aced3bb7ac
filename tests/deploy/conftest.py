"""The image under test, built once in a session; without the tools its tests are skipped."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.base_image import COMPILER, base_archive
from tests.deploy.composition import COMPOSE_TOOLS
from tests.deploy.containers import BASE, BUILDER, IMAGE, Engine, missing, need


def pytest_report_header() -> list[str]:
    """Say first what is not there: all of it at once, and not only where it is missed."""
    lacks = {"containers": missing(), "docker-compose": missing(COMPOSE_TOOLS)}
    return [f"{what}: {reason} (see .ci/run)" for what, reason in lacks.items() if reason]


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Have podman with a store of its own; one that DEPLOY_STORE names is kept for next time."""
    need(missing())
    kept = os.environ.get("DEPLOY_STORE")
    # Not pytest's own folder: podman wants a short path.
    folder = Path(kept or tempfile.mkdtemp(prefix="deploy-")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    running = Engine(folder)
    try:
        yield running
    finally:
        running.close()
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def image(engine: Engine) -> str:
    """Build the image on stand-ins for its bases."""
    engine.load(BASE, base_archive())
    engine.load(BUILDER, base_archive(COMPILER))
    engine.build(IMAGE)
    return IMAGE
