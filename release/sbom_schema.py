"""Whether the SBOM keeps the schema of CycloneDX."""

from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from release.errors import ReleaseError

__all__ = ["assert_keeps_schema"]


def assert_keeps_schema(sbom: Path) -> None:
    """Raise ReleaseError with what the schema has against it."""
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    error = validator.validate_str(sbom.read_text("utf-8"))
    if error is not None:
        raise ReleaseError(f"{sbom.name} does not keep the schema of CycloneDX: {error}")
