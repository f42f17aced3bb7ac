"""How much all callers together may send ahead (G11)."""

from pathlib import Path

import pytest

from proxy.forward.memory_budget import budget_bytes, most_tls_callers

KIB = 1024
MIB = 1024 * KIB
SMALL_BODIES = 64 * KIB


def container(folder: Path, name: str, limit: str) -> Path:
    """Provide what the system says of a container's memory."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(limit + "\n", encoding="ascii")
    return folder


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(
    ("limit", "budget"),
    [(128 * MIB, 32 * MIB), (256 * MIB, 64 * MIB), (4096 * MIB, 64 * MIB), (8, 4 * SMALL_BODIES)],
)
def test_it_is_a_quarter_of_the_containers_memory(
    tmp_path: Path, name: str, limit: int, budget: int
) -> None:
    """64 MiB at most, and room for four bodies at least; cgroups of both versions (G11)."""
    assert budget_bytes(SMALL_BODIES, container(tmp_path, name, str(limit))) == budget


@pytest.mark.parametrize("limit", ["max", "", None])
def test_without_a_limit_it_is_64_mib(tmp_path: Path, limit: str | None) -> None:
    """Also where the system says nothing (G11)."""
    root = tmp_path if limit is None else container(tmp_path, "memory.max", limit)
    assert budget_bytes(SMALL_BODIES, root) == 64 * MIB


def test_four_of_the_largest_bodies_always_fit(tmp_path: Path) -> None:
    """However little memory there is: MAX_REPLAY_BYTES is the operator's word (G11, F12)."""
    assert budget_bytes(40 * MIB, container(tmp_path, "memory.max", str(64 * MIB))) == 160 * MIB


@pytest.mark.parametrize(
    ("limit", "most"), [(128 * MIB, 682), (256 * MIB, 1365), (2 << 40, 10_000), (8, 1)]
)
def test_tls_has_a_quarter_of_the_containers_memory(tmp_path: Path, limit: int, most: int) -> None:
    """What TLS keeps for a connection shows nowhere, so the connections are bounded (G11, I3)."""
    assert most_tls_callers(10_000, container(tmp_path, "memory.max", str(limit))) == most


def test_tls_without_a_limit_of_memory_has_no_bound_of_its_own(tmp_path: Path) -> None:
    """Then open files bound it, as any caller (G6)."""
    assert most_tls_callers(10_000, tmp_path) == 10_000
