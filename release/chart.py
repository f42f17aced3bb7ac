"""The chart's package."""

from pathlib import Path

import helm_python as helm

from release.archives import repack_tar
from release.errors import ReleaseError

__all__ = ["pack_chart"]


def pack_chart(chart: Path, work: Path, dist: Path, time: int) -> Path:
    """Pack the chart as Helm does; raises ReleaseError with what Helm says against it."""
    try:
        made = Path(helm.package(str(chart), destination=str(work)))
    except helm.HelmError as error:
        raise ReleaseError(f"Helm cannot pack {chart.name}: {error}") from error
    return repack_tar(made, dist / made.name, time)
