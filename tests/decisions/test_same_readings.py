"""A compiled module reads what its source reads, to the last fact (`make test-compiled`)."""

import asyncio
import os
import subprocess
import sys

import pytest

from proxy.build import build
from tests.support.readings import readings
from tests.support.source_tree import ROOT

COUNT = 4000


@pytest.mark.parametrize("seed", range(3))
async def test_the_build_in_use_reads_as_the_sources_do(seed: int) -> None:
    """Thousands of requests and answers, good, odd and broken: not one is taken otherwise."""
    done = subprocess.run(  # noqa: ASYNC221 - nothing else runs
        [sys.executable, "-m", "tests.support.readings", str(seed), str(COUNT)],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    ours = list(readings(seed, COUNT, asyncio.get_running_loop()))
    which, *theirs = done.stdout.splitlines()
    assert (which, build()) == ("interpreted", "compiled")
    assert len(ours) == len(theirs) == 2 * COUNT
    assert [pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1]][:3] == []
    refused = sum("bad_request" in line or "malformed" in line for line in ours)
    assert COUNT / 2 < refused < 2 * COUNT - COUNT / 2, "neither nearly all nor hardly any"
