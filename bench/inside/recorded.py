"""What exchanges cost when it was last recorded, and which of them cost more now.

Counts compare only where the same instructions run: on the same interpreter, compiler and C
library, under a valgrind that shows the same processor. A line of text names all of that.
"""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from bench.failures import BenchError
from bench.inside.exchanges import KINDS
from bench.install import output_of
from bench.table import grouped, render

__all__ = [
    "LEAVE",
    "RECORD",
    "Records",
    "environment_of",
    "increases",
    "page_table",
    "read",
    "write",
]

RECORD = Path(__file__).with_name("instructions.json")
LEAVE = 0.02
"""How much more than recorded a row may cost: runs of the same code differ by up to 0.5 %."""

Records: TypeAlias = Mapping[str, Mapping[str, int]]
"""By environment, the instructions of each row by its name."""

CPU_FACTS = Path("/proc/cpuinfo")
ASKED = """
import platform, sys, sysconfig
print(platform.python_version(), sys.version.partition("[")[2].rstrip("]"), sep=" of ")
print((sysconfig.get_config_var("CC") or "cc").split()[0])
print(*platform.libc_ver())
"""


def environment_of(program: Path) -> str:
    """Return the line that names what counts of this interpreter depend on, beside the code."""
    python, compiler, libc = output_of(program, "-I", "-c", ASKED).splitlines()
    modules = output_of(compiler, "-dumpfullversion", "-dumpversion").strip()
    valgrind = output_of("valgrind", "--version").strip().removeprefix("valgrind-")
    # The C library chooses its functions by this; valgrind shows no newer processor to it.
    has_avx2 = CPU_FACTS.exists() and " avx2 " in CPU_FACTS.read_text(encoding="utf-8")
    processor = f"{platform.machine()}{' with AVX2' if has_avx2 else ''}"
    return f"Python {python}, compiled by {modules}, {libc}, valgrind {valgrind}, {processor}"


def read(path: Path) -> Records:
    """Return what was recorded; BenchError where the file holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(environment): {str(name): int(count) for name, count in counts.items()}
            for environment, counts in found.items()
        }
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise BenchError(f"{path.name}: {error}") from None


def write(path: Path, environment: str, counts: Mapping[str, int]) -> Records:
    """Put counts in the place of what was recorded of these rows here; return all records.

    They stand in the order of the table, without those of rows that are no more.
    """
    records = read(path)
    known = {**records.get(environment, {}), **counts}
    ordered = {kind.name: known[kind.name] for kind in KINDS if kind.name in known}
    merged = {**records, environment: ordered}
    path.write_text(json.dumps(merged, indent=2) + "\n", encoding="utf-8")
    return merged


def increases(counts: Mapping[str, int], recorded: Mapping[str, int]) -> list[str]:
    """Return the names of the rows that cost more than they may; one that is new may not be."""
    return [name for name, count in counts.items() if count > recorded.get(name, 0) * (1 + LEAVE)]


def page_table(records: Records) -> str:
    """Return the table of the page: a column for each environment, whose names follow."""
    headings = ["row", "exchange", *(f"({number})" for number, _ in enumerate(records, 1))]
    rows = [
        [kind.name, kind.title, *(grouped(counts.get(kind.name)) for counts in records.values())]
        for kind in KINDS
    ]
    named = [f"({number}) {environment}." for number, environment in enumerate(records, 1)]
    return "\n\n".join([render(headings, rows, names=2), *named])
