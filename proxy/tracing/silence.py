"""Keeps the log of the libraries that send spans quiet."""

import logging
from typing import Final

__all__ = ["LibrarySilence"]

_LIBRARIES: Final = ("opentelemetry", "urllib3")


class LibrarySilence:
    """Begins when it is made: they have a line for every batch, the proxy has one for all.

    What they say can also hold the collector's URL in full, and headers that they cannot read.
    """

    def __init__(self) -> None:
        self._handler = logging.NullHandler()
        self._before: list[tuple[logging.Logger, bool]] = []
        for name in _LIBRARIES:
            logger = logging.getLogger(name)
            self._before.append((logger, logger.propagate))
            logger.addHandler(self._handler)
            logger.propagate = False

    def end(self) -> None:
        """Put back what was."""
        for logger, propagates in self._before:
            logger.removeHandler(self._handler)
            logger.propagate = propagates
