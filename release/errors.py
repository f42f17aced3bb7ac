"""Why a release cannot be packed."""

__all__ = ["ReleaseError"]


class ReleaseError(Exception):
    """Its text says what is wrong and what to do; nothing was written to dist/."""
