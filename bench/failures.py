"""The two ways in which a measurement fails."""

__all__ = ["BenchError", "Refused"]


class BenchError(Exception):
    """The bench cannot go on; the text is one line and names the remedy."""


class Refused(Exception):  # noqa: N818 - the cell is refused; the bench goes on
    """A measurement gave no figure that may be shown; the text says why."""
